//! What `pg_controldata` says of a data directory, running or not.

use std::path::Path;
use std::time::Duration;

use crate::model::{Lsn, Timeline, WalSegmentSize};
use crate::sys::process::{Invocation, OsUser, ProcessError, Runner};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlData {
    pub system_id: u64,
    pub state: ClusterState,
    /// Timeline of the latest checkpoint.
    pub timeline: Timeline,
    /// Where that checkpoint's record begins; of a primary that was shut down, its last.
    pub checkpoint: Lsn,
    pub wal_segment_size: WalSegmentSize,
    pub checksums: bool,
}

/// "Database cluster state", as far as decisions hang on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    ShutDown,
    InProduction,
    Other(String),
}

#[derive(Debug, thiserror::Error)]
pub enum ControlDataError {
    #[error("reading the control file")]
    Run(#[from] ProcessError),
    #[error("pg_controldata: {0}")]
    Refused(String),
    #[error("pg_controldata did not say `{0}`")]
    Missing(&'static str),
}

impl ControlData {
    pub async fn read(runner: &Runner, user: &OsUser, data: &Path) -> Result<Self, ControlDataError> {
        let invocation = Invocation::new("pg_controldata")
            .args([data.display().to_string()])
            .env("LC_ALL", "C")
            .as_user(user)
            .within(Duration::from_secs(30));
        let output = runner.run(&invocation).await?;
        if output.success() {
            parse(&output.stdout)
        } else {
            Err(ControlDataError::Refused(output.last_line().to_owned()))
        }
    }
}

fn parse(text: &str) -> Result<ControlData, ControlDataError> {
    let value = |name: &'static str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
            .ok_or(ControlDataError::Missing(name))
    };
    let number = |name: &'static str| value(name)?.parse::<u64>().map_err(|_| ControlDataError::Missing(name));
    const CHECKPOINT: &str = "Latest checkpoint location";
    const SEGMENT: &str = "Bytes per WAL segment";
    Ok(ControlData {
        system_id: number("Database system identifier")?,
        state: match value("Database cluster state")? {
            "shut down" => ClusterState::ShutDown,
            "in production" => ClusterState::InProduction,
            other => ClusterState::Other(other.to_owned()),
        },
        timeline: Timeline(number("Latest checkpoint's TimeLineID")? as u32),
        checkpoint: value(CHECKPOINT)?.parse().map_err(|_| ControlDataError::Missing(CHECKPOINT))?,
        wal_segment_size: WalSegmentSize::from_bytes(number(SEGMENT)?).ok_or(ControlDataError::Missing(SEGMENT))?,
        checksums: number("Data page checksum version")? > 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "pg_control version number:            1300
Database system identifier:           7710799120774009801
Database cluster state:               shut down
Latest checkpoint location:           0/3000028
Latest checkpoint's TimeLineID:       18
Bytes per WAL segment:                16777216
Data page checksum version:           1
";

    #[test]
    fn the_lines_that_matter_are_read_and_the_id_keeps_all_its_digits() {
        let got = parse(SAMPLE).unwrap();
        assert_eq!(got.system_id, 7_710_799_120_774_009_801);
        assert_eq!(got.checkpoint, Lsn(0x300_0028));
        assert_eq!((got.state, got.timeline, got.checksums), (ClusterState::ShutDown, Timeline(18), true));
    }

    #[test]
    fn a_missing_line_is_named() {
        let error = parse("Database system identifier: 1\n").unwrap_err();
        assert_eq!(error.to_string(), "pg_controldata did not say `Database cluster state`");
    }
}
