//! The recovery window as `list-backups` tells it.

use serde_json::{Value, json};

use crate::model::{Moment, Observed};
use crate::policy::{RecoveryWindow, Until};

/// One window or gap a line.
pub fn lines(window: &Observed<RecoveryWindow>) -> String {
    let window = match window {
        Observed::Known(window) => window,
        Observed::Unknown { why } => return format!("not known: {why}"),
    };
    let windows = window.windows.iter().map(|window| {
        let until = match window.until {
            Until::Now => "now".to_owned(),
            Until::Commit(time) => Moment(time).to_string(),
            Until::Archived(time) => format!("at most {}", Moment(time)),
        };
        format!("timeline {}: {} to {until}", window.timeline.spelled(), Moment(window.from))
    });
    let gaps = window.gaps.iter().map(|gap| match gap.segments {
        1 => format!("gap: WAL segment {} is missing", gap.first),
        many => format!("gap: {many} WAL segments from {} on are missing", gap.first),
    });
    let lines: Vec<_> = windows.chain(gaps).collect();
    if lines.is_empty() { "none: there is no backup yet".to_owned() } else { lines.join("\n") }
}

/// The same for programs.
pub fn json(window: &Observed<RecoveryWindow>) -> Value {
    let window = match window {
        Observed::Known(window) => window,
        Observed::Unknown { why } => return json!({ "unknown": why, "windows": [], "gaps": [] }),
    };
    let windows = window.windows.iter().map(|window| {
        let (to, is) = match window.until {
            Until::Now => (None, "now"),
            Until::Commit(time) => (Some(Moment(time).to_string()), "commit"),
            Until::Archived(time) => (Some(Moment(time).to_string()), "at-most"),
        };
        json!({ "timeline": window.timeline.0, "from": Moment(window.from).to_string(), "to": to, "to-is": is })
    });
    let gaps =
        window.gaps.iter().map(|gap| json!({ "first-missing": gap.first.to_string(), "segments": gap.segments }));
    json!({ "unknown": null, "windows": windows.collect::<Vec<_>>(), "gaps": gaps.collect::<Vec<_>>() })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Timeline;
    use crate::policy::{Gap, Window};

    pub fn everything() -> RecoveryWindow {
        let window = |timeline, until| Window {
            timeline: Timeline(timeline),
            from: "2026-11-22T03:00:10Z".parse().unwrap(),
            until,
        };
        let time = "2026-11-22T04:00:00.5Z".parse().unwrap();
        RecoveryWindow {
            windows: vec![window(1, Until::Commit(time)), window(9, Until::Archived(time)), window(16, Until::Now)],
            gaps: vec![
                Gap { first: "000000010000000000000005".parse().unwrap(), segments: 1 },
                Gap { first: "000000100000000000000005".parse().unwrap(), segments: 3 },
            ],
        }
    }

    #[test]
    fn windows_and_gaps_are_a_line_each() {
        insta::assert_snapshot!(lines(&Observed::Known(everything())), @r"
        timeline 1: 2026-11-22T03:00:10Z to 2026-11-22T04:00:00.500Z
        timeline 9: 2026-11-22T03:00:10Z to at most 2026-11-22T04:00:00.500Z
        timeline 16 (0x10): 2026-11-22T03:00:10Z to now
        gap: WAL segment 000000010000000000000005 is missing
        gap: 3 WAL segments from 000000100000000000000005 on are missing
        ");
        assert_eq!(lines(&Observed::Known(RecoveryWindow::default())), "none: there is no backup yet");
        assert_eq!(lines(&Observed::unknown("no answer")), "not known: no answer");
    }
}
