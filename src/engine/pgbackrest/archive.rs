//! What `repo-ls --output=json` tells of the archive. Pure: names in, facts out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde::Deserialize;

use super::exit::EngineError;
use crate::model::{ArchivedWal, Archives, Backup, Timeline, TimelineHistory, WalSegment, WalSegmentSize};

/// One folder of the repository: name -> entry. A missing folder is an empty one.
pub(super) type Listing = BTreeMap<String, Entry>;

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    time: Option<i64>,
    #[serde(default)]
    size: u64,
}

pub(super) fn parse(json: &str) -> Result<Listing, EngineError> {
    serde_json::from_str(json).map_err(|why| EngineError::Unreadable { question: "repo-ls", why: why.to_string() })
}

/// Segments that a restore of this backup needs from the archive. A range that
/// is not known proves nothing.
pub(super) fn needed(backup: &Backup, size: WalSegmentSize) -> Result<Vec<WalSegment>, EngineError> {
    let range = backup.wal_start.zip(backup.wal_stop).map(|(first, last)| first.up_to(last, size));
    let unknown = || EngineError::Unreadable { question: "info", why: format!("{} has no range of WAL", backup.label) };
    range.filter(|segments| !segments.is_empty()).ok_or_else(unknown)
}

/// The folders that these segments lie in.
pub(super) fn folders(segments: &[WalSegment]) -> BTreeSet<String> {
    segments.iter().map(|segment| segment.folder()).collect()
}

/// The segments in a folder. `<24 hex>-<sha1>[.ext]` is whole;
/// `<24 hex>.partial-<sha1>` is the end of a timeline and cannot stand for it.
pub(super) fn segments(listing: &Listing) -> BTreeSet<WalSegment> {
    let whole = listing.keys().filter_map(|name| name.split_once('-'));
    whole.filter_map(|(segment, _)| segment.parse().ok()).collect()
}

/// All archives of a stanza, from the recursive listing of its folder:
/// `15-1/0000000100000000/<24 hex>-<sha1>[.ext]`, `15-1/00000002.history`.
pub(super) fn archives(listing: &Listing) -> Archives {
    let mut found = Archives::new();
    for (path, entry) in listing {
        let Some((id, rest)) = path.split_once('/') else { continue };
        let archive = found.entry(id.to_owned()).or_default();
        archive.histories.extend(history(rest, entry));
        archive.segments.extend(segment(rest, entry));
    }
    found.values_mut().for_each(|archive| archive.histories.sort_by_key(|history| (history.created, history.timeline)));
    found
}

fn segment(path: &str, entry: &Entry) -> Option<(WalSegment, ArchivedWal)> {
    let name = path.rsplit('/').next()?;
    let segment = name.split_once('-')?.0.parse().ok()?;
    Some((segment, ArchivedWal { archived: DateTime::from_timestamp(entry.time?, 0)?, bytes: entry.size }))
}

/// With the time at which it came into the repository.
fn history(name: &str, entry: &Entry) -> Option<TimelineHistory> {
    let number = name.strip_suffix(".history").filter(|number| number.len() == 8)?;
    let timeline = Timeline(u32::from_str_radix(number, 16).ok()?);
    Some(TimelineHistory { timeline, created: DateTime::from_timestamp(entry.time?, 0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            parse(include_str!(concat!("../../../tests/fixtures/pgbackrest/", $name))).unwrap()
        };
    }

    #[test]
    fn whole_segments_are_known_by_name_and_partial_ones_do_not_count() {
        let found = segments(&fixture!("2.45/repo-ls-wal.json"));
        assert_eq!(found.len(), 23);
        assert!(found.contains(&"000000010000000000000017".parse().unwrap()));
        let json = r#"{
            "000000010000000000000018.partial-d101900a9f7e061805c1ce895743d29752873ee0.zst":{"type":"file"},
            "000000010000000000000017.00000028.backup":{"type":"file"},
            "000000010000000000000019-d101900a9f7e061805c1ce895743d29752873ee0":{"type":"file"}}"#;
        let names: Vec<_> = segments(&parse(json).unwrap()).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["000000010000000000000019"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty() {
        assert!(segments(&fixture!("2.45/repo-ls-missing.json")).is_empty());
        assert!(archives(&parse("{}").unwrap()).is_empty());
    }

    #[test]
    fn a_recursive_listing_is_all_archives_of_the_stanza() {
        let found = archives(&fixture!("2.45/repo-ls-archives.json"));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["15-1"]);
        let archive = &found["15-1"];
        assert_eq!(archive.segments.len(), 11);
        assert_eq!(archive.histories.iter().map(|history| history.timeline.0).collect::<Vec<_>>(), [2, 3]);
        let wal = archive.segments[&"000000030000000000000007".parse().unwrap()];
        assert_eq!((wal.bytes, wal.archived.timestamp()), (625, 1_796_049_750));
    }
}
