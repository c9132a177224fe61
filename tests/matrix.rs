//! Crash safety, shown: in every state of a restore of three units everything that can
//! break is broken, and the cluster comes back as it was, every acknowledged row there, or
//! as asked. Nothing is simulated but Juju (tests/localjuju).
//!
//! `cargo test` tries a sample of the cells, `make matrix` all of them. By hand:
//!
//! ```text
//! MATRIX=all cargo test --test matrix -- "StopPrimary"    one row
//! MATRIX=all cargo test --test matrix -- --list
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
#[path = "cluster/small_disk.rs"]
mod small_disk;
#[allow(dead_code, reason = "shared with tests/cluster.rs")]
#[path = "cluster/world.rs"]
mod world;
#[allow(dead_code, reason = "shared with tests/cluster.rs")]
#[path = "cluster/writer.rs"]
mod writer;

#[allow(dead_code, reason = "shared with tests/restore.rs")]
#[path = "restore/asked.rs"]
mod asked;
#[allow(dead_code, reason = "shared with tests/restore.rs")]
#[path = "restore/moment.rs"]
mod moment;

mod matrix {
    pub mod cell;
    pub mod cells;
    pub mod inject;
    pub mod table;
}

use matrix::{cell, cells, table};

fn main() {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One cluster: one cell at a time.
    arguments.test_threads = Some(1);
    let all = std::env::var("MATRIX").is_ok_and(|which| which == "all");
    let trial = |(state, fault): (cells::State, cells::Fault)| {
        let sentence = format!("{}: {}", state.name(), fault.name());
        world::trial(sentence, world::Needs::Nothing, move |world| cell::run(world, state, fault))
    };
    let trials = cells::chosen(all).into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    table::print();
    stage::end();
    conclusion.exit();
}
