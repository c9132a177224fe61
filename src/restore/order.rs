//! A restore of several units: what the one that restores asks of all of them,
//! told through the cluster store, and what each has to do about it. Pure.
//!
//! A unit writes down what it begins ([`PartRecord`]) before it does it, so that
//! whoever finds it - its service, a hook - goes on from there.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::model::{Lsn, Timeline};

/// What all units are to do now. The one truth of whether a restore is
/// committed ([`Stage::Join`]) or taken back ([`Stage::PutBack`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub version: u32,
    /// Of the restore, as in the journal of the unit that restores.
    pub id: String,
    pub label: String,
    /// The restore that is undone: each unit has the data from before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The unit that restores: `postgresql/0`. Whoever takes over puts back.
    pub driver: String,
    /// Units whose data the restore replaces, the driver too.
    pub units: BTreeSet<String>,
    /// The unit whose PostgreSQL was the primary, as soon as it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// In [`Stage::Aside`]: the old cluster is forgotten. Whoever holds Patroni's lock from now on has the restored data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopts: bool,
    #[serde(flatten)]
    pub stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// Who hears this? The primary archives its last WAL.
    Seal,
    /// Replicas go on streaming without Patroni: nobody is promoted from here on.
    Hold,
    /// The primary shuts down; what it sends last reaches the replicas.
    StopPrimary,
    /// The replicas shut down, as soon as they have received all up to here (`0/3000028`).
    StopReplicas { shut_down_at: String },
    /// Old data goes aside.
    Aside,
    /// The restored cluster serves: everybody copies it. The commit.
    Join,
    /// Old data comes back. `first` starts before the others: its data is whole.
    PutBack { why: String, first: String },
}

impl Stage {
    /// Neither committed nor taken back.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Join | Self::PutBack { .. })
    }

    pub fn name(&self) -> StageName {
        match self {
            Self::Seal => StageName::Seal,
            Self::Hold => StageName::Hold,
            Self::StopPrimary => StageName::StopPrimary,
            Self::StopReplicas { .. } => StageName::StopReplicas,
            Self::Aside => StageName::Aside,
            Self::Join => StageName::Join,
            Self::PutBack { .. } => StageName::PutBack,
        }
    }

    /// For statuses and refusals.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Seal => "the last WAL is being archived",
            Self::Hold => "failovers are held off",
            Self::StopPrimary | Self::StopReplicas { .. } => "the cluster is being stopped",
            Self::Aside => "the restored data takes its place",
            Self::Join => "the restored cluster serves",
            Self::PutBack { .. } => "the old data is being put back",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    Seal,
    Hold,
    StopPrimary,
    StopReplicas,
    Aside,
    Join,
    PutBack,
}

/// What a unit answers: this much of the order is done, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub id: String,
    pub unit: String,
    pub stage: StageName,
    pub was_primary: bool,
    /// Its database does not answer.
    #[serde(default)]
    pub was_down: bool,
    /// Of the primary: where its WAL ended; of a database that is down: its last checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shut_down_at: Option<String>,
    /// Of these: the timeline that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Its old data has everything that the primary's had.
    #[serde(default)]
    pub whole: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Part {
    pub fn answers(&self, order: &Order) -> bool {
        self.id == order.id && self.stage == order.stage.name()
    }
}

/// What this unit has begun and done, on its disk; one a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    pub version: u32,
    pub id: String,
    pub label: String,
    /// Begun, and done when `done` says so.
    pub stage: StageName,
    pub done: bool,
    pub was_primary: bool,
    /// Its database was down when the restore began.
    #[serde(default)]
    pub was_down: bool,
    pub whole: bool,
    /// When its last stage, [`Stage::Join`] or [`Stage::PutBack`], was done.
    pub ended: Option<DateTime<Utc>>,
}

impl PartRecord {
    pub fn begin(order: &Order) -> Self {
        Self {
            version: 1,
            id: order.id.clone(),
            label: order.label.clone(),
            stage: order.stage.name(),
            done: false,
            was_primary: false,
            was_down: false,
            whole: false,
            ended: None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.done && matches!(self.stage, StageName::Join | StageName::PutBack)
    }

    /// The data that it keeps aside may go. A clock set back keeps it longer.
    pub fn old_data_expired(&self, keep: std::time::Duration, now: DateTime<Utc>) -> bool {
        let keep = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
        self.ended.is_some_and(|ended| now.signed_duration_since(ended) >= keep)
    }
}

/// What a unit does about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// No restore concerns this unit: on as ever.
    Nothing,
    /// This stage.
    Do,
    /// Its part of this stage is done: nothing starts until the next.
    Stay,
    /// It was in the middle of a restore, and does not hear how that went on.
    Wait,
}

/// `record` is that of the newest restore this unit took part in, `answers` what all units
/// said last. What is known of the order decides; no order, and a part that is not over: nothing starts.
pub fn task(unit: &str, order: Option<&Order>, record: Option<&PartRecord>, answers: &[Part]) -> Task {
    let open = record.is_some_and(|record| !record.is_over());
    let Some(order) = order else { return if open { Task::Wait } else { Task::Nothing } };
    if !order.units.contains(unit) {
        return Task::Nothing;
    }
    let Some(record) = record.filter(|record| record.id == order.id) else {
        // Still in the middle of another: how that one ended is not known any more, and guessing could
        // cost its data. Once a later one is committed, whatever it has goes aside.
        return if open && order.stage != Stage::Join { Task::Wait } else { Task::Do };
    };
    // Done, and broken off before it was said: others wait for it. Each stage can be done again.
    let is_said = answers.iter().any(|part| part.unit == unit && part.answers(order) && part.failed.is_none());
    if record.stage != order.stage.name() || !record.done || !is_said {
        return Task::Do;
    }
    if order.stage.is_open() { Task::Stay } else { Task::Nothing }
}

/// Who has said that it is the primary. Nobody, when two have: it changed while they were asked.
pub fn the_primary(parts: &[Part]) -> Option<&Part> {
    let mut primaries = parts.iter().filter(|part| part.was_primary);
    primaries.next().filter(|_| primaries.next().is_none())
}

/// Whose data comes back first: the primary's while its unit is there, else
/// that of one that had received everything. Nobody's: what was committed is
/// not complete anywhere within reach.
pub fn first_back(order: &Order, parts: &[Part], is_there: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(primary) = order.primary.as_ref().filter(|unit| is_there(unit)) {
        return Some(primary.clone());
    }
    let of_this = parts.iter().filter(|part| part.id == order.id);
    of_this.filter(|part| part.whole && is_there(&part.unit)).map(|part| part.unit.clone()).next()
}

/// Of a cluster whose database runs nowhere the unit with the newest data, by the control
/// files, stands for the primary. None while the database of one of them runs.
pub fn newest_of_the_dead(parts: &[Part]) -> Option<String> {
    if parts.iter().any(|part| !part.was_down) {
        return None;
    }
    let at = |part: &&Part| (part.timeline, part.shut_down_at.as_ref().and_then(|at| at.parse::<Lsn>().ok()));
    parts.iter().max_by_key(at).map(|part| part.unit.clone())
}

/// How a restore ends whose driver is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Commit,
    PutBack,
}

/// It is committed when the restored cluster serves: `leads` is the unit that holds Patroni's lock. Before the
/// old cluster was forgotten that may be the lock of the old one, which nobody keeps.
pub fn after_driver(order: &Order, leads: Option<&str>) -> Verdict {
    match order.stage {
        Stage::Aside if order.adopts && leads == Some(&order.driver) => Verdict::Commit,
        _ => Verdict::PutBack,
    }
}

/// What a unit does that finds a restore of its own, and nobody at work at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// All have heard of the commit.
    Commit,
    /// Patroni outlived the agent: going back would lose what clients wrote.
    CommitIfItServes,
    TakeBack,
}

/// The order of this restore decides. `None`: nothing was told, as ever in a cluster of one.
pub fn found(state: &State, told: Option<&Order>) -> Found {
    match told.map(|order| &order.stage) {
        _ if *state != State::Adopting => Found::TakeBack,
        Some(Stage::Join) => Found::Commit,
        Some(stage) if stage.is_open() => Found::CommitIfItServes,
        _ => Found::TakeBack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, stage: Stage) -> Order {
        Order {
            version: 1,
            id: id.into(),
            label: "20261122-020000F".into(),
            undoes: None,
            driver: "postgresql/0".into(),
            units: ["postgresql/0", "postgresql/1", "postgresql/2"].map(str::to_owned).into(),
            primary: Some("postgresql/1".into()),
            adopts: false,
            stage,
        }
    }

    fn record(id: &str, stage: StageName, done: bool) -> PartRecord {
        PartRecord { stage, done, ..PartRecord::begin(&order(id, Stage::Seal)) }
    }

    fn answer(order: &Order, unit: &str) -> Part {
        Part {
            id: order.id.clone(),
            unit: unit.into(),
            stage: order.stage.name(),
            was_primary: false,
            was_down: false,
            shut_down_at: None,
            timeline: None,
            whole: false,
            failed: None,
        }
    }

    fn back() -> Stage {
        Stage::PutBack { why: "x".into(), first: "postgresql/1".into() }
    }

    #[test]
    fn orders_and_parts_survive_writing_and_reading() {
        let text =
            serde_json::to_string(&order("a", Stage::StopReplicas { shut_down_at: "0/3000028".into() })).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"id":"a","label":"20261122-020000F","driver":"postgresql/0","units":["postgresql/0","postgresql/1","postgresql/2"],"primary":"postgresql/1","stage":"stop-replicas","shut_down_at":"0/3000028"}"#
        );
        for stage in [Stage::Seal, Stage::Join, back()] {
            let order = order("a", stage);
            let text = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
        }
    }

    #[test]
    fn what_a_unit_does_hangs_on_the_order_and_on_what_it_has_done() {
        use StageName as S;
        #[rustfmt::skip]
        let table = [
            // the order,                    what this unit has done,          what it does
            (None,                            None,                             Task::Nothing),
            (None,                            Some(record("a", S::Join, true)), Task::Nothing),
            (None,                            Some(record("a", S::Hold, true)), Task::Wait),
            (Some(order("a", Stage::Seal)),   None,                             Task::Do),
            (Some(order("a", Stage::Hold)),   Some(record("a", S::Seal, true)), Task::Do),
            (Some(order("a", Stage::Hold)),   Some(record("a", S::Hold, false)), Task::Do),
            (Some(order("a", Stage::Hold)),   Some(record("a", S::Hold, true)), Task::Stay),
            (Some(order("a", Stage::Aside)),  Some(record("a", S::Aside, true)), Task::Stay),
            (Some(order("a", Stage::Join)),   Some(record("a", S::Aside, true)), Task::Do),
            (Some(order("a", Stage::Join)),   Some(record("a", S::Join, true)), Task::Nothing),
            // It was away the whole time: its data is of the era that was left.
            (Some(order("a", Stage::Join)),   None,                             Task::Do),
            (Some(order("b", Stage::Join)),   Some(record("a", S::Join, true)), Task::Do),
            // It had not begun, and says so.
            (Some(order("a", back())),        None,                             Task::Do),
            (Some(order("a", back())),        Some(record("a", S::Seal, true)), Task::Do),
            (Some(order("a", back())),        Some(record("a", S::PutBack, false)), Task::Do),
            (Some(order("a", back())),        Some(record("a", S::PutBack, true)), Task::Nothing),
            (Some(order("b", Stage::Seal)),   Some(record("a", S::PutBack, true)), Task::Do),
            (Some(order("b", Stage::Seal)),   Some(record("a", S::Aside, true)), Task::Wait),
            (Some(order("b", back())),        Some(record("a", S::Aside, true)), Task::Wait),
            (Some(order("b", Stage::Join)),   Some(record("a", S::Aside, true)), Task::Do),
        ];
        for (order, record, want) in table {
            let said = order.iter().map(|order| answer(order, "postgresql/2")).collect::<Vec<_>>();
            assert_eq!(task("postgresql/2", order.as_ref(), record.as_ref(), &said), want, "{order:?} {record:?}");
        }
    }

    #[test]
    fn what_is_done_and_was_not_said_is_done_again() {
        for (stage, name) in
            [(Stage::Join, StageName::Join), (back(), StageName::PutBack), (Stage::Hold, StageName::Hold)]
        {
            let (order, done) = (order("a", stage), record("a", name, true));
            let failed = Part { failed: Some("x".into()), ..answer(&order, "postgresql/2") };
            for answers in [vec![], vec![answer(&order, "postgresql/1")], vec![failed]] {
                assert_eq!(task("postgresql/2", Some(&order), Some(&done), &answers), Task::Do, "{answers:?}");
            }
        }
    }

    #[test]
    fn a_unit_that_came_later_has_nothing_to_do_with_it() {
        for stage in [Stage::Join, back(), Stage::Aside] {
            assert_eq!(task("postgresql/3", Some(&order("a", stage)), None, &[]), Task::Nothing);
        }
    }

    #[test]
    fn the_old_primary_comes_back_first_else_one_that_had_everything() {
        let order = order("a", Stage::Aside);
        let part = |unit: &str, whole| Part { stage: StageName::StopReplicas, whole, ..answer(&order, unit) };
        let parts = [part("postgresql/0", false), part("postgresql/2", true)];
        assert_eq!(first_back(&order, &parts, |_| true).as_deref(), Some("postgresql/1"));
        assert_eq!(first_back(&order, &parts, |unit| unit != "postgresql/1").as_deref(), Some("postgresql/2"));
        assert_eq!(first_back(&order, &parts, |unit| unit == "postgresql/0"), None);
        let other = Order { id: "b".into(), ..order };
        assert_eq!(first_back(&other, &parts, |unit| unit != "postgresql/1"), None);
    }

    #[test]
    fn where_no_database_runs_the_newest_data_stands_for_the_primarys() {
        let down = |unit: &str, timeline, at: &str| Part {
            id: "a".into(),
            unit: unit.into(),
            stage: StageName::Seal,
            was_primary: false,
            was_down: true,
            shut_down_at: Some(at.to_owned()),
            timeline: Some(Timeline(timeline)),
            whole: false,
            failed: None,
        };
        let parts =
            [down("postgresql/0", 9, "1/0"), down("postgresql/1", 10, "0/A0"), down("postgresql/2", 10, "0/B0")];
        assert_eq!(newest_of_the_dead(&parts).as_deref(), Some("postgresql/2"));
        let runs = Part { was_down: false, ..parts[0].clone() };
        assert_eq!(newest_of_the_dead(&[runs, parts[1].clone()]), None, "one may have newer rows");
        assert_eq!(newest_of_the_dead(&[]), None);
    }

    #[test]
    fn a_primary_that_changed_meanwhile_is_none() {
        let order = order("a", Stage::Seal);
        let part = |unit: &str, was_primary| Part { was_primary, ..answer(&order, unit) };
        let parts = |one, other| [part("postgresql/0", one), part("postgresql/1", other)];
        let primary = |parts: &[Part]| the_primary(parts).map(|part| part.unit.clone());
        assert_eq!(primary(&parts(false, true)).as_deref(), Some("postgresql/1"));
        assert_eq!(primary(&parts(false, false)), None);
        assert_eq!(primary(&parts(true, true)), None);
    }

    #[test]
    fn old_data_is_kept_as_long_as_asked_for() {
        let day = std::time::Duration::from_secs(86_400);
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let ended = PartRecord { ended: Some(at("2026-11-22T04:00:00Z")), ..record("a", StageName::Join, true) };
        assert!(!ended.old_data_expired(day, at("2026-11-23T03:59:59Z")));
        assert!(ended.old_data_expired(day, at("2026-11-23T04:00:00Z")));
        assert!(!record("a", StageName::Aside, true).old_data_expired(day, at("2027-01-01T00:00:00Z")));
    }
}
