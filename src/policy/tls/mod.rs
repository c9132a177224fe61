//! TLS of a cluster: when a unit asks for a certificate, whom it trusts, and how
//! all units switch without an outage. Pure.

mod renewal;
mod rollout;
mod trust;
mod words;

pub use renewal::what_to_do;
pub use renewal::{
    AnswerSeen, BRIDGE_VALIDITY, CertificateFacts, CertificateStep, InUse, PATIENCE, Requested, Validity,
};
pub use rollout::{NotAWish, Published, Readiness, Stage, Wish, announce, first_stage, may_start, next_stage};
pub use trust::{PeerCas, PeerTrusts, Present, may_use, trusted};
pub use words::{Names, certificate_condition};
