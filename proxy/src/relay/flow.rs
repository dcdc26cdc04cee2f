//! One direction of a connection, and which of the two ways it takes.

use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use sabot_toxics::{Direction, End, Frame, Pipeline, Plan, Time};

use super::Reason;
use super::arrivals::Arrivals;
use super::budget::RETRY;
use super::fast::Fast;
use super::shared::ConnShared;
use super::{reset_by, staged};
use crate::net::Stream;

/// What a direction asks of the connection after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: it waits for its sockets or its timer.
    Wait,
    /// Another turn, after the others had theirs.
    Again,
    /// All is written and the source had ended: the sink gets a FIN.
    Fin,
    /// The source was reset.
    SourceReset,
    /// The sink was reset, or takes no more.
    SinkReset,
    /// An end that came out of the toxics.
    Toxic(End),
}

/// One direction.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) direction: Direction,
    pub(super) way: Way,
    /// Nothing more is read: the source has ended, or nobody wants it any more.
    pub(super) read_ended: bool,
    /// The FIN was passed on, or the sink is gone.
    pub(super) write_ended: bool,
    /// Writing to the source failed: it was reset. Its last bytes may still be
    /// there to read, and the end that follows them is a reset even if the kernel,
    /// having reported the error once, calls it an end of file.
    pub(super) source_broken: bool,
    /// The reset that comes out of the pipeline was read from the source.
    pub(super) source_reset: bool,
    /// The process's budget keeps it from reading.
    pub(super) starved: bool,
    /// When what toxics hold came, if anybody wants to know.
    pub(super) arrivals: Option<Arrivals>,
}

/// How the bytes go.
pub(super) enum Way {
    /// No toxic.
    Fast(Fast),
    /// Through toxics.
    Staged(Box<Pipeline>),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fast(_) => "Fast",
            Self::Staged(_) => "Staged",
        })
    }
}

impl Flow {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            way: Way::Fast(Fast::default()),
            read_ended: false,
            write_ended: false,
            source_broken: false,
            source_reset: false,
            starved: false,
            arrivals: None,
        }
    }

    /// Moves what can be moved now. `now` matters only to a staged flow.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        shared: &ConnShared,
        now: Time,
    ) -> Turn {
        let turn = match &mut self.way {
            Way::Fast(_) if self.write_ended => return Turn::Wait,
            Way::Fast(fast) => fast.poll(cx, from, to, shared, self.direction, self.source_broken),
            Way::Staged(_) => staged::poll(self, cx, from, to, shared, now),
        };
        match turn {
            Turn::Fin | Turn::SinkReset => {
                self.read_ended = true;
                self.write_ended = true;
            }
            _ => {}
        }
        turn
    }

    /// Follows a new plan, between frames. What the fast way has read and not yet
    /// written goes through the toxics: a fault takes hold at once, even if the
    /// sink does not read.
    pub(super) fn replan(&mut self, plan: &Plan, shared: &ConnShared, now: Time) {
        match &mut self.way {
            Way::Staged(pipeline) => pipeline.update(plan, now),
            Way::Fast(_) if plan.is_empty() => return,
            Way::Fast(fast) => {
                let passed = shared.received(self.direction) - fast.held() as u64;
                let mut pipeline = Pipeline::new(plan, &shared.key, self.direction, passed, now);
                if pipeline.is_transparent() {
                    return;
                }
                pipeline.set_budget(shared.policy.direction_budget);
                for left in fast.take_held() {
                    pipeline.push(now, Frame::Data(left));
                }
                self.way = Way::Staged(Box::new(pipeline));
            }
        }
        self.leave_if_transparent(shared);
    }

    /// Back to the fast way, once no toxic is left and all it held is written.
    pub(super) fn leave_if_transparent(&mut self, shared: &ConnShared) {
        if let Way::Staged(pipeline) = &self.way
            && pipeline.is_transparent()
            && self.read_ended == self.write_ended
        {
            self.way = Way::Fast(Fast::default());
            self.starved = false;
            if let Some(arrivals) = &mut self.arrivals {
                arrivals.clear();
                shared.set_delayed(Duration::ZERO);
            }
        }
    }

    /// Whether the time matters to it.
    pub(super) fn is_staged(&self) -> bool {
        matches!(self.way, Way::Staged(_))
    }

    /// Whether its FIN was passed on, or its sink is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.write_ended
    }

    /// The peer it reads from was found to be reset while writing to it.
    pub(super) fn source_is_broken(&mut self) {
        self.source_broken = true;
    }

    /// Why a reset came out of this flow's toxics.
    pub(super) fn reset_reason(&self, side: usize) -> Reason {
        if self.source_reset { reset_by(side) } else { Reason::ToxicReset }
    }

    /// Bytes that toxics hold.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.way {
            Way::Fast(_) => 0,
            Way::Staged(pipeline) => pipeline.held_bytes(),
        }
    }

    /// When it wants a turn even if no socket is ready.
    pub(super) fn next_wake(&self, now: Time) -> Option<Time> {
        match &self.way {
            Way::Fast(_) => None,
            Way::Staged(pipeline) => {
                let retry = self.starved.then(|| now + RETRY);
                [pipeline.next_wake(), retry].into_iter().flatten().min()
            }
        }
    }

    /// What was read and is ready to be written, now that the connection closes.
    pub(super) fn take_ready(&mut self) -> Vec<Bytes> {
        match &mut self.way {
            Way::Fast(fast) => fast.take_held(),
            Way::Staged(pipeline) => {
                let mut data = Vec::new();
                while let Some(frame) = pipeline.ready().pop_front() {
                    match frame {
                        Frame::Data(bytes) => data.push(bytes),
                        Frame::End(_) => break,
                    }
                }
                data
            }
        }
    }

    /// Lets go of what was read.
    pub(super) fn forget(&mut self) {
        self.way = Way::Fast(Fast::default());
    }
}
