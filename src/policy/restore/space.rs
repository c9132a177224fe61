//! What a restore costs: bytes to fetch, space on the disk, time.

use std::time::Duration;

use crate::model::{Backup, Catalog, Timelines, WalSegment};

/// What recovery writes beside the database and the WAL it replays.
const HEADROOM: u64 = 256 << 20;
/// Replayed WAL is removed at the next restartpoint, `max_wal_size` (1 GiB) behind.
const REPLAYED: u64 = 1 << 30;

/// Stopping, changing places, starting; and the copy's own start and stop.
const OUTAGE: Duration = Duration::from_secs(20);
/// To fetch a segment and to replay it.
const A_SEGMENT: Duration = Duration::from_millis(250);

/// What comes from the repository, compressed: at most all of the sets it stands on, and the WAL.
pub(super) fn fetched(catalog: &Catalog, set: &Backup, timelines: &Timelines, wal: &[WalSegment]) -> u64 {
    let needed = |other: &&Backup| other.label == set.label || set.reference.contains(&other.label);
    let sets: u64 = catalog.backups.iter().filter(needed).map(|set| set.repository_size).sum();
    let wal: u64 = wal.iter().filter_map(|segment| timelines.archive.segments.get(segment)).map(|wal| wal.bytes).sum();
    sets.saturating_add(wal)
}

/// The copy, and what is written while it is recovered.
pub(super) fn needed(set: &Backup, timelines: &Timelines, wal: &[WalSegment]) -> u64 {
    let replayed = (wal.len() as u64).saturating_mul(timelines.segment_size.bytes()).min(REPLAYED);
    set.size.saturating_add(set.size / 10).saturating_add(HEADROOM).saturating_add(replayed)
}

/// What another unit writes when it copies the restored cluster.
pub(super) fn copied(set: &Backup) -> u64 {
    set.size.saturating_add(set.size / 10).saturating_add(HEADROOM)
}

/// As fast as its full backup was copied, the other way round.
pub(super) fn duration(catalog: &Catalog, set: &Backup, wal: &[WalSegment]) -> Duration {
    let full = catalog.backups.iter().find(|other| other.label.as_str() == set.label.full_text()).unwrap_or(set);
    let took = (full.finished - full.started).num_seconds().max(1) as u64;
    let copying = set.size / (full.size / took).max(1);
    OUTAGE + Duration::from_secs(copying) + A_SEGMENT * wal.len() as u32
}
