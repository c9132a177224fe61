//! Scenarios on a real cluster of three units, TLS off: PostgreSQL, Patroni,
//! etcd, pgBackRest and an object storage. Nothing is simulated but Juju
//! (tests/localjuju), which cuts links and switches machines off to order.
//!
//! One cluster is shared by all scenarios, which run in the order of this list:
//! a scenario may count on nothing but a whole cluster of three. A client writes
//! all the time; no row that was acknowledged may be lost. By hand:
//!
//! ```text
//! make build PROFILE=dev && cargo test --test cluster -- "the primary"
//! SCENARIOS_KEEP=1 …      leaves the model up, and says where
//! ```

#![allow(clippy::disallowed_methods, reason = "tests drive programs, files and the clock themselves")]

#[allow(dead_code, reason = "shared with tests/scenarios.rs")]
#[path = "scenarios/harness.rs"]
mod harness;
#[path = "scenarios/stage.rs"]
mod stage;
#[allow(dead_code, reason = "shared with tests/scenarios.rs")]
#[path = "scenarios/watch.rs"]
mod watch;

mod cluster {
    pub mod faults;
    pub mod form;
    pub mod gone;
    pub mod killed;
    pub mod lost;
    pub mod members;
    pub mod network;
    pub mod power;
    pub mod rule;
    pub mod secrets;
    pub mod small_disk;
    pub mod stranger;
    pub mod world;
    pub mod writer;
}

use cluster::world::Needs::{self, Links, Nothing, Three};
use cluster::{faults, form, gone, killed, lost, network, power, rule, secrets, stranger, world};

type Scenario = (&'static str, Needs, fn(&'static world::World));

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    ("a cluster of one without a repository is refused a backup by what is missing",       Nothing, rule::settings_missing),
    ("a repository that cannot be set up refuses a backup by its reason, and heals",       Nothing, rule::stanza_not_ready),
    ("the primary of a cluster of one may back up",                                        Nothing, rule::one_unit),
    ("a second unit is copied from the primary while there is no backup",                  Nothing, form::from_the_primary),
    ("a replica without TLS is refused, also an incremental without a full backup",        Nothing, rule::replica_without_full),
    ("a third unit is copied from the repository, and each has one member of each kind",   Nothing, form::from_the_repository),
    ("the primary of three backs up, and the command that a replica names works",          Three,   rule::three_units),
    ("a backup that runs is listed on every unit",                                         Three,   rule::listed_everywhere),
    ("a unit whose role is not known is refused",                                          Three,   rule::role_unknown),
    ("a unit listens where it is documented and nowhere else",                             Three,   stranger::ports),
    ("etcd gives a stranger no key and takes none",                                        Three,   stranger::etcd),
    ("Patroni takes no command from a stranger",                                           Three,   stranger::patroni),
    ("PostgreSQL lets no stranger in",                                                     Three,   stranger::postgres),
    ("etcd that is killed comes back, on the primary and on a replica",                    Three,   killed::etcd),
    ("Patroni that is killed comes back, and PostgreSQL goes on meanwhile",                Three,   killed::patroni),
    ("PostgreSQL that is killed comes back, on a replica and on the primary",              Three,   killed::postgres),
    ("archiving that is killed goes on",                                                   Three,   killed::archiving),
    ("a replica that is lost and Juju's leader comes back",                                Three,   power::leader),
    ("a primary that is lost is replaced, and comes back as a replica",                    Three,   power::primary),
    ("a replica comes back with another address",                                          Three,   power::moved_replica),
    ("a primary comes back with another address",                                          Three,   power::moved_primary),
    ("a unit that lost its etcd data comes back",                                          Three,   lost::etcd),
    ("a unit that lost its whole storage is copied from the primary of a new timeline",    Three,   lost::everything),
    ("a replica that is cut off is not missed, and catches up",                            Links,   network::replica),
    ("a primary that is cut off takes no writes, and comes back as a replica",             Links,   network::primary),
    ("passwords change while clients write: nobody is locked out, nothing is restarted",   Three,   secrets::rotated),
    ("passwords change although every unit's hook is killed meanwhile",                    Three,   secrets::killed_meanwhile),
    ("passwords of a secret that is revoked go on, and a grant heals",                     Three,   secrets::revoked),
    ("a backup whose primary dies is listed as failed, and the next one works",            Three,   faults::primary_dies_in_mid_backup),
    ("a repository that is away under load is told with what waits, and catches up",       Three,   faults::repository_away),
    ("a backup under a clock that was set back says so, and works when it is right",       Three,   faults::clock_set_back),
    ("a full disk is told, clients go on, and it heals when room is made",                 Three,   faults::full_disk),
    ("a cluster grows to five from the repository and shrinks by its primary and another", Three,   form::grows_and_shrinks),
    ("a primary that died for good is removed, and another unit takes its place",          Three,   gone::one),
    ("two of three died for good: the survivor goes on alone, and grows again",            Three,   gone::two),
];

fn main() {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One cluster: one scenario at a time, in this order.
    arguments.test_threads = Some(1);
    let trials = SCENARIOS.iter().map(|&(sentence, needs, scenario)| world::trial(sentence, needs, scenario)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    stage::end();
    conclusion.exit();
}
