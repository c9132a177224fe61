//! Looks at the WAL in the repository: which timelines there are, what stands in
//! a segment. Decides nothing of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::agent::Agent;
use crate::cluster::{SqlError, dump, own_history};
use crate::model::{
    AgentError, Archive, Archives, Observed, Timeline, TimelinePath, Timelines, WalMarks, WalSegment, WalSegmentSize,
    error_chain,
};
use crate::sys::{environment, files};

/// The cluster's timeline, and how long its segments are.
pub(super) async fn present(agent: &Agent) -> Result<(Timeline, WalSegmentSize), SqlError> {
    let session = agent.postgres().await?;
    Ok((session.timeline().await?, session.wal_segment_size().await?))
}

pub(super) async fn archives(agent: &Agent) -> Result<Archives, AgentError> {
    agent.engine().archives().await.map_err(|error| AgentError::fault("listing the archive", error))
}

/// The timelines of one archive. A history is read once for a whole branch: it
/// tells of all timelines before it.
pub(super) async fn timelines(
    agent: &Agent,
    id: &str,
    archive: Archive,
    present: Option<Timeline>,
    segment_size: WalSegmentSize,
) -> Timelines {
    let mut timelines = Timelines { archive, paths: BTreeMap::new(), present, segment_size };
    for timeline in timelines.all().into_iter().rev() {
        if timelines.paths.contains_key(&timeline) {
            continue;
        }
        match path(agent, id, &timelines, timeline).await {
            Some(path) => timelines.paths.extend(branch(path)),
            None => tracing::info!("the history of timeline {timeline} is not known"),
        }
    }
    timelines
}

/// A path, and those to the timelines on it.
fn branch(path: TimelinePath) -> Vec<(Timeline, TimelinePath)> {
    let older = path
        .forks
        .iter()
        .enumerate()
        .map(|(at, fork)| (fork.from, TimelinePath { timeline: fork.from, forks: path.forks[..at].to_vec() }));
    older.chain([(path.timeline, path.clone())]).collect()
}

async fn path(agent: &Agent, id: &str, timelines: &Timelines, timeline: Timeline) -> Option<TimelinePath> {
    let text = match timelines.created(timeline) {
        Some(_) => agent.engine().history(id, timeline).await.ok(),
        // The cluster's own may not have been archived yet.
        None if timelines.present == Some(timeline) => {
            own_history(&agent.runner, &agent.user, &agent.layout().data(), timeline).await
        }
        None => None,
    };
    match text {
        Some(text) => TimelinePath::parse(timeline, &text),
        // The first one that is known has none.
        None if timelines.all().first() == Some(&timeline) => Some(TimelinePath { timeline, forks: Vec::new() }),
        None => None,
    }
}

const PREFIX: &str = "read-";

/// Reads segments, one at a time, in a folder of its own that goes with it.
pub(super) struct Reader<'a> {
    agent: &'a Agent,
    folder: PathBuf,
}

impl<'a> Reader<'a> {
    pub fn new(agent: &'a Agent) -> Result<Self, AgentError> {
        let failed = |error| AgentError::fault("making a folder to read WAL in", error);
        let folder = agent.layout().spool().join(format!("{PREFIX}{}", environment::random_hex(4).map_err(failed)?));
        files::make_fresh_folder(&folder, &agent.user, 0o700).map_err(failed)?;
        Ok(Self { agent, folder })
    }

    pub async fn read(&self, segment: WalSegment) -> Observed<WalMarks> {
        let file = self.folder.join(segment.to_string());
        if let Err(error) = self.agent.engine().fetch_segment(segment, &file).await {
            return Observed::unknown(error_chain(&error));
        }
        let marks = dump(&self.agent.runner, &self.agent.user, &file).await;
        let _ = files::remove_file(&file);
        Observed::from_result(marks)
    }
}

/// Removes what killed ones have left. A list-backups at the same moment then knows one window less.
pub(super) fn sweep(agent: &Agent) {
    let spool = agent.layout().spool();
    let names = files::names_in(&spool).unwrap_or_default();
    for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
        if let Err(error) = files::remove_folder(&spool.join(name)) {
            tracing::warn!("{name} could not be removed: {error}");
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let _ = files::remove_folder(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_history_tells_the_ways_to_all_timelines_before() {
        let path = TimelinePath::parse(Timeline(16), "9\t0/5000138\tx\n15\t0/6000000\tx\n").unwrap();
        let ways: Vec<_> = branch(path)
            .into_iter()
            .map(|(timeline, path)| (timeline.0, path.timelines().map(|timeline| timeline.0).collect::<Vec<_>>()))
            .collect();
        assert_eq!(ways, [(9, vec![9]), (15, vec![9, 15]), (16, vec![9, 15, 16])]);
    }
}
