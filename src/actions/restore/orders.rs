//! The driver's side of a restore: tells all units what to do and waits until
//! they have done it. A cluster of one is told nothing: its unit does it all.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::part;
use crate::actions::Progress;
use crate::agent::{Agent, HeldClaim, RestoreKeys, STORE_PATIENCE, Told};
use crate::model::{AgentError, Timeline};
use crate::restore::{Order, Part, Record, Stage, first_back, newest_of_the_dead, the_primary};

/// How long the others may take to hear of a stage and to do it.
const HEAR: Duration = Duration::from_secs(45);
/// The repository may be slow to take the last WAL.
/// And a hook that waits for something may hold a unit's lock: nothing is stopped yet.
const SEAL: Duration = Duration::from_secs(200);
/// A clean shutdown writes everything out.
const STOP: Duration = Duration::from_secs(240);
/// Putting back starts a database.
const BACK: Duration = Duration::from_secs(420);
/// Those whose data comes back after the first: they finish it by themselves.
const BACK_AFTER: Duration = Duration::from_secs(60);
/// Without its old primary a cluster is put back on a replica that is whole, but not at once.
const PRIMARY_AWAY: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(150);

/// What a cluster of several units has beside its order.
struct Shared {
    keys: RestoreKeys,
    /// As it was read or written last.
    told: Option<Told>,
    driving: HeldClaim,
    /// Units that answer; the others follow when they are back.
    awaited: BTreeSet<String>,
}

pub(super) struct Orders {
    order: Order,
    shared: Option<Shared>,
}

/// What the primary said when it had stopped, or before.
#[derive(Debug, Clone)]
pub(super) struct OfPrimary {
    pub timeline: Timeline,
}

impl Orders {
    /// Claims the restore: one at a time in a cluster. Nothing is told yet.
    pub async fn begin(agent: &Agent, record: &Record) -> Result<Self, AgentError> {
        Self::claim(agent, order_of(agent, record), None).await
    }

    async fn claim(agent: &Agent, order: Order, told: Option<Told>) -> Result<Self, AgentError> {
        if !agent.has_company() {
            return Ok(Self { order, shared: None });
        }
        let keys = agent.restore_keys()?.patient();
        let driving = keys.drive().await?;
        let told = match told {
            Some(told) => Some(told),
            None => keys.order().await?,
        };
        let awaited = listening(&keys, &order, agent).await?;
        Ok(Self { order, shared: Some(Shared { keys, told, driving, awaited }) })
    }

    /// Who takes part, as it is now: units come, go and come back while a backup is fetched.
    /// Answers those that do not hear us. One whose Patroni runs all the same could
    /// be promoted in the middle of it: nothing is begun then.
    pub async fn muster(&mut self, agent: &Agent) -> Result<Vec<String>, AgentError> {
        let Some(shared) = &mut self.shared else { return Ok(Vec::new()) };
        let failed = |error| AgentError::fault("asking the cluster store for its members", error);
        let members = agent
            .etcd()?
            .patient(STORE_PATIENCE)
            .members()
            .await
            .map_err(failed)?
            .into_iter()
            .map(|member| member.name);
        let patronis = shared.keys.patronis().await?;
        let names = members.chain(patronis.iter().cloned());
        self.order.units = names.filter_map(|name| unit_of(&name)).chain([agent.unit.to_string()]).collect();
        shared.awaited = listening(&shared.keys, &self.order, agent).await?;
        let is_away = |unit: &&String| **unit != agent.unit.to_string() && !shared.awaited.contains(*unit);
        let away: Vec<_> = self.order.units.iter().filter(is_away).cloned().collect();
        let deaf: Vec<_> = away.iter().filter(|unit| patronis.contains(&unit.replace('/', "-"))).cloned().collect();
        if deaf.is_empty() {
            return Ok(away);
        }
        Err(AgentError::refused(
            format!("Unit cannot restore backup as the service of {} does not answer", deaf.join(", ")),
            "Its next hook starts it (update-status, every few minutes): run the restore again after it",
        ))
    }

    /// Tells the stage, does this unit's part, waits for the others'.
    async fn stage(&mut self, agent: &mut Agent, stage: Stage, patience: Duration) -> Result<Vec<Part>, AgentError> {
        self.tell(stage).await?;
        let own = self.own_part(agent).await?;
        let parts = self.wait(own, patience).await?;
        match parts.iter().find_map(|part| part.failed.as_ref().map(|why| (&part.unit, why))) {
            None => Ok(parts),
            Some((unit, why)) => Err(AgentError::fault(format!("on {unit}"), why.clone())),
        }
    }

    /// Durable, and seen by all that ask from now on.
    async fn tell(&mut self, stage: Stage) -> Result<(), AgentError> {
        self.order.stage = stage;
        if let Some(shared) = &mut self.shared {
            shared.told = Some(shared.keys.tell(self.order.clone(), shared.told.as_ref()).await?);
        }
        Ok(())
    }

    async fn own_part(&self, agent: &mut Agent) -> Result<Part, AgentError> {
        let own = part::perform(agent, &self.order).await?;
        if let Some(shared) = &self.shared {
            shared.keys.answer(&own).await?;
        }
        Ok(own)
    }

    async fn wait(&self, own: Part, patience: Duration) -> Result<Vec<Part>, AgentError> {
        let Some(shared) = &self.shared else { return Ok(vec![own]) };
        let deadline = Instant::now() + patience;
        loop {
            let mut parts = self.answers(shared).await?;
            parts.retain(|part| part.unit != own.unit);
            parts.push(own.clone());
            let missing = missing(&shared.awaited, &parts);
            if missing.is_empty() || parts.iter().any(|part| part.failed.is_some()) {
                return Ok(parts);
            }
            let gone = gone(shared, &missing).await?;
            if Instant::now() >= deadline || !gone.is_empty() {
                let (who, what) = if gone.is_empty() { (missing, "did not answer") } else { (gone, "is gone") };
                let why = format!("{} {what}", who.join(", "));
                return Err(AgentError::fault("waiting for the other units", why));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn answers(&self, shared: &Shared) -> Result<Vec<Part>, AgentError> {
        Ok(shared.keys.parts().await?.into_iter().filter(|part| part.answers(&self.order)).collect())
    }

    /// The primary archives its last WAL. It is also the question who it is.
    pub async fn seal(&mut self, agent: &mut Agent) -> Result<OfPrimary, AgentError> {
        let parts = self.stage(agent, Stage::Seal, SEAL).await?;
        let dead = newest_of_the_dead(&parts);
        let dead = || parts.iter().find(|part| Some(&part.unit) == dead.as_ref());
        let none = || {
            AgentError::refused(
                "Unit cannot restore backup as no unit is the primary, or it changed while they were asked",
                "Patroni makes one the primary when it can: juju status; patronictl list",
            )
        };
        let primary = the_primary(&parts).or_else(dead).cloned().ok_or_else(none)?;
        let timeline = primary.timeline.ok_or_else(|| AgentError::Bug("a primary without a timeline".to_owned()))?;
        self.order.primary = Some(primary.unit);
        Ok(OfPrimary { timeline })
    }

    /// Everything stands still, and every replica has what the primary had.
    pub async fn stop_all(&mut self, agent: &mut Agent) -> Result<OfPrimary, AgentError> {
        self.stage(agent, Stage::Hold, HEAR).await?;
        let parts = self.stage(agent, Stage::StopPrimary, STOP).await?;
        let stopped = parts.into_iter().find_map(|part| part.shut_down_at.zip(part.timeline));
        let (shut_down_at, timeline) =
            stopped.ok_or_else(|| AgentError::Bug("the primary did not say where it ended".to_owned()))?;
        self.stage(agent, Stage::StopReplicas { shut_down_at }, STOP).await?;
        Ok(OfPrimary { timeline })
    }

    pub async fn aside(&mut self, agent: &mut Agent) -> Result<(), AgentError> {
        self.stage(agent, Stage::Aside, HEAR).await.map(|_| ())
    }

    /// One that was held up for long may have been taken back meanwhile: it must not
    /// start what the others have given up.
    pub async fn is_ours_still(&self) -> Result<(), AgentError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let told = shared.keys.order().await?;
        if shared.driving.lasts().await && told.is_some_and(|told| told.order == self.order) {
            return Ok(());
        }
        Err(AgentError::fault("going on with the restore", "another unit has taken over".to_owned()))
    }

    /// The old cluster is forgotten: who leads from now on has the restored data.
    pub async fn adopts(&mut self) -> Result<(), AgentError> {
        self.order.adopts = true;
        self.tell(Stage::Aside).await
    }

    /// Another unit may have told of the commit.
    pub fn is_committed(&self) -> bool {
        self.order.stage == Stage::Join
    }

    /// The commit: from here on nobody goes back.
    pub async fn commit(&mut self, agent: &mut Agent) -> Result<(), AgentError> {
        self.tell(Stage::Join).await?;
        self.own_part(agent).await.map(|_| ())
    }

    /// The order says so before anything moves; what was told already stays.
    pub async fn take_back(&mut self, agent: &mut Agent, why: &str) -> Result<(), AgentError> {
        let told = match &self.order.stage {
            Stage::Join => return Err(AgentError::Bug("a restore that is committed is not taken back".to_owned())),
            Stage::PutBack { first, .. } if self.is_there(agent, first).await? => Some(first.clone()),
            _ => None,
        };
        let first = match told {
            Some(first) => first,
            None => {
                let first = self.choose_first(agent).await?;
                let stage = Stage::PutBack { why: why.to_owned(), first: first.clone() };
                if self.order.stage != stage {
                    self.tell(stage).await?;
                }
                first
            }
        };
        let own = self.own_part(agent).await?;
        if let Some(why) = own.failed {
            return Err(AgentError::fault("putting the old data back", why));
        }
        self.wait_for_first(&first, &own).await
    }

    async fn wait_for_first(&self, first: &str, own: &Part) -> Result<(), AgentError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let begun = Instant::now();
        loop {
            let parts = self.answers(shared).await?;
            let of_first = parts.iter().find(|part| part.unit == first);
            let first_is_back = *first == own.unit || of_first.is_some_and(|part| part.failed.is_none());
            let done = parts.into_iter().filter(|part| part.failed.is_none()).chain([own.clone()]).collect::<Vec<_>>();
            let all_are_back = missing(&shared.awaited, &done).is_empty();
            if first_is_back && (all_are_back || begun.elapsed() >= BACK_AFTER) {
                return Ok(());
            }
            if begun.elapsed() >= BACK {
                return Err(AgentError::fault("putting the old data back", format!("{first} is not up yet")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_there(&self, agent: &Agent, unit: &str) -> Result<bool, AgentError> {
        match &self.shared {
            Some(shared) => {
                Ok(unit == agent.unit.to_string() || shared.keys.listeners().await?.iter().any(|one| one.unit == unit))
            }
            None => Ok(true),
        }
    }

    async fn choose_first(&self, agent: &Agent) -> Result<String, AgentError> {
        let own = agent.unit.to_string();
        let Some(shared) = &self.shared else { return Ok(own) };
        let Some(primary) = self.order.primary.clone() else {
            // Nothing was stopped before the primary was known.
            return Ok(own);
        };
        let begun = Instant::now();
        loop {
            let (parts, listening) = (shared.keys.parts().await?, shared.keys.listeners().await?);
            let first =
                first_back(&self.order, &parts, |unit| unit == own || listening.iter().any(|one| one.unit == unit));
            match first {
                Some(first) if first == primary || begun.elapsed() >= PRIMARY_AWAY => return Ok(first),
                None if begun.elapsed() >= PRIMARY_AWAY => {
                    let why = format!("{primary}, whose data is the newest, does not answer; it goes on when it does");
                    return Err(AgentError::fault("putting the old data back", why));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// After the commit the others copy the restored cluster: waits a while for those
    /// that listen, and answers who is not there yet.
    pub async fn followed(&self, agent: &Agent, progress: &Progress, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        let others: Vec<_> = self.order.units.iter().filter(|unit| **unit != self.order.driver).collect();
        let mut told = BTreeSet::new();
        loop {
            let there = streaming(agent).await;
            for unit in others.iter().filter(|unit| there.contains(unit)) {
                if told.insert((*unit).clone()) {
                    progress.say(&format!("{unit} follows the restored cluster")).await;
                }
            }
            let missing: Vec<_> =
                others.iter().filter(|unit| !there.contains(unit)).map(|unit| (*unit).clone()).collect();
            let awaited = |unit: &String| self.shared.as_ref().is_some_and(|shared| shared.awaited.contains(unit));
            if !missing.iter().any(awaited) || Instant::now() >= deadline {
                return missing;
            }
            tokio::time::sleep(POLL * 2).await;
        }
    }

    pub async fn end(self) {
        if let Some(shared) = self.shared {
            shared.driving.release().await;
        }
    }
}

/// Those of them whose service has not been heard for as long as its claim lives.
async fn gone(shared: &Shared, missing: &[String]) -> Result<Vec<String>, AgentError> {
    let listeners = shared.keys.listeners().await?;
    let is_gone = |unit: &&String| listeners.iter().all(|one| one.unit != **unit);
    Ok(missing.iter().filter(is_gone).cloned().collect())
}

fn missing(awaited: &BTreeSet<String>, parts: &[Part]) -> Vec<String> {
    awaited.iter().filter(|unit| parts.iter().all(|part| part.unit != **unit)).cloned().collect()
}

async fn listening(keys: &RestoreKeys, order: &Order, agent: &Agent) -> Result<BTreeSet<String>, AgentError> {
    let (listeners, own) = (keys.listeners().await?, agent.unit.to_string());
    let listens = |unit: &&String| **unit != own && listeners.iter().any(|one| one.unit == **unit);
    Ok(order.units.iter().filter(listens).cloned().collect())
}

/// Members are named after their units.
pub(super) fn unit_of(member: &str) -> Option<String> {
    member.rsplit_once('-').map(|(application, number)| format!("{application}/{number}"))
}

fn order_of(agent: &Agent, record: &Record) -> Order {
    let others = agent.file.peers.iter().filter(|(_, peer)| peer.joined).map(|(unit, _)| unit.clone());
    Order {
        version: 1,
        id: record.id.clone(),
        label: record.label.clone(),
        undoes: record.undoes.clone(),
        driver: agent.unit.to_string(),
        units: std::iter::once(agent.unit.to_string()).chain(others).collect(),
        primary: None,
        adopts: false,
        stage: Stage::Seal,
    }
}

/// Units that stream from this one.
async fn streaming(agent: &Agent) -> Vec<String> {
    let Ok(session) = agent.postgres().await else { return Vec::new() };
    let names = session.streaming_members().await.unwrap_or_default();
    names.iter().filter_map(|name| unit_of(name)).collect()
}

/// The claim of a restore of this unit that did not end well: nobody else commits it or takes it back meanwhile.
pub(super) async fn of_own(agent: &Agent, record: &Record) -> Result<Orders, AgentError> {
    let mut orders = Orders::begin(agent, record).await?;
    let told = orders.shared.as_ref().and_then(|shared| shared.told.as_ref()).map(|told| told.order.clone());
    if let Some(order) = told.filter(|order| order.id == record.id) {
        orders.order = order;
    }
    Ok(orders)
}

/// Takes a restore back whose driver is gone.
pub(super) async fn take_over(agent: &mut Agent, told: Told, why: &str) -> Result<(), AgentError> {
    let mut orders = Orders::claim(agent, told.order.clone(), Some(told)).await?;
    let outcome = orders.take_back(agent, why).await;
    orders.end().await;
    outcome
}

/// The restored cluster serves, and its driver did not come to say so.
pub(super) async fn commit_for(agent: &mut Agent, told: Told) -> Result<(), AgentError> {
    let mut orders = Orders::claim(agent, told.order.clone(), Some(told)).await?;
    let outcome = orders.commit(agent).await;
    orders.end().await;
    outcome
}
