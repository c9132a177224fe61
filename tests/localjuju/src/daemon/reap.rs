//! The daemon adopts the orphans of its units (child subreaper): it can find them at the end of a model, and must
//! collect them when they exit. Own children are left to those who wait for them.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};

static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts a child that its starter will wait for.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut own = OWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let child = with_no_signal_blocked(|| command.spawn())?;
    own.insert(child.id());
    Ok(child)
}

/// A child inherits the mask of the thread that starts it: with ours, SIGHUP and SIGTERM would reach no daemon
/// that a charm starts. Real Juju blocks none.
fn with_no_signal_blocked<T>(body: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
    let mask = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let result = body();
    mask.thread_set_mask()?;
    result
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
