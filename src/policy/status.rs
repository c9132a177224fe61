//! What the unit says about itself in `juju status`: one line, the worst thing first.

/// How urgent, in the order in which one hides the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Active,
    Waiting,
    Maintenance,
    Blocked,
}

impl Level {
    /// The word of `status-set`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Maintenance => "maintenance",
            Self::Blocked => "blocked",
        }
    }
}

/// One thing that is so, found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    level: Level,
    text: String,
}

impl Condition {
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Somebody or something else must act first.
    pub fn is_waiting(&self) -> bool {
        self.level == Level::Waiting
    }

    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.level == Level::Active
    }
}

/// The user must act. The text ends with `; ` and the command to type.
pub fn blocked(text: impl Into<String>) -> Condition {
    Condition { level: Level::Blocked, text: text.into() }
}

/// We are at it.
pub fn maintenance(text: impl Into<String>) -> Condition {
    Condition { level: Level::Maintenance, text: text.into() }
}

/// Somebody else must act first, and will.
pub fn waiting(text: impl Into<String>) -> Condition {
    Condition { level: Level::Waiting, text: text.into() }
}

/// All is well, and this is worth saying.
pub fn active(text: impl Into<String>) -> Condition {
    Condition { level: Level::Active, text: text.into() }
}

/// What `status-set` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    pub level: Level,
    pub message: String,
}

/// Characters; what is longer breaks the table of `juju status`.
const LONGEST: usize = 200;

/// The worst condition: blocked, then maintenance, then waiting, then active.
/// Among equals the first in the list, so list causes before what follows from
/// them. Nothing to say is `active` without a message.
pub fn unit_status(conditions: &[Condition]) -> UnitStatus {
    // `max_by_key` takes the last of equals.
    match conditions.iter().rev().max_by_key(|condition| condition.level) {
        None => UnitStatus { level: Level::Active, message: String::new() },
        Some(worst) => UnitStatus { level: worst.level, message: line(&worst.text) },
    }
}

/// One line; when it is too long, the cause is cut and the command at its end is not.
fn line(text: &str) -> String {
    let text = one_line(text);
    if text.chars().count() <= LONGEST {
        return text;
    }
    let command = text.rfind("; ").map(|at| &text[at..]).filter(|tail| tail.chars().count() < LONGEST / 2);
    let tail = command.unwrap_or_default();
    let room = LONGEST - tail.chars().count() - 1;
    text.chars().take(room).chain(['…']).collect::<String>() + tail
}

fn one_line(text: &str) -> String {
    let printable = text.replace(|c: char| c.is_control(), " ");
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_shown_and_among_equals_the_first() {
        let bucket = || blocked("failed to access/create the bucket, check your S3 settings");
        let stanza = || blocked("failed to initialize stanza, check your S3 settings");
        let primary = || waiting("waiting for the primary");
        let backup = || maintenance("creating backup");
        #[rustfmt::skip]
        let table = [
            (vec![],                               ("active", "")),
            (vec![primary(), backup()],            ("maintenance", "creating backup")),
            (vec![active("x"), primary()],         ("waiting", "waiting for the primary")),
            (vec![backup(), bucket(), stanza()],   ("blocked", "failed to access/create the bucket, check your S3 settings")),
            (vec![stanza(), bucket()],             ("blocked", "failed to initialize stanza, check your S3 settings")),
        ];
        for (conditions, want) in table {
            let status = unit_status(&conditions);
            assert_eq!((status.level.word(), status.message.as_str()), want);
        }
    }

    #[test]
    fn a_long_cause_is_cut_and_the_command_is_kept_whole() {
        let command = "; juju config s3-integrator path=<path>";
        let status = unit_status(&[blocked("é".repeat(500) + command)]);
        assert_eq!(status.message.chars().count(), LONGEST);
        assert!(status.message.ends_with(&format!("é…{command}")));
        let status = unit_status(&[blocked("é".repeat(500))]);
        assert_eq!(status.message.chars().count(), LONGEST);
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(unit_status(&[waiting("a\n  b\x1b[31m\tc")]).message, "a b [31m c");
    }
}
