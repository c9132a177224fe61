//! Whom a unit trusts, and when it may use a certificate of another CA. New trust goes round before a new certificate does.

use std::collections::BTreeSet;

use crate::certificate::Bundle;

/// The CAs a unit names in the peer relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerCas {
    /// Of the certificate that it uses.
    pub in_use: Bundle,
    /// Of the one that it will use.
    pub pending: Bundle,
}

/// What a peer says of its own trust.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerTrusts {
    /// Fingerprints of the CAs that its programs trust now.
    pub trusts: BTreeSet<String>,
}

/// The CAs a unit's programs are to trust: its own, those of the authority, those of every peer, before and after their next
/// certificate. A CA is dropped when nobody names it any more.
pub fn trusted(own: &PeerCas, authorities: &Bundle, peers: &[PeerCas]) -> Bundle {
    let named = std::iter::once(own).chain(peers).flat_map(|cas| [&cas.in_use, &cas.pending]);
    named.fold(authorities.clone(), Bundle::union)
}

/// What the other units make of the certificate that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    Taken,
    /// It has expired: nobody takes it any more.
    Refused,
}

/// May the pending certificate come into use? When its CA is among those `published` in an **earlier** hook (in use or pending:
/// a renewal by the same CA waits for nobody), and every peer that has said anything trusts it. Peers that are plain count too: one of them may be going to TLS at this very moment, and trust costs
/// it nothing. One that has said nothing yet speaks to nobody, and reads our pending CA before it does.
/// Where the one in use is refused, nobody's trust is waited for: the peers could not even say that they have it, since they
/// reach the cluster store no more than we do.
pub fn may_use(
    pending: &BTreeSet<String>,
    published: &BTreeSet<String>,
    peers: &[Option<PeerTrusts>],
    present: Present,
) -> bool {
    let is_trusted = || peers.iter().flatten().all(|peer| pending.is_subset(&peer.trusts));
    pending.is_subset(published) && (present == Present::Refused || is_trusted())
}

#[cfg(test)]
mod tests;
