//! Turns: one unit at a time changes the membership of the cluster store, is
//! away from it for a moment, or restores. A turn is kept while it is held, and
//! runs out when its holder is killed.

use std::time::Duration;

use tokio::time::Instant;

use super::Agent;
use crate::cluster::{Claim, Claimed, Etcd, EtcdError};
use crate::model::{AgentError, error_chain};

const KEY: &str = "/pg-backup-agent/membership";
const LIFE: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(8);
/// How long a hook waits for the turn of another unit to be over.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it waits for a cluster store that does not answer at all.
const SILENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(300);

/// Held until given back, or dropped: then it runs out.
pub struct Turn {
    etcd: Etcd,
    claim: Claim,
    keeper: tokio::task::JoinHandle<()>,
}

impl Agent {
    /// Waits until no other unit has its turn.
    pub async fn turn(&self, etcd: &Etcd) -> Result<Turn, AgentError> {
        let claim = self.wait_for_turn(etcd, LIFE, SILENCE).await?;
        let keeper = tokio::spawn(keep(etcd.clone(), claim.clone()));
        Ok(Turn { etcd: etcd.clone(), claim, keeper })
    }

    /// A turn that is not given back: it runs out after `pace`, so that what two
    /// units do one after the other has this much time between.
    pub async fn paced_turn(&self, etcd: &Etcd, pace: Duration) -> Result<(), AgentError> {
        // A unit that goes does not wait for others that are gone.
        self.wait_for_turn(etcd, pace, Duration::ZERO).await.map(drop)
    }

    async fn wait_for_turn(&self, etcd: &Etcd, life: Duration, silence: Duration) -> Result<Claim, AgentError> {
        let (own, begun) = (self.unit.to_string(), Instant::now());
        loop {
            let (why, patience) = match etcd.claim(KEY, &own, life).await {
                Ok(Claimed::Ours(claim)) => return Ok(claim),
                // Of a hook of ours that was killed: nobody is at work.
                Ok(Claimed::Theirs(unit)) if unit == own => (end_own(etcd).await, PATIENCE),
                Ok(Claimed::Theirs(unit)) => (format!("{unit} is being changed"), PATIENCE),
                Err(error) => (error_chain(&error), silence),
            };
            if begun.elapsed() >= patience {
                return Err(AgentError::fault("waiting for a turn in the cluster store", why));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn end_own(etcd: &Etcd) -> String {
    match etcd.delete(KEY).await {
        Ok(()) => "an earlier turn of this unit is being ended".to_owned(),
        Err(error) => error_chain(&error),
    }
}

async fn keep(etcd: Etcd, claim: Claim) {
    loop {
        tokio::time::sleep(KEEP).await;
        if let Err(error) = etcd.keep(&claim).await {
            tracing::info!("the turn was not kept: {}", error_chain(&error));
        }
    }
}

impl Turn {
    /// It runs out by itself where this does not reach etcd.
    pub async fn give_back(self) {
        self.keeper.abort();
        let released: Result<(), EtcdError> = self.etcd.release(&self.claim).await;
        if let Err(error) = released {
            tracing::info!("a turn was not given back, it runs out: {}", error_chain(&error));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
