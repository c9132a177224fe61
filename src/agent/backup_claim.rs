//! Only one unit of a cluster backs up at a time: the one that holds a claim in
//! the cluster store, which ends by itself when its agent is killed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Agent;
use crate::cluster::{Claim, Claimed, Etcd, EtcdError};
use crate::engine::pgbackrest::Engine;
use crate::model::{AgentError, BackupKind, UnitName};

const KEY: &str = "/pg-backup-agent/backup";
/// Of a claim that nobody keeps.
const LIFE: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(5);

/// What the other units may know of a backup that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupNote {
    pub unit: String,
    pub kind: BackupKind,
    pub started: DateTime<Utc>,
    /// Hundredths of a percent; `None` while the engine does not know.
    #[serde(default)]
    pub percent_hundredths: Option<u32>,
}

/// Held while a backup runs; dropped or killed, it runs out.
pub struct BackupClaim {
    etcd: Etcd,
    claim: Claim,
    keeper: tokio::task::JoinHandle<()>,
}

impl Agent {
    /// Clusters of one unit need no claim: the unit's own lock is enough, and a
    /// backup must be possible while etcd is not.
    fn shares_the_engine(&self) -> bool {
        self.file.planned_units > 1 || self.has_company()
    }

    /// The backup of whichever unit holds the claim.
    pub async fn claimed_backup(&self) -> Result<Option<BackupNote>, AgentError> {
        if !self.shares_the_engine() {
            return Ok(None);
        }
        let text = self.etcd()?.get(KEY).await.map_err(failed)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// `Err(Some(note))`: somebody else was faster.
    pub async fn claim_backup(&self, note: &BackupNote) -> Result<Result<Option<BackupClaim>, BackupNote>, AgentError> {
        if !self.shares_the_engine() {
            return Ok(Ok(None));
        }
        let etcd = self.etcd()?;
        let text = serde_json::to_string(note).map_err(|error| AgentError::Bug(error.to_string()))?;
        let left = self.claimed_backup().await?.is_some_and(|left| left.unit == note.unit);
        if left {
            // Of an action of ours that was killed: this one holds the unit's lock.
            etcd.delete(KEY).await.map_err(failed)?;
        }
        match etcd.claim(KEY, &text, LIFE).await.map_err(failed)? {
            Claimed::Ours(claim) => {
                let keeper = tokio::spawn(keep(etcd.clone(), claim.clone(), self.engine(), note.clone()));
                Ok(Ok(Some(BackupClaim { etcd, claim, keeper })))
            }
            Claimed::Theirs(text) => Ok(Err(serde_json::from_str(&text).unwrap_or_else(|_| note.clone()))),
        }
    }
}

fn failed(error: EtcdError) -> AgentError {
    AgentError::fault("asking the cluster store which unit backs up", error)
}

impl BackupNote {
    pub fn of(unit: &UnitName, kind: BackupKind, started: DateTime<Utc>) -> Self {
        Self { unit: unit.to_string(), kind, started, percent_hundredths: None }
    }
}

impl BackupClaim {
    pub async fn release(self) {
        self.keeper.abort();
        if let Err(error) = self.etcd.release(&self.claim).await {
            tracing::info!("the claim of the backup runs out by itself: {}", crate::model::error_chain(&error));
        }
    }
}

impl Drop for BackupClaim {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The others see how far it is. A cluster store that is away for a moment is
/// no reason to stop: the engine has locks of its own.
async fn keep(etcd: Etcd, claim: Claim, engine: Engine, mut note: BackupNote) {
    loop {
        tokio::time::sleep(KEEP).await;
        let running = engine.running_backup().await.ok().flatten();
        note.percent_hundredths = running.and_then(|running| running.percent_hundredths);
        let text = serde_json::to_string(&note).unwrap_or_default();
        if let Err(error) = etcd.rewrite(&claim, &text).await {
            tracing::info!("the claim of the backup was not kept: {}", crate::model::error_chain(&error));
        }
    }
}
