//! The lock file of a running backup: `<lock-path>/<stanza>-backup.lock`. Its
//! JSON is the only place where 2.45 tells progress.

use serde::Deserialize;

use super::exit::EngineError;
use crate::model::RunningBackup;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LockFile {
    pid: u32,
    /// Hundredths of a percent; absent until the copy begins.
    pct_cplt: Option<u32>,
    /// Bytes, in later versions.
    sz: Option<u64>,
    sz_cplt: Option<u64>,
}

/// What runs, if anything: a killed backup leaves its file behind, so the
/// process that wrote it must still be there.
pub(super) fn running(json: &str, is_alive: impl Fn(u32) -> bool) -> Result<Option<RunningBackup>, EngineError> {
    // Taken, and nothing written yet.
    if json.trim().is_empty() {
        return Ok(None);
    }
    let lock: LockFile = serde_json::from_str(json)
        .map_err(|why| EngineError::Unreadable { question: "backup", why: format!("its lock file: {why}") })?;
    let counted = lock.sz.filter(|size| *size > 0).zip(lock.sz_cplt).map(|(size, done)| hundredths(done, size));
    let running = RunningBackup { percent_hundredths: lock.pct_cplt.or(counted) };
    Ok(is_alive(lock.pid).then_some(running))
}

fn hundredths(done: u64, size: u64) -> u32 {
    (u128::from(done.min(size)) * 10_000 / u128::from(size)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/pgbackrest/", $name))
        };
    }

    fn percent(json: &str) -> Option<u32> {
        running(json, |_| true).unwrap().unwrap().percent_hundredths
    }

    #[test]
    fn progress_is_read_from_every_shape() {
        assert_eq!(percent(fixture!("2.45/lock-first.json")), None);
        assert_eq!(percent(fixture!("2.45/lock-zero.json")), Some(0));
        assert_eq!(percent(fixture!("2.45/lock-running.json")), Some(3786));
        assert_eq!(percent(fixture!("later/lock-running.json")), Some(3786));
        assert_eq!(percent(r#"{"execId":"1-a","pid":1,"sz":296294178,"szCplt":112178176}"#), Some(3786));
        assert_eq!(percent(r#"{"execId":"1-a","pid":1,"sz":0,"szCplt":0}"#), None);
    }

    #[test]
    fn a_file_that_a_killed_backup_left_behind_is_not_a_running_backup() {
        assert_eq!(running(fixture!("2.45/lock-running.json"), |pid| pid != 20352).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_being_rewritten_is_no_error() {
        assert_eq!(running("", |_| true).unwrap(), None);
        assert!(running("{\"execId\"", |_| true).is_err());
    }
}
