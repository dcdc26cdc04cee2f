//! Times of the pure core, for those who tune it. The guard against regressions
//! is `instructions`: times here depend on what else the machine does.
#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use sabot_benches::scenarios::SCENARIOS;

fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    for scenario in &SCENARIOS {
        match scenario.prepare() {
            Ok(mut prepared) => {
                group.bench_function(scenario.name, |bencher| bencher.iter(|| prepared.step()));
            }
            Err(error) => panic!("{}: {error:#}", scenario.name),
        }
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
