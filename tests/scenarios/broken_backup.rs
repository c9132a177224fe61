//! Backups that fail or are broken off: what is said, and that nothing is left.

use super::harness::until;
use super::schema;
use super::store::STANZA;
use super::watch::kill_hard;
use super::world::{UNIT, World};

pub fn store_stopped(world: &'static World) {
    world.with_repository();
    world.fault("stop");
    let endpoint = world.knows()["repository"]["bag"]["endpoint"].as_str().unwrap_or_default().to_owned();
    let why = world.shell.action(UNIT, &["create-backup"]).failed();
    assert!(why.starts_with("Failed to upload metadata to provided S3: "), "{why}");
    assert!(why.contains(&format!("{endpoint}: connection refused")), "{why}");
    let why = world.shell.action(UNIT, &["list-backups"]).failed();
    let sentence = "Failed to list PostgreSQL backups with error: Failed to list backups with error: ";
    assert!(why.starts_with(sentence) && why.to_lowercase().contains("connection refused"), "{why}");
    world.fault("none");
    world.backup();
}

pub fn store_restarted(world: &'static World) {
    world.with_repository();
    let running = world.slow_backup();
    world.fault("stop");
    world.fault("none");
    running.end().ok();
}

pub fn store_denies(world: &'static World) {
    world.with_repository();
    let running = world.slow_backup();
    world.fault("deny");
    let why = running.end().failed();
    assert!(why.starts_with("Failed to backup PostgreSQL with error: ") && why.contains("403"), "{why}");
    assert!(!why.contains('\n'), "one line, not the engine's dump: {why}");
    world.heal();
    until(30, "the failed run is listed", || world.listed("failed").iter().any(|run| has(run, "reason", "403")));
    world.backup();
}

pub fn two_at_once(world: &'static World) {
    world.with_repository();
    let before = world.listed("finished").len();
    let running = world.slow_backup();
    assert_eq!(world.status(UNIT), ("maintenance".to_owned(), "creating backup".to_owned()));
    let table = world.shell.agent("list-backups", &world.storage, &[]).ok();
    assert!(table.lines().any(|line| line.contains(" | full backup         | in progress: ")), "{table}");
    let list = world.shell.agent("list-backups", &world.storage, &["--format", "json"]).ok();
    schema::check(&serde_json::from_str(&list).expect("one JSON document"));
    let second = world.shell.agent("create-backup", &world.storage, &[]);
    assert!(!second.good);
    let why = second.stderr.lines().last().unwrap_or_default();
    assert!(why.starts_with("another command of the agent is at work on ") && why.contains("juju operations"), "{why}");
    world.fault("none");
    running.end().ok();
    assert_eq!(world.listed("finished").len(), before + 1);
}

pub fn two_actions(world: &'static World) {
    world.with_repository();
    let pair = [world.shell.start_action(UNIT, &["create-backup"]), world.shell.start_action(UNIT, &["create-backup"])];
    let ids = pair.map(|action| action.end().ok().get("backup-id"));
    assert_ne!(ids[0], ids[1]);
}

pub fn engine_killed(world: &'static World) {
    world.with_repository();
    let running = world.slow_backup();
    let dispatch = world.dispatch();
    let engine = world.engines().into_iter().find(|process| process.parent == dispatch.pid).expect("the engine");
    kill_hard(&engine);
    let why = running.end().failed();
    world.fault("none");
    assert!(why.starts_with("Failed to backup PostgreSQL with error: "), "{why}");
    until(30, "no process of it is left", || world.engines().is_empty());
    let failed = world.listed("failed").pop().expect("a failed run");
    let reason = failed["reason"].as_str().unwrap_or_default();
    assert!(why.starts_with(reason) || reason.starts_with(&why), "{reason}");
    has_log(world, &failed);
    world.backup();
}

pub fn agent_killed(world: &'static World) {
    world.with_repository();
    let running = world.slow_backup();
    kill_hard(&world.dispatch());
    running.end().failed();
    world.fault("none");
    until(60, "the next hook settles it", || !world.storage.join("state/backup.json").exists());
    let left = world.engines();
    assert!(left.is_empty(), "{left:#?}");
    world.heal();
    let failed = world.listed("failed").pop().expect("a failed run");
    assert_eq!(failed["reason"], "interrupted: the agent was killed while the backup ran");
    assert!(world.listed("in-progress").is_empty());
    has_log(world, &failed);
    world.backup();
    world.archives();
}

fn has(run: &serde_json::Value, key: &str, part: &str) -> bool {
    run[key].as_str().is_some_and(|text| text.contains(part))
}

/// A failed run has an object for its log, and a row that begins as a backup's.
fn has_log(world: &'static World, failed: &serde_json::Value) {
    let id = failed["backup-id"].as_str().unwrap_or_default();
    assert_eq!((&failed["type"], &failed["unit"]), (&"full".into(), &UNIT.into()));
    let log = world.object(&format!("backup/{STANZA}/{id}/backup.log"));
    assert!(!log.trim().is_empty());
    let row = format!("{id} | full backup         | failed: ");
    assert!(world.table().iter().any(|line| line.starts_with(&row)), "{:#?}", world.table());
}
