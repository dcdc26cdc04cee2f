//! How a controller is set up.

use std::fs;
use std::time::Duration;

/// Settings of a [`crate::Controller`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The run's seed: with it, every decision comes again.
    pub seed: u64,
    /// Worker threads; one per core this process may use unless given.
    pub workers: Option<usize>,
    /// How long a dial may take, name resolution included.
    pub dial_timeout: Duration,
    /// Bytes that toxics may hold per direction of a connection.
    pub direction_budget: usize,
    /// Bytes that toxics may hold in all; a quarter of the memory that this
    /// process may use unless given.
    pub process_budget: Option<usize>,
}

impl Default for Options {
    /// Seed 0, a worker per core, dials of 10 s, 64 MiB a direction.
    fn default() -> Self {
        Self {
            seed: 0,
            workers: None,
            dial_timeout: Duration::from_secs(10),
            direction_budget: 64 << 20,
            process_budget: None,
        }
    }
}

impl Options {
    pub(crate) fn process_budget(&self) -> usize {
        self.process_budget.unwrap_or_else(|| usize::try_from(memory() / 4).unwrap_or(usize::MAX))
    }
}

/// Bytes of memory that this process may use: the machine's, or less if its
/// control group (version 2 or 1) says so. 1 GiB where neither can be read.
fn memory() -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = |path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    limits.into_iter().filter_map(limit).chain(machine).min().unwrap_or(1 << 30)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_memory_of_the_machine() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(total("nothing"), None);
        assert!(memory() > 1 << 20, "more than a megabyte on anything that runs this");
    }
}
