//! Bytes and durations as a person reads them.

use std::fmt;
use std::time::Duration;

/// `1.2 GiB`; below one KiB `512 B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // 1023.95 would be printed as `1024.0`.
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let number = format!("{value:.1}");
        write!(f, "{} {}", number.strip_suffix(".0").unwrap_or(&number), UNITS[unit])
    }
}

/// `20 s`, `3 min`, `1 h 5 min`, `3 d 2 h`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..=89 => write!(f, "{seconds} s"),
            seconds @ 90..=3569 => write!(f, "{} min", (seconds + 30) / 60),
            seconds @ 3570..=172_799 => {
                write!(f, "{} h {} min", seconds.max(3600) / 3600, seconds.max(3600) % 3600 / 60)
            }
            seconds => write!(f, "{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well_up_to_the_edge_of_each_unit() {
        #[rustfmt::skip]
        let table = [
            (0,                  "0 B"),
            (1023,               "1023 B"),
            (1024,               "1 KiB"),
            (1_048_575,          "1 MiB"),
            (85 << 20,           "85 MiB"),
            (1_288_490_189,      "1.2 GiB"),
            (u64::MAX,           "16777216 TiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn spans_read_well_up_to_the_edge_of_each_unit() {
        #[rustfmt::skip]
        let table = [
            (0,        "0 s"),
            (89,       "89 s"),
            (90,       "2 min"),
            (3569,     "59 min"),
            (3570,     "1 h 0 min"),
            (5940,     "1 h 39 min"),
            (172_799,  "47 h 59 min"),
            (266_400,  "3 d 2 h"),
        ];
        for (seconds, text) in table {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
