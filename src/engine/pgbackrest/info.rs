//! `pgbackrest info --output=json` as a catalog. Accepts the shapes of 2.45 and
//! of later versions, which add fields and leave `repository.size` out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::exit::EngineError;
use crate::model::{Backup, Catalog};

/// Codes of `status.code`: info.c of pgBackRest, `INFO_STANZA_STATUS_CODE_*`.
const MISSING_STANZA_PATH: i64 = 1;
const MISSING_STANZA_DATA: i64 = 3;
const NO_BACKUPS: i64 = 2;

#[derive(Deserialize)]
struct StanzaInfo {
    #[serde(default)]
    archive: Vec<ArchiveInfo>,
    #[serde(default)]
    backup: Vec<BackupInfo>,
    #[serde(default)]
    db: Vec<DbInfo>,
    #[serde(default)]
    repo: Vec<RepoInfo>,
    status: Status,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    database: DbRef,
    id: String,
}

#[derive(Deserialize)]
struct DbRef {
    id: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DbInfo {
    id: u64,
    /// 64 bits: a floating point number would round it.
    system_id: u64,
    version: String,
}

#[derive(Deserialize)]
struct RepoInfo {
    status: RepoStatus,
}

#[derive(Deserialize)]
struct RepoStatus {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
struct Status {
    code: i64,
    message: String,
    lock: Option<Locks>,
}

#[derive(Deserialize)]
struct Locks {
    backup: Option<Held>,
}

#[derive(Deserialize)]
struct Held {
    held: bool,
}

#[derive(Deserialize)]
struct BackupInfo {
    annotation: Option<BTreeMap<String, String>>,
    archive: Option<Pair>,
    database: DbRef,
    error: Option<bool>,
    info: Sizes,
    label: String,
    lsn: Option<Pair>,
    reference: Option<Vec<String>>,
    timestamp: Stamps,
}

#[derive(Deserialize)]
struct Pair {
    start: Option<String>,
    stop: Option<String>,
}

#[derive(Deserialize)]
struct Sizes {
    repository: RepositorySizes,
    size: u64,
}

#[derive(Deserialize)]
struct RepositorySizes {
    delta: u64,
}

#[derive(Deserialize)]
struct Stamps {
    start: i64,
    stop: i64,
}

/// The catalog of the one stanza that was asked for.
pub(super) fn parse(json: &str) -> Result<Catalog, EngineError> {
    let stanzas: Vec<StanzaInfo> = serde_json::from_str(json).map_err(unreadable)?;
    match stanzas.into_iter().next() {
        // Without a stanza in the repository older versions answer `[]`.
        None => Ok(Catalog::default()),
        Some(stanza) => catalog(&stanza),
    }
}

fn catalog(stanza: &StanzaInfo) -> Result<Catalog, EngineError> {
    match stanza.status.code {
        0 | NO_BACKUPS | MISSING_STANZA_PATH | MISSING_STANZA_DATA => {}
        code => return Err(EngineError::Repository(complaint(stanza, code))),
    }
    let mut backups = Vec::with_capacity(stanza.backup.len());
    for info in &stanza.backup {
        backups.push(backup(info, stanza)?);
    }
    let newest = stanza.db.iter().max_by_key(|db| db.id);
    Ok(Catalog {
        stanza_exists: matches!(stanza.status.code, 0 | NO_BACKUPS),
        system_id: newest.map(|db| db.system_id),
        archive_id: newest.map(|db| format!("{}-{}", db.version, db.id)),
        backups,
        lock_held: lock_held(&stanza.status),
    })
}

/// The repository knows the cause; the stanza only says "other".
fn complaint(stanza: &StanzaInfo, code: i64) -> String {
    let causes = stanza.repo.iter().filter(|repo| repo.status.code == code);
    // Behind the first line stand the request and its headers.
    let first = |text: &'_ str| text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
    let causes: Vec<_> = causes.map(|repo| first(&repo.status.message)).collect();
    if causes.is_empty() { stanza.status.message.clone() } else { causes.join("; ") }
}

fn lock_held(status: &Status) -> bool {
    status.lock.as_ref().and_then(|locks| locks.backup.as_ref()).is_some_and(|backup| backup.held)
}

fn backup(info: &BackupInfo, stanza: &StanzaInfo) -> Result<Backup, EngineError> {
    let mut reference = Vec::new();
    for label in info.reference.iter().flatten() {
        reference.push(label.parse().map_err(unreadable)?);
    }
    Ok(Backup {
        label: info.label.parse().map_err(unreadable)?,
        reference,
        started: moment(info.timestamp.start)?,
        finished: moment(info.timestamp.stop)?,
        wal_start: end(&info.archive, |pair| &pair.start)?,
        wal_stop: end(&info.archive, |pair| &pair.stop)?,
        lsn_start: end(&info.lsn, |pair| &pair.start)?,
        lsn_stop: end(&info.lsn, |pair| &pair.stop)?,
        size: info.info.size,
        repository_size: info.info.repository.delta,
        page_errors: info.error.unwrap_or(false),
        archive_id: archive_id(info.database.id, stanza)?,
        annotations: info.annotation.clone().unwrap_or_default(),
    })
}

/// `15-1`: the PostgreSQL version and the entry of the database history.
fn archive_id(db: u64, stanza: &StanzaInfo) -> Result<String, EngineError> {
    let archived = stanza.archive.iter().find(|archive| archive.database.id == db).map(|archive| archive.id.clone());
    let named = || stanza.db.iter().find(|entry| entry.id == db).map(|entry| format!("{}-{db}", entry.version));
    archived.or_else(named).ok_or_else(|| unreadable(format!("a backup belongs to the unknown database {db}")))
}

fn end<T>(pair: &Option<Pair>, side: impl Fn(&Pair) -> &Option<String>) -> Result<Option<T>, EngineError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = pair.as_ref().and_then(|pair| side(pair).as_deref());
    text.map(|text| text.parse().map_err(unreadable)).transpose()
}

fn moment(seconds: i64) -> Result<DateTime<Utc>, EngineError> {
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| unreadable(format!("not a time: {seconds}")))
}

fn unreadable(why: impl std::fmt::Display) -> EngineError {
    EngineError::Unreadable { question: "info", why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BackupKind, Lsn};

    macro_rules! fixture {
        ($name:literal) => {
            parse(include_str!(concat!("../../../tests/fixtures/pgbackrest/", $name)))
        };
    }

    #[test]
    fn a_full_a_differential_and_an_incremental_are_read() {
        let catalog = fixture!("2.45/info.json").unwrap();
        assert!(catalog.stanza_exists && !catalog.lock_held && catalog.has_full_backup());
        assert_eq!(catalog.system_id, Some(7710818353409280078));
        assert_eq!(catalog.archive_id.as_deref(), Some("15-1"));
        let kinds: Vec<_> = catalog.backups.iter().map(Backup::kind).collect();
        assert_eq!(kinds, BackupKind::ALL);
        let incremental = &catalog.backups[2];
        let labels: Vec<_> = incremental.reference.iter().map(ToString::to_string).collect();
        assert_eq!(labels, ["20261122-023326F", "20261122-023326F_20261122-023331D"]);
        assert_eq!(incremental.id().to_string(), "2026-11-22T02:33:34Z");
        assert_eq!(incremental.wal_start.unwrap().to_string(), "000000010000000000000017");
        assert_eq!(incremental.lsn_stop, Some(Lsn(0x17000138)));
        assert_eq!((incremental.size, incremental.repository_size), (296_294_178, 11_579_236));
        assert_eq!((incremental.archive_id.as_str(), incremental.page_errors), ("15-1", false));
        assert_eq!(catalog.annotated("request", "abc-2").unwrap().label, catalog.backups[1].label);
    }

    #[test]
    fn no_stanza_an_empty_one_and_one_that_is_locked_are_answers() {
        let missing = fixture!("2.45/info-missing-stanza.json").unwrap();
        assert_eq!(missing, Catalog::default());
        assert_eq!(parse("[]").unwrap(), Catalog::default());
        let empty = fixture!("2.45/info-empty-stanza.json").unwrap();
        assert!(empty.stanza_exists && empty.backups.is_empty() && empty.system_id.is_some());
        assert!(fixture!("2.45/info-running.json").unwrap().lock_held);
    }

    #[test]
    fn a_store_that_is_down_is_no_empty_catalog() {
        let error = fixture!("2.45/info-store-down.json").unwrap_err();
        assert_eq!(
            error.to_string(),
            "[HostConnectError] unable to connect to 'localhost:1': [111] Connection refused"
        );
    }

    #[test]
    fn later_versions_add_sizes_to_the_lock_and_leave_some_out() {
        let catalog = fixture!("later/info-running-block.json").unwrap();
        assert!(catalog.lock_held);
        assert_eq!(catalog.backups[0].repository_size, 14_418_549);
    }

    #[test]
    fn nonsense_is_told_apart_from_no_backups() {
        for bad in ["", "{}", "[{}]", r#"[{"status":{"code":0,"message":"ok"},"backup":[{"label":"x"}]}]"#] {
            assert!(matches!(parse(bad), Err(EngineError::Unreadable { .. })), "{bad}");
        }
    }
}
