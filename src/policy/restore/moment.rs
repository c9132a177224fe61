//! `restore-to-time`: the formats of Charmed PostgreSQL and RFC 3339, as a moment in UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

/// Date, `T` or a blank, time, up to six digits of its fraction, then nothing,
/// `Z`, or an offset (`+05`, `+0530`, `+05:30`). Without one it is UTC.
pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    if !text.is_ascii() {
        return None;
    }
    let (day, rest) = (text.get(..10)?, text.get(10..)?.strip_prefix([' ', 'T', 't'])?);
    let (clock, rest) = (rest.get(..8)?, &rest[8..]);
    // A leap second is none to PostgreSQL.
    let plain = is_like(day, "0000-00-00") && is_like(clock, "00:00:00") && !clock.ends_with("60");
    let date = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().filter(|_| plain)?;
    let time = NaiveTime::parse_from_str(clock, "%H:%M:%S").ok()?;
    let (micros, zone) = fraction(rest)?;
    let local = NaiveDateTime::new(date, time).checked_add_signed(TimeDelta::microseconds(micros))?;
    local.and_utc().checked_sub_signed(offset(zone)?)
}

/// Digits where the pattern has zeros, and its own characters elsewhere.
fn is_like(text: &str, pattern: &str) -> bool {
    let fits = |(have, want): (u8, u8)| if want == b'0' { have.is_ascii_digit() } else { have == want };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(rest) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=6).contains(&digits) {
        return None;
    }
    Some((format!("{:0<6}", &rest[..digits]).parse().ok()?, &rest[digits..]))
}

fn offset(zone: &str) -> Option<TimeDelta> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(TimeDelta::zero());
    }
    let (sign, rest) = zone.split_at(1);
    let known = ["00", "0000", "00:00"].iter().any(|pattern| is_like(rest, pattern));
    let (hours, minutes) = (rest.get(..2)?.parse::<i64>().ok()?, rest.get(rest.len() - 2..)?.parse::<i64>().ok()?);
    let minutes = if rest.len() == 2 { 0 } else { minutes };
    let east = match sign {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    // As far as PostgreSQL takes them (datetime.h, MAX_TZDISP_HOUR).
    (known && hours <= 15 && minutes <= 59).then(|| TimeDelta::minutes(east * (hours * 60 + minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moment;

    #[test]
    fn times_are_read_in_every_spelling_and_nothing_else_is() {
        #[rustfmt::skip]
        let table = [
            ("2026-11-22 03:00:00",                Some("2026-11-22T03:00:00Z")),
            ("2026-11-22 03:00:00.5",              Some("2026-11-22T03:00:00.500Z")),
            ("2026-11-22 03:00:00.123456",         Some("2026-11-22T03:00:00.123456Z")),
            ("2026-11-22 03:00:00+02",             Some("2026-11-22T01:00:00Z")),
            ("2026-11-22 03:00:00-0530",           Some("2026-11-22T08:30:00Z")),
            ("2026-11-22 03:00:00.25+05:45",       Some("2026-11-21T21:15:00.250Z")),
            ("2026-11-22T03:00:00Z",               Some("2026-11-22T03:00:00Z")),
            ("2026-11-22T03:00:00.000001-00:00",   Some("2026-11-22T03:00:00.000001Z")),
            ("2028-02-29T23:59:59Z",               Some("2028-02-29T23:59:59Z")),
            ("2026-02-29 03:00:00",                None),
            ("2026-11-22 24:00:00",                None),
            ("2026-11-22 23:59:60",                None),
            ("2026-11-22 03:00:00.",               None),
            ("2026-11-22 03:00:00.1234567",        None),
            ("2026-11-22 03:00:00+2",              None),
            ("2026-11-22 03:00:00+16",             None),
            ("2026-11-22 03:00:00+00:60",          None),
            ("2026-11-22 03:00:00 UTC",            None),
            ("2026-11-22 03:00",                   None),
            ("2026-11-22",                         None),
            ("26-11-22 03:00:00",                  None),
            (" 2026-11-22 03:00:00",               None),
            ("2026-11-22 03:00:00'; x",            None),
            ("2026-11-22 03:00:0٣",                None),
            ("yesterday",                          None),
            ("",                                   None),
        ];
        for (text, want) in table {
            assert_eq!(parse(text).map(|time| Moment(time).to_string()).as_deref(), want, "{text}");
        }
    }
}
