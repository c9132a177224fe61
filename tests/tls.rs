//! Scenarios with TLS on a real cluster of three units: PostgreSQL, Patroni,
//! etcd, pgBackRest, an object storage and an authority that signs, rotates and
//! goes away to order. Nothing is simulated but Juju (tests/localjuju).
//!
//! All scenarios share one model and run in the order of this list, while a
//! client writes a row every few milliseconds. After each the cluster is whole
//! and no row that was acknowledged is missing on any unit.
//!
//! ```text
//! make build PROFILE=dev && cargo test --test tls -- "turned on"
//! SCENARIOS_KEEP=1 …      leaves the model up, and says where
//! ```

#![allow(clippy::disallowed_methods, reason = "tests drive programs, files and the clock themselves")]

mod tls {
    #[allow(dead_code, reason = "shared with the other scenarios")]
    #[path = "../scenarios/harness.rs"]
    pub mod harness;
    #[allow(dead_code, reason = "shared with the other scenarios")]
    #[path = "../scenarios/watch.rs"]
    pub mod watch;

    pub mod backups;
    pub mod certificates;
    pub mod cluster;
    pub mod failover;
    pub mod outsider;
    pub mod ports;
    pub mod rule;
    pub mod secrets;
    pub mod switched;
    pub mod units;
    pub mod world;
    pub mod writer;
}

use tls::{certificates, failover, outsider, rule, secrets, switched, units, world};

type Scenario = (&'static str, fn(&'static world::World));

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    ("TLS is turned on in a running cluster, and no client notices",                  switched::on),
    ("an outsider is let in by no port",                                              outsider::every_port),
    ("with TLS replicas back up, and every refusal names what helps",                 rule::every_row),
    ("renewed certificates are taken over, and no client notices",                    certificates::renewed),
    ("another authority is taken over, and the old one is trusted no more",           certificates::other_authority),
    ("a revoked certificate is replaced, key and all",                                certificates::revoked),
    ("certificates of an authority that is away are bridged before they expire",      certificates::bridged),
    ("certificates that expire unseen, no hook having run, are bridged after it",     certificates::expired),
    ("a unit that comes speaks TLS from the start, and one goes",                     units::added_and_removed),
    ("a machine with another address gets another certificate",                       units::moved),
    ("a failover in the middle of a replica's backup is told, and leaves no trace",   failover::in_mid_backup),
    ("a removed relation turns TLS off, and toggled quickly it settles",              switched::off_and_on),
    ("no key and no password is in any output, log, process or readable file",        secrets::nowhere),
    ("the only planned unit backs up as the primary",                                 rule::one_planned_unit),
];

fn main() {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One cluster: one scenario at a time, in this order.
    arguments.test_threads = Some(1);
    let trials = SCENARIOS.iter().map(|&(sentence, scenario)| world::trial(sentence, scenario)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    world::end();
    conclusion.exit();
}
