//! Backups as scenarios ask for them, and what the repository then holds.

use serde_json::Value;

use super::harness::{Results, Running, until};
use super::world::{STORE, World};

/// Of `<model>.<application>`.
pub const STANZA: &str = "tls.postgresql";

impl World {
    #[track_caller]
    pub fn backup(&self, unit: &str) -> Results {
        self.shell.action(unit, &["create-backup"]).ok()
    }

    /// Entries of list-backups on a unit that have this status.
    #[track_caller]
    pub fn listed(&self, unit: &str, status: &str) -> Vec<Value> {
        let text = self.shell.action(unit, &["list-backups", "format=json"]).ok().get("backups");
        let mut list: Value = serde_json::from_str(&text).expect("one JSON document");
        let entries = list["backups"].as_array_mut().map(std::mem::take).unwrap_or_default();
        entries.into_iter().filter(|entry| entry["status"] == status).collect()
    }

    /// What the engine said while it made a backup.
    #[track_caller]
    pub fn log_of(&self, id: &str) -> String {
        let key = format!("key=backup/{STANZA}/{id}/backup.log");
        self.shell.action(STORE, &["get-object", &key]).ok().get("value")
    }

    /// A backup that takes a while, and is copying.
    pub fn slow_backup(&'static self, unit: &'static str) -> Running {
        self.slow(300_000);
        let running = self.shell.start_action(unit, &["create-backup"]);
        until(60, "it copies", || running.is_over() || self.hundredths(unit) > 0);
        running
    }

    /// How much of the running backup is copied, as the engine's lock file has it.
    fn hundredths(&self, unit: &str) -> u64 {
        let lock = self.storage(unit).join("lock").join(format!("{STANZA}-backup.lock"));
        let lock: Value = serde_json::from_slice(&std::fs::read(lock).unwrap_or_default()).unwrap_or_default();
        lock["pctCplt"].as_u64().unwrap_or_default()
    }
}
