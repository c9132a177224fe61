//! The process that pushes WAL in the background. PostgreSQL starts it and
//! forgets it: when the unit goes, it must be ended by its lock file.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use super::run::Engine;
use crate::sys::files;

#[derive(Deserialize)]
struct LockFile {
    pid: i32,
}

impl Engine {
    /// Ends background archiving of this unit, if it runs. A segment it was at
    /// stays in `pg_wal` and is pushed by whoever archives next.
    pub fn end_archiving(&self) {
        for name in ["archive", "archive-async"] {
            let path = self.lock_dir.join(format!("{}-{name}.lock", self.stanza));
            let Ok(Some(text)) = files::read(&path) else { continue };
            // Not JSON, or a pid that is somebody else's by now: leave it.
            let Ok(lock) = serde_json::from_str::<LockFile>(&text) else { continue };
            if super::run::is_pgbackrest(lock.pid as u32) {
                let _ = kill(Pid::from_raw(lock.pid), Signal::SIGTERM);
            }
        }
    }
}
