//! A backup that is to be made without anybody's asking, told to all units in the
//! cluster store: the service of whichever unit may back up makes it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::RestoreKeys;
use crate::cluster::{Etcd, EtcdError};
use crate::model::{AgentError, BackupKind, UnitName};

const KEY: &str = "/pg-backup-agent/due-backup";
/// How long it stands back when a restore is asked for: by then that one shows that it is under way, or has been refused.
const STANDS_BACK: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueBackup {
    pub kind: BackupKind,
    /// Of a restore: `the restore of 20261122-030000F`.
    pub after: String,
    /// A backup that was begun later is this one.
    pub since: DateTime<Utc>,
    /// It is not begun before, and one that runs ends.
    pub not_before: DateTime<Utc>,
    /// The unit that makes it now.
    #[serde(default)]
    pub on: Option<String>,
}

impl DueBackup {
    pub fn after(what: String, now: DateTime<Utc>) -> Self {
        Self { kind: BackupKind::Full, after: what, since: now, not_before: now, on: None }
    }

    pub fn may_run(&self, now: DateTime<Utc>) -> bool {
        self.not_before <= now
    }

    /// A backup of this kind that was begun then: is it what was due?
    fn is_made_by(&self, kind: BackupKind, started: DateTime<Utc>) -> bool {
        // Backups are named by the second.
        kind == self.kind && started.timestamp() >= self.since.timestamp()
    }
}

impl RestoreKeys {
    pub async fn due_backup(&self) -> Result<Option<DueBackup>, AgentError> {
        Ok(read(&self.etcd).await?.map(|(due, _)| due))
    }

    /// In the place of one that was due already.
    pub async fn make_due(&self, due: &DueBackup) -> Result<(), AgentError> {
        self.etcd.put(KEY, &text(due)?).await.map_err(failed)
    }

    /// It is made on this unit now, which has the claim of the backup. False: there is nothing to make any more, or it
    /// stands back.
    pub async fn begin_due(&self, unit: &UnitName, now: DateTime<Utc>) -> Result<bool, AgentError> {
        let Some((due, revision)) = read(&self.etcd).await?.filter(|(due, _)| due.may_run(now)) else {
            return Ok(false);
        };
        let due = DueBackup { on: Some(unit.to_string()), ..due };
        Ok(self.etcd.put_if(KEY, &text(&due)?, Some(&revision)).await.map_err(failed)?.is_some())
    }

    /// A restore is asked for: what was due waits, and ends where it runs. Gives what that was.
    pub async fn due_stands_back(&self, now: DateTime<Utc>) -> Result<Option<DueBackup>, AgentError> {
        // Against a unit that begins it in this moment.
        for _ in 0..5 {
            let Some((due, revision)) = read(&self.etcd).await? else { return Ok(None) };
            let later = DueBackup { not_before: now + STANDS_BACK, on: None, ..due.clone() };
            if self.etcd.put_if(KEY, &text(&later)?, Some(&revision)).await.map_err(failed)?.is_some() {
                return Ok(Some(due));
            }
        }
        Ok(None)
    }

    /// A backup was made: is that what was due?
    pub async fn due_is_made(&self, kind: BackupKind, started: DateTime<Utc>) -> Result<(), AgentError> {
        match read(&self.etcd).await? {
            Some((due, _)) if due.is_made_by(kind, started) => self.etcd.delete(KEY).await.map_err(failed),
            _ => Ok(()),
        }
    }
}

async fn read(etcd: &Etcd) -> Result<Option<(DueBackup, crate::cluster::Revision)>, AgentError> {
    let read = etcd.get_with_revision(KEY).await.map_err(failed)?;
    // One that cannot be read was written by another release: as good as none.
    Ok(read.and_then(|(text, revision)| Some((serde_json::from_str(&text).ok()?, revision))))
}

fn text(due: &DueBackup) -> Result<String, AgentError> {
    serde_json::to_string(due).map_err(|error| AgentError::Bug(error.to_string()))
}

fn failed(error: EtcdError) -> AgentError {
    AgentError::fault("asking the cluster store for a backup that is due", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn it_waits_for_its_time() {
        let due = DueBackup { not_before: at(60), ..DueBackup::after("the restore of X".to_owned(), at(0)) };
        assert!(!due.may_run(at(59)));
        assert!(due.may_run(at(60)));
    }

    #[test]
    fn any_later_backup_of_its_kind_is_it() {
        let due = DueBackup::after("the restore of X".to_owned(), at(0) + TimeDelta::milliseconds(700));
        assert!(due.is_made_by(BackupKind::Full, at(0)), "the same second");
        assert!(!due.is_made_by(BackupKind::Full, at(-1)));
        assert!(!due.is_made_by(BackupKind::Incremental, at(10)));
    }
}
