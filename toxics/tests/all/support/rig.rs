//! One pipeline, driven through virtual time.

use std::time::Duration;

use bytes::Bytes;
use sabot_toxics::{ConnKey, Direction, End, Frame, Pipeline, Plan, Time};

use super::{key, stream};

pub(crate) struct Rig {
    pub(crate) pipe: Pipeline,
    pub(crate) now: Time,
    /// What left, and when.
    pub(crate) out: Vec<(Time, Frame)>,
    pub(crate) pushed: u64,
    pub(crate) left: u64,
}

impl Rig {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::of(plan, &key(1))
    }

    pub(crate) fn of(plan: &Plan, key: &ConnKey) -> Self {
        let pipe = Pipeline::new(plan, key, Direction::Downstream, 0, Time::ZERO);
        let mut rig = Self { pipe, now: Time::ZERO, out: Vec::new(), pushed: 0, left: 0 };
        rig.collect();
        rig
    }

    /// The next `count` bytes of the stream arrive now.
    pub(crate) fn push(&mut self, count: usize) {
        let data = stream(self.pushed..self.pushed + count as u64);
        self.pushed += count as u64;
        self.pipe.push(self.now, Frame::Data(Bytes::from(data)));
        self.collect();
    }

    /// The next bytes arrive, as many as asked for, cut by `lengths` in turn.
    pub(crate) fn push_cut(&mut self, count: usize, lengths: &[usize]) {
        let mut left = count;
        for length in lengths.iter().cycle() {
            if left == 0 {
                break;
            }
            let length = left.min((*length).max(1));
            self.push(length);
            left -= length;
        }
    }

    pub(crate) fn end(&mut self, end: End) {
        self.pipe.push(self.now, Frame::End(end));
        self.collect();
    }

    pub(crate) fn fin(&mut self) {
        self.end(End::Fin);
    }

    pub(crate) fn update(&mut self, plan: &Plan) {
        self.pipe.update(plan, self.now);
        self.collect();
    }

    /// Time goes on to `until`; every event happens at its moment.
    pub(crate) fn run_until(&mut self, until: Time) {
        while let Some(wake) = self.pipe.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.pipe.advance(self.now);
            self.collect();
        }
        self.now = self.now.max(until);
        self.pipe.advance(self.now);
        self.collect();
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Time leaps to `until`: the driver noticed nothing in between.
    pub(crate) fn leap_to(&mut self, until: Time) {
        self.now = until;
        self.pipe.advance(until);
        self.collect();
    }

    /// Everything that ever becomes due; `now` is then the moment of the last.
    pub(crate) fn run_out(&mut self) {
        while let Some(wake) = self.pipe.next_wake() {
            self.run_until(wake);
        }
    }

    pub(crate) fn collect(&mut self) {
        while let Some(frame) = self.pipe.ready().pop_front() {
            self.left += frame.len() as u64;
            self.out.push((self.now, frame));
        }
        let kept = self.pipe.held_bytes() as u64 + self.pipe.dropped_bytes();
        assert_eq!(self.pushed, self.left + kept, "in = out + held + dropped");
        self.check_ends();
    }

    /// Nothing but a stronger end follows an end.
    fn check_ends(&self) {
        let Some(first) = self.out.iter().position(|(_, frame)| matches!(frame, Frame::End(_))) else {
            return;
        };
        let ranks = self.out[first..].iter().map(|(_, frame)| match frame {
            Frame::Data(_) => panic!("data after an end"),
            Frame::End(End::Fin) => 0,
            Frame::End(End::Close) => 1,
            Frame::End(End::Reset) => 2,
        });
        assert!(ranks.is_sorted_by(|a, b| a < b), "an end follows one that is as strong");
    }

    /// The bytes that left.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (_, frame) in &self.out {
            if let Frame::Data(data) = frame {
                all.extend_from_slice(data);
            }
        }
        all
    }

    /// The ends that left, and when.
    pub(crate) fn ends(&self) -> Vec<(Time, End)> {
        let end = |(at, frame): &(Time, Frame)| match frame {
            Frame::End(end) => Some((*at, *end)),
            Frame::Data(_) => None,
        };
        self.out.iter().filter_map(end).collect()
    }

    /// When data left, and how much.
    pub(crate) fn departures(&self) -> Vec<(Time, usize)> {
        let data = self.out.iter().filter(|(_, frame)| !frame.is_empty());
        data.map(|(at, frame)| (*at, frame.len())).collect()
    }
}
