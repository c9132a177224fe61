//! Scenarios on the real software: PostgreSQL, Patroni, etcd, pgBackRest and an
//! object storage with TLS. Nothing is simulated but Juju (tests/localjuju).
//!
//! One model is shared by all scenarios, which run in the order of this list:
//! a scenario may count on nothing but a healthy cluster. `make test` builds and
//! lays out what they need; by hand:
//!
//! ```text
//! make build PROFILE=dev && cargo test --test scenarios -- "a restore"
//! SCENARIOS_KEEP=1 …      leaves the model up, and says where
//! ```

#![allow(clippy::disallowed_methods, reason = "tests drive programs, files and the clock themselves")]

mod scenarios {
    pub mod backup;
    pub mod broken_backup;
    pub mod broken_restore;
    #[allow(dead_code, reason = "shared with tests/cluster.rs")]
    pub mod harness;
    pub mod hostile;
    pub mod point_in_time;
    pub mod repository;
    pub mod restore;
    pub mod schema;
    pub mod secrets;
    pub mod stage;
    pub mod store;
    pub mod system_users;
    pub mod teardown;
    pub mod watch;
    pub mod world;
}

use scenarios::{
    backup, broken_backup, broken_restore, hostile, point_in_time, repository, restore, secrets, stage, system_users,
    teardown, world,
};

type Scenario = (&'static str, fn(&'static world::World));

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    ("without a repository a backup is refused and the help names the command",         repository::none_is_related),
    ("a repository without a bucket's name blocks with the option to set",              repository::no_bucket_is_named),
    ("hostile relation data blocks by the field's name, runs nothing, and heals",       hostile::relation_data),
    ("a bucket that is missing is made, and an empty repository lists as empty",        repository::is_set_up),
    ("every fault of the store is told in its own words and heals by itself",           repository::faults_heal),
    ("new keys of the store are taken over without anybody's help",                     repository::keys_rotate),
    ("a differential or incremental backup without a full one is refused",              backup::no_full_backup),
    ("a full backup says what it made, and list-backups has six lines",                 backup::full),
    ("differential and incremental backups name what they stand on",                    backup::stands_on),
    ("list-backups in JSON is one document that fits its schema",                       backup::json),
    ("the dialect with plain keys serves the same repository",                          repository::plain_dialect),
    ("system users whose secret is not granted block with the command, and heal",       system_users::granted_later),
    ("the secret's passwords open the database over TCP, and an update changes them",   system_users::rotated),
    ("a secret that lacks a user or has a bad password blocks by the user's name",      system_users::bad_content),
    ("a backup of a store that stopped is refused, and the next one works",             broken_backup::store_stopped),
    ("a backup outlives a store that is stopped and started meanwhile",                 broken_backup::store_restarted),
    ("a backup whose store turns against it fails in the store's words",                broken_backup::store_denies),
    ("a backup that runs is listed with its percent, and a second one is refused",      broken_backup::two_at_once),
    ("two create-backup actions at once are both made, one after the other",            broken_backup::two_actions),
    ("a backup whose engine is killed is listed as failed, with a log in the store",    broken_backup::engine_killed),
    ("a backup whose agent is killed leaves nothing that the next hook does not clean", broken_backup::agent_killed),
    ("a backup-id that is hostile or unknown is refused and runs nothing",              hostile::backup_ids),
    ("options that cannot be meant block by their name and heal",                       hostile::options),
    ("a restore brings back exactly the rows of its backup",                            restore::exact),
    ("one backup restored twice leaves no rows of an abandoned timeline",               restore::twice),
    ("a restore whose store turns against it puts everything back",                     broken_restore::store_denies),
    ("a restore killed while it fetches loses nothing",                                 broken_restore::killed_fetching),
    ("a restore killed while it recovers loses nothing",                                broken_restore::killed_recovering),
    ("a restore killed while it stops the cluster loses nothing",                       broken_restore::killed_stopping),
    ("a restore killed while directories change places loses nothing",                  broken_restore::killed_switching),
    ("a restore killed while Patroni takes over loses nothing",                         broken_restore::killed_adopting),
    ("a restore killed, and killed again while it is put back, loses nothing",          broken_restore::killed_twice),
    ("a restore to a time, position, transaction or name brings back exactly that",     point_in_time::exact),
    ("a time behind the last commit is the end of WAL, archived first",                 point_in_time::idle),
    ("a plan of a restore changes nothing, and nonsense is refused by name",            point_in_time::dry_run),
    ("a gap in the archive refuses what lies behind it and names what does not",        point_in_time::gap),
    ("the repository of another cluster is refused, and another path heals",            repository::of_another_cluster),
    ("no secret is in any output, log, process or readable file",                       secrets::nowhere),
    ("a removed application leaves no process",                                         teardown::application),
    ("a destroyed model leaves no process and no file",                                 teardown::model),
];

fn main() {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One cluster: one scenario at a time, in this order.
    arguments.test_threads = Some(1);
    let trials = SCENARIOS.iter().map(|&(sentence, scenario)| world::trial(sentence, scenario)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    stage::end();
    conclusion.exit();
}
