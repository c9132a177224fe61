//! The process that pushes WAL in the background. PostgreSQL starts it and
//! forgets it: when the unit goes, it must be ended by its lock file.

use std::time::Duration;

use serde::Deserialize;

use super::run::Engine;
use crate::sys::files;
use crate::sys::process::Invocation;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct LockFile {
    pid: u32,
}

impl Engine {
    /// Ends background archiving of this unit, if it runs. A segment it was at
    /// stays in `pg_wal` and is pushed by whoever archives next.
    pub async fn end_archiving(&self) {
        for name in ["archive", "archive-async"] {
            let path = self.lock_dir.join(format!("{}-{name}.lock", self.stanza));
            let Ok(Some(text)) = files::read(&path) else { continue };
            // Not JSON, or a pid that is somebody else's by now: leave it.
            let Ok(lock) = serde_json::from_str::<LockFile>(&text) else { continue };
            // As the database user, who wrote the file: it may signal its own and no other.
            let kill = Invocation::new("kill").args(["-TERM", &lock.pid.to_string()]).as_user(&self.user).within(PATIENCE);
            if super::run::is_pgbackrest(lock.pid) && self.runner.run(&kill).await.is_err() {
                tracing::warn!("background archiving could not be ended");
            }
        }
    }
}
