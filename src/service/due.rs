//! Makes the backup that is due, when this unit may. It holds up no hook: the
//! unit's lock stays free.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Home;
use crate::actions::{self, DueOutcome};
use crate::agent::{DueBackup, RestoreKeys};
use crate::model::{AgentError, error_chain};
use crate::sys::clock;

const LOOK: Duration = Duration::from_secs(1);
/// Between two tries, doubled by each that failed.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// What the cluster store said last.
#[derive(Default)]
pub(super) struct Due(RefCell<Option<(RestoreKeys, DueBackup)>>);

impl Due {
    pub fn tell(&self, keys: &RestoreKeys, due: Option<DueBackup>) {
        *self.0.borrow_mut() = due.map(|due| (keys.clone(), due));
    }

    fn now(&self) -> Option<(RestoreKeys, DueBackup)> {
        self.0.borrow().clone().filter(|(_, due)| due.may_run(clock::now()))
    }
}

pub(super) async fn make(home: &Home, due: &Due) {
    let (mut pause, mut next) = (FIRST, Instant::now());
    let mut last = String::new();
    loop {
        sleep(LOOK).await;
        let Some((keys, due)) = due.now() else {
            (pause, next) = (FIRST, Instant::now());
            continue;
        };
        if Instant::now() < next {
            continue;
        }
        let said = match attempt(home, &keys, &due).await {
            DueOutcome::Made(results) => {
                pause = FIRST;
                let id = results.iter().find(|(key, _)| key == "backup-id").map(|(_, id)| id.clone());
                id.unwrap_or_default()
            }
            // On most units it is another unit's business.
            DueOutcome::NotHere(error) => error.explain(),
            DueOutcome::Failed(error) => {
                pause = (pause * 2).min(LONGEST);
                tracing::debug!("{}", error_chain(&error));
                error.explain()
            }
        };
        if said != last {
            tracing::info!("the backup after {}: {said}", due.after);
            last = said;
        }
        next = Instant::now() + pause;
    }
}

async fn attempt(home: &Home, keys: &RestoreKeys, due: &DueBackup) -> DueOutcome {
    let not_ready = || AgentError::refused("the repository of this unit is not ready", "juju status says why");
    match home.agent() {
        Ok(Some(agent)) if agent.file.repository_ready => actions::due_backup(&agent, keys, due).await,
        Ok(_) => DueOutcome::NotHere(not_ready()),
        Err(error) => DueOutcome::NotHere(error),
    }
}
