//! What `repo-ls --output=json` tells of the archive. Pure: names in, facts out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde::Deserialize;

use super::exit::EngineError;
use crate::model::{Backup, Timeline, TimelineHistory, WalSegment, WalSegmentSize};

/// One folder of the repository: name -> entry. A missing folder is an empty one.
pub(super) type Listing = BTreeMap<String, Entry>;

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: String,
    time: Option<i64>,
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

/// `15-1`, `15-2`, ...: one for every database the stanza has had.
pub(super) fn archive_ids(listing: &Listing) -> Vec<String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_id = |name: &str| name.split_once('-').is_some_and(|(version, id)| number(version) && number(id));
    let folders = listing.iter().filter(|(name, entry)| entry.kind == "path" && is_id(name));
    folders.map(|(name, _)| name.clone()).collect()
}

/// `00000002.history`, with the time at which it came into the repository.
pub(super) fn histories(listing: &Listing) -> Vec<TimelineHistory> {
    let found = listing.iter().filter_map(|(name, entry)| {
        let number = name.strip_suffix(".history").filter(|number| number.len() == 8)?;
        let timeline = Timeline(u32::from_str_radix(number, 16).ok()?);
        Some(TimelineHistory { timeline, created: DateTime::from_timestamp(entry.time?, 0)? })
    });
    found.collect()
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
        assert!(histories(&parse("{}").unwrap()).is_empty());
    }

    #[test]
    fn histories_have_a_timeline_and_a_time() {
        let found = histories(&fixture!("2.45/repo-ls-history.json"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].timeline, found[0].id().to_string()), (Timeline(2), "2026-11-22T02:35:27Z".to_owned()));
    }

    #[test]
    fn archive_ids_are_folders() {
        let json =
            r#"{".":{"type":"path"},"15-1":{"type":"path"},"9.6-2":{"type":"path"},"archive.info":{"type":"file"}}"#;
        assert_eq!(archive_ids(&parse(json).unwrap()), ["15-1", "9.6-2"]);
    }
}
