//! A restore that is held: its copy is open for reading on a socket until a
//! person says continue-restore or cancel-restore. The cluster runs on.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{journal, recover, undo};
use crate::actions::{Results, due_backup};
use crate::agent::Agent;
use crate::cluster::Postgres;
use crate::model::{AgentError, Timeline};
use crate::policy::status::{Condition, active, waiting};
use crate::restore::Record;
use crate::sys::services::{Children, Service};

const NAME: &str = "held-copy";
/// Until it answers, and until it has ended.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

fn fault(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AgentError {
    AgentError::fault("opening the copy for reading", error)
}

/// Opens the copy; answers the folder of its socket.
pub(super) async fn open(agent: &Agent, record: &Record) -> Result<PathBuf, AgentError> {
    let place = recover::place(agent, record);
    let (invocation, socket) = place.open_for_reading().await.map_err(fault)?;
    let log = agent.layout().log().join("held-copy.log");
    let service = Service { name: NAME, invocation, log, children: Children::EndWithIt };
    agent.member.services.start(&service).await.map_err(fault)?;
    let deadline = Instant::now() + START;
    loop {
        match Postgres::connect(&socket, "postgres").await {
            Ok(_) => return Ok(socket),
            Err(error) if Instant::now() >= deadline => return Err(fault(error)),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Fine when it does not run.
pub(super) async fn close(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let place = recover::place(agent, record);
    place.end_leftover().await.map_err(|error| AgentError::fault("closing the copy", error))?;
    let stopped = agent.member.services.stop(NAME, STOP).await;
    stopped.map_err(|error| AgentError::fault("closing the copy", error))
}

/// A machine that was off has it open again; the status says what it waits for.
pub(super) async fn look_after(agent: &Agent) -> Result<Option<Condition>, AgentError> {
    let Some(record) = journal::held(agent)? else { return Ok(None) };
    if !agent.member.services.is_running(NAME).await
        && let Err(error) = open(agent, &record).await
    {
        return Ok(Some(waiting(format!("the copy of a held restore is not open: {}", error.explain()))));
    }
    Ok(Some(active(words(agent, &record))))
}

pub(super) fn words(agent: &Agent, record: &Record) -> String {
    let unit = &agent.unit;
    format!(
        "a restore of {} is held: juju run {unit} continue-restore, or juju run {unit} cancel-restore",
        record.label
    )
}

/// The held restore of this unit, or what to type instead.
pub(super) fn required(agent: &Agent) -> Result<Record, AgentError> {
    journal::held(agent)?.ok_or_else(|| {
        AgentError::refused(
            format!("There is no held restore on {}", agent.unit),
            format!(
                "juju run {}/leader restore backup-id=... hold=true holds one before the switch",
                agent.unit.application
            ),
        )
    })
}

/// Closed, and on a timeline above all that there is by now: a failover may have taken its number.
pub(super) async fn resume(agent: &Agent, record: &Record) -> Result<Timeline, AgentError> {
    close(agent, record).await?;
    undo::open_beyond(agent, record).await
}

pub(super) fn continued(agent: &Agent, record: &Record) -> Results {
    vec![
        ("restore-status".to_owned(), "restore started and finished".to_owned()),
        ("old-data".to_owned(), agent.layout().aside(&record.id).display().to_string()),
        ("next".to_owned(), due_backup::next(agent)),
    ]
}
