//! Where an axis begins and ends, and where its ticks stand.

/// One axis of a picture.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct Axis {
    pub scale: Scale,
    pub min: f64,
    pub max: f64,
    /// From one tick to the next, of a linear one.
    pub step: f64,
    /// What stands at a tick.
    pub text: fn(f64) -> String,
    pub label: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Scale {
    Linear,
    Log,
}

impl Axis {
    /// Time: from one second to another, about that many ticks.
    pub(super) fn seconds(from: f64, to: f64, ticks: f64, label: &'static str) -> Self {
        const STEPS: [f64; 15] = [
            1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0, 21_600.0,
            86_400.0,
        ];
        let wanted = (to - from) / ticks;
        let step = STEPS.into_iter().find(|step| *step >= wanted).unwrap_or(86_400.0);
        let text = if step >= 60.0 { clock } else { plain };
        Self { scale: Scale::Linear, min: from, max: to.max(from + 1.0), step, text, label }
    }

    /// From 0 to what holds all of `values`, and `least` at least.
    pub(super) fn linear(values: impl Iterator<Item = f64>, least: f64, text: fn(f64) -> String) -> Self {
        let highest = values.fold(least, f64::max) * 1.05;
        let step = round_step(highest / 4.0);
        let max = (highest / step).ceil() * step;
        Self { scale: Scale::Linear, min: 0.0, max, step, text, label: "" }
    }

    /// Around all of `values`, a decade at least.
    pub(super) fn log(values: impl Iterator<Item = f64>, text: fn(f64) -> String) -> Self {
        let seen = values.filter(|value| *value > 0.0);
        let (low, high) =
            seen.fold((f64::INFINITY, 0f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
        let min = round_down(low * 0.9);
        let max = round_up((high * 1.15).max(min * 10.0));
        Self { scale: Scale::Log, min, max, step: 1.0, text, label: "" }
    }

    /// One that holds both, so that two pictures can be compared by eye.
    pub(in crate::report) fn joined(a: Self, b: Self) -> Self {
        let wider = if a.max >= b.max { a } else { b };
        Self { min: a.min.min(b.min), ..wider }
    }

    /// Within its ends: a logarithm knows no 0.
    pub(super) fn clamp(&self, value: f64) -> f64 {
        value.clamp(self.min, self.max)
    }
}

/// Seconds as they are.
fn plain(seconds: f64) -> String {
    format!("{seconds:.0}")
}

/// `12:30`, `1:02:30`.
fn clock(seconds: f64) -> String {
    let s = seconds.round() as u64;
    if s < 3600 {
        return format!("{}:{:02}", s / 60, s % 60);
    }
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// 1, 2 or 5 times a power of ten, at least `wanted`.
fn round_step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step >= wanted * 0.999)
        .unwrap_or(power)
}

fn round_up(value: f64) -> f64 {
    round_step(value)
}

fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|times| times * power)
        .find(|step| *step <= value * 1.001)
        .unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_round_and_hold_everything() {
        let axis = Axis::linear([0.0, 70.0].into_iter(), 1.0, plain);
        assert_eq!((axis.min, axis.max, axis.step), (0.0, 80.0, 20.0));
        let axis = Axis::log([4.2, 1300.0].into_iter(), plain);
        assert_eq!((axis.min, axis.max), (2.0, 2000.0));
        let nothing = Axis::log(std::iter::empty(), plain);
        assert!(nothing.min > 0.0 && nothing.max > nothing.min);
    }

    #[test]
    fn two_are_joined_by_what_both_show() {
        let narrow = Axis::linear([3.0].into_iter(), 1.0, plain);
        let wide = Axis::linear([70.0].into_iter(), 1.0, plain);
        let joined = Axis::joined(narrow, wide);
        assert_eq!((joined.min, joined.max, joined.step), (0.0, wide.max, wide.step));
    }

    #[test]
    fn time_has_about_as_many_ticks_as_asked_for() {
        for (length, step) in [(5.0, 1.0), (120.0, 20.0), (900.0, 120.0), (7.0 * 86_400.0, 86_400.0)] {
            assert_eq!(Axis::seconds(0.0, length, 8.0, "").step, step);
        }
        assert_eq!((clock(90.0), clock(3723.0)), ("1:30".into(), "1:02:03".into()));
    }
}
