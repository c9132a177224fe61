//! The plan of a restore: lines for people, results for programs.

use crate::model::{Bytes, Commit, Moment, RestoreTarget, Span};
use crate::policy::RestorePlan;
use crate::policy::restore::OtherUnit;

/// One fact a line.
pub fn lines(plan: &RestorePlan) -> Vec<String> {
    let set = &plan.backup;
    let mut lines = vec![
        format!("backup: {} ({}, {})", set.id(), set.label, set.kind()),
        format!("timeline: {}", path(plan)),
        format!("target: {}", plan.asked),
        format!("survives: {}", survives(plan)),
        format!("lost: {}", lost(plan)),
        format!("fetches: at most {}, with {} WAL segments", Bytes(plan.fetch_bytes), plan.wal_segments),
        format!("space on {}: needs {}, {} are free", plan.unit, Bytes(plan.needs_bytes), Bytes(plan.free_bytes)),
        format!("restores: {}, in about {}", plan.unit, Span(plan.expected)),
    ];
    lines.splice(7..7, plan.others.iter().map(|other| room(plan, other)));
    if plan.seals {
        lines.push("first: the cluster's last WAL is archived".to_owned());
    }
    lines
}

fn room(plan: &RestorePlan, OtherUnit { unit, free_bytes }: &OtherUnit) -> String {
    match free_bytes {
        Some(free) => format!("space on {unit}: needs {}, {} are free", Bytes(plan.copy_bytes), Bytes(*free)),
        None => format!("{unit} does not answer: it follows the restored cluster when it is back"),
    }
}

/// Results of `restore dry-run=true`.
pub fn results(plan: &RestorePlan) -> Vec<(String, String)> {
    let time =
        |commit: Option<Commit>| commit.map_or_else(|| "unknown".to_owned(), |commit| Moment(commit.at).to_string());
    let first_lost = match plan.around.lost.or(plan.around.stops_at) {
        None if nothing_is_lost(plan) => "none".to_owned(),
        commit => time(commit),
    };
    let results = [
        ("plan", lines(plan).join("\n")),
        ("backup-id", plan.backup.id().to_string()),
        ("target", plan.asked.to_string()),
        ("timeline", plan.path.timeline.0.to_string()),
        ("survives", time(plan.around.survives)),
        ("lost", first_lost),
        ("fetch-bytes", plan.fetch_bytes.to_string()),
        ("needs-bytes", plan.needs_bytes.to_string()),
        ("free-bytes", plan.free_bytes.to_string()),
        ("unit", plan.unit.to_string()),
        ("expected-seconds", plan.expected.as_secs().to_string()),
    ];
    results.map(|(key, value)| (key.to_owned(), value)).into()
}

fn path(plan: &RestorePlan) -> String {
    let timelines: Vec<_> = plan.path.timelines().map(|timeline| timeline.spelled()).collect();
    timelines.join(" -> ")
}

fn survives(plan: &RestorePlan) -> String {
    let known = match &plan.around.survives {
        Some(commit) => format!("everything up to {}", shown(commit)),
        None => format!("everything up to the end of the backup, {}", Moment(plan.backup.finished)),
    };
    match (plan.seals, &plan.asked.target) {
        (false, _) => known,
        (true, RestoreTarget::Latest) => format!("{known}, and what is committed until the restore"),
        (true, _) => format!("{known}, and what was committed between it and the target"),
    }
}

fn nothing_is_lost(plan: &RestorePlan) -> bool {
    matches!(plan.goal.target, RestoreTarget::Latest | RestoreTarget::Name(_))
        && !plan.seals
        && plan.present == Some(plan.path.timeline)
}

fn lost(plan: &RestorePlan) -> String {
    let here = match plan.around.lost.or(plan.around.stops_at) {
        Some(commit) => format!("everything from {} on", shown(&commit)),
        None if plan.goal.target == RestoreTarget::BackupEnd => {
            "everything that was committed after the backup".to_owned()
        }
        None if plan.asked.target == RestoreTarget::Latest => {
            "what is committed after the restore has begun".to_owned()
        }
        None => "what was committed after the target".to_owned(),
    };
    match plan.present.filter(|present| *present != plan.path.timeline) {
        Some(present) => {
            format!("{here}, and all of the cluster's timeline {} that is not on the way", present.spelled())
        }
        None => here,
    }
}

fn shown(commit: &Commit) -> String {
    let end = if commit.aborted { "rollback" } else { "commit" };
    format!("the {end} of transaction {} at {}", commit.xid, Moment(commit.at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Fork, Lsn, RecoveryGoal, Stop, Timeline, TimelinePath};
    use crate::policy::restore::Around;
    use crate::report::listing::tests::full;

    fn commit(xid: u32, at: &str) -> Option<Commit> {
        Some(Commit { xid, at: format!("2026-11-22T{at}Z").parse().unwrap(), lsn: Lsn(1), aborted: false })
    }

    fn plan(target: RestoreTarget, stop: Stop) -> RestorePlan {
        let goal = RecoveryGoal { target, stop, timeline: Timeline(16) };
        RestorePlan {
            backup: full(),
            path: TimelinePath { timeline: Timeline(16), forks: vec![Fork { from: Timeline(1), at: Lsn(0x500_0138) }] },
            present: Some(Timeline(16)),
            asked: goal.clone(),
            goal,
            around: Around::default(),
            seals: false,
            wal_segments: 12,
            fetch_bytes: 400 << 20,
            needs_bytes: 3 << 30,
            free_bytes: 10 << 30,
            others: Vec::new(),
            copy_bytes: 2 << 30,
            unit: "postgresql/0".parse().unwrap(),
            expected: Duration::from_secs(200),
        }
    }

    #[test]
    fn a_plan_tells_what_survives_what_is_lost_and_what_it_costs() {
        let time = RestoreTarget::Time("2026-11-22T05:00:00Z".parse().unwrap());
        let (survives, lost) = (commit(736, "04:59:59.5"), commit(737, "05:00:01"));
        let around = Around { survives, stops_at: lost, lost };
        let plan = RestorePlan { around, present: Some(Timeline(18)), ..plan(time, Stop::Before) };
        insta::assert_snapshot!(lines(&plan).join("\n"), @r"
        backup: 2026-11-22T03:00:00Z (20261122-030000F, full)
        timeline: 1 -> 16 (0x10)
        target: time 2026-11-22T05:00:00Z, exclusive
        survives: everything up to the commit of transaction 736 at 2026-11-22T04:59:59.500Z
        lost: everything from the commit of transaction 737 at 2026-11-22T05:00:01Z on, and all of the cluster's timeline 18 (0x12) that is not on the way
        fetches: at most 400 MiB, with 12 WAL segments
        space on postgresql/0: needs 3 GiB, 10 GiB are free
        restores: postgresql/0, in about 3 min
        ");
        let results: Vec<_> =
            results(&plan).into_iter().skip(1).map(|(key, value)| format!("{key}: {value}")).collect();
        insta::assert_snapshot!(results.join("\n"), @r"
        backup-id: 2026-11-22T03:00:00Z
        target: time 2026-11-22T05:00:00Z, exclusive
        timeline: 16
        survives: 2026-11-22T04:59:59.500Z
        lost: 2026-11-22T05:00:01Z
        fetch-bytes: 419430400
        needs-bytes: 3221225472
        free-bytes: 10737418240
        unit: postgresql/0
        expected-seconds: 200
        ");
    }

    #[test]
    fn what_is_not_known_yet_is_told_as_such() {
        let said = |plan: &RestorePlan| {
            let key = |name: &str| results(plan).into_iter().find(|(key, _)| key == name).unwrap().1;
            (survives(plan), lost(plan), key("survives"), key("lost"))
        };
        let texts = |texts: [&str; 4]| {
            let [survives, lost, first, last] = texts.map(str::to_owned);
            (survives, lost, first, last)
        };
        let known = Around { survives: commit(736, "04:00:00"), ..Around::default() };
        let latest = RestorePlan { around: known, ..plan(RestoreTarget::Latest, Stop::After) };
        let up_to = "everything up to the commit of transaction 736 at 2026-11-22T04:00:00Z";
        assert_eq!(
            said(&latest),
            texts([up_to, "what is committed after the restore has begun", "2026-11-22T04:00:00Z", "none"])
        );
        let sealing = RestorePlan { seals: true, ..latest };
        assert_eq!(said(&sealing).0, format!("{up_to}, and what is committed until the restore"));
        let alone = plan(RestoreTarget::BackupEnd, Stop::After);
        let end = "everything up to the end of the backup, 2026-11-22T03:00:10Z";
        assert_eq!(said(&alone), texts([end, "everything that was committed after the backup", "unknown", "unknown"]));
    }
}
