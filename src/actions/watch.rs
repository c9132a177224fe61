//! Waits for a run of the engine, and looks after the store meanwhile: pgBackRest
//! alone goes on asking a store that is gone for many minutes, and all hooks of
//! the unit wait with it.

use std::time::Duration;

use tokio::time::{Instant, interval_at, sleep};

use crate::agent::Agent;
use crate::engine::pgbackrest::{BackupLog, Ended, Engine, EngineError, RunningProcess};
use crate::model::{Role, Timeline};
use crate::store::{Store, StoreError};
use crate::sys::process;

/// How long the store may be away before the run is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked.
const LOOK: Duration = Duration::from_secs(10);
/// An engine that was asked to end has this long.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Why a run has no outcome of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the store has been away for {} s: {gone}", PATIENCE.as_secs())]
    StoreGone { gone: StoreError, log: Option<BackupLog> },
    #[error("{why}")]
    Lost { way: Way, why: String, log: Option<BackupLog> },
}

/// Why a run is ended before its time.
#[derive(Debug)]
pub(super) struct Lost {
    pub way: Way,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The run reads from another unit as well, which is not what it was.
    PrimaryGone,
    /// Something else comes first.
    StandsBack,
}

/// Runs to the end; `tell` is called every `every`. A store that comes back in
/// time costs nothing but the time.
pub(super) async fn to_the_end(
    engine: &Engine,
    store: &Store,
    running: RunningProcess,
    every: Duration,
    lost: impl Future<Output = Lost>,
    mut tell: impl AsyncFnMut(),
) -> Result<Ended, WatchError> {
    let pid = running.pid();
    let end = engine.end(running);
    let away = gone(store);
    tokio::pin!(end, away, lost);
    let mut tick = interval_at(Instant::now() + every, every);
    let broken: Box<dyn FnOnce(Option<BackupLog>) -> WatchError> = loop {
        tokio::select! {
            ended = &mut end => return Ok(ended?),
            gone = &mut away => break Box::new(|log| WatchError::StoreGone { gone, log }),
            Lost { way, why } = &mut lost => break Box::new(move |log| WatchError::Lost { way, why, log }),
            _ = tick.tick() => tell().await,
        }
    };
    if let Some(pid) = pid {
        process::terminate(pid);
    }
    // Not ended in time: dropping it kills it.
    let log = tokio::time::timeout(LAST_WORDS, &mut end).await.ok().and_then(Result::ok).map(|ended| ended.log);
    Err(broken(log))
}

/// For runs that nothing ends.
pub(super) async fn never<T>() -> T {
    std::future::pending().await
}

/// Ends when the primary is no longer the one that the run began with: a unit
/// that loses its power says nothing, and pgBackRest waits for it ten minutes.
pub(super) async fn primary_lost(agent: &Agent) -> String {
    let first = primary(agent).await;
    let mut missing_since = None;
    loop {
        sleep(LOOK).await;
        match (&first, primary(agent).await) {
            (Some(first), Some(now)) if *first == now => missing_since = None,
            (Some((first, _)), Some((now, timeline))) => {
                // A fault that pgBackRest sees itself has better words.
                sleep(LAST_WORDS).await;
                return format!("the primary changed from {first} to {now}, on timeline {timeline}");
            }
            (None, _) => return never().await,
            (Some((first, _)), None) => {
                let since = *missing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PATIENCE {
                    return format!("the primary {first} has been away for {} s", PATIENCE.as_secs());
                }
            }
        }
    }
}

/// Member and timeline.
async fn primary(agent: &Agent) -> Option<(String, Timeline)> {
    let members = agent.patroni().ok()?.members().await.ok()?;
    let primary = members.into_iter().find(|member| member.role == Role::Primary && member.running)?;
    Some((primary.name, primary.timeline?))
}

/// Ends when the store did not answer for [`PATIENCE`].
async fn gone(store: &Store) -> StoreError {
    let mut since = None;
    loop {
        sleep(LOOK).await;
        match store.look().await {
            Ok(()) => since = None,
            Err(error) => {
                let since = *since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PATIENCE {
                    return error;
                }
            }
        }
    }
}
