//! Advisory locks on files, so that two processes of one unit do not act at once.
#![allow(clippy::disallowed_methods, reason = "this is the edge the lint keeps others away from")]

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held until dropped; the kernel lets go of it when the process dies.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// `None` when another process holds it.
    pub fn try_take(path: &Path) -> std::io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_freed_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lock");
        let first = FileLock::try_take(&path).unwrap();
        assert!(first.is_some());
        assert!(FileLock::try_take(&path).unwrap().is_none());
        drop(first);
        assert!(FileLock::try_take(&path).unwrap().is_some());
    }
}
