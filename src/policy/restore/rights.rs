//! Whether this unit may restore at all, now, and this backup. Pure.

use super::asked::{Asked, Typed};
use crate::model::{Backup, BackupId, Catalog, NotABackupId, Observed, UnitName};
use crate::policy::Refusal;
use crate::policy::backup::stanza_is_ready;

/// What must be known before a restore is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreFacts {
    pub application: String,
    pub is_leader: bool,
    pub settings: Observed<()>,
    pub stanza_ready: Observed<bool>,
    pub catalog: Observed<Catalog>,
    pub restore_under_way: Option<String>,
    pub engine_busy: Option<String>,
    /// Free on the filesystem of the data, the old data still in place.
    pub free_bytes: Observed<u64>,
    pub others: Vec<OtherUnit>,
    pub standby_cluster: bool,
}

/// Another unit of the cluster: it keeps its old data aside and copies the restored cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherUnit {
    pub unit: UnitName,
    /// Of its service; `None` when it is away, and follows when it is back.
    pub free_bytes: Option<u64>,
}

impl RestoreFacts {
    pub(super) fn known_catalog(&self) -> Result<&Catalog, Refusal> {
        known(&self.catalog, |why| Refusal::RestoreCatalogUnknown { why })
    }
}

/// What was asked for, when this unit may do it.
pub fn may_restore(facts: &RestoreFacts, typed: &Typed) -> Result<Asked, Refusal> {
    not_a_standby_cluster(facts)?;
    settings_are_complete(facts)?;
    let asked = Asked::of(typed)?;
    nothing_else_runs(facts)?;
    is_leader(facts)?;
    stanza_is_ready(&facts.stanza_ready)?;
    facts.known_catalog()?;
    Ok(asked)
}

fn known<T>(observed: &Observed<T>, refuse: impl FnOnce(String) -> Refusal) -> Result<&T, Refusal> {
    match observed {
        Observed::Known(value) => Ok(value),
        Observed::Unknown { why } => Err(refuse(why.clone())),
    }
}

fn not_a_standby_cluster(facts: &RestoreFacts) -> Result<(), Refusal> {
    if facts.standby_cluster { Err(Refusal::RestoreOnStandbyCluster) } else { Ok(()) }
}

fn settings_are_complete(facts: &RestoreFacts) -> Result<(), Refusal> {
    let application = facts.application.clone();
    known(&facts.settings, |why| Refusal::Settings { why, application }).copied()
}

fn nothing_else_runs(facts: &RestoreFacts) -> Result<(), Refusal> {
    match (&facts.restore_under_way, &facts.engine_busy) {
        (Some(what), _) => Err(Refusal::RestoreUnderWay { what: what.clone() }),
        (None, Some(who)) => Err(Refusal::EngineBusy { who: who.clone() }),
        (None, None) => Ok(()),
    }
}

fn is_leader(facts: &RestoreFacts) -> Result<(), Refusal> {
    match facts.is_leader {
        true => Ok(()),
        false => Err(Refusal::NotLeader { application: facts.application.clone() }),
    }
}

pub(super) fn find<'a>(catalog: &'a Catalog, asked: &str) -> Result<&'a Backup, Refusal> {
    let id = asked.parse::<BackupId>();
    id.as_ref().ok().and_then(|id| catalog.find(*id)).ok_or_else(|| Refusal::UnknownBackup {
        asked: match &id {
            Ok(id) => id.to_string(),
            Err(NotABackupId(shortened)) => shortened.clone(),
        },
        nearest: nearest(catalog, id.ok()),
        known: catalog.backups.len(),
    })
}

/// Up to five ids, nearest to the one that was asked for, or the newest.
fn nearest(catalog: &Catalog, asked: Option<BackupId>) -> Vec<BackupId> {
    let mut ids: Vec<_> = catalog.backups.iter().map(Backup::id).collect();
    ids.sort_by_key(|id| match asked {
        Some(asked) => (id.moment() - asked.moment()).num_seconds().abs(),
        None => -id.moment().timestamp(),
    });
    ids.truncate(5);
    ids
}

/// It and all it stands on are there, and were copied without page errors.
pub(super) fn is_sound(catalog: &Catalog, backup: &Backup) -> Result<(), Refusal> {
    match fault(catalog, backup) {
        None => Ok(()),
        Some(Fault::PageErrors(culprit)) => {
            Err(Refusal::PageErrors { id: backup.id(), culprit, sound: newest_sound(catalog) })
        }
        Some(Fault::Missing(missing)) => {
            Err(Refusal::BrokenChain { id: backup.id(), missing, sound: newest_sound(catalog) })
        }
    }
}

pub(in crate::policy) enum Fault {
    PageErrors(crate::model::BackupLabel),
    Missing(crate::model::BackupLabel),
}

pub(in crate::policy) fn fault(catalog: &Catalog, backup: &Backup) -> Option<Fault> {
    let chain = backup.reference.iter().chain([&backup.label]);
    chain.into_iter().find_map(|label| match catalog.backups.iter().find(|set| set.label == *label) {
        None => Some(Fault::Missing(label.clone())),
        Some(set) if set.page_errors => Some(Fault::PageErrors(label.clone())),
        Some(_) => None,
    })
}

fn newest_sound(catalog: &Catalog) -> Option<BackupId> {
    catalog.backups.iter().rev().find(|backup| fault(catalog, backup).is_none()).map(Backup::id)
}

pub(super) fn fits_on_disk(facts: &RestoreFacts, backup: &Backup, needs: u64) -> Result<u64, Refusal> {
    let free = *known(&facts.free_bytes, |why| Refusal::DiskUnknown { why })?;
    if free < needs {
        return Err(Refusal::DiskTooSmall { id: backup.id(), needs, free });
    }
    Ok(free)
}

/// Its data goes aside, and the copy needs room beside it.
pub(super) fn fits_on_the_others(facts: &RestoreFacts, backup: &Backup, needs: u64) -> Result<(), Refusal> {
    let is_too_small = |other: &&OtherUnit| other.free_bytes.is_some_and(|free| free < needs);
    match facts.others.iter().find(is_too_small) {
        None => Ok(()),
        Some(OtherUnit { unit, free_bytes }) => Err(Refusal::OtherDiskTooSmall {
            id: backup.id(),
            unit: unit.clone(),
            needs,
            free: free_bytes.unwrap_or_default(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{archive, catalog_of, facts, set, timelines, world};
    use super::super::{Open, RestorePlan, plan_restore};
    use super::*;
    use crate::model::AgentError;

    fn backup(label: &str, reference: &[&str], started: &str) -> Backup {
        Backup {
            label: label.parse().unwrap(),
            reference: reference.iter().map(|label| label.parse().unwrap()).collect(),
            started: started.parse().unwrap(),
            finished: started.parse().unwrap(),
            ..set("03:00:00", 1, 3)
        }
    }

    fn catalog() -> Catalog {
        catalog_of(vec![
            backup("20261120-030000F", &[], "2026-11-20T03:00:00Z"),
            backup("20261121-030000F", &[], "2026-11-21T03:00:00Z"),
            backup("20261121-030000F_20261122-030000I", &["20261121-030000F"], "2026-11-22T03:00:00Z"),
        ])
    }

    fn healthy() -> RestoreFacts {
        RestoreFacts { catalog: Observed::Known(catalog()), ..facts(vec![]) }
    }

    fn plan(facts: &RestoreFacts, id: Option<&str>) -> Result<RestorePlan, Refusal> {
        let asked = may_restore(facts, &Typed { backup_id: id.map(str::to_owned), ..Typed::default() })?;
        let world = world(timelines(archive(&[(1, 3..=4)]), &[]), 1);
        plan_restore(facts, &asked, &world).map_err(|open| match open {
            Open::Refused(refusal) => refusal,
            open => panic!("{open:?}"),
        })
    }

    const NEWEST: &str = "2026-11-22T03:00:00Z";

    fn told(facts: &RestoreFacts, id: Option<&str>) -> String {
        AgentError::from(plan(facts, id).unwrap_err()).explain()
    }

    #[test]
    fn a_backup_that_may_be_restored_comes_with_its_numbers() {
        let plan = plan(&healthy(), Some(NEWEST)).unwrap();
        assert_eq!(plan.backup.label.as_str(), "20261121-030000F_20261122-030000I");
        assert_eq!((plan.needs_bytes, plan.free_bytes), ((1 << 30) + (1 << 30) / 10 + (272 << 20), 10 << 30));
    }

    #[test]
    fn without_a_target_there_is_nothing_to_restore() {
        for id in [None, Some(""), Some(" ")] {
            assert!(told(&healthy(), id).starts_with(
                "Either backup-id or restore-to-time parameters need to be provided to be able to do restore. For example: "
            ));
        }
    }

    #[test]
    fn only_the_leader_restores() {
        let facts = RestoreFacts { is_leader: false, ..healthy() };
        assert_eq!(
            told(&facts, Some(NEWEST)),
            "Unit cannot restore backup as it was not elected the leader unit yet. \
             Run it on the leader: juju run postgresql/leader restore"
        );
    }

    #[test]
    fn an_unknown_id_is_answered_with_the_nearest_ones() {
        assert_eq!(
            told(&healthy(), Some("2026-11-21T04:00:00Z")),
            "Invalid backup-id: 2026-11-21T04:00:00Z. Nearest of 3 known: 2026-11-21T03:00:00Z, \
             2026-11-22T03:00:00Z, 2026-11-20T03:00:00Z (see list-backups)"
        );
        assert_eq!(
            told(&healthy(), Some("20261121-030000F\n; rm")),
            "Invalid backup-id: 20261121-030000F\\n; rm. Nearest of 3 known: 2026-11-22T03:00:00Z, \
             2026-11-21T03:00:00Z, 2026-11-20T03:00:00Z (see list-backups)"
        );
        let facts = RestoreFacts { catalog: Observed::Known(Catalog::default()), ..healthy() };
        assert_eq!(
            told(&facts, Some(NEWEST)),
            "Invalid backup-id: 2026-11-22T03:00:00Z. The repository holds no backup yet: see list-backups."
        );
    }

    #[test]
    fn a_backup_with_page_errors_or_on_top_of_them_is_refused() {
        let mut damaged = catalog();
        damaged.backups[1].page_errors = true;
        let facts = RestoreFacts { catalog: Observed::Known(damaged), ..healthy() };
        assert_eq!(
            told(&facts, Some(NEWEST)),
            "Invalid backup-id: 2026-11-22T03:00:00Z. PostgreSQL found page checksum errors while 20261121-030000F \
             was copied. The newest sound backup is backup-id=2026-11-20T03:00:00Z"
        );
    }

    #[test]
    fn a_backup_whose_foundation_is_gone_is_refused() {
        let mut broken = catalog();
        broken.backups.remove(1);
        let facts = RestoreFacts { catalog: Observed::Known(broken), ..healthy() };
        assert!(matches!(plan(&facts, Some(NEWEST)), Err(Refusal::BrokenChain { .. })));
    }

    #[test]
    fn another_units_disk_that_is_too_small_is_found_too_and_one_that_is_away_is_not_asked() {
        let other = |number: u32, free_bytes| OtherUnit {
            unit: UnitName { application: "postgresql".into(), number },
            free_bytes,
        };
        let facts = RestoreFacts { others: vec![other(1, None), other(2, Some(1 << 30))], ..healthy() };
        assert_eq!(
            told(&facts, Some(NEWEST)),
            "Not enough disk space on postgresql/2 to restore backup 2026-11-22T03:00:00Z: it needs 1.3 GiB, 1 GiB are free. \
             Every unit keeps its old data and copies the restored cluster beside it: enlarge its storage `pgdata` by \
             at least 358.4 MiB, or free as much."
        );
        let facts = RestoreFacts { others: vec![other(1, None), other(2, Some(9 << 30))], ..healthy() };
        assert_eq!(plan(&facts, Some(NEWEST)).unwrap().others, facts.others);
    }

    #[test]
    fn a_disk_that_is_too_small_is_found_before_anything_is_touched() {
        let facts = RestoreFacts { free_bytes: Observed::Known(1 << 30), ..healthy() };
        assert_eq!(
            told(&facts, Some(NEWEST)),
            "Not enough disk space to restore backup 2026-11-22T03:00:00Z: it needs 1.4 GiB, 1 GiB are free. \
             The old data is kept until the restore is proven: enlarge the storage `pgdata` by at least 374.4 MiB, \
             or free as much."
        );
    }

    #[test]
    fn what_is_not_known_refuses() {
        let no = || "no answer".to_owned();
        #[rustfmt::skip]
        let table = [
            (RestoreFacts { catalog: Observed::unknown(no()), ..healthy() },       Refusal::RestoreCatalogUnknown { why: no() }),
            (RestoreFacts { free_bytes: Observed::unknown(no()), ..healthy() },    Refusal::DiskUnknown { why: no() }),
            (RestoreFacts { stanza_ready: Observed::unknown(no()), ..healthy() },  Refusal::StanzaNotReady { why: Some(no()) }),
            (RestoreFacts { restore_under_way: Some(no()), ..healthy() },          Refusal::RestoreUnderWay { what: no() }),
            (RestoreFacts { engine_busy: Some(no()), ..healthy() },                Refusal::EngineBusy { who: no() }),
        ];
        for (facts, want) in table {
            assert_eq!(plan(&facts, Some(NEWEST)), Err(want));
        }
    }

    #[test]
    fn settings_and_a_standby_cluster_come_first() {
        let facts = RestoreFacts { settings: Observed::unknown("Missing S3 parameters: ['bucket']"), ..healthy() };
        assert!(matches!(plan(&facts, None), Err(Refusal::Settings { .. })));
        let facts = RestoreFacts { standby_cluster: true, ..facts };
        assert_eq!(plan(&facts, None), Err(Refusal::RestoreOnStandbyCluster));
    }
}
