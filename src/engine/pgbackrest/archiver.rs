//! Processes of the engine that nobody waits for: the one that pushes WAL in
//! the background, and the workers of a backup or restore whose agent was killed.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::run::Engine;
use crate::sys::files;
use crate::sys::process::{self, Invocation};

const PATIENCE: Duration = Duration::from_secs(20);

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
            if super::run::is_pgbackrest(lock.pid) {
                self.signal("-TERM", &[lock.pid]).await;
            }
        }
    }

    /// The engine's main process died with the agent; its workers end only when
    /// they next look up from their file. Waits until they are gone.
    pub async fn end_leftovers(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.leftovers();
            if left.is_empty() || Instant::now() >= deadline {
                return;
            }
            self.signal("-KILL", &left).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Processes of a backup or restore with our configuration.
    fn leftovers(&self) -> Vec<u32> {
        let config = format!("--config={}", self.config.display());
        let ours = |argv: &[String]| {
            argv.first().is_some_and(|program| program.ends_with("pgbackrest"))
                && argv.contains(&config)
                && argv.iter().any(|arg| ["backup", "backup:local", "restore", "restore:local"].contains(&arg.as_str()))
        };
        process::running().into_iter().filter(|(_, argv)| ours(argv)).map(|(pid, _)| pid).collect()
    }

    /// As the database user: it may signal its own processes and no other.
    async fn signal(&self, signal: &str, pids: &[u32]) {
        let pids = pids.iter().map(ToString::to_string);
        let kill = Invocation::new("kill").args([signal]).args(pids).as_user(&self.user).within(PATIENCE);
        if let Err(error) = self.runner.run(&kill).await {
            tracing::warn!("processes of the engine could not be ended: {error}");
        }
    }
}
