//! Whether a new replica may be made from the repository, and from which set. Pure.
//!
//! A set that lies on a branch which a restore has left makes a replica that asks
//! for its next timeline for ever, and Patroni shows it as starting. PostgreSQL's own
//! rule (`StartupXLOG`, "requested timeline does not contain minimum recovery point")
//! is followed here, before anything is copied.

use super::restore::fault;
use crate::model::{Backup, BackupLabel, Catalog, Fork, Timeline};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaSource {
    /// This set, and the WAL after it.
    Repository { label: BackupLabel },
    /// A copy of the primary's files.
    Primary { why: String },
}

/// `current` is the primary's timeline, `path` its history file's lines
/// ([`Fork::path`]); an empty path proves no older timeline to be an ancestor.
pub fn replica_source(catalog: &Catalog, current: Timeline, path: &[Fork]) -> ReplicaSource {
    let ours = || catalog.backups.iter().rev().filter(|set| is_of_this_database(catalog, set));
    let Some(newest) = ours().next() else {
        return ReplicaSource::Primary { why: "the repository has no backup of this database".to_owned() };
    };
    let sound = ours().filter(|set| fault(catalog, set).is_none());
    match sound.clone().find(|set| lies_on(set, current, path)) {
        Some(set) => ReplicaSource::Repository { label: set.label.clone() },
        None if sound.clone().next().is_none() => {
            ReplicaSource::Primary { why: "no backup of this database is sound (see list-backups)".to_owned() }
        }
        None => ReplicaSource::Primary { why: not_on_the_path(newest, current) },
    }
}

/// Timelines of another database have the same numbers and are not the same.
fn is_of_this_database(catalog: &Catalog, set: &Backup) -> bool {
    catalog.archive_id.as_ref().is_some_and(|id| *id == set.archive_id)
}

/// Its last record is one that the current timeline has.
fn lies_on(set: &Backup, current: Timeline, path: &[Fork]) -> bool {
    let Some(stopped) = set.wal_stop.map(|wal| wal.timeline) else { return false };
    let before_the_fork = |fork: &Fork| fork.from == stopped && set.lsn_stop.is_some_and(|stop| stop < fork.at);
    // A timeline that is its own ancestor is a file of somebody else.
    stopped == current || (stopped < current && path.iter().any(before_the_fork))
}

fn not_on_the_path(newest: &Backup, current: Timeline) -> String {
    let ended = newest.wal_stop.map_or("an unknown timeline".to_owned(), |wal| format!("timeline {}", wal.timeline));
    format!(
        "no backup is known to lie on the primary's timeline {current} (the newest, {}, ended on {ended}); \
         the next backup will",
        newest.label
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lsn;

    const DAY_1: &str = "20261120-030000F";
    const DAY_2: &str = "20261121-030000F";
    const INCREMENTAL: &str = "20261121-030000F_20261122-030000I";

    /// A set that ended on this timeline at this position.
    fn set(label: &str, timeline: u32, stop: u64) -> Backup {
        let label: BackupLabel = label.parse().unwrap();
        let wal = format!("{timeline:08X}00000000{:08X}", stop >> 24).parse().unwrap();
        let started = label.stamp().and_utc();
        let reference = (label.as_str() == INCREMENTAL).then(|| DAY_2.parse().unwrap());
        Backup {
            label,
            reference: reference.into_iter().collect(),
            started,
            finished: started,
            wal_start: Some(wal),
            wal_stop: Some(wal),
            lsn_start: Some(Lsn(stop - 8)),
            lsn_stop: Some(Lsn(stop)),
            size: 1,
            repository_size: 1,
            page_errors: false,
            archive_id: "15-2".to_owned(),
            annotations: Default::default(),
        }
    }

    fn catalog(backups: Vec<Backup>) -> Catalog {
        Catalog { stanza_exists: true, archive_id: Some("15-2".to_owned()), backups, ..Catalog::default() }
    }

    const EARLY: u64 = 0x300_0138;
    const FORK: u64 = 0x500_0000;
    const LATE: u64 = 0x700_0138;

    #[test]
    fn a_set_is_used_when_it_is_proven_to_lie_on_the_primarys_timeline() {
        let broken = |set: Backup| Backup { page_errors: true, ..set };
        let foreign = |set: Backup| Backup { archive_id: "15-1".to_owned(), ..set };
        let without_lsn = |set: Backup| Backup { lsn_stop: None, ..set };
        let left_1: &[(u32, u64)] = &[(1, FORK)];
        let left_1_and_2: &[(u32, u64)] = &[(1, FORK), (2, LATE + 1)];
        #[rustfmt::skip]
        let table = [
            // sets                                                             current  path           from
            (vec![set(DAY_1, 1, EARLY)],                                        1, &[] as &[(u32, u64)], Some(DAY_1)),
            (vec![set(DAY_1, 1, EARLY), set(DAY_2, 1, LATE)],                   1, &[],                 Some(DAY_2)),
            (vec![set(DAY_2, 1, EARLY), set(INCREMENTAL, 1, LATE)],             1, &[],                 Some(INCREMENTAL)),
            // an older timeline: before the fork, at it, past it (the branch that was left)
            (vec![set(DAY_1, 1, EARLY)],                                        2, left_1,              Some(DAY_1)),
            (vec![set(DAY_1, 1, FORK)],                                         2, left_1,              None),
            (vec![set(DAY_1, 1, EARLY), set(DAY_2, 1, LATE)],                   2, left_1,              Some(DAY_1)),
            (vec![set(DAY_1, 1, EARLY), set(DAY_2, 2, LATE)],                   3, left_1_and_2,        Some(DAY_2)),
            // timeline 2 is no ancestor of 3, and nothing newer than the primary counts
            (vec![set(DAY_1, 2, EARLY)],                                        3, left_1,              None),
            (vec![set(DAY_1, 3, EARLY)],                                        2, left_1,              None),
            // no history: only the primary's own timeline
            (vec![set(DAY_1, 1, EARLY)],                                        2, &[],                 None),
            (vec![set(DAY_1, 2, EARLY), set(DAY_2, 1, LATE)],                   2, &[],                 Some(DAY_1)),
            (vec![without_lsn(set(DAY_1, 1, EARLY))],                           2, left_1,              None),
            // sets that are not sound, or of another database
            (vec![set(DAY_1, 1, EARLY), broken(set(DAY_2, 1, LATE))],           1, &[],                 Some(DAY_1)),
            (vec![set(DAY_1, 1, EARLY), broken(set(DAY_2, 1, EARLY)), set(INCREMENTAL, 1, LATE)], 1, &[], Some(DAY_1)),
            (vec![set(INCREMENTAL, 1, LATE)],                                   1, &[],                 None),
            (vec![foreign(set(DAY_1, 1, EARLY))],                               1, &[],                 None),
            (vec![],                                                            1, &[],                 None),
        ];
        for (sets, current, path, want) in table {
            let path: Vec<_> = path.iter().map(|&(from, at)| Fork { from: Timeline(from), at: Lsn(at) }).collect();
            let shown =
                format!("{:?} {current} {path:?}", sets.iter().map(|set| set.label.as_str()).collect::<Vec<_>>());
            let got = replica_source(&catalog(sets), Timeline(current), &path);
            let label = match &got {
                ReplicaSource::Repository { label } => Some(label.as_str()),
                ReplicaSource::Primary { .. } => None,
            };
            assert_eq!(label, want, "{shown}");
        }
    }

    #[test]
    fn the_primary_is_copied_for_a_reason_that_is_told() {
        let why = |sets, current| match replica_source(&catalog(sets), Timeline(current), &[]) {
            ReplicaSource::Primary { why } => why,
            ReplicaSource::Repository { label } => panic!("{label}"),
        };
        assert_eq!(why(vec![], 1), "the repository has no backup of this database");
        let broken = Backup { page_errors: true, ..set(DAY_1, 1, EARLY) };
        assert_eq!(why(vec![broken], 1), "no backup of this database is sound (see list-backups)");
        assert_eq!(
            why(vec![set(DAY_1, 1, LATE)], 17),
            "no backup is known to lie on the primary's timeline 11 (the newest, 20261120-030000F, ended on timeline 1); \
             the next backup will"
        );
    }
}
