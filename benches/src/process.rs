//! What processes cost and who listens, read from /proc.

use std::collections::BTreeMap;
use std::fs;

/// Units of /proc/PID/stat: the kernel's interface says 1/100 s everywhere but on Alpha and Itanium.
const TICKS_PER_SECOND: f64 = 100.0;
const LISTEN: &str = "0A";

/// CPU time that a process and its descendants have used so far, in seconds.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let ticks: u64 = family(pid).iter().map(|each| each.ticks).sum();
    let ticks = ticks as f64;
    ticks / TICKS_PER_SECOND
}

/// Resident memory of a process and its descendants, in KiB.
#[must_use]
pub fn resident_kib(pid: u32) -> u64 {
    family(pid).iter().map(|each| resident(each.pid)).sum()
}

/// Whether somebody listens on the TCP port. No connection is made: some
/// servers take the first one for a client.
#[must_use]
pub fn listens(port: u16) -> bool {
    let port = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let table = fs::read_to_string(table).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().take(4).collect();
            matches!(fields[..], [_, local, _, state] if state == LISTEN && local.ends_with(&port))
        })
    })
}

struct Process {
    pid: u32,
    parent: u32,
    ticks: u64,
}

fn family(root: u32) -> Vec<Process> {
    let mut others: BTreeMap<u32, Process> = all().into_iter().map(|each| (each.pid, each)).collect();
    let mut family: Vec<Process> = others.remove(&root).into_iter().collect();
    let mut seen = 0;
    while seen < family.len() {
        let parent = family[seen].pid;
        let children: Vec<u32> =
            others.values().filter(|each| each.parent == parent).map(|each| each.pid).collect();
        family.extend(children.iter().filter_map(|pid| others.remove(pid)));
        seen += 1;
    }
    family
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

/// proc(5): after the name in parentheses, which may hold spaces, come the state,
/// the parent, and as 12th and 13th the time in user and in kernel mode.
fn stat(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process { pid, parent: fields.get(1)?.parse().ok()?, ticks: number(11)? + number(12)? })
}

fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
