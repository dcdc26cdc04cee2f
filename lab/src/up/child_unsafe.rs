//! A child that does not outlive its parent.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Makes the kernel send `signal` to the child when the thread that spawns it ends:
/// the caller spawns from the main thread, which ends with the process. It also holds
/// for a child that becomes another user, since that happens before.
pub(super) fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = getpid();
    #[allow(unsafe_code, reason = "nothing but pre_exec acts between fork and exec")]
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two
    // bare system calls (prctl, getppid) and compares numbers; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || bind_to(parent, signal));
    }
}

fn bind_to(parent: Pid, signal: Signal) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    // The parent may have ended before the kernel was told.
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
}
