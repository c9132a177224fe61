//! Orders of a restore and what the units answer, in the cluster store; and the
//! claim of the unit that drives one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Agent;
use crate::cluster::{Claim, Claimed, Etcd, EtcdError, Revision};
use crate::model::{AgentError, error_chain};
use crate::restore::{Order, Part};

const ORDER: &str = "/pg-backup-agent/restore/order";
const PARTS: &str = "/pg-backup-agent/restore/part/";
const DRIVER: &str = "/pg-backup-agent/restore/driver";
const SEAL: &str = "/pg-backup-agent/restore/seal";
const SEALED: &str = "/pg-backup-agent/restore/sealed";
const SERVICES: &str = "/pg-backup-agent/service/";
/// Of a driver that does not keep its claim (then another unit puts back), and of a service's.
const LIFE: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(8);
/// Shorter than the life of a claim: who waits longer has lost it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What units tell each other in the cluster store about restores.
#[derive(Clone)]
pub struct RestoreKeys {
    pub(super) etcd: Etcd,
    unit: String,
    member: String,
    application: String,
}

/// The primary's answer to a plan that a replica makes.
#[derive(Serialize, Deserialize)]
struct Sealed {
    name: String,
    failed: Option<String>,
}

/// A unit whose service is there, and what it said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub unit: String,
    /// Free on the filesystem of its data.
    pub free_bytes: Option<u64>,
}

/// An order as it was read or written last.
#[derive(Debug, Clone)]
pub struct Told {
    pub order: Order,
    revision: Revision,
}

/// A claim that is kept; dropped or killed, it runs out.
pub struct Held {
    etcd: Etcd,
    claim: Claim,
    keeper: tokio::task::JoinHandle<()>,
}

fn failed(doing: &'static str) -> impl Fn(EtcdError) -> AgentError {
    move |error| AgentError::fault(doing, error)
}

impl Agent {
    /// One way into the cluster store for a whole restore: each costs etcd a check of a password.
    pub fn restore_keys(&self) -> Result<RestoreKeys, AgentError> {
        Ok(RestoreKeys {
            etcd: self.etcd()?,
            unit: self.unit.to_string(),
            member: self.member.name.clone(),
            application: self.unit.application.clone(),
        })
    }
}

impl RestoreKeys {
    /// For a restore that has begun: a cluster store that is away for a moment must not end it.
    /// Orders are compared, answers are the same the second time.
    pub fn patient(&self) -> Self {
        Self { etcd: self.etcd.patient(PATIENCE), ..self.clone() }
    }

    /// The order of the last restore, over or not.
    pub async fn order(&self) -> Result<Option<Told>, AgentError> {
        let read = self.etcd.get_with_revision(ORDER).await;
        let Some((text, revision)) = read.map_err(failed("asking the cluster store for a restore"))? else {
            return Ok(None);
        };
        let order = serde_json::from_str(&text);
        let order = order.map_err(|error| AgentError::fault("reading a restore in the cluster store", error))?;
        Ok(Some(Told { order, revision }))
    }

    /// Tells all units, unless another unit has told them something since `seen`.
    pub async fn tell(&self, order: Order, seen: Option<&Told>) -> Result<Told, AgentError> {
        let text = serde_json::to_string(&order).map_err(|error| AgentError::Bug(error.to_string()))?;
        let written = self.etcd.put_if(ORDER, &text, seen.map(|told| &told.revision)).await;
        if let Some(revision) = written.map_err(failed("telling the other units"))? {
            return Ok(Told { order, revision });
        }
        // A member of etcd that did not answer in time may have written it before the next was asked.
        match self.order().await? {
            Some(told) if told.order == order => Ok(told),
            _ => Err(AgentError::fault("telling the other units", "another unit has taken over".to_owned())),
        }
    }

    pub async fn answer(&self, part: &Part) -> Result<(), AgentError> {
        let text = serde_json::to_string(part).map_err(|error| AgentError::Bug(error.to_string()))?;
        let written = self.etcd.put(&format!("{PARTS}{}", self.member), &text).await;
        written.map_err(failed("answering the unit that restores"))
    }

    /// What every unit answered last, to whichever order.
    pub async fn parts(&self) -> Result<Vec<Part>, AgentError> {
        let texts = self.etcd.values_below(PARTS).await.map_err(failed("asking what the other units have done"))?;
        Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// A plan that a replica makes: the primary is asked to archive its last WAL, and
    /// its unit's service does it. `name` is the restore point's, and tells questions apart.
    pub async fn ask_for_seal(&self, name: &str, patience: Duration) -> Result<(), AgentError> {
        let doing = "asking the primary to archive its last WAL";
        self.etcd.put(SEAL, name).await.map_err(failed(doing))?;
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let answer = self.etcd.get(SEALED).await.map_err(failed(doing))?;
            let answer: Option<Sealed> = answer.and_then(|text| serde_json::from_str(&text).ok());
            match answer.filter(|answer| answer.name == name) {
                Some(Sealed { failed: None, .. }) => return Ok(()),
                Some(Sealed { failed: Some(why), .. }) => return Err(AgentError::fault(doing, why)),
                None if tokio::time::Instant::now() >= deadline => {
                    return Err(AgentError::fault(doing, "the service of its unit does not answer".to_owned()));
                }
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The restore point that a plan waits for, if nobody has answered yet.
    pub async fn seal_asked(&self) -> Result<Option<String>, AgentError> {
        let doing = "asking the cluster store for a plan that waits";
        let Some(name) = self.etcd.get(SEAL).await.map_err(failed(doing))? else { return Ok(None) };
        let answer = self.etcd.get(SEALED).await.map_err(failed(doing))?;
        let answer: Option<Sealed> = answer.and_then(|text| serde_json::from_str(&text).ok());
        Ok(answer.is_none_or(|answer| answer.name != name).then_some(name))
    }

    pub async fn tell_sealed(&self, name: String, why: Option<String>) -> Result<(), AgentError> {
        let text = serde_json::to_string(&Sealed { name, failed: why });
        let text = text.map_err(|error| AgentError::Bug(error.to_string()))?;
        self.etcd.put(SEALED, &text).await.map_err(failed("answering a plan"))
    }

    /// Members whose Patroni has told the cluster store lately that it runs.
    pub async fn patronis(&self) -> Result<Vec<String>, AgentError> {
        let scope = format!("/service/{}/members/", self.application);
        self.etcd.names_below(&scope).await.map_err(failed("asking which members run"))
    }

    /// The member that holds Patroni's lock.
    pub async fn leader(&self) -> Result<Option<String>, AgentError> {
        let leader = self.etcd.get(&format!("/service/{}/leader", self.application)).await;
        Ok(leader.map_err(failed("asking which member leads"))?.filter(|leader| !leader.is_empty()))
    }

    /// Units whose service is there.
    pub async fn listeners(&self) -> Result<Vec<Listener>, AgentError> {
        let texts = self.etcd.values_below(SERVICES).await.map_err(failed("asking which units listen"))?;
        Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// This unit's service is there, for as long as this is held.
    pub async fn announce(&self, free_bytes: Option<u64>) -> Result<Held, AgentError> {
        let (key, failed) = (format!("{SERVICES}{}", self.member), failed("telling that this unit listens"));
        // Of the service before this one.
        self.etcd.delete(&key).await.map_err(&failed)?;
        let said = self.said(free_bytes)?;
        match self.etcd.claim(&key, &said, LIFE).await.map_err(&failed)? {
            Claimed::Ours(claim) => Ok(Held::keep(&self.etcd, claim)),
            Claimed::Theirs(_) => Err(AgentError::fault("telling that this unit listens", "somebody does".to_owned())),
        }
    }

    fn said(&self, free_bytes: Option<u64>) -> Result<String, AgentError> {
        let said = Listener { unit: self.unit.clone(), free_bytes };
        serde_json::to_string(&said).map_err(|error| AgentError::Bug(error.to_string()))
    }

    /// The same claim with what is so by now. False: it has run out.
    pub async fn announce_again(&self, held: &Held, free_bytes: Option<u64>) -> Result<bool, AgentError> {
        Ok(self.etcd.rewrite(&held.claim, &self.said(free_bytes)?).await.is_ok())
    }

    /// The unit that drives a restore now.
    pub async fn driver(&self) -> Result<Option<String>, AgentError> {
        self.etcd.get(DRIVER).await.map_err(failed("asking which unit restores"))
    }

    /// Claims the restore for this unit, whose lock the caller holds.
    pub async fn drive(&self) -> Result<Held, AgentError> {
        if self.driver().await?.is_some_and(|driver| driver == self.unit) {
            // Of a process of ours that was killed.
            self.etcd.delete(DRIVER).await.map_err(failed("taking a restore over"))?;
        }
        let claimed = match self.etcd.claim(DRIVER, &self.unit, LIFE).await.map_err(failed("claiming the restore"))? {
            // Of the try before, whose answer was lost.
            Claimed::Theirs(unit) if unit == self.unit => {
                self.etcd.delete(DRIVER).await.map_err(failed("claiming the restore"))?;
                self.etcd.claim(DRIVER, &self.unit, LIFE).await.map_err(failed("claiming the restore"))?
            }
            claimed => claimed,
        };
        match claimed {
            Claimed::Ours(claim) => Ok(Held::keep(&self.etcd, claim)),
            Claimed::Theirs(unit) => Err(AgentError::refused(
                format!("a restore is under way: {unit} drives it"),
                "juju status shows how far it is",
            )),
        }
    }
}

async fn keep(etcd: Etcd, claim: Claim) {
    loop {
        tokio::time::sleep(KEEP).await;
        if let Err(error) = etcd.keep(&claim).await {
            tracing::info!("a claim was not kept: {}", error_chain(&error));
        }
    }
}

impl Held {
    fn keep(etcd: &Etcd, claim: Claim) -> Self {
        let keeper = tokio::spawn(keep(etcd.clone(), claim.clone()));
        Self { etcd: etcd.clone(), claim, keeper }
    }

    /// Did it last until now?
    pub async fn lasts(&self) -> bool {
        self.etcd.keep(&self.claim).await.is_ok()
    }

    pub async fn release(self) {
        self.keeper.abort();
        if let Err(error) = self.etcd.release(&self.claim).await {
            tracing::info!("a claim runs out by itself: {}", error_chain(&error));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
