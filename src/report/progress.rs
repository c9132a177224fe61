//! How far a copy is, in one line.

use std::time::Duration;

use crate::model::{Bytes, Span};

/// `1.2 GiB`
pub fn bytes(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

/// `copying: 42.1% (1.2 GiB of 2.9 GiB, 85 MiB/s, about 20 s left)`
pub fn line(percent_hundredths: u32, total: Option<u64>, elapsed: Duration) -> String {
    let done = percent_hundredths.min(10_000);
    let copied = total.map(|total| (u128::from(total) * u128::from(done) / 10_000) as u64);
    let mut details = Vec::new();
    if let (Some(copied), Some(total)) = (copied, total) {
        details.push(format!("{} of {}", Bytes(copied), Bytes(total)));
    }
    if let Some(rate) = copied.filter(|copied| *copied > 0).and_then(|copied| rate(copied, elapsed)) {
        details.push(format!("{}/s", Bytes(rate)));
    }
    if let Some(left) = left(done, elapsed) {
        details.push(format!("about {} left", Span(left)));
    }
    let percent = format!("copying: {}.{}%", done / 100, done / 10 % 10);
    if details.is_empty() { percent } else { format!("{percent} ({})", details.join(", ")) }
}

fn rate(copied: u64, elapsed: Duration) -> Option<u64> {
    (!elapsed.is_zero()).then(|| (copied as f64 / elapsed.as_secs_f64()) as u64)
}

/// Too early to tell below one percent.
fn left(done: u32, elapsed: Duration) -> Option<Duration> {
    (done >= 100).then(|| elapsed * (10_000 - done) / done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_known_and_no_more() {
        let total = Some(3_113_851_290);
        #[rustfmt::skip]
        let table = [
            (4210,   total,    14, "copying: 42.1% (1.2 GiB of 2.9 GiB, 89.3 MiB/s, about 19 s left)"),
            (4210,   None,     14, "copying: 42.1% (about 19 s left)"),
            (0,      total,    3,  "copying: 0.0% (0 B of 2.9 GiB)"),
            (0,      None,     3,  "copying: 0.0%"),
            (50,     total,    0,  "copying: 0.5% (14.8 MiB of 2.9 GiB)"),
            (100,    total,   60,  "copying: 1.0% (29.7 MiB of 2.9 GiB, 506.8 KiB/s, about 1 h 39 min left)"),
            (1000,   None,    60,  "copying: 10.0% (about 9 min left)"),
            (10_000, total,   30,  "copying: 100.0% (2.9 GiB of 2.9 GiB, 99 MiB/s, about 0 s left)"),
            (12_345, Some(0), 30,  "copying: 100.0% (0 B of 0 B, about 0 s left)"),
        ];
        for (percent, total, seconds, text) in table {
            assert_eq!(line(percent, total, Duration::from_secs(seconds)), text);
        }
    }
}
