//! The machine a figure belongs to.

use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// What a reader must know to judge a figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The system's name.
    pub system: String,
    /// Whether it is a virtual machine.
    pub virtual_machine: bool,
    /// The load average of the last minute when the run began: what else was going on.
    pub load_before: f64,
}

impl Machine {
    /// The one this runs on. What cannot be found out is left empty.
    #[must_use]
    pub fn this() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let kib: u64 = field(&memory, "MemTotal:").trim_end_matches("kB").trim().parse().unwrap_or(0);
        Self {
            cpu: field(&cpu, "model name").trim_start_matches(':').trim().to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            system: field(&system, "PRETTY_NAME=").trim_matches('"').to_owned(),
            virtual_machine: field(&cpu, "flags").split_whitespace().any(|flag| flag == "hypervisor"),
            load_before: load.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        }
    }

    /// In one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { cpu, cores, memory_gib, kernel, system, load_before, .. } = self;
        let kind = if self.virtual_machine { " (virtual machine)" } else { "" };
        format!(
            "{cpu}, {cores} cores{kind}, {memory_gib} GiB, {system}, Linux {kernel}; everything over loopback; \
             load average when the run began {load_before}."
        )
    }
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}
