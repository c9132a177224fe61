//! The daemon adopts the orphans of its units (child subreaper): it can find them at the end of a model, and must
//! collect them when they exit. Own children are left to those who wait for them.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};

static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts a child that its starter will wait for.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut own = OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let child = command.spawn()?;
    own.insert(child.id());
    Ok(child)
}

pub(super) fn forget(pid: u32) {
    OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&pid);
}

pub(super) fn adopt_orphans() {
    if nix::sys::prctl::set_child_subreaper(true).is_err() {
        return;
    }
    thread::spawn(|| {
        loop {
            let pause = match collect_one() {
                true => Duration::ZERO,
                false => Duration::from_millis(200),
            };
            thread::sleep(pause);
        }
    });
}

/// Looks at one dead child without taking it; takes it only when nobody waits for it.
fn collect_one() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let pid = match waitid(Id::All, flags) {
        Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => pid,
        _ => return false,
    };
    let own = OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if u32::try_from(pid.as_raw()).is_ok_and(|id| own.contains(&id)) {
        return false;
    }
    waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_ok()
}
