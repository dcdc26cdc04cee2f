//! Arbitrary plans, chunks, times and changes: what comes in goes out, is held or
//! is declared as dropped, ends only escalate, and time may jump.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sabot_toxics::{
    ConnKey, Direction, End, Entry, Frame, Phase, Pipeline, Plan, Seed, Time, ToxicSpec, kinds,
};
use serde_json::{Map, Value};

use crate::Input;

/// Steps of one input; more would only be slower.
const STEPS: usize = 200;

/// One input.
pub fn run(data: &[u8]) {
    let input = &mut Input(data);
    let key = ConnKey { number: 1, client: None, seed: Seed::new(u64::from(input.byte())) };
    let mut now = Time::ZERO;
    let mut plan = Plan::empty();
    let mut pipeline = Pipeline::new(&plan, &key, Direction::Downstream, 0, now);
    let mut flow = Flow::default();
    let mut id = 0;
    for _ in 0..STEPS {
        if input.is_over() {
            break;
        }
        match input.byte() % 8 {
            0..=2 => {
                let bytes = vec![7; 1 + input.below(5000)];
                flow.received += bytes.len() as u64;
                pipeline.push(now, Frame::Data(Bytes::from(bytes)));
            }
            3 => now = Time::from_nanos((input.below(60_000) as u64) * 20_000),
            4 => now = now + Duration::from_micros(input.below(60_000) as u64),
            5 => now = pipeline.next_wake().filter(|at| *at < Time::from_nanos(1 << 50)).unwrap_or(now),
            6 => {
                id += 1;
                plan = changed(&plan, input, id, now);
                pipeline.update(&plan, now);
            }
            _ if input.byte() > 240 => pipeline.push(now, Frame::End(End::Fin)),
            _ => {}
        }
        pipeline.advance(now);
        flow.take(&mut pipeline);
        let accounted = flow.sent + pipeline.held_bytes() as u64 + pipeline.dropped_bytes();
        assert_eq!(flow.received, accounted, "in = out + held + dropped");
    }
    pipeline.update(&Plan::empty(), now);
    flow.take(&mut pipeline);
    assert_eq!(pipeline.held_bytes(), 0, "nothing is held once no toxic is left");
}

#[derive(Default)]
struct Flow {
    received: u64,
    sent: u64,
    ended: Option<End>,
}

impl Flow {
    fn take(&mut self, pipeline: &mut Pipeline) {
        while let Some(frame) = pipeline.ready().pop_front() {
            match frame {
                Frame::Data(data) => {
                    assert!(self.ended.is_none(), "data behind an end");
                    assert!(!data.is_empty(), "an empty frame");
                    self.sent += data.len() as u64;
                }
                Frame::End(end) => {
                    assert!(self.ended.is_none_or(|ended| strength(ended) < strength(end)), "a weaker end");
                    self.ended = Some(end);
                }
            }
        }
    }
}

fn strength(end: End) -> u8 {
    match end {
        End::Fin => 0,
        End::Close => 1,
        End::Reset => 2,
    }
}

/// The plan with one toxic more or less.
fn changed(plan: &Plan, input: &mut Input<'_>, id: u64, now: Time) -> Plan {
    let mut entries: Vec<Arc<Entry>> = plan.entries().to_vec();
    if !entries.is_empty() && (entries.len() > 3 || input.byte() % 2 == 0) {
        entries.remove(input.below(entries.len()));
        return Plan::new(entries);
    }
    let kind = &kinds()[input.below(kinds().len())];
    let mut attributes = Map::new();
    for name in kind.attributes() {
        attributes.insert(name.to_owned(), Value::from(input.below(3000)));
    }
    let spec = ToxicSpec::new(kind, Direction::Downstream, &attributes)
        .or_else(|_| ToxicSpec::new(kind, Direction::Downstream, &Map::new()));
    let Ok(mut spec) = spec else { return Plan::new(entries) };
    spec.name = format!("{}{id}", kind.name);
    if kind.phase == Phase::Stream && input.byte() % 4 == 0 {
        let when = serde_json::json!({
            "start_after": input.below(100), "duration": input.below(500), "after_bytes": input.below(9000),
        });
        spec.when = sabot_toxics::read_when(when).unwrap_or_default();
    }
    if let Ok(entry) = Entry::new(spec, id, now, 1) {
        entries.push(Arc::new(entry));
    }
    Plan::new(entries)
}
