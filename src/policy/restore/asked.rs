//! What a restore was asked for: parameters as typed -> as meant, or refused by name.

use super::moment;
use super::no_way::NoWay;
use crate::model::{Lsn, RestoreTarget, Stop, Timeline};

/// The parameters of `restore` as typed; empty ones were not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Typed {
    pub backup_id: Option<String>,
    pub time: Option<String>,
    pub lsn: Option<String>,
    pub xid: Option<String>,
    pub name: Option<String>,
    pub timeline: Option<String>,
    pub exclusive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// A backup-id, not yet looked up.
    pub backup: Option<String>,
    pub target: RestoreTarget,
    pub stop: Stop,
    pub timeline: Option<Timeline>,
}

/// PostgreSQL's `MAXFNAMELEN`, less its end.
const LONGEST_NAME: usize = 63;
/// `FirstNormalTransactionId`
const FIRST_XID: u32 = 3;

impl Asked {
    pub fn of(typed: &Typed) -> Result<Self, NoWay> {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let backup = given(&typed.backup_id);
        let targets = [
            ("restore-to-time", given(&typed.time)),
            ("restore-to-lsn", given(&typed.lsn)),
            ("restore-to-xid", given(&typed.xid)),
            ("restore-to-name", given(&typed.name)),
        ];
        let mut targets = targets.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let target = targets.next();
        if let (Some((first, _)), Some((second, _))) = (&target, targets.next()) {
            return Err(NoWay::Conflict { first, second });
        }
        let timeline = given(&typed.timeline).map(|text| timeline(&text)).transpose()?;
        let target = match target {
            Some((name, text)) => parse(name, &text)?,
            None if backup.is_none() => return Err(NoWay::NoTarget),
            None if timeline.is_some() => return Err(NoWay::Conflict { first: "backup-id", second: "timeline" }),
            None => RestoreTarget::BackupEnd,
        };
        let stop = stop(typed.exclusive, &target)?;
        Ok(Self { backup, target, stop, timeline })
    }
}

fn parse(name: &'static str, text: &str) -> Result<RestoreTarget, NoWay> {
    let bad = || NoWay::BadTarget { name, text: shown(text) };
    match name {
        "restore-to-time" if text == "latest" => Ok(RestoreTarget::Latest),
        "restore-to-time" => {
            moment::parse(text).map(RestoreTarget::Time).ok_or_else(|| NoWay::BadTime { text: shown(text) })
        }
        "restore-to-lsn" => text.parse::<Lsn>().map(RestoreTarget::Lsn).map_err(|_| bad()),
        "restore-to-xid" => xid(text).map(RestoreTarget::Xid).ok_or_else(bad),
        _ if is_name(text) => Ok(RestoreTarget::Name(text.to_owned())),
        _ => Err(bad()),
    }
}

/// `pg_current_xact_id()` has 64 bits, WAL and the target the lower half of them.
fn xid(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|_| digits)?;
    Some(number as u32).filter(|xid| *xid >= FIRST_XID)
}

/// pgBackRest writes it between quotes into a file of settings, and escapes nothing.
fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && !text.chars().any(|c| matches!(c, '\'' | '"' | '\\') || c.is_control())
}

fn timeline(text: &str) -> Result<Timeline, NoWay> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| *number > 0);
    number.map(Timeline).ok_or_else(|| NoWay::BadTarget { name: "timeline", text: shown(text) })
}

fn stop(exclusive: bool, target: &RestoreTarget) -> Result<Stop, NoWay> {
    match (exclusive, target) {
        (false, _) => Ok(Stop::After),
        (true, RestoreTarget::Time(_) | RestoreTarget::Lsn(_) | RestoreTarget::Xid(_)) => Ok(Stop::Before),
        (true, _) => Err(NoWay::ExclusiveOfNothing),
    }
}

/// Short enough for a message, and without what would break its line.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &str, text: &str) -> Typed {
        let text = Some(text.to_owned());
        match name {
            "id" => Typed { backup_id: text, ..Typed::default() },
            "time" => Typed { time: text, ..Typed::default() },
            "lsn" => Typed { lsn: text, ..Typed::default() },
            "xid" => Typed { xid: text, ..Typed::default() },
            _ => Typed { name: text, ..Typed::default() },
        }
    }

    #[test]
    fn one_target_is_read_and_nonsense_is_refused() {
        let long = "x".repeat(64);
        #[rustfmt::skip]
        let table = [
            ("id",   "2026-11-22T03:00:00Z",     Some(RestoreTarget::BackupEnd)),
            ("time", "latest",                   Some(RestoreTarget::Latest)),
            ("time", "2026-11-22 03:00:00+01",   Some(RestoreTarget::Time("2026-11-22T02:00:00Z".parse().unwrap()))),
            ("time", "Latest",                   None),
            ("lsn",  "0/3000028",                Some(RestoreTarget::Lsn(Lsn(0x300_0028)))),
            ("lsn",  "3000028",                  None),
            ("xid",  "736",                      Some(RestoreTarget::Xid(736))),
            ("xid",  "4294968032",               Some(RestoreTarget::Xid(736))),
            ("xid",  "2",                        None),
            ("xid",  "+736",                     None),
            ("xid",  "0x2E0",                    None),
            ("name", "before the upgrade",       Some(RestoreTarget::Name("before the upgrade".into()))),
            ("name", "x' restore_command='y",    None),
            ("name", "back\\slash",              None),
            ("name", long.as_str(),              None),
        ];
        for (name, text, want) in table {
            assert_eq!(Asked::of(&typed(name, text)).ok().map(|asked| asked.target), want, "{name} {text}");
        }
    }

    #[test]
    fn timelines_are_decimal_or_hexadecimal_with_its_sign() {
        for (text, want) in [
            ("16", Some(16)),
            ("0x10", Some(16)),
            ("0XA", Some(10)),
            ("A", None),
            ("0", None),
            ("-1", None),
            ("0x", None),
        ] {
            assert_eq!(timeline(text).ok(), want.map(Timeline), "{text}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let both = Typed { lsn: Some("0/1".into()), ..typed("time", "latest") };
        assert_eq!(Asked::of(&both), Err(NoWay::Conflict { first: "restore-to-time", second: "restore-to-lsn" }));
        let id = Typed { timeline: Some("2".into()), ..typed("id", "x") };
        assert_eq!(Asked::of(&id), Err(NoWay::Conflict { first: "backup-id", second: "timeline" }));
        for name in ["id", "name"] {
            let exclusive = Typed { exclusive: true, ..typed(name, "x") };
            assert_eq!(Asked::of(&exclusive), Err(NoWay::ExclusiveOfNothing), "{name}");
        }
        assert_eq!(Asked::of(&Typed { exclusive: true, ..typed("time", "latest") }), Err(NoWay::ExclusiveOfNothing));
        assert_eq!(Asked::of(&Typed { timeline: Some("2".into()), ..Typed::default() }), Err(NoWay::NoTarget));
        assert_eq!(Asked::of(&typed("id", " ")), Err(NoWay::NoTarget));
        let with_set = Typed { backup_id: Some("x".into()), ..typed("time", "latest") };
        assert_eq!(Asked::of(&with_set).unwrap().backup.as_deref(), Some("x"));
    }
}
