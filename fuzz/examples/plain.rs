//! Runs a target on random bytes, for machines without nightly Rust:
//! `plain TARGET SECONDS`. The seed is printed and can be given by `SABOT_SEED`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sabot_toxics::Seed;

fn main() {
    let mut args = std::env::args().skip(1);
    let (name, seconds) =
        (args.next().unwrap_or_default(), args.next().and_then(|n| n.parse().ok()).unwrap_or(10));
    let Some((_, target)) = sabot_fuzz::TARGETS.iter().find(|(known, _)| *known == name) else {
        eprintln!("which target? {:?}", sabot_fuzz::TARGETS.map(|(name, _)| name));
        std::process::exit(2);
    };
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let seed = std::env::var("SABOT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(drawn);
    println!("{name}: SABOT_SEED={seed}");
    let seeds: Vec<Vec<u8>> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/seeds").to_owned() + "/" + &name)
            .map(|files| files.flatten().filter_map(|file| std::fs::read(file.path()).ok()).collect())
            .unwrap_or_default();
    let (root, end) = (Seed::new(seed), Instant::now() + Duration::from_secs(seconds));
    let mut runs = 0;
    while Instant::now() < end {
        let draws = &mut root.at(runs);
        let mut bytes = match seeds.len() as u64 {
            0 => Vec::new(),
            count => seeds[draws.below(count) as usize].clone(),
        };
        bytes.extend((0..draws.below(40)).map(|_| draws.below(256) as u8));
        for _ in 0..draws.below(6) {
            let at = draws.below(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = draws.below(256) as u8;
            }
        }
        target(&bytes);
        runs += 1;
    }
    println!("{name}: {runs} inputs, no defect");
}
