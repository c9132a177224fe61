//! How a whole cluster switches between plain and TLS without an outage: one unit, one step at a time. Which files and
//! programs a stage means is for the rooms above.
//!
//! Hooks of different units run at the same time, so what a unit reads of a peer may be old. Two rules make that safe: what a
//! unit is at, and what it wishes, it publishes in the same bag at the end of a hook; and it moves only when it had published the
//! present wish in an **earlier** hook and then finds all peers with the same wish. (Write the flag, then read the others': of
//! two units that want to move in different directions, one always sees the other.)

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use crate::model::TlsStage as Stage;

/// What the cluster is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    On,
    Off,
}

/// What a unit says in the peer relation, both together, at the end of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub stage: Stage,
    /// As the unit saw it in that hook.
    pub wish: Wish,
}

/// How far the unit's own certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    NoCertificate,
    /// It has one; a peer does not trust its CA yet.
    NotTrusted,
    /// Every peer that has published anything trusts its CA, and it trusts theirs.
    Trusted,
}

impl Readiness {
    /// The highest stage it is enough for.
    fn allows(self) -> Stage {
        match self {
            Self::NoCertificate => Stage::Plain,
            Self::NotTrusted => Stage::Accept,
            Self::Trusted => Stage::Only,
        }
    }
}

/// The stage to go to now: the present one, or the next one up or down. `own` is what the unit published in an earlier hook and
/// is at; `peers` are all units of the peer relation. One that has published nothing speaks to nobody yet ([`may_start`]): it
/// holds nobody back.
pub fn next_stage(own: Published, wish: Wish, readiness: Readiness, peers: &[Option<Published>]) -> Stage {
    if !agreed(own, wish, peers) {
        return own.stage;
    }
    let all = |test: fn(Stage, Stage) -> bool| peers.iter().flatten().all(|peer| test(peer.stage, own.stage));
    match wish {
        Wish::On if own.stage.up() <= readiness.allows() && all(|peer, own| peer >= own) => own.stage.up(),
        Wish::Off if all(|peer, own| peer <= own) => own.stage.down(),
        Wish::On | Wish::Off => own.stage,
    }
}

/// The stage that a unit which has not started yet is to start in; `None`: wait. It joins the furthest of its peers, since those
/// behind are on their way there; so it needs a certificate when they have TLS. A first unit starts plain.
pub fn first_stage(wish: Wish, readiness: Readiness, peers: &[Option<Published>]) -> Option<Stage> {
    let mut stages = peers.iter().flatten().map(|peer| (peer.wish == wish).then_some(peer.stage));
    let furthest = stages.try_fold(None, |furthest, stage| {
        let stage = stage?;
        Some(Some(furthest.map_or(stage, |furthest: Stage| match wish {
            Wish::On => furthest.max(stage),
            Wish::Off => furthest.min(stage),
        })))
    })?;
    Some(furthest.unwrap_or(Stage::Plain)).filter(|stage| *stage <= readiness.allows())
}

/// What a unit that has not started yet is to publish in this hook; `None`: nothing. `own` is what it published before: it says
/// yes to another wish even while it waits, or two that wait would wait for each other; and it does not come back from a further
/// stage, or two that wait would take over each other's for ever.
pub fn announce(
    own: Option<Published>,
    wish: Wish,
    readiness: Readiness,
    peers: &[Option<Published>],
) -> Option<Published> {
    let own = own.map(|own| own.stage);
    let is_further = |own: Stage, first: Stage| match wish {
        Wish::On => own > first,
        Wish::Off => own < first,
    };
    let first = first_stage(wish, readiness, peers);
    let stays = |own: &Stage| *own <= readiness.allows() && first.is_some_and(|first| is_further(*own, first));
    Some(Published { stage: own.filter(stays).or(first).or(own)?, wish })
}

/// May a unit that published its first stage in an earlier hook start its programs? When not, it asks [`announce`] again.
pub fn may_start(own: Published, wish: Wish, peers: &[Option<Published>]) -> bool {
    let is_behind = |stage: Stage| match wish {
        Wish::On => stage == own.stage || stage.up() == own.stage,
        Wish::Off => stage == own.stage || stage.down() == own.stage,
    };
    agreed(own, wish, peers) && peers.iter().flatten().all(|peer| is_behind(peer.stage))
}

fn agreed(own: Published, wish: Wish, peers: &[Option<Published>]) -> bool {
    own.wish == wish && peers.iter().flatten().all(|peer| peer.wish == wish)
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a wish for TLS (on, off)")]
pub struct NotAWish;

impl FromStr for Wish {
    type Err = NotAWish;

    fn from_str(text: &str) -> Result<Self, NotAWish> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(NotAWish),
        }
    }
}

#[cfg(test)]
mod tests;
