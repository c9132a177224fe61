//! What the agent keeps of backup runs: logs, the request, failed runs. Names
//! and forms of the first two are Charmed PostgreSQL's. Listing is for report.

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;

use super::{Store, StoreError};
use crate::model::{BackupId, FailedRun, Stanza};
use crate::settings::shortened_to;

/// Bytes of a log that are kept: its end, where errors stand.
const LOG: usize = 8 << 20;

/// Bytes of the largest record of a failed run.
const RECORD: u64 = 64 << 10;

/// Records that are fetched at once.
const AT_ONCE: usize = 8;

/// What `backup/<stanza>/latest` tells of the newest request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    pub requested: DateTime<Utc>,
    pub model: String,
    pub application: String,
    /// `postgresql/0`
    pub unit: String,
    pub juju_version: String,
}

/// Both outputs of a run as `backup.log` holds them.
pub fn log_text(stdout: &str, stderr: &str) -> String {
    format!("Stdout:\n{}\nStderr:\n{}\n", stdout.trim_end(), stderr.trim_end())
}

/// Writes `backup/<stanza>/<id>/backup.log`; of a very long one, the end.
pub async fn put_log(store: &Store, stanza: &Stanza, id: BackupId, text: &str) -> Result<(), StoreError> {
    store.put(&format!("backup/{stanza}/{id}/backup.log"), end(text, LOG).into()).await
}

/// The last `most` bytes, less what would cut a character.
fn end(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    (from..text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

/// Writes `backup/<stanza>/latest`. The time is UTC.
pub async fn put_latest(store: &Store, stanza: &Stanza, latest: &Latest) -> Result<(), StoreError> {
    store.put(&format!("backup/{stanza}/latest"), latest_text(latest).into()).await
}

fn latest_text(latest: &Latest) -> String {
    let Latest { requested, model, application, unit, juju_version } = latest;
    let requested = requested.format("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "Date Backup Requested: {requested}\nModel Name: {model}\nApplication Name: {application}\n\
         Unit Name: {unit}\nJuju Version: {juju_version}\n"
    )
}

/// Writes the log, then the record: a failed run that is listed has its log.
pub async fn record_failed(store: &Store, stanza: &Stanza, run: &FailedRun, log: &str) -> Result<(), StoreError> {
    put_log(store, stanza, run.id(), log).await?;
    let record = serde_json::to_vec(run).map_err(|error| store.garbled(&error.to_string()))?;
    store.put(&format!("{}{}.json", folder(stanza), run.id()), record).await
}

/// The newest failed runs, the newest first. A record that cannot be read is
/// left out, and logged.
pub async fn failed_runs(store: &Store, stanza: &Stanza, newest: usize) -> Result<Vec<FailedRun>, StoreError> {
    let objects = store.list(&folder(stanza)).await?;
    let mut keys: Vec<String> = objects
        .into_iter()
        .filter(|object| object.key.ends_with(".json") && object.size <= RECORD)
        .map(|object| object.key)
        .collect();
    // Ids are times that sort as text.
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.truncate(newest);
    let mut runs = Vec::new();
    for some in keys.chunks(AT_ONCE) {
        runs.extend(fetch(store, some.to_vec()).await?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.started));
    Ok(runs)
}

fn folder(stanza: &Stanza) -> String {
    format!("agent/{stanza}/failed/")
}

async fn fetch(store: &Store, keys: Vec<String>) -> Result<Vec<FailedRun>, StoreError> {
    let mut fetches = JoinSet::new();
    for key in keys {
        let store = store.clone();
        fetches.spawn(async move { store.get(&key).await.map(|bytes| read(&key, &bytes.unwrap_or_default())) });
    }
    let mut runs = Vec::new();
    while let Some(done) = fetches.join_next().await {
        runs.extend(done.map_err(|_| store.garbled("a fetch was cancelled"))??);
    }
    Ok(runs)
}

fn read(key: &str, bytes: &[u8]) -> Option<FailedRun> {
    match serde_json::from_slice::<FailedRun>(bytes) {
        Ok(run) => Some(FailedRun { unit: shortened_to(80, &run.unit), reason: shortened_to(500, &run.reason), ..run }),
        Err(error) => {
            tracing::warn!(key, %error, "a record of a failed run cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BackupKind;
    use crate::store::server::{Server, memory};

    fn run(started: &str) -> FailedRun {
        FailedRun {
            kind: BackupKind::Full,
            unit: "db/0".to_owned(),
            started: started.parse().unwrap(),
            finished: started.parse().unwrap(),
            reason: "ERROR: [082]: archive timeout".to_owned(),
        }
    }

    fn stanza() -> Stanza {
        Stanza::of("m", "db").unwrap()
    }

    #[tokio::test]
    async fn failed_runs_come_back_newest_first_and_the_log_is_written_before_the_record() {
        let server = Server::start(memory(&[
            ("/backups/pg/agent/m.db/failed/2026-11-30T00:00:00Z.json", "not a record"),
            ("/backups/pg/agent/m.db/failed/notes.txt", "not ours"),
            ("/backups/pg/agent/m.other/failed/2026-11-29T00:00:00Z.json", "another stanza's"),
        ]));
        let store = server.store();
        let runs: Vec<_> = (10..20).map(|day| run(&format!("2026-11-{day}T03:00:00Z"))).collect();
        for run in &runs {
            record_failed(&store, &stanza(), run, "log").await.unwrap();
        }
        assert_eq!(
            server.lines()[..2],
            [
                "PUT /backups/pg/backup/m.db/2026-11-10T03%3A00%3A00Z/backup.log",
                "PUT /backups/pg/agent/m.db/failed/2026-11-10T03%3A00%3A00Z.json"
            ]
        );
        let found = failed_runs(&store, &stanza(), 4).await.unwrap();
        assert_eq!(found, [runs[9].clone(), runs[8].clone(), runs[7].clone()]);
        let all = failed_runs(&store, &stanza(), 100).await.unwrap();
        assert_eq!(all, runs.iter().rev().cloned().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_long_log_keeps_its_end() {
        let server = Server::start(memory(&[]));
        let id = "2026-11-22T03:00:00Z".parse().unwrap();
        let log = format!("{}€ the end", "é".repeat(LOG));
        put_log(&server.store(), &stanza(), id, &log).await.unwrap();
        let sent = server.seen()[0].body.clone();
        assert!(sent.len() <= LOG && sent.ends_with("€ the end".as_bytes()));
    }

    #[test]
    fn log_and_request_have_the_form_that_charmed_postgresql_writes() {
        assert_eq!(log_text("a\nb\n", "c"), "Stdout:\na\nb\nStderr:\nc\n");
        let latest = Latest {
            requested: "2026-11-22T03:00:00.5Z".parse().unwrap(),
            model: "m".to_owned(),
            application: "db".to_owned(),
            unit: "db/0".to_owned(),
            juju_version: "3.6.9".to_owned(),
        };
        assert_eq!(
            latest_text(&latest),
            "Date Backup Requested: 2026-11-22T03:00:00Z\nModel Name: m\nApplication Name: db\nUnit Name: db/0\n\
             Juju Version: 3.6.9\n"
        );
    }
}
