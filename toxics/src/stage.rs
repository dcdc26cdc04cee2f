//! One toxic at work on one direction of one connection.

use std::sync::Arc;

use crate::catalog::StreamSettings;
use crate::frame::Frame;
use crate::plan::Entry;
use crate::toxic::{Cx, Departure, Held, Out, Outbox, Reschedule, Toxic};
use crate::{Seed, Time};

/// A toxic's settings and state together, the type forgotten.
#[doc(hidden)]
pub trait Runner: Send {
    fn on_start(&mut self, cx: &Cx<'_>, out: &mut Out<'_>);
    fn on_frame(&mut self, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>);
    fn on_timer(&mut self, cx: &Cx<'_>, out: &mut Out<'_>);
    fn on_stop(&mut self, cx: &Cx<'_>, out: &mut Out<'_>);
    fn on_due(&mut self, cx: &Cx<'_>, held: &Held) -> Departure;
    /// Takes new settings; `held` is given if the toxic has hold of the connection.
    fn update(&mut self, settings: Arc<dyn StreamSettings>, cx: &Cx<'_>, held: Option<Reschedule<'_>>);
    fn hold_limit(&self) -> usize;
}

pub(crate) struct Typed<T: Toxic> {
    toxic: Arc<T>,
    state: T::State,
}

impl<T: Toxic> Typed<T> {
    pub(crate) fn new(toxic: Arc<T>) -> Self {
        Self { toxic, state: T::State::default() }
    }
}

impl<T: Toxic> Runner for Typed<T> {
    fn on_start(&mut self, cx: &Cx<'_>, out: &mut Out<'_>) {
        self.toxic.on_start(&mut self.state, cx, out);
    }

    fn on_frame(&mut self, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        self.toxic.on_frame(&mut self.state, cx, frame, out);
    }

    fn on_timer(&mut self, cx: &Cx<'_>, out: &mut Out<'_>) {
        self.toxic.on_timer(&mut self.state, cx, out);
    }

    fn on_stop(&mut self, cx: &Cx<'_>, out: &mut Out<'_>) {
        self.toxic.on_stop(&mut self.state, cx, out);
    }

    fn on_due(&mut self, cx: &Cx<'_>, held: &Held) -> Departure {
        self.toxic.on_due(&mut self.state, cx, held)
    }

    fn update(&mut self, settings: Arc<dyn StreamSettings>, cx: &Cx<'_>, held: Option<Reschedule<'_>>) {
        // A toxic keeps its id only while it keeps its kind, so this succeeds.
        if let Ok(toxic) = settings.into_any().downcast::<T>() {
            self.toxic = toxic;
            if let Some(mut held) = held {
                self.toxic.on_update(&mut self.state, cx, &mut held);
            }
        }
    }

    fn hold_limit(&self) -> usize {
        self.toxic.hold_limit()
    }
}

/// A stage of a pipeline: gate, toxic, queue.
pub(crate) struct Stage {
    pub(crate) entry: Arc<Entry>,
    pub(crate) outbox: Outbox,
    runner: Box<dyn Runner>,
    seed: Seed,
    /// Bytes that came in, counted from the start of the connection.
    offset: u64,
    /// Bytes that left, counted likewise.
    pub(crate) out_offset: u64,
    /// Whether the toxic has hold of the connection at the moment.
    active: bool,
    window_changes: Option<Time>,
    pub(crate) announced: bool,
}

impl Stage {
    pub(crate) fn new(
        entry: Arc<Entry>,
        settings: Arc<dyn StreamSettings>,
        seed: Seed,
        offset: u64,
        now: Time,
    ) -> Self {
        let mut stage = Self {
            entry,
            outbox: Outbox::default(),
            runner: settings.runner(),
            seed,
            offset,
            out_offset: offset,
            active: false,
            window_changes: None,
            announced: false,
        };
        stage.follow_window(now);
        stage
    }

    /// When something happens here next without a frame coming.
    pub(crate) fn next_event(&self) -> Option<Time> {
        let head = self.outbox.queue.front().map(|held| held.due);
        let wake = self.outbox.wake;
        let first = [head, wake, self.window_changes].into_iter().flatten().min();
        first.filter(|at| *at != Time::NEVER)
    }

    /// Lets the event of `now` happen; a frame that leaves is returned.
    pub(crate) fn step(&mut self, now: Time) -> Option<Held> {
        if self.window_changes.is_some_and(|at| at <= now) {
            self.follow_window(now);
            return None;
        }
        // Before the queue: a reset or close that is due cuts off what it can.
        if self.outbox.wake.is_some_and(|at| at <= now) {
            self.outbox.wake = None;
            self.call(now, |runner, cx, out| runner.on_timer(cx, out));
            return None;
        }
        let held = self.depart(now)?;
        self.out_offset += held.len() as u64;
        Some(held)
    }

    /// Takes from the queue what is due, as the toxic says.
    fn depart(&mut self, now: Time) -> Option<Held> {
        let head = self.outbox.queue.front_mut().filter(|held| held.due <= now)?;
        if !self.active || head.is_empty() {
            return self.outbox.pop();
        }
        let cx = Cx { now, offset: head.offset, seed: &self.seed, shared: &self.entry.shared };
        match self.runner.on_due(&cx, head) {
            Departure::Whole => self.outbox.pop(),
            Departure::Part(count) => {
                self.outbox.acted = true;
                self.outbox.pop_part(count)
            }
            Departure::Wait(until) => {
                // Later than now, or time would stand still.
                head.due = until.max(Time::from_nanos(now.as_nanos().saturating_add(1)));
                self.outbox.acted = true;
                None
            }
        }
    }

    pub(crate) fn on_frame(&mut self, now: Time, frame: Frame) {
        let start = self.entry.spec.when.after_bytes.0;
        if self.offset >= start {
            return self.take(now, frame);
        }
        match frame {
            Frame::Data(mut data) if self.offset + data.len() as u64 > start => {
                let before = data.split_to((start - self.offset) as usize);
                self.pass(now, Frame::Data(before));
                self.follow_window(now);
                self.take(now, Frame::Data(data));
            }
            frame => {
                self.pass(now, frame);
                if self.offset >= start {
                    self.follow_window(now);
                }
            }
        }
    }

    /// The toxic's settings changed: `entry` is the same toxic with others.
    pub(crate) fn update(&mut self, entry: Arc<Entry>, settings: Arc<dyn StreamSettings>, now: Time) {
        self.entry = entry;
        let cx = Cx { now, offset: self.offset, seed: &self.seed, shared: &self.entry.shared };
        let held = self.active.then_some(Reschedule { now, outbox: &mut self.outbox });
        self.runner.update(settings, &cx, held);
        self.follow_window(now);
    }

    /// The toxic lets go; what it holds may leave at once.
    pub(crate) fn stop(&mut self, now: Time) {
        if self.active {
            self.active = false;
            self.call(now, |runner, cx, out| runner.on_stop(cx, out));
        }
        self.outbox.wake = None;
        for held in &mut self.outbox.queue {
            held.due = held.due.min(now);
        }
    }

    /// Bytes that may still come before this stage holds enough.
    pub(crate) fn room(&self) -> usize {
        if !self.active {
            return usize::MAX;
        }
        match self.runner.hold_limit() {
            usize::MAX => usize::MAX,
            limit => limit.saturating_sub(self.outbox.bytes),
        }
    }

    /// Opens or closes the gate as the toxic's window says.
    fn follow_window(&mut self, now: Time) {
        let when = &self.entry.spec.when;
        let window = when.window(self.entry.added, now);
        self.window_changes = window.changes;
        let open = window.open && self.offset >= when.after_bytes.0;
        if open && !self.active {
            self.active = true;
            self.call(now, |runner, cx, out| runner.on_start(cx, out));
        } else if !open && self.active {
            self.stop(now);
        }
    }

    fn take(&mut self, now: Time, frame: Frame) {
        if !self.active {
            return self.pass(now, frame);
        }
        let (len, waiting, bytes) = (frame.len(), self.outbox.queue.len(), self.outbox.bytes);
        let is_end = matches!(frame, Frame::End(_));
        let cx = Cx { now, offset: self.offset, seed: &self.seed, shared: &self.entry.shared };
        self.runner.on_frame(&cx, frame, &mut Out { now, offset: self.offset, outbox: &mut self.outbox });
        let untouched = self.outbox.queue.len() == waiting + 1
            && self.outbox.bytes == bytes + len
            && self
                .outbox
                .queue
                .back()
                .is_some_and(|held| held.due == now && matches!(held.frame, Frame::End(_)) == is_end);
        self.outbox.acted |= !untouched;
        self.offset += len as u64;
    }

    fn pass(&mut self, now: Time, frame: Frame) {
        let len = frame.len() as u64;
        self.outbox.put(now, self.offset, now, frame);
        self.offset += len;
    }

    /// Calls the toxic for anything but a frame.
    fn call(&mut self, now: Time, act: impl FnOnce(&mut dyn Runner, &Cx<'_>, &mut Out<'_>)) {
        let cx = Cx { now, offset: self.offset, seed: &self.seed, shared: &self.entry.shared };
        let ended = self.outbox.ended;
        let mut out = Out { now, offset: self.offset, outbox: &mut self.outbox };
        act(self.runner.as_mut(), &cx, &mut out);
        // An end of the toxic's own, as no frame brought one.
        self.outbox.acted |= self.outbox.ended != ended;
    }
}
