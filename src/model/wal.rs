//! Timelines and WAL segments: names, order, and which segments lie between two.
//! Names follow PostgreSQL's `XLogFileName`: 8 hex timeline, 8 hex log, 8 hex segment.

use std::fmt;
use std::str::FromStr;

/// A timeline, compared as a number: as hex text, `9` would come after `10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Timeline(pub u32);

impl fmt::Display for Timeline {
    /// As `list-backups` shows it: hex without leading zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

impl Timeline {
    /// As parameters take it, with its hexadecimal where that differs: `16 (0x10)`.
    pub fn spelled(self) -> String {
        if self.0 < 10 { self.0.to_string() } else { format!("{} (0x{:X})", self.0, self.0) }
    }
}

/// Bytes in one WAL segment, a power of two from 1 MiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalSegmentSize(u64);

impl WalSegmentSize {
    /// initdb's default: 16 MiB.
    pub const DEFAULT: Self = Self(16 << 20);

    pub fn from_bytes(bytes: u64) -> Option<Self> {
        (bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes)).then_some(Self(bytes))
    }

    pub fn bytes(self) -> u64 {
        self.0
    }

    fn per_log(self) -> u64 {
        (1 << 32) / self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalSegment {
    pub timeline: Timeline,
    pub log: u32,
    pub segment: u32,
}

impl WalSegment {
    /// The segment of a timeline that is this far from the beginning of WAL.
    pub fn at(timeline: Timeline, number: u64, size: WalSegmentSize) -> Self {
        Self { timeline, log: (number / size.per_log()) as u32, segment: (number % size.per_log()) as u32 }
    }

    /// How far it is from the beginning of WAL, in segments.
    pub fn number(self, size: WalSegmentSize) -> u64 {
        u64::from(self.log) * size.per_log() + u64::from(self.segment)
    }

    /// The folder of the archive that holds it: the first 16 digits.
    pub fn folder(self) -> String {
        format!("{:08X}{:08X}", self.timeline.0, self.log)
    }

    /// This one and all that follow, up to and with `last`. Empty when `last`
    /// lies before it or on another timeline.
    pub fn up_to(self, last: Self, size: WalSegmentSize) -> Vec<Self> {
        if self.timeline != last.timeline {
            return Vec::new();
        }
        (self.number(size)..=last.number(size)).map(|number| Self::at(self.timeline, number, size)).collect()
    }
}

impl fmt::Display for WalSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}{:08X}{:08X}", self.timeline.0, self.log, self.segment)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a WAL segment: `{0}`")]
pub struct NotAWalSegment(pub String);

impl FromStr for WalSegment {
    type Err = NotAWalSegment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |range: std::ops::Range<usize>| u32::from_str_radix(&text[range], 16).ok();
        if text.len() != 24 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAWalSegment(super::label::shortened(text)));
        }
        match (part(0..8), part(8..16), part(16..24)) {
            (Some(timeline), Some(log), Some(segment)) => Ok(Self { timeline: Timeline(timeline), log, segment }),
            _ => Err(NotAWalSegment(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(first: &str, last: &str) -> Vec<String> {
        let all = first.parse::<WalSegment>().unwrap().up_to(last.parse().unwrap(), WalSegmentSize::DEFAULT);
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn segments_between_two_names_are_counted_across_a_log_boundary() {
        assert_eq!(
            names("0000000100000000000000FE", "000000010000000100000001"),
            [
                "0000000100000000000000FE",
                "0000000100000000000000FF",
                "000000010000000100000000",
                "000000010000000100000001"
            ],
        );
    }

    #[test]
    fn one_segment_is_its_own_range_and_another_timeline_has_none() {
        assert_eq!(names("000000010000000000000003", "000000010000000000000003").len(), 1);
        assert!(names("000000010000000000000003", "000000020000000000000004").is_empty());
        assert!(names("000000010000000000000004", "000000010000000000000003").is_empty());
    }

    #[test]
    fn timelines_are_numbers() {
        let ten: WalSegment = "000000100000000000000001".parse().unwrap();
        let nine: WalSegment = "000000090000000000000001".parse().unwrap();
        assert!(ten.timeline > nine.timeline);
        assert_eq!((ten.timeline.to_string(), nine.timeline.to_string()), ("10".to_owned(), "9".to_owned()));
    }
}
