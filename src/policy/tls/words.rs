//! What `juju status` says about a unit's certificate: what happened, what it means, the command.

use chrono::{DateTime, Utc};

use super::renewal::{AnswerSeen, CertificateFacts, InUse};
use crate::policy::status::{Condition, blocked, waiting};

/// Whose names stand in the texts.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The application behind `certificates`.
    pub authority: &'a str,
    pub unit: &'a str,
}

/// The one thing to say about the certificate; `None` when all is well.
pub fn certificate_condition(facts: &CertificateFacts, names: Names<'_>) -> Option<Condition> {
    let Names { authority, unit } = names;
    let look = format!("juju status {authority}");
    match (&facts.in_use, &facts.answer) {
        (_, AnswerSeen::Revoked) => Some(blocked(format!(
            "{authority} revoked the certificate, it is not used any more and another is requested; clients that verify are refused; {look}"
        ))),
        (Some(in_use), _) if facts.now < in_use.validity.not_before => Some(blocked(format!(
            "the clock says {}, the certificate is valid from {}: it stays in use, set the clock; juju exec --unit {unit} timedatectl",
            minute(facts.now),
            minute(in_use.validity.not_before)
        ))),
        (_, AnswerSeen::New(new)) if facts.now < new.not_before => Some(waiting(format!(
            "the new certificate is valid from {}, the clock says {}; juju exec --unit {unit} timedatectl",
            minute(new.not_before),
            minute(facts.now)
        ))),
        (_, AnswerSeen::Unusable { why }) => {
            Some(blocked(format!("the answer of {authority} cannot be used: {why}; {look}")))
        }
        (Some(in_use), AnswerSeen::Nothing) => late(facts, in_use, authority, &look),
        (None, AnswerSeen::Nothing) if facts.has_waited() => {
            Some(waiting(format!("{authority} has not answered the request for a certificate; {look}")))
        }
        (None, _) => Some(waiting(format!("waiting for a certificate from {authority}"))),
        (Some(_), AnswerSeen::InUse | AnswerSeen::New(_)) => None,
    }
}

/// In use, and the request for the next one is unanswered.
fn late(facts: &CertificateFacts, in_use: &InUse, authority: &str, look: &str) -> Option<Condition> {
    const AMONG: &str =
        "the units go on with certificates of their own among each other, clients that verify are refused";
    let until = minute(in_use.validity.not_after);
    let is_over = |part, of| in_use.validity.is_over(facts.now, part, of);
    match in_use.is_bridge {
        true => Some(blocked(format!("no certificate from {authority}: {AMONG}; {look}"))),
        false if is_over(1, 1) => {
            Some(blocked(format!("the certificate of {authority} expired {until}: {AMONG}; {look}")))
        }
        false if !facts.has_waited() => None,
        false if !in_use.covers_subject => Some(waiting(format!(
            "the unit's addresses changed, {authority} has not answered the request for another certificate; {look}"
        ))),
        false => Some(waiting(format!(
            "the certificate expires {until}, {authority} has not answered the request for another; {look}"
        ))),
    }
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::status::unit_status;
    use crate::policy::tls::{Requested, Validity};

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    fn facts(now: &str, answer: AnswerSeen) -> CertificateFacts {
        let validity = Validity { not_before: at("11-01T00:00"), not_after: at("12-01T00:00") };
        CertificateFacts {
            now: at(now),
            in_use: Some(InUse { validity, covers_subject: true, is_bridge: false }),
            pending: None,
            request: Some(Requested { published_at: at("11-20T00:00"), for_present_subject: true }),
            answer,
        }
    }

    #[test]
    fn what_happened_what_it_means_and_the_command() {
        use AnswerSeen::{New, Nothing, Revoked, Unusable};
        let without = |facts| CertificateFacts { in_use: None, ..facts };
        let other = |facts: CertificateFacts, covers_subject, is_bridge| CertificateFacts {
            in_use: facts.in_use.map(|in_use| InUse { covers_subject, is_bridge, ..in_use }),
            ..facts
        };
        let ahead = New(Validity { not_before: at("11-22T00:00"), not_after: at("12-22T00:00") });
        #[rustfmt::skip]
        let table = [
            (facts("11-10T00:00", AnswerSeen::InUse), None),
            (facts("11-20T00:05", Nothing), None),
            (without(facts("11-20T00:05", Nothing)),
             Some("waiting: waiting for a certificate from ca")),
            (without(facts("11-20T00:20", Nothing)),
             Some("waiting: ca has not answered the request for a certificate; juju status ca")),
            (facts("11-20T00:20", Nothing),
             Some("waiting: the certificate expires 2026-12-01 00:00 UTC, ca has not answered the request for another; juju status ca")),
            (other(facts("11-20T00:20", Nothing), false, false),
             Some("waiting: the unit's addresses changed, ca has not answered the request for another certificate; juju status ca")),
            (facts("12-02T00:00", Nothing),
             Some("blocked: the certificate of ca expired 2026-12-01 00:00 UTC: the units go on with certificates of their own among each other, clients that verify are refused; juju status ca")),
            (other(facts("11-20T00:05", Nothing), true, true),
             Some("blocked: no certificate from ca: the units go on with certificates of their own among each other, clients that verify are refused; juju status ca")),
            (facts("11-20T00:05", Revoked),
             Some("blocked: ca revoked the certificate, it is not used any more and another is requested; clients that verify are refused; juju status ca")),
            (facts("11-20T00:05", Unusable { why: "the certificate is for another key".to_owned() }),
             Some("blocked: the answer of ca cannot be used: the certificate is for another key; juju status ca")),
            (facts("10-01T00:00", AnswerSeen::InUse),
             Some("blocked: the clock says 2026-10-01 00:00 UTC, the certificate is valid from 2026-11-01 00:00 UTC: it stays in use, set the clock; juju exec --unit pg/0 timedatectl")),
            (facts("11-20T00:05", ahead),
             Some("waiting: the new certificate is valid from 2026-11-22 00:00 UTC, the clock says 2026-11-20 00:05 UTC; juju exec --unit pg/0 timedatectl")),
        ];
        let names = Names { authority: "ca", unit: "pg/0" };
        for (facts, want) in table {
            let said = certificate_condition(&facts, names).map(|condition| {
                let status = unit_status(&[condition]);
                format!("{}: {}", status.level.word(), status.message)
            });
            assert_eq!(said.as_deref(), want);
        }
    }
}
