//! What processes cost and who listens, read from /proc.

use std::collections::BTreeMap;
use std::fs;

/// Units of /proc/PID/stat: the kernel's interface says 1/100 s everywhere but on Alpha and Itanium.
const TICKS_PER_SECOND: f64 = 100.0;
/// kthreadd, the parent of all threads of the kernel.
const KERNEL: u32 = 2;
const LISTEN: &str = "0A";

/// CPU time that a process and its descendants have used so far, in seconds.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let ticks: u64 = family(pid).iter().map(|each| each.ticks).sum();
    let ticks = ticks as f64;
    ticks / TICKS_PER_SECOND
}

/// The threads of a process, with their names.
#[must_use]
pub fn threads(pid: u32) -> Vec<(u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let thread = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, name.trim_end().to_owned()))
    };
    tasks.filter_map(thread).collect()
}

/// CPU time that the threads of a process with these names have used so far, in seconds. Those that have
/// ended are missing.
#[must_use]
pub fn threads_cpu_seconds(pid: u32, names: &[&str]) -> f64 {
    let nanos = threads(pid).into_iter().filter(|(_, name)| names.contains(&name.as_str())).filter_map(
        |(thread, _)| {
            let schedstat = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
            schedstat.split_whitespace().next()?.parse::<u64>().ok()
        },
    );
    nanos.sum::<u64>() as f64 / 1e9
}

/// CPU time that everybody but this process and its descendants has used so far,
/// in seconds. A child that was waited for counts with its parent, so programs
/// that come and go in between are not missed. Threads of the kernel
/// are left out: they work for us too.
#[must_use]
pub fn others_cpu_seconds() -> f64 {
    let own: Vec<u32> = family(std::process::id()).iter().map(|each| each.pid).collect();
    let others = all().into_iter().filter(|each| !own.contains(&each.pid) && each.parent != KERNEL);
    others.map(|each| each.ticks + each.children_ticks).sum::<u64>() as f64 / TICKS_PER_SECOND
}

/// CPU time of this process's children that have ended and were waited for, in seconds.
#[must_use]
pub fn ended_children_cpu_seconds() -> f64 {
    stat(std::process::id()).map_or(0.0, |own| own.children_ticks as f64 / TICKS_PER_SECOND)
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
    /// Of children that ended and were waited for.
    children_ticks: u64,
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
/// the parent, and from the 12th on the times in user and in kernel mode, first
/// the process' own, then those of its children that ended.
fn stat(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let parent = fields.get(1)?.parse().ok()?;
    Some(Process { pid, parent, ticks: number(11)? + number(12)?, children_ticks: number(13)? + number(14)? })
}

fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_listener_is_seen_until_it_is_gone() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(port));
        drop(listener);
        assert!(!listens(port));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_kib(std::process::id()) > 100);
    }
}
