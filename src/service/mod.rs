//! The unit service: what must not wait for a hook. It listens in the cluster
//! store and takes this unit's part when another unit leads a restore. When it
//! is down, hooks do what it would have done.
//!
//! It has no hook tools: what Juju must know of it, the next hook tells.

mod due;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use self::due::Due;
use crate::actions::{self, parts};
use crate::agent::{Agent, HeldClaim, RestoreKeys, Told, UnitFile, take_lock};
use crate::cluster::Layout;
use crate::model::{AgentError, error_chain};
use crate::restore::Task;
use crate::sys::environment::Vars;
use crate::sys::files;

/// Between two looks while nothing happens, and while a restore is under way.
const IDLE: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_millis(150);
const CHECK: Duration = Duration::from_secs(8);
/// After the claim of a driver has run out: its own unit may be about to go on.
const GRACE: Duration = Duration::from_secs(5);

/// Our way into the cluster store, until the unit's file says something else.
struct Link {
    keys: RestoreKeys,
    claim: HeldClaim,
    checked: Instant,
    of: String,
}

/// Where the unit's file is, and PATH.
#[derive(Clone)]
struct Home {
    path: String,
    unit_dir: PathBuf,
}

struct Service<'a> {
    home: Home,
    due: &'a Due,
    link: Option<Link>,
    driver_gone_since: Option<Instant>,
}

/// Runs until it is stopped. A backup takes hours, the other units wait for seconds: both at once.
pub async fn run(vars: &Vars, unit_dir: PathBuf) {
    let path = vars.get("PATH").cloned().unwrap_or_default();
    let home = Home { path, unit_dir };
    let due = Due::default();
    tokio::join!(listen(home.clone(), &due), due::make(&home, &due));
}

async fn listen(home: Home, due: &Due) {
    let mut service = Service { home, due, link: None, driver_gone_since: None };
    let mut last = String::new();
    loop {
        let pause = match service.look().await {
            Ok(pause) => pause,
            Err(error) => {
                service.link = None;
                // Once: a cluster store that is away would fill the log.
                let why = error_chain(&error);
                if why != last {
                    tracing::warn!("{why}");
                    last = why;
                }
                IDLE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl Home {
    /// `None`: the unit is not in the cluster, or leaves it.
    fn agent(&self) -> Result<Option<Agent>, AgentError> {
        let Some(file) = UnitFile::load(&self.layout().state())? else { return Ok(None) };
        if !file.joined || file.leaving || file.users.is_empty() {
            return Ok(None);
        }
        Agent::new(&self.path, self.unit_dir.clone(), file).map(Some)
    }

    fn layout(&self) -> Layout {
        Layout::below(&self.unit_dir)
    }
}

impl Service<'_> {
    /// One look; answers how long until the next.
    async fn look(&mut self) -> Result<Duration, AgentError> {
        let Some(agent) = self.home.agent()? else { return Ok(IDLE) };
        let keys = self.linked(&agent).await?;
        self.due.tell(&keys, keys.due_backup().await?);
        // Alone nobody needs its answer: hooks and actions do the rest.
        if !agent.has_company() {
            return Ok(IDLE);
        }
        if parts::own_is_open(&agent)? {
            return self.settle().await;
        }
        let (task, told) = parts::due(&agent, &keys).await?;
        let is_open = told.as_ref().is_some_and(|told| told.order.stage.is_open());
        let pause = match task {
            Task::Do => self.act(&keys).await?,
            Task::Nothing => parts::seal_if_asked(&agent, &keys).await.map(|()| IDLE)?,
            Task::Stay | Task::Wait => BUSY,
        };
        self.watch_driver(&agent, &keys, told).await?;
        Ok(if is_open { pause } else { pause.max(IDLE) })
    }

    async fn linked(&mut self, agent: &Agent) -> Result<RestoreKeys, AgentError> {
        let of = of(agent);
        if let Some(link) = self.link.as_mut().filter(|link| link.of == of) {
            if link.checked.elapsed() < CHECK {
                return Ok(link.keys.clone());
            }
            if link.keys.announce_again(&link.claim, free_bytes(agent)).await? {
                link.checked = Instant::now();
                return Ok(link.keys.clone());
            }
        }
        let keys = agent.restore_keys()?;
        let claim = keys.announce(free_bytes(agent)).await?;
        self.link = Some(Link { keys: keys.clone(), claim, checked: Instant::now(), of });
        Ok(keys)
    }

    /// A restore of this unit that nobody works at: its action was killed.
    async fn settle(&self) -> Result<Duration, AgentError> {
        let Ok(_lock) = take_lock(&self.home.layout()) else { return Ok(IDLE) };
        if let Some(mut agent) = self.home.agent()? {
            let conditions = actions::settle_restore(&mut agent).await;
            conditions.iter().for_each(|condition| tracing::warn!("{}", condition.text()));
        }
        Ok(IDLE)
    }

    async fn act(&self, keys: &RestoreKeys) -> Result<Duration, AgentError> {
        // A hook that holds it does the same, or ends soon.
        let Ok(_lock) = take_lock(&self.home.layout()) else { return Ok(BUSY) };
        let Some(mut agent) = self.home.agent()? else { return Ok(IDLE) };
        let Some(condition) = parts::follow(&mut agent, keys).await? else { return Ok(BUSY) };
        tracing::info!("{}", condition.text());
        // What did not work is tried again, at another pace.
        Ok(if condition.is_waiting() { IDLE } else { BUSY })
    }

    async fn watch_driver(&mut self, agent: &Agent, keys: &RestoreKeys, told: Option<Told>) -> Result<(), AgentError> {
        let own = agent.unit.to_string();
        let open = told.filter(|told| told.order.stage.is_open() && told.order.driver != own);
        let Some(told) = open else {
            self.driver_gone_since = None;
            return Ok(());
        };
        if keys.driver().await?.is_some() {
            self.driver_gone_since = None;
            return Ok(());
        }
        if self.driver_gone_since.get_or_insert_with(Instant::now).elapsed() < GRACE {
            return Ok(());
        }
        let Ok(_lock) = take_lock(&self.home.layout()) else { return Ok(()) };
        let Some(mut agent) = self.home.agent()? else { return Ok(()) };
        tracing::warn!("{} does not go on with its restore: this unit takes over", told.order.driver);
        parts::take_over(&mut agent, keys, told).await
    }
}

fn free_bytes(agent: &Agent) -> Option<u64> {
    files::free_bytes(&agent.layout().databases()).ok()
}

/// Tells one way into the cluster store from the next.
fn of(agent: &Agent) -> String {
    let read = |path: PathBuf| files::read(&path).ok().flatten().unwrap_or_default();
    let file = &agent.file;
    let peers: Vec<_> = file.peers.values().filter(|peer| peer.joined).map(|peer| peer.address.clone()).collect();
    let stage = format!("{:?}", file.stage);
    let passwords = format!("{:?}", file.users);
    let layout = agent.layout();
    agent.digest(&[
        &file.address,
        &peers.join(","),
        &stage,
        &passwords,
        &read(layout.unit_pem()),
        &read(layout.trusted()),
    ])
}
