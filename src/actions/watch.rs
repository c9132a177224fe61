//! Waits for a run of the engine, and looks after the store meanwhile: pgBackRest
//! alone goes on asking a store that is gone for many minutes, and all hooks of
//! the unit wait with it.

use std::time::Duration;

use tokio::time::{Instant, interval_at, sleep};

use crate::engine::pgbackrest::{BackupLog, Ended, Engine, EngineError, RunningProcess};
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
}

/// Runs to the end; `tell` is called every `every`. A store that comes back in
/// time costs nothing but the time.
pub(super) async fn to_the_end(
    engine: &Engine,
    store: &Store,
    running: RunningProcess,
    every: Duration,
    mut tell: impl AsyncFnMut(),
) -> Result<Ended, WatchError> {
    let pid = running.pid();
    let end = engine.end(running);
    let away = gone(store);
    tokio::pin!(end, away);
    let mut tick = interval_at(Instant::now() + every, every);
    let gone = loop {
        tokio::select! {
            ended = &mut end => return Ok(ended?),
            gone = &mut away => break gone,
            _ = tick.tick() => tell().await,
        }
    };
    if let Some(pid) = pid {
        process::terminate(pid);
    }
    // Not ended in time: dropping it kills it.
    let log = tokio::time::timeout(LAST_WORDS, &mut end).await.ok().and_then(Result::ok).map(|ended| ended.log);
    Err(WatchError::StoreGone { gone, log })
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
