//! The results of actions, as `action-set` takes them.

use crate::model::{Backup, BackupId, Bytes};

/// Results of `create-backup`. Keys that do not apply are left out.
pub fn created(backup: &Backup) -> Vec<(String, String)> {
    let seconds = (backup.finished - backup.started).num_seconds().max(0);
    let reference = backup.reference.last().map(|label| BackupId::at(label.stamp().and_utc()).to_string());
    let results = [
        ("backup-status", Some("backup created".to_owned())),
        ("backup-id", Some(backup.id().to_string())),
        ("type", Some(backup.kind().to_string())),
        ("size", Some(Bytes(backup.size).to_string())),
        ("repository-size", Some(Bytes(backup.repository_size).to_string())),
        ("duration-seconds", Some(seconds.to_string())),
        ("wal-start", backup.wal_start.map(|wal| wal.to_string())),
        ("wal-stop", backup.wal_stop.map(|wal| wal.to_string())),
        ("reference", reference),
    ];
    results.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::listing::tests::everything;
    use super::*;

    fn shown(backup: &Backup) -> String {
        created(backup).iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_full_backup_has_no_reference() {
        insta::assert_snapshot!(shown(&everything().backups[0]), @r#"
        backup-status: backup created
        backup-id: 2026-11-22T03:00:00Z
        type: full
        size: 1.6 GiB
        repository-size: 380 MiB
        duration-seconds: 10
        wal-start: 000000010000000000000013
        wal-stop: 000000010000000000000014
        "#);
    }

    #[test]
    fn an_incremental_names_the_backup_it_stands_on() {
        insta::assert_snapshot!(shown(&everything().backups[1]), @r#"
        backup-status: backup created
        backup-id: 2026-11-22T05:00:00Z
        type: incremental
        size: 1.6 GiB
        repository-size: 11 MiB
        duration-seconds: 2
        wal-start: 0000000A0000000000000017
        wal-stop: 0000000A0000000000000017
        reference: 2026-11-22T03:00:00Z
        "#);
    }
}
