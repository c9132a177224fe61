//! Backups as scenarios ask for them, and what the repository then holds.

use serde_json::Value;

use super::harness::{Results, Running, until, until_some};
use super::watch::{self, Process};
use super::world::{PATH, STORE, UNIT, World};

/// Of `<model>.<application>`.
pub const STANZA: &str = "scen.postgresql";

impl World {
    #[track_caller]
    pub fn backup(&self) -> Results {
        self.shell.action(UNIT, &["create-backup"]).ok()
    }

    /// The JSON form of list-backups.
    #[track_caller]
    pub fn list(&self) -> Value {
        let text = self.shell.action(UNIT, &["list-backups", "format=json"]).ok().get("backups");
        serde_json::from_str(&text).expect("one JSON document")
    }

    #[track_caller]
    pub fn table(&self) -> Vec<String> {
        let text = self.shell.action(UNIT, &["list-backups"]).ok().get("backups");
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// Entries of the list with this status.
    #[track_caller]
    pub fn listed(&self, status: &str) -> Vec<Value> {
        let mut list = self.list();
        let entries = list["backups"].as_array_mut().map(std::mem::take).unwrap_or_default();
        entries.into_iter().filter(|entry| entry["status"] == status).collect()
    }

    /// The id of the newest backup, made when there is none.
    pub fn some_backup(&self) -> String {
        let newest = self.listed("finished").pop().and_then(|entry| entry["backup-id"].as_str().map(ToOwned::to_owned));
        newest.unwrap_or_else(|| self.backup().get("backup-id"))
    }

    /// Objects of the repository, by their path in it.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let found = self.shell.action(STORE, &["list-objects", &format!("prefix={PATH}/{prefix}")]).ok();
        let keys: Vec<String> = serde_json::from_str(&found.get("keys")).expect("a list of keys");
        keys.into_iter().map(|key| key.replacen(&format!("{PATH}/"), "", 1)).collect()
    }

    pub fn object(&self, key: &str) -> String {
        self.shell.action(STORE, &["get-object", &format!("key={PATH}/{key}")]).ok().get("value")
    }

    /// What is written now reaches the repository.
    pub fn archives(&self) {
        let segment = self.sql("SELECT pg_walfile_name(pg_current_wal_lsn()) FROM pg_create_restore_point('scenario')");
        self.sql("SELECT pg_switch_wal()");
        let archived = || self.sql("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment;
        until(60, &format!("WAL {segment} is archived"), archived);
    }

    /// A backup that takes a while, and is copying.
    pub fn slow_backup(&'static self) -> Running {
        self.slow(500_000);
        let running = self.shell.start_action(UNIT, &["create-backup"]);
        until(60, "a backup runs", || running.is_over() || !self.engines().is_empty());
        until(60, "it copies", || running.is_over() || self.percent().is_some_and(|percent| percent > 0.0));
        running
    }

    /// How much of the running backup is copied, as a person on the unit sees it.
    pub fn percent(&self) -> Option<f64> {
        let said = self.shell.agent("list-backups", &self.storage, &["--format", "json"]).ok();
        let list: Value = serde_json::from_str(&said).expect("one JSON document");
        let running = list["backups"].as_array()?.iter().find(|entry| entry["status"] == "in-progress")?;
        running["percent"].as_f64()
    }

    /// Processes of the engine that take a backup or fetch one.
    pub fn engines(&self) -> Vec<Process> {
        let mut found = watch::of_folder(&self.storage);
        found.retain(|process| {
            let is = |word: &str| process.line.split(' ').any(|part| part == word);
            process.line.contains("pgbackrest ")
                && (is("backup") || is("backup:local") || is("restore") || is("restore:local"))
        });
        found
    }

    /// The dispatch that is at work.
    pub fn dispatch(&self) -> Process {
        let line =
            self.shell.home.join("models").join(super::world::MODEL).join("agents/unit-postgresql-0/charm/dispatch");
        let line = line.display().to_string();
        until_some(10, "dispatch runs", || watch::processes().into_iter().find(|process| process.line == line))
    }
}
