//! create-backup: observe, decide, act, report. The backup is found again by
//! its annotation, and its WAL is proven to be in the repository, before
//! anybody is told that it was made.

use std::time::Duration;

use tokio::time::Instant;

use super::backup_journal::{self, FailedNote, RunningRecord};
use super::due_backup;
use super::watch::{self, Lost, WatchError, Way};
use super::{Progress, Results};
use crate::agent::{Agent, BackupClaim, BackupNote, take_backup_lock};
use crate::engine::pgbackrest::{EngineError, REQUEST_ANNOTATION};
use crate::model::{AgentError, Backup, BackupId, BackupKind, BackupPlan, CopyFrom, FailedRun, Observed, error_chain};
use crate::policy::Refusal;
use crate::store::{self, Store, StoreError};
use crate::sys::{clock, environment};
use crate::{observe, policy, report};

/// How often the engine is asked how far it is.
const WATCH: Duration = Duration::from_millis(500);
/// A line of progress at least this often.
const TELL: Duration = Duration::from_secs(10);

pub async fn create_backup(agent: &mut Agent, progress: &Progress, kind: BackupKind) -> Result<Results, AgentError> {
    super::heal(agent, progress).await;
    made(agent, progress, kind, watch::never()).await
}

/// `given_up` ends it before its time, and says why.
pub(super) async fn made(
    agent: &Agent,
    progress: &Progress,
    kind: BackupKind,
    given_up: impl Future<Output = String>,
) -> Result<Results, AgentError> {
    let Some(_lock) = take_backup_lock(agent.layout())? else {
        return Err(Refusal::EngineBusy { who: format!("a backup is running on {}", agent.unit) }.into());
    };
    backup_journal::settled(agent).await;
    let (plan, record) = decide(agent, kind).await?;
    let claim = claim(agent, &record).await?;
    let outcome = claimed(agent, progress, &plan, &record, given_up).await;
    if let Some(claim) = claim {
        claim.release().await;
    }
    if outcome.is_ok() {
        due_backup::is_made(agent, &record).await;
    }
    outcome
}

/// Two units may have been allowed in the same moment.
async fn claim(agent: &Agent, record: &RunningRecord) -> Result<Option<BackupClaim>, AgentError> {
    let note = BackupNote::of(&agent.unit, record.kind, record.started);
    let claimed = agent.claim_backup(&note).await?;
    claimed.map_err(|other| Refusal::EngineBusy { who: format!("a backup is running on {}", other.unit) }.into())
}

async fn claimed(
    agent: &Agent,
    progress: &Progress,
    plan: &BackupPlan,
    record: &RunningRecord,
    given_up: impl Future<Output = String>,
) -> Result<Results, AgentError> {
    let store = agent.store()?;
    before(agent, &store, record).await?;
    backup_journal::open(agent, record)?;
    let outcome = run(agent, progress, &store, plan, record, given_up).await;
    finish(agent, &store, record, outcome).await
}

/// May this unit back up now? Refused as the action would be.
pub(super) async fn may(agent: &Agent, kind: BackupKind) -> Result<BackupPlan, AgentError> {
    let catalog = match kind {
        BackupKind::Full => Observed::unknown("not asked for"),
        _ => observe::catalog(agent).await,
    };
    let facts = observe::facts(agent, super::restore::under_way(agent).await, &catalog).await;
    Ok(policy::plan_backup(&facts, kind)?)
}

async fn decide(agent: &Agent, kind: BackupKind) -> Result<(BackupPlan, RunningRecord), AgentError> {
    let plan = may(agent, kind).await?;
    let random = environment::random_hex(16).map_err(|error| AgentError::fault("naming the request", error))?;
    let request = format!("{}-{random}", agent.unit.member());
    Ok((plan, RunningRecord { request, kind, started: clock::now(), failed: None }))
}

/// The repository takes what we write, before the database is disturbed.
async fn before(agent: &Agent, store: &Store, record: &RunningRecord) -> Result<(), AgentError> {
    store::canary(store, &record.request).await.map_err(|error| not_writable(agent, record, &error))?;
    put_latest(agent, store, record).await.map_err(|error| not_writable(agent, record, &error))
}

async fn put_latest(agent: &Agent, store: &Store, record: &RunningRecord) -> Result<(), StoreError> {
    let about = store::Latest {
        requested: record.started,
        model: agent.file.model.clone(),
        application: agent.unit.application.clone(),
        unit: agent.unit.to_string(),
        juju_version: agent.file.juju_version.clone(),
    };
    store::put_latest(store, &agent.stanza, &about).await
}

fn not_writable(agent: &Agent, record: &RunningRecord, error: &dyn std::error::Error) -> AgentError {
    AgentError::refused(
        format!("Failed to upload metadata to provided S3: {}", error_chain(error)),
        format!(
            "The database was not touched. When the store takes writes again: juju run {} create-backup type={}",
            agent.unit, record.kind
        ),
    )
}

struct Made {
    /// Both outputs of the engine.
    log: String,
    backup: Backup,
}

/// What went wrong, and what the engine said until then.
struct Broken {
    error: AgentError,
    log: String,
}

async fn run(
    agent: &Agent,
    progress: &Progress,
    store: &Store,
    plan: &BackupPlan,
    record: &RunningRecord,
    given_up: impl Future<Output = String>,
) -> Result<Made, Broken> {
    let engine = agent.engine();
    let failed = |log: String| move |error: EngineError| Broken { log, error: backup_failed(agent, error) };
    let total = match agent.postgres().await {
        Ok(session) => session.size().await.ok(),
        Err(_) => None,
    };
    progress.say(&format!("{} backup of {} started", record.kind, agent.stanza)).await;
    let process = engine.start_backup(plan, &record.request).await.map_err(failed(String::new()))?;
    let mut told = None;
    let tell = async || tell(agent, progress, total, record, &mut told).await;
    let primary_gone = async {
        match plan.copy_from {
            CopyFrom::Primary => watch::never().await,
            CopyFrom::Standby => watch::primary_lost(agent).await,
        }
    };
    let lost = async {
        tokio::select! {
            why = primary_gone => Lost { way: Way::PrimaryGone, why },
            why = given_up => Lost { way: Way::StandsBack, why },
        }
    };
    let ended = match watch::to_the_end(&engine, store, process, WATCH, lost, tell).await {
        Ok(ended) => ended,
        Err(WatchError::Engine(error)) => return Err(failed(String::new())(error)),
        Err(gone) => return Err(broken_off(agent, record, gone)),
    };
    let text = store::log_text(&ended.log.stdout, &ended.log.stderr);
    ended.outcome.map_err(failed(text.clone()))?;
    match prove(agent, record).await {
        Ok(backup) => Ok(Made { log: text, backup }),
        Err(error) => Err(Broken { error, log: text }),
    }
}

/// Tells how far the engine is: as soon as it knows, then every [`TELL`].
async fn tell(
    agent: &Agent,
    progress: &Progress,
    total: Option<u64>,
    record: &RunningRecord,
    told: &mut Option<Instant>,
) {
    let running = agent.engine().running_backup().await.ok().flatten();
    let percent = running.and_then(|running| running.percent_hundredths);
    let elapsed = (clock::now() - record.started).to_std().unwrap_or_default();
    let due = told.map_or(elapsed >= TELL || percent.is_some(), |told| told.elapsed() >= TELL);
    if due {
        progress.say(&report::progress::line(percent.unwrap_or(0), total, elapsed)).await;
        *told = Some(Instant::now());
    }
}

/// Finds the backup by its annotation and looks for every WAL segment it needs.
async fn prove(agent: &Agent, record: &RunningRecord) -> Result<Backup, AgentError> {
    let engine = agent.engine();
    let catalog = engine.catalog().await.map_err(|error| AgentError::fault("Failed to retrieve backup id", error))?;
    let found = catalog.annotated(REQUEST_ANNOTATION, &record.request).cloned();
    let backup = found.ok_or_else(|| {
        AgentError::fault(
            "Failed to retrieve backup id",
            "the engine ended well, but the catalog does not list the backup".to_owned(),
        )
    })?;
    let size = match agent.postgres().await {
        Ok(session) => session.wal_segment_size().await,
        Err(error) => Err(error),
    };
    let size = size.map_err(|error| AgentError::fault("proving the backup's WAL", error))?;
    let missing = engine.missing_wal(&backup, size).await;
    match missing.map_err(|error| AgentError::fault("proving the backup's WAL", error))?.as_slice() {
        [] => Ok(backup),
        [first, rest @ ..] => Err(AgentError::refused(
            format!(
                "Failed to backup PostgreSQL with error: WAL {first} and {} more are not in the repository",
                rest.len()
            ),
            format!("The backup {} cannot be restored without them; take another full backup", backup.id()),
        )),
    }
}

fn backup_failed(agent: &Agent, error: EngineError) -> AgentError {
    let hint = format!("{} The whole log: {}", error.hint(), agent.layout().log().display());
    AgentError::refused(format!("Failed to backup PostgreSQL with error: {}", error_chain(&error)), hint)
}

fn broken_off(agent: &Agent, record: &RunningRecord, gone: WatchError) -> Broken {
    let log = match &gone {
        WatchError::StoreGone { log: Some(log), .. } | WatchError::Lost { log: Some(log), .. } => {
            store::log_text(&log.stdout, &log.stderr)
        }
        _ => String::new(),
    };
    let when = match &gone {
        WatchError::Lost { way: Way::PrimaryGone, .. } => "When juju status shows a primary again, on a replica",
        WatchError::Lost { way: Way::StandsBack, .. } => "It is begun again by itself afterwards, or",
        _ => "When the store answers again",
    };
    let error = AgentError::refused(
        format!("Failed to backup PostgreSQL with error: {}", error_chain(&gone)),
        format!("Nothing is left to clean up. {when}: juju run {} create-backup type={}", agent.unit, record.kind),
    );
    Broken { error, log }
}

/// Leaves a log object in the repository, whatever came of it.
async fn finish(
    agent: &Agent,
    store: &Store,
    record: &RunningRecord,
    outcome: Result<Made, Broken>,
) -> Result<Results, AgentError> {
    match outcome {
        Ok(made) => {
            backup_journal::close(agent)?;
            let mut results = report::results::created(&made.backup);
            // pgBackRest has removed it: it keeps a link of that name on other stores.
            let _ = put_latest(agent, store, record).await;
            // The backup is there and proven: a log that could not be left does not undo it.
            if let Err(error) = store::put_log(store, &agent.stanza, made.backup.id(), &made.log).await {
                results.push(("warning".to_owned(), format!("Error uploading logs to S3: {}", error_chain(&error))));
            }
            Ok(results)
        }
        Err(broken) => {
            // An engine that was killed leaves workers, which hold its lock.
            agent.engine().end_leftovers().await;
            let run = failed_run(agent, record, &broken.error);
            let failed = RunningRecord { failed: Some(FailedNote { run, log: broken.log }), ..record.clone() };
            // The user is told why it failed, whatever becomes of the note.
            match backup_journal::open(agent, &failed) {
                Ok(()) => backup_journal::settled(agent).await,
                Err(error) => tracing::warn!("the failed run could not be noted: {}", error_chain(&error)),
            }
            Err(broken.error)
        }
    }
}

fn failed_run(agent: &Agent, record: &RunningRecord, error: &AgentError) -> FailedRun {
    FailedRun {
        kind: record.kind,
        unit: agent.unit.to_string(),
        started: BackupId::at(record.started).moment(),
        finished: clock::now(),
        reason: error.explain().replace(['\n', '\r'], " "),
    }
}
