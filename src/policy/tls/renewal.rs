//! When a unit asks for a certificate, takes one, or bridges with one of its own. How, is for the rooms above.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How long a bridge is valid: renewed at 2/3 of it like any other.
pub const BRIDGE_VALIDITY: Duration = Duration::from_secs(24 * 3600);

/// How long an authority may take before a unit helps itself; of a certificate
/// that is valid for a short time, a twentieth of it.
pub const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

/// The certificate that the unit's programs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    pub validity: Validity,
    /// It names all of the unit's addresses and names.
    pub covers_subject: bool,
    /// Of the unit's own making.
    pub is_bridge: bool,
}

/// The request that is published now, answered or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requested {
    pub published_at: DateTime<Utc>,
    /// For the key we hold beside it and the unit's present addresses and names.
    pub for_present_subject: bool,
}

/// What the authority says to the published request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerSeen {
    Nothing,
    Revoked,
    Unusable {
        why: String,
    },
    /// Issued, and it is what is in use or pending.
    InUse,
    /// Issued, and neither.
    New(Validity),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    pub now: DateTime<Utc>,
    pub in_use: Option<InUse>,
    /// Taken or bridged, and in use as soon as the peers trust its CA.
    pub pending: Option<InUse>,
    pub request: Option<Requested>,
    pub answer: AnswerSeen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStep {
    /// Use the certificate no longer, from now on.
    StopUsing,
    /// A new key and a request for it, in the place of the one that is published. What is in use stays.
    Request,
    /// Make what was issued the pending certificate: [`super::may_use`] says when it is in use.
    Take,
    /// Sign the key of the published request ourselves, for [`BRIDGE_VALIDITY`], and make that the pending certificate.
    Bridge,
}

/// The steps, in order. None: all is well, or the authority's move.
pub fn what_to_do(facts: &CertificateFacts) -> Vec<CertificateStep> {
    use CertificateStep::{Bridge, Request, StopUsing, Take};
    let mut steps = match &facts.answer {
        AnswerSeen::Revoked => return vec![StopUsing, Request, Bridge],
        AnswerSeen::New(validity) if facts.is_welcome(*validity) => return vec![Take],
        _ if facts.needs_a_request() => vec![Request],
        _ => Vec::new(),
    };
    if facts.needs_a_bridge() {
        steps.push(Bridge);
    }
    steps
}

impl CertificateFacts {
    fn is_for_present_subject(&self) -> bool {
        self.request.is_some_and(|request| request.for_present_subject)
    }

    /// Not yet valid is not welcome yet: with the old one TLS goes on.
    fn is_welcome(&self, new: Validity) -> bool {
        self.is_for_present_subject() && new.not_before <= self.now && self.now < new.not_after
    }

    fn needs_a_request(&self) -> bool {
        let Some(request) = self.request else { return true };
        let is_old = |in_use: InUse| in_use.validity.is_over(self.now, 2, 3);
        match &self.answer {
            _ if !request.for_present_subject => true,
            AnswerSeen::InUse => self.pending.or(self.in_use).is_none_or(is_old),
            // Issued so long ago that it has expired unseen. Not at once, or an authority that issues such would be asked for ever.
            AnswerSeen::New(new) => new.not_after <= self.now && self.has_waited(),
            AnswerSeen::Nothing | AnswerSeen::Unusable { .. } | AnswerSeen::Revoked => false,
        }
    }

    /// Without any certificate there is no TLS to keep going: the authority's first answer is waited for.
    fn needs_a_bridge(&self) -> bool {
        let Some(in_use) = self.in_use else { return false };
        // A pending one is on its way: another would make the peers start over.
        if self.pending.is_some_and(|pending| pending.covers_subject && !pending.validity.is_over(self.now, 2, 3)) {
            return false;
        }
        let is_over = |part, of| in_use.validity.is_over(self.now, part, of);
        match in_use.is_bridge {
            true => !in_use.covers_subject || is_over(2, 3),
            false => {
                is_over(1, 1) || (!in_use.covers_subject || in_use.validity.ends_soon(self.now)) && self.has_waited()
            }
        }
    }

    /// Is a request for the present subject unanswered for longer than an authority needs?
    pub(super) fn has_waited(&self) -> bool {
        let patience = TimeDelta::from_std(PATIENCE).unwrap_or(TimeDelta::MAX);
        let patience = self.in_use.map_or(patience, |in_use| patience.min(in_use.validity.length() / 20));
        let is_late = |request: Requested| request.for_present_subject && self.now - request.published_at >= patience;
        self.answer != AnswerSeen::InUse && self.request.is_some_and(is_late)
    }
}

/// A bridge is taken over in a few hooks of every unit: so much time must be left.
const CHANGE_OVER: TimeDelta = TimeDelta::seconds(60);

impl Validity {
    /// A tenth of it is left, or the time of a change-over.
    fn ends_soon(&self, now: DateTime<Utc>) -> bool {
        self.is_over(now, 9, 10) || (now >= self.not_before && self.not_after - now <= CHANGE_OVER)
    }

    fn length(&self) -> TimeDelta {
        (self.not_after - self.not_before).max(TimeDelta::zero())
    }

    /// Is `part`/`of` of it over? A clock set back before its start says no.
    pub(super) fn is_over(&self, now: DateTime<Utc>, part: i32, of: i32) -> bool {
        now >= self.not_before && (now - self.not_before) * of >= self.length() * part
    }
}

#[cfg(test)]
mod tests {
    use super::CertificateStep::*;
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        "2026-11-22T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours)
    }

    fn valid(from: i64, until: i64) -> Validity {
        Validity { not_before: at(from), not_after: at(until) }
    }

    /// Valid for 90 hours, its request published, its answer in use.
    fn healthy(now: i64) -> CertificateFacts {
        CertificateFacts {
            now: at(now),
            in_use: Some(InUse { validity: valid(0, 90), covers_subject: true, is_bridge: false }),
            pending: None,
            request: Some(Requested { published_at: at(0), for_present_subject: true }),
            answer: AnswerSeen::InUse,
        }
    }

    fn asked(hours: i64) -> Option<Requested> {
        Some(Requested { published_at: at(hours), for_present_subject: true })
    }

    fn bridge(from: i64, covers_subject: bool) -> Option<InUse> {
        Some(InUse { validity: valid(from, from + 24), covers_subject, is_bridge: true })
    }

    #[test]
    fn a_first_certificate_is_requested_once_and_never_bridged() {
        let first = CertificateFacts { in_use: None, request: None, answer: AnswerSeen::Nothing, ..healthy(0) };
        let unusable = AnswerSeen::Unusable { why: "x".to_owned() };
        #[rustfmt::skip]
        let table = [
            (first.clone(),                                                                        vec![Request]),
            (CertificateFacts { request: asked(0), ..first.clone() },                              vec![]),
            (CertificateFacts { request: asked(0), now: at(900), ..first.clone() },                vec![]),
            (CertificateFacts { request: asked(0), answer: unusable, now: at(900), ..first.clone() }, vec![]),
            (CertificateFacts { request: asked(0), answer: AnswerSeen::New(valid(0, 90)), ..first.clone() }, vec![Take]),
            // The key beside it was lost, or the file of what is in use.
            (CertificateFacts { request: asked(0), answer: AnswerSeen::InUse, ..first },           vec![Request]),
        ];
        for (facts, want) in table {
            assert_eq!(what_to_do(&facts), want, "{facts:?}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_and_bridged_at_nine_tenths() {
        let waiting = |now| CertificateFacts { request: asked(60), answer: AnswerSeen::Nothing, ..healthy(now) };
        let late = |now| CertificateFacts { request: asked(now), answer: AnswerSeen::Nothing, ..healthy(now) };
        #[rustfmt::skip]
        let table = [
            (healthy(59),  vec![]),
            (healthy(60),  vec![Request]),
            (waiting(60),  vec![]),
            (waiting(80),  vec![]),
            (waiting(81),  vec![Bridge]),
            (waiting(90),  vec![Bridge]),
            // The machine was off meanwhile: ask, and bridge only what is over.
            (healthy(85),  vec![Request]),
            (late(85),     vec![]),
            (healthy(91),  vec![Request, Bridge]),
            (late(91),     vec![Bridge]),
        ];
        for (facts, want) in table {
            assert_eq!(what_to_do(&facts), want, "{facts:?}");
        }
    }

    #[test]
    fn what_is_valid_for_minutes_is_bridged_before_it_expires() {
        let minutes = |minutes: i64| at(0) + TimeDelta::minutes(minutes);
        let short = |now, answer| CertificateFacts {
            now: minutes(now),
            in_use: healthy(0)
                .in_use
                .map(|in_use| InUse { validity: Validity { not_before: at(0), not_after: minutes(10) }, ..in_use }),
            request: Some(Requested { published_at: minutes(7), for_present_subject: true }),
            answer,
            ..healthy(0)
        };
        assert_eq!(what_to_do(&short(7, AnswerSeen::InUse)), [Request]);
        assert_eq!(what_to_do(&short(8, AnswerSeen::Nothing)), []);
        assert_eq!(what_to_do(&short(9, AnswerSeen::Nothing)), [Bridge]);
    }

    #[test]
    fn another_subject_makes_another_request_and_a_bridge_when_it_stays_unanswered() {
        let moved = |facts: CertificateFacts| CertificateFacts {
            in_use: facts.in_use.map(|in_use| InUse { covers_subject: false, ..in_use }),
            ..facts
        };
        let stale = |facts: CertificateFacts| CertificateFacts {
            request: facts.request.map(|request| Requested { for_present_subject: false, ..request }),
            ..facts
        };
        let asked_at =
            |hours, now| CertificateFacts { request: asked(hours), answer: AnswerSeen::Nothing, ..healthy(now) };
        let new = AnswerSeen::New(valid(5, 95));
        #[rustfmt::skip]
        let table = [
            (stale(moved(healthy(5))),                                             vec![Request]),
            (moved(asked_at(5, 5)),                                                vec![]),
            (moved(asked_at(5, 6)),                                                vec![Bridge]),
            // It moved again before the authority answered, or just as it did.
            (stale(moved(asked_at(5, 6))),                                         vec![Request]),
            (CertificateFacts { answer: new.clone(), ..stale(moved(asked_at(5, 6))) }, vec![Request]),
            (CertificateFacts { answer: new, ..moved(asked_at(5, 6)) },            vec![Take]),
        ];
        for (facts, want) in table {
            assert_eq!(what_to_do(&facts), want, "{facts:?}");
        }
    }

    #[test]
    fn a_revoked_certificate_is_dropped_at_once_and_bridged() {
        let revoked = |in_use| CertificateFacts { in_use, answer: AnswerSeen::Revoked, ..healthy(5) };
        for in_use in [healthy(5).in_use, bridge(0, true), None] {
            assert_eq!(what_to_do(&revoked(in_use)), [StopUsing, Request, Bridge]);
        }
    }

    #[test]
    fn a_bridge_is_renewed_until_the_authority_answers() {
        let bridged = |now, covers| CertificateFacts {
            in_use: bridge(100, covers),
            pending: None,
            request: asked(60),
            answer: AnswerSeen::Nothing,
            now: at(now),
        };
        #[rustfmt::skip]
        let table = [
            (bridged(110, true),  vec![]),
            (bridged(116, true),  vec![Bridge]),
            (bridged(200, true),  vec![Bridge]),
            (bridged(110, false), vec![Bridge]),
            (CertificateFacts { request: None, ..bridged(110, true) },                            vec![Request]),
            (CertificateFacts { answer: AnswerSeen::New(valid(110, 200)), ..bridged(116, true) }, vec![Take]),
            (CertificateFacts { answer: AnswerSeen::New(valid(60, 100)), ..bridged(110, true) },  vec![Request]),
        ];
        for (facts, want) in table {
            assert_eq!(what_to_do(&facts), want, "{facts:?}");
        }
    }

    #[test]
    fn what_is_pending_is_not_made_again() {
        let waiting = CertificateFacts { request: asked(60), answer: AnswerSeen::Nothing, ..healthy(85) };
        let taken = Some(InUse { validity: valid(84, 174), covers_subject: true, is_bridge: false });
        #[rustfmt::skip]
        let table = [
            (CertificateFacts { pending: bridge(81, true),  ..waiting.clone() }, vec![]),
            (CertificateFacts { pending: bridge(81, false), ..waiting.clone() }, vec![Bridge]),
            (CertificateFacts { pending: bridge(60, true),  ..waiting },         vec![Bridge]),
            (CertificateFacts { pending: taken, ..healthy(95) },                 vec![]),
            (CertificateFacts { pending: taken, in_use: None, ..healthy(95) },   vec![]),
        ];
        for (facts, want) in table {
            assert_eq!(what_to_do(&facts), want, "{facts:?}");
        }
    }

    #[test]
    fn a_clock_set_back_keeps_what_is_in_use() {
        assert_eq!(what_to_do(&healthy(-5000)), []);
        let waiting = CertificateFacts { request: asked(60), answer: AnswerSeen::Nothing, ..healthy(-5000) };
        assert_eq!(what_to_do(&waiting), []);
        let future = CertificateFacts { answer: AnswerSeen::New(valid(5, 95)), ..waiting };
        assert_eq!(what_to_do(&future), []);
    }

    #[test]
    fn a_certificate_valid_for_no_time_at_all_does_not_divide_by_zero() {
        let odd = InUse { validity: valid(5, 5), covers_subject: true, is_bridge: false };
        assert_eq!(what_to_do(&CertificateFacts { in_use: Some(odd), ..healthy(5) }), [Request, Bridge]);
    }
}
