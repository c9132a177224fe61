//! What a plan is made from, and what it may still lack. The plan is asked for
//! again and again until it lacks nothing: so it stays pure, and reads only the
//! WAL that it needs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::no_way::NoWay;
use crate::model::{Lsn, Observed, Timelines, UnitName, WalMarks, WalSegment};
use crate::policy::Refusal;

/// The repository's WAL and the running cluster, as far as they were looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub unit: UnitName,
    /// The archive that `timelines` tells of.
    pub archive_id: String,
    pub timelines: Timelines,
    /// What was found in segments that were read.
    pub marks: BTreeMap<WalSegment, Observed<WalMarks>>,
    /// How far the cluster's WAL is written.
    pub wal_lsn: Option<Lsn>,
    pub seal: Seal,
    pub now: DateTime<Utc>,
}

/// Is all that the cluster has written in the archive?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    NotYet,
    /// It will be, before the restore: nothing is changed for a plan alone.
    Promised,
    /// All up to the restore point of this name.
    Done {
        name: String,
    },
}

/// Why there is no plan, or not yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Open {
    /// This segment has to be read.
    Look(WalSegment),
    /// The cluster's last WAL has to be archived.
    Seal,
    Refused(Refusal),
}

impl From<Refusal> for Open {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NoWay> for Open {
    fn from(no_way: NoWay) -> Self {
        Self::Refused(Refusal::NoWay(no_way))
    }
}
