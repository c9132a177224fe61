//! The plan of a restore: lines for people, results for programs.

use crate::model::{Bytes, Commit, Moment, RestoreTarget, Span};
use crate::policy::RestorePlan;

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
    if plan.seals {
        lines.push("first: the cluster's last WAL is archived".to_owned());
    }
    lines
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
