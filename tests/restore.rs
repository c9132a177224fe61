//! Restores of a running cluster of three units: PostgreSQL, Patroni, etcd,
//! pgBackRest and an object storage. Nothing is simulated but Juju (tests/localjuju),
//! which switches machines off to order.
//!
//! One cluster is shared by all scenarios, which run in the order of this list.
//! A client writes all the time. A restore that is broken off may lose none of its
//! rows; one that is done has exactly those of the moment that was asked for. By hand:
//!
//! ```text
//! make build PROFILE=dev && cargo test --test restore -- "goes back"
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

#[allow(dead_code, reason = "shared with tests/cluster.rs")]
#[path = "cluster/members.rs"]
mod members;
#[allow(dead_code, reason = "shared with tests/cluster.rs")]
#[path = "cluster/world.rs"]
mod world;
#[allow(dead_code, reason = "shared with tests/cluster.rs")]
#[path = "cluster/writer.rs"]
mod writer;

mod restore {
    pub mod asked;
    pub mod broken;
    pub mod due;
    pub mod gone;
    #[allow(dead_code, reason = "shared with tests/matrix.rs")]
    pub mod moment;
    pub mod refused;
}

use restore::{asked, broken, due, gone, refused};
use world::Needs::{self, Links, Nothing, Three};

type Scenario = (&'static str, Needs, fn(&'static world::World));

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    ("a cluster of three is formed, and has a backup",                                 Nothing, asked::formed),
    ("a running cluster goes back to a backup in one action, its primary restoring",   Three,   asked::on_the_primary),
    ("it does so again with a replica restoring, on top of the restore before",        Three,   asked::on_a_replica),
    ("a restore is undone, and the undo is undone: rows of both eras come back",       Three,   asked::undone),
    ("a full backup follows a restore by itself, and stands back for the next restore", Three,   due::followed),
    ("a restore is held, looked at and cancelled; another is continued after a failover", Three, asked::held),
    ("a backup, a second restore and a unit's hook wait or are refused meanwhile",     Three,   refused::meanwhile),
    ("a unit whose service is dead is waited for or named, and nothing is begun",      Three,   refused::deaf),
    ("a restore whose store goes away before the stop leaves all as it was",           Three,   broken::store),
    ("a restore that is killed while the cluster stops is taken back by itself",       Three,   broken::killed_stopping),
    ("a restore that is killed while places change is taken back by itself",           Three,   broken::killed_switching),
    ("a restore that is killed while the copy starts ends one way or the other",       Three,   broken::killed_adopting),
    ("everything of the restoring unit killed while places change: all as it was",     Three,   broken::all_killed),
    ("a replica that is away follows the restored cluster when it is back",            Links,   gone::replica_away),
    ("the machine of the restoring unit is lost before the commit: others put back",   Links,   gone::driver),
    ("the machine of the primary is lost when it is stopped: a whole replica leads",   Links,   gone::primary),
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
