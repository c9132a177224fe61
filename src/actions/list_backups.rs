//! list-backups: finished, failed and running backups of the repository.

use std::collections::BTreeMap;

use super::Results;
use super::archive::{self, Reader};
use crate::agent::{Agent, BackupNote};
use crate::juju::Juju;
use crate::model::{AgentError, Archives, Catalog, Observed, TimelineHistory, WalMarks, WalSegment, error_chain};
use crate::policy::{self, RecoveryWindow};
use crate::report::{self, Listing};
use crate::store::failed_runs;

/// Failed runs shown at most, the newest.
const FAILED_SHOWN: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    Table,
    Json,
}

pub async fn list_backups(agent: &Agent, format: ListFormat) -> Result<Results, AgentError> {
    let listing = listing(agent).await.map_err(|error| match error {
        AgentError::Refused { .. } => error,
        error => AgentError::refused(
            format!(
                "Failed to list PostgreSQL backups with error: Failed to list backups with error: {}",
                error_chain(&error)
            ),
            "Nothing was changed; when the store answers again, so does this",
        ),
    })?;
    let text = match format {
        ListFormat::Table => report::table::backups(&listing),
        ListFormat::Json => report::json::backups(&listing).to_string(),
    };
    let window = ("recovery-window".to_owned(), report::window::lines(&listing.window));
    if Juju::fits_a_result(&text) {
        return Ok(vec![("backups".to_owned(), text), window]);
    }
    // Juju captures standard output with no such limit, as result `stdout`.
    println!("{text}");
    let note = "too long for a result: the whole is in `stdout`".to_owned();
    let shown = match format {
        ListFormat::Table => text,
        ListFormat::Json => serde_json::json!({"version": 1, "truncated": true, "backups": []}).to_string(),
    };
    Ok(vec![("backups".to_owned(), shown), ("note".to_owned(), note), window])
}

async fn listing(agent: &Agent) -> Result<Listing, AgentError> {
    let settings = match agent.repository() {
        Some(settings) => settings?,
        None => return Err(agent.store().err().unwrap_or(AgentError::Bug("no repository, but a store".to_owned()))),
    };
    if !agent.file.repository_ready {
        // The engine may still look at the repository before this one.
        let why = agent.file.repository_problem.clone().unwrap_or_else(|| "it is being set up".to_owned());
        return Err(AgentError::refused(
            format!("Failed to list PostgreSQL backups with error: the repository is not ready: {why}"),
            "The charm tries again at every hook, and create-backup at once; juju status shows what is in its way",
        ));
    }
    let engine = agent.engine();
    let store = agent.store()?;
    // Our own client first: a store that is away says so in its own words, and
    // at once; the engine has more patience than the user.
    let failed = failed_runs(&store, &agent.stanza, FAILED_SHOWN).await;
    let failed = failed.map_err(|error| AgentError::fault("reading the repository", error))?;
    let catalog = engine.catalog().await.map_err(|error| AgentError::fault("reading the catalog", error))?;
    let archives = archives(agent, &catalog).await?;
    let window = recovery_window(agent, &catalog, &archives).await;
    let running = engine.running_backup().await.map_err(|error| AgentError::fault("asking the engine", error))?;
    let kind = super::backup_journal::read(agent)?;
    Ok(Listing {
        bucket: settings.bucket,
        path: settings.path,
        stanza: agent.stanza.clone(),
        backups: catalog.backups.clone(),
        failed,
        running: match running.zip(kind.filter(|record| record.failed.is_none())) {
            Some((running, record)) => Some(report::Running {
                kind: record.kind,
                started: record.started,
                percent_hundredths: running.percent_hundredths,
            }),
            None => elsewhere(agent).await,
        },
        histories: histories(&archives),
        window,
    })
}

/// A backup that another unit takes. A cluster store that does not answer keeps
/// nobody from seeing what is in the repository.
async fn elsewhere(agent: &Agent) -> Option<report::Running> {
    let note = agent.claimed_backup().await.ok().flatten().filter(|note| note.unit != agent.unit.to_string())?;
    let BackupNote { kind, started, percent_hundredths, .. } = note;
    Some(report::Running { kind, started, percent_hundredths })
}

async fn archives(agent: &Agent, catalog: &Catalog) -> Result<Archives, AgentError> {
    if catalog.stanza_exists { archive::archives(agent).await } else { Ok(Archives::default()) }
}

/// Timelines begin with a restore or a failover; the first one has no history.
fn histories(archives: &Archives) -> Vec<TimelineHistory> {
    let mut histories: Vec<_> = archives.values().flat_map(|archive| archive.histories.iter().copied()).collect();
    histories.sort_by_key(|history| (history.created, history.timeline));
    histories
}

/// Of this database. Only where a gap is, WAL is read, to tell the last instant before it.
async fn recovery_window(agent: &Agent, catalog: &Catalog, archives: &Archives) -> Observed<RecoveryWindow> {
    const GAPS: usize = 4;
    let (present, size) = match archive::present(agent).await {
        Ok((timeline, size)) => (Some(timeline), size),
        Err(error) => return Observed::unknown(error_chain(&error)),
    };
    let id = catalog.archive_id.clone().unwrap_or_default();
    let timelines = archive::timelines(agent, &id, archives.get(&id).cloned().unwrap_or_default(), present, size).await;
    let window = policy::recovery_window(catalog, &id, &timelines, &BTreeMap::new());
    let ends = policy::before_gaps(&window, &timelines);
    let marks = match ends.is_empty() {
        true => BTreeMap::new(),
        false => read(agent, ends.into_iter().rev().take(GAPS)).await,
    };
    Observed::Known(policy::recovery_window(catalog, &id, &timelines, &marks))
}

async fn read(agent: &Agent, segments: impl Iterator<Item = WalSegment>) -> BTreeMap<WalSegment, Observed<WalMarks>> {
    let mut marks = BTreeMap::new();
    // Without a place to read them in, ends are less exact.
    let Ok(reader) = Reader::new(agent) else { return marks };
    for segment in segments {
        marks.insert(segment, reader.read(segment).await);
    }
    marks
}
