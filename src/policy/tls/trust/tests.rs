//! Tables, and a cluster that rotates its CAs while hooks overlap in any order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::certificate::{Subject, UnitKey, bridge};

/// A few CAs, made once: making one takes longer than a whole story.
fn cas() -> &'static [Bundle] {
    static CAS: std::sync::OnceLock<Vec<Bundle>> = std::sync::OnceLock::new();
    CAS.get_or_init(|| {
        let key = UnitKey::generate().unwrap();
        let subject = Subject { member: "m".to_owned(), addresses: BTreeSet::new(), names: BTreeSet::new() };
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        (0..64).map(|_| bridge(&key, &subject, now, Duration::from_secs(60)).unwrap().ca).collect()
    })
}

#[test]
fn a_unit_trusts_all_that_it_or_anybody_names() {
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| cas()[at].clone());
    let own = PeerCas { in_use: a.clone(), pending: b.clone() };
    let peers = [PeerCas { in_use: c.clone(), pending: d.clone() }, PeerCas::default()];
    assert_eq!(trusted(&own, &e, &peers).fingerprints().len(), 5);
    assert_eq!(trusted(&PeerCas::default(), &Bundle::default(), &[]), Bundle::default());
}

#[test]
fn a_certificate_comes_into_use_when_every_peer_trusts_its_ca() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let peer = |trusts: &[&str]| Some(PeerTrusts { trusts: set(trusts) });
    let (pending, published) = (set(&["new"]), set(&["old", "new"]));
    #[rustfmt::skip]
    let table = [
        (vec![],                                               true),
        (vec![peer(&["new", "old"]), peer(&["new"]), None],    true),
        (vec![peer(&["new"]), peer(&["old"])],                 false),
        (vec![peer(&[])], false),
    ];
    for (peers, want) in table {
        assert_eq!(may_use(&pending, &published, &peers, Present::Taken), want, "{peers:?}");
        assert!(may_use(&pending, &published, &peers, Present::Refused), "nobody is waited for: {peers:?}");
    }
    for present in [Present::Taken, Present::Refused] {
        assert!(!may_use(&pending, &set(&["old"]), &[], present), "published first, used in a later hook");
    }
}

#[derive(Debug, Clone, Default)]
struct Bag {
    cas: PeerCas,
    trusts: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Unit {
    bag: Option<Bag>,
    /// Its programs start in the hook after the one that first published its bag.
    runs: bool,
    /// What its programs do now.
    uses: Bundle,
    trusts: Bundle,
    pending: Bundle,
    open: Option<Vec<Option<Bag>>>,
    result: Option<Bag>,
}

impl Unit {
    fn step(&mut self, peers: Vec<Option<Bag>>) {
        match (self.open.take(), self.result.take()) {
            (None, None) => self.open = Some(peers),
            (Some(peers), _) => self.result = Some(self.act(&peers)),
            (None, bag) => self.bag = bag,
        }
    }

    fn act(&mut self, peers: &[Option<Bag>]) -> Bag {
        self.runs = self.bag.is_some();
        let published = self.bag.as_ref().map(|bag| bag.cas.pending.fingerprints()).unwrap_or_default();
        let says: Vec<_> =
            peers.iter().map(|bag| bag.as_ref().map(|bag| PeerTrusts { trusts: bag.trusts.clone() })).collect();
        let named: Vec<_> = peers.iter().flatten().map(|bag| bag.cas.clone()).collect();
        let own = PeerCas { in_use: self.uses.clone(), pending: self.pending.clone() };
        self.trusts = trusted(&own, &Bundle::default(), &named);
        if !self.pending.is_empty() && may_use(&self.pending.fingerprints(), &published, &says, Present::Taken) {
            self.uses = std::mem::take(&mut self.pending);
        }
        let cas = PeerCas { in_use: self.uses.clone(), pending: self.pending.clone() };
        Bag { cas, trusts: self.trusts.fingerprints() }
    }
}

fn step(units: &mut [Unit], unit: usize) {
    let peers = (0..units.len()).filter(|other| *other != unit).map(|other| units[other].bag.clone()).collect();
    units[unit].step(peers);
}

fn check(units: &[Unit]) {
    let running = || units.iter().filter(|unit| unit.runs);
    for user in running().filter(|unit| !unit.uses.is_empty()) {
        for peer in running() {
            let trusts = peer.trusts.fingerprints();
            assert!(user.uses.fingerprints().is_subset(&trusts), "a peer does not trust what is in use");
        }
    }
}

#[derive(Debug, Clone)]
enum Happens {
    Step(usize),
    /// Another CA, also while one is pending.
    Rotate(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        20 => (0..5_usize).prop_map(Happens::Step),
        1 => (0..5_usize).prop_map(Happens::Rotate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_certificate_is_used_that_a_peer_does_not_trust_and_all_come_into_use(
        count in 1..5_usize,
        story in proptest::collection::vec(happens(), 0..300),
    ) {
        let mut units = vec![Unit::default(); count];
        let mut fresh = cas().iter();
        for event in story {
            match event {
                Happens::Step(unit) => step(&mut units, unit % count),
                // While a hook acts, nothing else of the unit does: it holds the unit's lock.
                Happens::Rotate(unit) if units[unit % count].result.is_none() => {
                    let unit = &mut units[unit % count];
                    unit.pending = fresh.next().cloned().unwrap_or_else(|| std::mem::take(&mut unit.pending));
                }
                Happens::Rotate(_) => {}
            }
            check(&units);
        }
        for _ in 0..12 {
            for unit in 0..count {
                step(&mut units, unit);
                check(&units);
            }
        }
        prop_assert!(units.iter().all(|unit| unit.pending.is_empty()));
    }
}
