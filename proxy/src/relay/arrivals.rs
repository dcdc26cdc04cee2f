//! When the bytes came that toxics hold: whoever reads them afterwards learns how long that was.

use std::collections::VecDeque;
use std::time::Duration;

use sabot_toxics::Time;

/// Reads that are told apart; what comes while so many are held counts as having come with the last of them.
const APART: usize = 1024;

/// Of one direction.
#[derive(Debug, Default)]
pub(super) struct Arrivals(VecDeque<(usize, Time)>);

impl Arrivals {
    /// So many bytes came.
    pub(super) fn came(&mut self, bytes: usize, now: Time) {
        let full = self.0.len() >= APART;
        match self.0.back_mut() {
            Some((held, _)) if full => *held += bytes,
            _ => self.0.push_back((bytes, now)),
        }
    }

    /// So many were written; how long the last of them was held.
    pub(super) fn left(&mut self, mut bytes: usize, now: Time) -> Duration {
        let mut delay = Duration::ZERO;
        while let Some((held, at)) = self.0.front_mut()
            && bytes > 0
        {
            delay = now.saturating_since(*at);
            let out = bytes.min(*held);
            *held -= out;
            bytes -= out;
            if *held == 0 {
                self.0.pop_front();
            }
        }
        delay
    }

    /// Nothing is held: what has not left was dropped.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_that_left_says_how_long() {
        let (mut arrivals, at) = (Arrivals::default(), |ms: u64| Time::from_nanos(ms * 1_000_000));
        arrivals.came(10, at(0));
        arrivals.came(10, at(5));
        assert_eq!(arrivals.left(4, at(100)), Duration::from_millis(100));
        assert_eq!(arrivals.left(7, at(100)), Duration::from_millis(95));
        assert_eq!(arrivals.left(9, at(105)), Duration::from_millis(100));
        assert_eq!(arrivals.left(1, at(200)), Duration::ZERO, "of that nothing is known");
        for ms in 0..2000 {
            arrivals.came(1, at(ms));
        }
        assert_eq!(arrivals.0.len(), APART);
        assert_eq!(arrivals.left(2000, at(2000)), Duration::from_millis(2000 - 1023));
        arrivals.came(1, at(0));
        arrivals.clear();
        assert_eq!(arrivals.left(1, at(9)), Duration::ZERO);
    }
}
