//! How a controller is set up.

use std::fs;
use std::path::{Path, PathBuf};
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
    /// How long a client may take to send the head of an HTTP request, from the end of
    /// the one before.
    pub head_timeout: Duration,
    /// Bytes that toxics may hold per direction of a connection.
    pub direction_budget: usize,
    /// Bytes that toxics may hold in all; a quarter of the memory that this
    /// process may use unless given.
    pub process_budget: Option<usize>,
    /// Where Sabot's own CA is kept; none is a CA that ends with the controller.
    pub ca_dir: Option<PathBuf>,
    /// Where clients reach the API (`http://host:port`): revoked certificates name it.
    pub api_url: Option<String>,
}

impl Default for Options {
    /// Seed 0, a worker per core, dials of 10 s, heads of 30 s, 64 MiB a direction.
    fn default() -> Self {
        Self {
            seed: 0,
            workers: None,
            dial_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            direction_budget: 64 << 20,
            process_budget: None,
            ca_dir: None,
            api_url: None,
        }
    }
}

impl Options {
    pub(crate) fn process_budget(&self) -> usize {
        self.process_budget.unwrap_or_else(|| usize::try_from(memory() / 4).unwrap_or(usize::MAX))
    }
}

/// Bytes of memory that this process may use: the machine's, or less if its
/// control groups (version 2 or 1) say so. 1 GiB where neither can be read.
fn memory() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = |path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    limit_files(&groups).into_iter().filter_map(limit).chain(machine).min().unwrap_or(1 << 30)
}

/// Where the limits stand of the groups that `/proc/self/cgroup` names, and of all
/// groups around them. A container often sees its own group as the root.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        // hierarchy:controllers:path, the first two 0 and empty for version 2.
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, file) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some(all) if all.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(fields.next().unwrap_or_default());
        let around = group.ancestors().filter_map(|group| group.strip_prefix("/").ok());
        files.extend(around.map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stand_in_every_group_around_the_process() {
        let shown =
            |groups| limit_files(groups).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let v1 = shown("4:cpu,cpuacct:/x\n3:memory:/a/b\n");
        assert_eq!(v1.len(), 3);
        assert_eq!(v1[0], "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes");
        assert_eq!(v1[2], "/sys/fs/cgroup/memory/memory.limit_in_bytes");
        assert_eq!(shown("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert!(shown("").is_empty());
    }

    #[test]
    fn reads_the_memory_of_the_machine() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(total("nothing"), None);
        assert!(memory() > 1 << 20, "more than a megabyte on anything that runs this");
    }
}
