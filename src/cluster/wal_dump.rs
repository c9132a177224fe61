//! What WAL files tell: ends of transactions and restore points (`pg_waldump`),
//! the history of a timeline.

use std::path::Path;
use std::time::Duration;

use chrono::NaiveDateTime;

use crate::model::{Commit, Lsn, RestorePoint, Timeline, WalMarks};
use crate::sys::process::{Invocation, OsUser, ProcessError, Runner};

#[derive(Debug, thiserror::Error)]
pub enum WalDumpError {
    #[error("reading WAL")]
    Run(#[from] ProcessError),
    #[error("pg_waldump: {0}")]
    Refused(String),
}

/// How it ends when the last record goes on in the next segment, or a segment
/// holds nothing but the rest of one: what it has printed is right.
const CUT_OFF: [&str; 4] =
    ["error in WAL record at", "could not find a valid record after", "could not find file", "could not open file"];

/// Reads one segment, as a file under its own name.
pub async fn dump(runner: &Runner, user: &OsUser, segment: &Path) -> Result<WalMarks, WalDumpError> {
    let invocation = Invocation::new("pg_waldump")
        // Of several kinds older versions take the last alone.
        .args(["-r", "XLOG", "-r", "Transaction"])
        .args([segment.display().to_string()])
        .env("LC_ALL", "C")
        .env("TZ", "UTC0")
        .as_user(user)
        .within(Duration::from_secs(60));
    let output = runner.run(&invocation).await?;
    if output.success() || CUT_OFF.iter().any(|words| output.stderr.contains(words)) {
        Ok(parse(&output.stdout))
    } else {
        Err(WalDumpError::Refused(output.last_line().to_owned()))
    }
}

/// The history of a timeline as the cluster itself has it. Read as the database
/// user, whose folder it is: what lies there may be anything.
pub async fn own_history(runner: &Runner, user: &OsUser, data: &Path, timeline: Timeline) -> Option<String> {
    let file = data.join(format!("pg_wal/{:08X}.history", timeline.0)).display().to_string();
    let invocation = Invocation::new("cat").args([file]).as_user(user).within(Duration::from_secs(10));
    let output = runner.run(&invocation).await.ok()?;
    output.success().then_some(output.stdout)
}

fn parse(text: &str) -> WalMarks {
    let mut marks = WalMarks::default();
    for line in text.lines() {
        let Some(record) = Record::parse(line) else { continue };
        marks.last = Some(record.lsn);
        marks.commits.extend(record.commit());
        marks.restore_points.extend(record.restore_point());
    }
    marks
}

/// `rmgr: Transaction len (rec/tot): 34/ 34, tx: 736, lsn: 0/019000A8, prev …, desc: COMMIT 2026-…`
struct Record<'a> {
    xid: u32,
    lsn: Lsn,
    kind: &'a str,
    rest: &'a str,
}

impl<'a> Record<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, description) = line.split_once(", desc: ")?;
        let field = |name: &str| head.split(name).nth(1)?.split(',').next().map(str::trim);
        let (kind, rest) = description.split_once(' ').unwrap_or((description, ""));
        Some(Self { xid: field("tx:")?.parse().ok()?, lsn: field("lsn:")?.parse().ok()?, kind, rest })
    }

    fn commit(&self) -> Option<Commit> {
        let aborted = match self.kind {
            "COMMIT" | "COMMIT_PREPARED" => false,
            "ABORT" | "ABORT_PREPARED" => true,
            _ => return None,
        };
        // A prepared transaction is ended by another: `736: 2026-…`
        let prepared = self.rest.split_once(": ").and_then(|(xid, rest)| Some((xid.parse().ok()?, rest)));
        let (xid, rest) = prepared.unwrap_or((self.xid, self.rest));
        let time = rest.split(" UTC").next()?;
        let at = NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc();
        Some(Commit { xid, at, lsn: self.lsn, aborted })
    }

    fn restore_point(&self) -> Option<RestorePoint> {
        (self.kind == "RESTORE_POINT").then(|| RestorePoint { name: self.rest.to_owned(), lsn: self.lsn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_transactions_and_restore_points_are_read() {
        let text = "\
rmgr: XLOG        len (rec/tot):     49/  8241, tx:        742, lsn: 0/062DEB78, prev 0/062DCB28, desc: FPI_FOR_HINT , blkref #0: rel 1663/5/1249 fork fsm blk 0 FPW
rmgr: Transaction len (rec/tot):    385/   385, tx:        742, lsn: 0/062E2E38, prev 0/062E2DF0, desc: INVALIDATION ; inval msgs: catcache 80
rmgr: Transaction len (rec/tot):    405/   405, tx:        742, lsn: 0/062E2FC0, prev 0/062E2E38, desc: COMMIT 2026-11-30 14:42:15.304506 UTC; inval msgs: catcache 80 snapshot 2608
rmgr: Transaction len (rec/tot):     34/    34, tx:        743, lsn: 0/062E3100, prev 0/062E2FC0, desc: ABORT 2026-11-30 14:42:15.400000 UTC
rmgr: Transaction len (rec/tot):     60/    60, tx:        745, lsn: 0/062E3128, prev 0/062E3100, desc: COMMIT_PREPARED 744: 2026-11-30 14:42:15.500000 UTC
rmgr: XLOG        len (rec/tot):     98/    98, tx:          0, lsn: 0/062E3158, prev 0/062E2FC0, desc: RESTORE_POINT before the upgrade
rmgr: XLOG        len (rec/tot):     24/    24, tx:          0, lsn: 0/062E31C0, prev 0/062E3158, desc: SWITCH ";
        let marks = parse(text);
        let commit = |xid, at: &str, lsn: &str, aborted| Commit {
            xid,
            at: at.parse().unwrap(),
            lsn: lsn.parse().unwrap(),
            aborted,
        };
        assert_eq!(
            marks.commits,
            [
                commit(742, "2026-11-30T14:42:15.304506Z", "0/62E2FC0", false),
                commit(743, "2026-11-30T14:42:15.4Z", "0/62E3100", true),
                commit(744, "2026-11-30T14:42:15.5Z", "0/62E3128", false),
            ]
        );
        assert_eq!(marks.restore_points.len(), 1);
        assert_eq!(marks.restore_points[0].name, "before the upgrade");
        assert_eq!(marks.last, "0/62E31C0".parse().ok());
    }

    #[test]
    fn what_is_no_record_is_passed_over() {
        assert_eq!(parse("nonsense\nrmgr: x, desc: y\n\n"), WalMarks::default());
    }
}
