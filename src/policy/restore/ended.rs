//! Did recovery end where it was asked to? Read from the words of the server
//! itself (`recoveryStopsBefore`, `recoveryStopsAfter` of PostgreSQL), in English.

use crate::model::{Lsn, RecoveryGoal, RestoreTarget, Stop};

/// It ended somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("recovery did not end at {wanted}, but: {said}")]
pub struct Elsewhere {
    wanted: String,
    said: String,
}

/// How it ended, in the server's words. `least` is a position that the end of WAL
/// cannot lie before.
pub fn ended(goal: &RecoveryGoal, least: Option<Lsn>, log: &str) -> Result<String, Elsewhere> {
    let lines: Vec<_> = log.lines().filter_map(|line| line.split_once("LOG:").map(|(_, said)| said.trim())).collect();
    let stopping = lines.iter().find(|said| said.starts_with("recovery stopping ")).copied();
    let redo = lines.iter().rev().find(|said| said.starts_with("redo done at ")).copied();
    let good = match (&goal.target, stopping) {
        (RestoreTarget::Latest, None) => redo.is_some_and(|said| reaches(said, least)),
        (target, Some(said)) => is_at(target, goal.stop, said),
        (_, None) => false,
    };
    let said = stopping.or(redo).unwrap_or("nothing was replayed").to_owned();
    if good { Ok(said) } else { Err(Elsewhere { wanted: goal.to_string(), said }) }
}

fn reaches(said: &str, least: Option<Lsn>) -> bool {
    let done = said.split_whitespace().nth(3).and_then(|word| word.parse::<Lsn>().ok());
    done.is_some_and(|done| least.is_none_or(|least| done >= least))
}

fn is_at(target: &RestoreTarget, stop: Stop, said: &str) -> bool {
    let side = if stop == Stop::After { "after" } else { "before" };
    let number = |begins: String| {
        let rest = said.strip_prefix(&begins)?;
        rest.split([',', ' ', '"']).find(|word| !word.is_empty()).map(str::to_owned)
    };
    match target {
        RestoreTarget::BackupEnd => said == "recovery stopping after reaching consistency",
        RestoreTarget::Time(time) => stops_behind(said, *time, stop),
        RestoreTarget::Xid(xid) => ["commit", "abort"]
            .iter()
            .any(|end| number(format!("recovery stopping {side} {end} of transaction ")) == Some(xid.to_string())),
        RestoreTarget::Lsn(lsn) => number(format!("recovery stopping {side} WAL location (LSN) "))
            .and_then(|word| word.parse::<Lsn>().ok())
            .is_some_and(|at| at >= *lsn),
        RestoreTarget::Name(name) => said.starts_with(&format!("recovery stopping at restore point \"{name}\"")),
        RestoreTarget::Latest => false,
    }
}

/// `recovery stopping before commit of transaction 736, time 2026-11-22 03:00:00.1+00`
fn stops_behind(said: &str, time: chrono::DateTime<chrono::Utc>, stop: Stop) -> bool {
    let Some((_, at)) = said.strip_prefix("recovery stopping before ").and_then(|rest| rest.split_once(", time "))
    else {
        return false;
    };
    super::moment::parse(at).is_some_and(|at| at > time || (stop == Stop::Before && at == time))
}

impl Elsewhere {
    #[cfg(test)]
    fn of(wanted: &str, said: &str) -> Self {
        Self { wanted: wanted.to_owned(), said: said.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timeline;

    fn goal(target: RestoreTarget, stop: Stop) -> RecoveryGoal {
        RecoveryGoal { target, stop, timeline: Timeline(1) }
    }

    #[test]
    fn the_servers_words_prove_where_it_ended() {
        let time = || RestoreTarget::Time("2026-11-22T03:00:00.5Z".parse().unwrap());
        let name = || RestoreTarget::Name("before x".into());
        use Stop::{After, Before};
        #[rustfmt::skip]
        let table = [
            (RestoreTarget::BackupEnd,         After,  "recovery stopping after reaching consistency", true),
            (RestoreTarget::BackupEnd,         After,  "recovery stopping before commit of transaction 7, time 2026-11-22 03:00:00+00", false),
            (time(),                           After,  "recovery stopping before commit of transaction 7, time 2026-11-22 03:00:00.500001+00", true),
            (time(),                           After,  "recovery stopping before abort of transaction 7, time 2026-11-22 04:00:00+00", true),
            (time(),                           After,  "recovery stopping before commit of transaction 7, time 2026-11-22 03:00:00.5+00", false),
            (time(),                           Before, "recovery stopping before commit of transaction 7, time 2026-11-22 03:00:00.5+00", true),
            (time(),                           After,  "recovery stopping at restore point \"x\", time 2026-11-22 03:00:01+00", false),
            (RestoreTarget::Xid(736),          After,  "recovery stopping after commit of transaction 736, time 2026-11-22 03:00:00+00", true),
            (RestoreTarget::Xid(736),          Before, "recovery stopping before commit of transaction 736, time 2026-11-22 03:00:00+00", true),
            (RestoreTarget::Xid(736),          After,  "recovery stopping after commit of transaction 7360, time 2026-11-22 03:00:00+00", false),
            (RestoreTarget::Xid(736),          After,  "recovery stopping before commit of transaction 736, time 2026-11-22 03:00:00+00", false),
            (RestoreTarget::Lsn(Lsn(0x30)),    After,  "recovery stopping after WAL location (LSN) \"0/38\"", true),
            (RestoreTarget::Lsn(Lsn(0x30)),    Before, "recovery stopping before WAL location (LSN) \"0/30\"", true),
            (RestoreTarget::Lsn(Lsn(0x30)),    After,  "recovery stopping after WAL location (LSN) \"0/28\"", false),
            (name(),                           After,  "recovery stopping at restore point \"before x\", time 2026-11-22 03:00:00+00", true),
            (name(),                           After,  "recovery stopping at restore point \"before y\", time 2026-11-22 03:00:00+00", false),
            (RestoreTarget::Latest,            After,  "redo done at 0/40 system usage: CPU: user: 0.00 s", true),
            (RestoreTarget::Latest,            After,  "redo done at 0/38 system usage: CPU: user: 0.00 s", false),
            (RestoreTarget::Latest,            After,  "recovery stopping after reaching consistency", false),
            (time(),                           After,  "redo done at 0/40 system usage: CPU: user: 0.00 s", false),
        ];
        for (target, stop, said, want) in table {
            let log =
                format!("2026-11-22 03:00:00.1 UTC [7]: LOG:  starting archive recovery\n2026 [7]: LOG:  {said}\n");
            let goal = goal(target, stop);
            let wanted = goal.to_string();
            let want = if want { Ok(said.to_owned()) } else { Err(Elsewhere::of(&wanted, said)) };
            assert_eq!(ended(&goal, Some(Lsn(0x40)), &log), want, "{wanted}: {said}");
        }
    }

    #[test]
    fn a_server_that_says_nothing_proves_nothing() {
        let error = ended(&goal(RestoreTarget::Latest, Stop::After), None, "").unwrap_err();
        assert_eq!(error.to_string(), "recovery did not end at latest, but: nothing was replayed");
    }
}
