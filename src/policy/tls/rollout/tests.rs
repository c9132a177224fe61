//! Tables of single steps, and a cluster whose hooks overlap in any order.

use proptest::prelude::*;

use super::Readiness::*;
use super::Stage::*;
use super::Wish::*;
use super::*;

fn all(wish: Wish, stages: &[Stage]) -> Vec<Option<Published>> {
    stages.iter().map(|stage| Some(Published { stage: *stage, wish })).collect()
}

#[test]
fn a_unit_goes_one_step_when_its_peers_are_where_it_is() {
    #[rustfmt::skip]
    let table = [
        // own    wish  readiness      peers                    next
        (Plain,  On,  Trusted,       vec![],                   Accept),
        (Plain,  On,  NoCertificate, vec![],                   Plain),
        (Plain,  On,  NotTrusted,    vec![Plain, Accept],      Accept),
        (Accept, On,  Trusted,       vec![Plain, Accept],      Accept),
        (Accept, On,  NotTrusted,    vec![Accept, Accept],     Accept),
        (Accept, On,  Trusted,       vec![Accept, Dial],       Dial),
        (Dial,   On,  Trusted,       vec![Accept, Dial],       Dial),
        (Dial,   On,  Trusted,       vec![Dial, Only],         Only),
        (Only,   On,  Trusted,       vec![Only],               Only),
        (Only,   Off, NoCertificate, vec![Only, Dial],         Dial),
        (Dial,   Off, Trusted,       vec![Only, Dial],         Dial),
        (Dial,   Off, Trusted,       vec![Dial, Accept],       Accept),
        (Accept, Off, Trusted,       vec![Dial],               Accept),
        (Accept, Off, Trusted,       vec![Accept, Plain],      Plain),
        (Plain,  Off, Trusted,       vec![Plain],              Plain),
    ];
    for (stage, wish, readiness, peers, want) in table {
        let own = Published { stage, wish };
        assert_eq!(next_stage(own, wish, readiness, &all(wish, &peers)), want, "{own:?} {readiness:?} {peers:?}");
    }
}

#[test]
fn nobody_moves_before_all_have_published_the_same_wish() {
    let own = Published { stage: Accept, wish: On };
    assert_eq!(next_stage(own, On, Trusted, &all(Off, &[Accept])), Accept);
    assert_eq!(next_stage(own, Off, Trusted, &all(Off, &[Accept])), Accept, "first publish, move in a later hook");
}

#[test]
fn a_peer_that_has_said_nothing_yet_holds_nobody_back() {
    let own = Published { stage: Dial, wish: On };
    assert_eq!(next_stage(own, On, Trusted, &[None, Some(own), None]), Only);
}

#[test]
fn a_unit_that_joins_starts_where_the_furthest_peer_is_or_waits() {
    #[rustfmt::skip]
    let table = [
        (On,  NoCertificate, all(On, &[]),           Some(Plain)),
        (Off, NoCertificate, all(Off, &[Plain]),     Some(Plain)),
        (On,  NoCertificate, all(On, &[Only, Only]), None),
        (On,  NotTrusted,    all(On, &[Only, Only]), None),
        (On,  Trusted,       all(On, &[Only, Only]), Some(Only)),
        (On,  Trusted,       all(On, &[Accept, Dial]), Some(Dial)),
        (Off, Trusted,       all(Off, &[Accept, Dial]), Some(Accept)),
        (Off, NoCertificate, all(Off, &[Accept]),    None),
        (Off, Trusted,       all(On, &[Only]),       None),
        (On,  NoCertificate, vec![None, None],       Some(Plain)),
    ];
    for (wish, readiness, peers, want) in table {
        assert_eq!(first_stage(wish, readiness, &peers), want, "{wish:?} {readiness:?} {peers:?}");
    }
}

#[test]
fn a_unit_that_joins_starts_only_when_no_peer_can_run_away_from_it() {
    let own = |stage, wish| Published { stage, wish };
    assert!(may_start(own(Only, On), On, &all(On, &[Only, Dial])));
    assert!(may_start(own(Plain, Off), Off, &[None]));
    // The one at `Dial` may be on its way to `Only`.
    assert!(!may_start(own(Accept, On), On, &all(On, &[Dial])));
    assert!(!may_start(own(Accept, On), On, &all(Off, &[Accept])));
}

#[test]
fn two_that_wait_do_not_take_over_each_others_stage_for_ever() {
    let at = |stage| Some(Published { stage, wish: On });
    // Both hooks begin before either has published.
    assert_eq!(announce(at(Accept), On, Trusted, &[at(Only)]), at(Only));
    assert_eq!(announce(at(Only), On, Trusted, &[at(Accept)]), at(Only));
    let off = |stage| Some(Published { stage, wish: Off });
    assert_eq!(announce(off(Plain), Off, Trusted, &[off(Dial)]), off(Plain));
    // What it has no certificate for it cannot keep.
    assert_eq!(announce(at(Only), On, NotTrusted, &[at(Accept)]), at(Accept));
}

#[test]
fn stages_and_wishes_survive_their_text() {
    for stage in [Plain, Accept, Dial, Only] {
        assert_eq!(serde_json::to_string(&stage).unwrap(), format!("\"{stage}\""));
    }
    for wish in [On, Off] {
        assert_eq!(wish.to_string().parse(), Ok(wish));
    }
    assert_eq!("yes".parse::<Wish>(), Err(NotAWish));
}

/// One unit; its hook may be open, with what it read when it began.
#[derive(Debug, Clone, Default)]
struct Unit {
    published: Option<Published>,
    /// What its programs do now; `None` while they do not run.
    runs: Option<Stage>,
    open: Option<(Wish, Vec<Option<Published>>)>,
    /// What the open hook will publish.
    result: Option<Published>,
}

struct Cluster {
    wish: Wish,
    units: Vec<Unit>,
    readiness: Readiness,
}

impl Cluster {
    fn peers(&self, unit: usize) -> Vec<Option<Published>> {
        (0..self.units.len()).filter(|other| *other != unit).map(|other| self.units[other].published).collect()
    }

    /// A hook begins and reads, then acts, then ends and publishes: three moments, others between them.
    fn step(&mut self, unit: usize) {
        let peers = self.peers(unit);
        let (wish, readiness) = (self.wish, self.readiness);
        let this = &mut self.units[unit];
        match (this.open.take(), this.result.take()) {
            (None, None) => this.open = Some((wish, peers)),
            (Some((wish, peers)), _) => this.result = this.act(wish, readiness, &peers),
            (None, result) => this.published = result,
        }
    }

    fn check(&self) {
        let running: Vec<_> = self.units.iter().filter_map(|unit| unit.runs).collect();
        for a in &running {
            for b in &running {
                let understood = if a.dials_tls() { b.accepts_tls() } else { b.accepts_plain() };
                assert!(understood, "{a} speaks to {b}: {:?}", self.units);
            }
        }
    }
}

impl Unit {
    fn act(&mut self, wish: Wish, readiness: Readiness, peers: &[Option<Published>]) -> Option<Published> {
        match (self.runs, self.published) {
            (Some(stage), Some(own)) => {
                assert_eq!(stage, own.stage);
                self.runs = Some(next_stage(own, wish, readiness, peers));
            }
            (None, Some(own)) if may_start(own, wish, peers) => self.runs = Some(own.stage),
            _ => return announce(self.published, wish, readiness, peers),
        }
        self.runs.map(|stage| Published { stage, wish })
    }
}

#[derive(Debug, Clone)]
enum Happens {
    Step(usize),
    Flip,
    Join,
    Leave(usize),
    /// What every unit's certificate is good for from now on.
    Certificates(Readiness),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        60 => (0..8_usize).prop_map(Happens::Step),
        2 => Just(Happens::Flip),
        2 => Just(Happens::Join),
        1 => (0..8_usize).prop_map(Happens::Leave),
        2 => prop_oneof![Just(NoCertificate), Just(NotTrusted), Just(Trusted)].prop_map(Happens::Certificates),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_two_units_always_understand_each_other_and_all_reach_the_end(
        units in 1..5_usize,
        story in proptest::collection::vec(happens(), 0..400),
        end in prop_oneof![Just(On), Just(Off)],
    ) {
        let mut cluster = Cluster { wish: On, units: vec![Unit::default(); units], readiness: Trusted };
        for event in story {
            let count = cluster.units.len();
            match event {
                Happens::Step(unit) => cluster.step(unit % count),
                Happens::Flip => cluster.wish = if cluster.wish == On { Off } else { On },
                Happens::Join if count < 7 => cluster.units.push(Unit::default()),
                Happens::Leave(unit) if count > 1 => { cluster.units.remove(unit % count); }
                Happens::Certificates(readiness) => cluster.readiness = readiness,
                Happens::Join | Happens::Leave(_) => {}
            }
            cluster.check();
        }
        (cluster.wish, cluster.readiness) = (end, Trusted);
        for _ in 0..60 {
            for unit in 0..cluster.units.len() {
                cluster.step(unit);
                cluster.check();
            }
        }
        let goal = if end == On { Only } else { Plain };
        for unit in &cluster.units {
            prop_assert_eq!(unit.runs, Some(goal), "{:?}", cluster.units);
        }
    }
}
