//! The chain of toxics of one direction of one connection.
//!
//! Sans I/O: the driver pushes what it read, tells the time, writes what is
//! ready and asks when to come back. It owns no socket, clock or task.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::catalog::Settings;
use crate::plan::{ConnKey, Entry, Plan};
use crate::stage::Stage;
use crate::toxic::rank;
use crate::{Direction, End, Frame, Time};

/// Reading stops while this much waits for the socket: what no toxic holds any
/// more is the peer's slowness, and back-pressure must reach the source.
const READY_LIMIT: usize = 256 * 1024;

/// The toxics that one direction of a connection passes through.
pub struct Pipeline {
    stages: Vec<Stage>,
    ready: Ready,
    direction: Direction,
    key: ConnKey,
    /// The latest moment the pipeline has seen: time never runs backwards here.
    now: Time,
    /// Bytes that came in, counted from the start of the connection.
    offset: u64,
    /// Bytes that toxics which have since left declared as dropped.
    dropped: u64,
    /// Toxics that acted here and left before anybody asked.
    departed: Vec<Arc<Entry>>,
    budget: usize,
}

impl Pipeline {
    /// A pipeline for one direction of the connection `key`, of which `offset`
    /// bytes have passed already without one.
    #[must_use]
    pub fn new(plan: &Plan, key: &ConnKey, direction: Direction, offset: u64, now: Time) -> Self {
        let mut pipeline = Self {
            stages: Vec::new(),
            ready: Ready::default(),
            direction,
            key: key.clone(),
            now,
            offset,
            dropped: 0,
            departed: Vec::new(),
            budget: usize::MAX,
        };
        pipeline.update(plan, now);
        pipeline
    }

    /// Bounds the bytes that the pipeline holds; it may exceed the bound by one
    /// read.
    pub fn set_budget(&mut self, bytes: usize) {
        self.budget = bytes;
    }

    /// No stage, nothing held, nothing ready: bytes may take a shorter way.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.stages.is_empty() && self.ready.frames.is_empty()
    }

    /// Takes what was read.
    pub fn push(&mut self, now: Time, frame: Frame) {
        self.advance(now);
        self.offset += frame.len() as u64;
        let now = self.now;
        self.feed(0, now, frame);
        self.run();
    }

    /// Lets happen what is due.
    pub fn advance(&mut self, now: Time) {
        let until = self.now.max(now);
        while let Some((at, index)) = self.earliest().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.step(index);
        }
        self.now = until;
    }

    /// When [`Self::advance`] has something to do next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.earliest().map(|(at, _)| at)
    }

    /// How many bytes may be read now; at 0 the source has to wait.
    #[must_use]
    pub fn appetite(&self) -> usize {
        if self.ready.bytes >= READY_LIMIT {
            return 0;
        }
        let room = self.stages.iter().map(Stage::room).min().unwrap_or(usize::MAX);
        room.min(self.budget.saturating_sub(self.held_bytes()))
    }

    /// What is to be written, in order.
    pub fn ready(&mut self) -> &mut Ready {
        &mut self.ready
    }

    /// Whether each ready frame is to be a write of its own.
    #[must_use]
    pub fn separate_writes(&self) -> bool {
        self.stages.iter().any(|stage| stage.entry.spec.kind.separate_writes)
    }

    /// Bytes in the pipeline: held by toxics or waiting to be written.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.ready.bytes + self.stages.iter().map(|stage| stage.outbox.bytes).sum::<usize>()
    }

    /// Bytes that toxics dropped and declared.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped + self.stages.iter().map(|stage| stage.outbox.dropped).sum::<u64>()
    }

    /// Bytes that came in, counted from the start of the connection.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Calls `tell` for each toxic that acted here for the first time since the
    /// last call.
    pub fn newly_applied(&mut self, mut tell: impl FnMut(&Arc<Entry>)) {
        self.departed.drain(..).for_each(|entry| tell(&entry));
        for stage in &mut self.stages {
            if stage.outbox.acted && !stage.announced {
                stage.announced = true;
                tell(&stage.entry);
            }
        }
    }

    /// The plan changed. Toxics that stay keep their state and what they hold,
    /// under their new settings; those that leave hand it onward at once.
    pub fn update(&mut self, plan: &Plan, now: Time) {
        self.advance(now);
        let now = self.now;
        let wanted: Vec<_> = plan
            .entries()
            .iter()
            .filter(|entry| entry.acts_on(self.direction) && entry.drawn(&self.key))
            .cloned()
            .collect();
        self.release(&wanted, now);
        for (index, entry) in wanted.into_iter().enumerate() {
            let Settings::Stream(settings) = entry.settings.clone() else { continue };
            match self.stages.get_mut(index).filter(|stage| stage.entry.id == entry.id) {
                Some(stage) if Arc::ptr_eq(&stage.entry, &entry) => {}
                Some(stage) => stage.update(entry, settings, now),
                None => {
                    let seed = entry.seed(&self.key, self.direction);
                    let offset = match index.checked_sub(1).and_then(|before| self.stages.get(before)) {
                        Some(before) => before.out_offset,
                        None => self.offset,
                    };
                    self.stages.insert(index, Stage::new(entry, settings, seed, offset, now));
                }
            }
        }
        self.run();
    }

    /// Takes out every stage that is not wanted any more, last stage first, so
    /// that what left earlier stays ahead.
    fn release(&mut self, wanted: &[Arc<Entry>], now: Time) {
        let staying = self.staying(wanted);
        for index in (0..self.stages.len()).rev() {
            if staying.contains(&self.stages[index].entry.id) {
                continue;
            }
            let mut stage = self.stages.remove(index);
            stage.stop(now);
            while let Some(held) = stage.outbox.pop() {
                self.feed(index, now, held.frame);
            }
            self.dropped += stage.outbox.dropped;
            if stage.outbox.acted && !stage.announced {
                self.departed.push(stage.entry);
            }
        }
    }

    /// The ids of the stages that stay. One that changed its place in the chain
    /// does not: what it holds could not stay in order.
    fn staying(&self, wanted: &[Arc<Entry>]) -> Vec<u64> {
        let mut rest = wanted.iter();
        let ids = self.stages.iter().map(|stage| stage.entry.id);
        ids.filter(|id| {
            let ahead = rest.clone().position(|entry| entry.id == *id);
            ahead.is_some_and(|steps| rest.nth(steps).is_some())
        })
        .collect()
    }

    fn run(&mut self) {
        self.advance(self.now);
    }

    /// The earliest event; of events at one moment that of the first stage.
    fn earliest(&self) -> Option<(Time, usize)> {
        let mut first: Option<(Time, usize)> = None;
        for (index, stage) in self.stages.iter().enumerate() {
            if let Some(at) = stage.next_event()
                && first.is_none_or(|(earliest, _)| at < earliest)
            {
                first = Some((at, index));
            }
        }
        first
    }

    fn step(&mut self, index: usize) {
        let now = self.now;
        if let Some(held) = self.stages[index].step(now) {
            self.feed(index + 1, now, held.frame);
        }
    }

    /// Hands a frame to the stage at `index`, or out if there is none.
    fn feed(&mut self, index: usize, now: Time, frame: Frame) {
        match self.stages.get_mut(index) {
            Some(stage) => stage.on_frame(now, frame),
            None => self.dropped += self.ready.put(frame),
        }
    }
}

/// Frames that are due, waiting for the socket.
#[derive(Default)]
pub struct Ready {
    frames: VecDeque<Frame>,
    bytes: usize,
    ended: Option<End>,
}

impl Ready {
    /// The next frame.
    #[must_use]
    pub fn front(&self) -> Option<&Frame> {
        self.frames.front()
    }

    /// All frames, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }

    /// Takes the next frame.
    pub fn pop_front(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// Takes `count` bytes that were written off the front; they must be there.
    pub fn advance_bytes(&mut self, mut count: usize) {
        while count > 0
            && let Some(Frame::Data(data)) = self.frames.front_mut()
        {
            let taken = count.min(data.len());
            data.advance(taken);
            self.bytes -= taken;
            count -= taken;
            if data.is_empty() {
                self.frames.pop_front();
            }
        }
    }

    /// The strongest end that was put here; a [`End::Reset`] need not wait for
    /// data that its peer does not read.
    #[must_use]
    pub fn ended(&self) -> Option<End> {
        self.ended
    }

    /// Bytes waiting.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Puts a frame at the end; returns the bytes that came after the end.
    fn put(&mut self, frame: Frame) -> u64 {
        match frame {
            Frame::Data(data) if self.ended.is_some() => return data.len() as u64,
            Frame::Data(data) => self.put_data(data),
            Frame::End(end) if self.ended.is_none_or(|ended| rank(ended) < rank(end)) => {
                self.ended = Some(end);
                self.frames.push_back(Frame::End(end));
            }
            Frame::End(_) => {}
        }
        0
    }

    fn put_data(&mut self, data: Bytes) {
        self.bytes += data.len();
        self.frames.push_back(Frame::Data(data));
    }
}
