//! Backups that succeed, and what is told of them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::schema;
use super::store::STANZA;
use super::world::{UNIT, World};

pub fn no_full_backup(world: &'static World) {
    world.with_repository();
    for kind in ["differential", "incremental"] {
        let refused = world.shell.action(UNIT, &["create-backup", &format!("type={kind}")]).failed();
        assert_eq!(
            refused,
            format!(
                "Invalid backup type: {kind}. No previous full backup to reference. \
                 Create a full backup first: juju run postgresql/0 create-backup"
            )
        );
    }
    assert_eq!(world.table().len(), 5, "nothing was made");
}

pub fn full(world: &'static World) {
    world.with_repository();
    let others = world.table().len() - 5;
    let before = Utc::now().timestamp();
    let made = world.backup();
    let after = Utc::now().timestamp();
    let keys =
        ["backup-id", "backup-status", "duration-seconds", "repository-size", "size", "type", "wal-start", "wal-stop"];
    assert_eq!(made.keys(), keys);
    assert_eq!((made.get("backup-status"), made.get("type")), ("backup created".to_owned(), "full".to_owned()));
    assert!(made.get("duration-seconds").parse::<u64>().is_ok_and(|seconds| seconds <= 120));
    assert!(is_size(&made.get("size")) && is_size(&made.get("repository-size")));
    assert!(is_segment(&made.get("wal-start")) && made.get("wal-start") <= made.get("wal-stop"));
    // Whatever the time of day where the unit is.
    let id = made.get("backup-id");
    let moment = id.parse::<DateTime<Utc>>().expect("a time").timestamp();
    assert!((before..=after).contains(&moment), "{id} is not in UTC");
    let table = world.table();
    assert_eq!(table.len(), 6 + others, "{table:#?}");
    let row = format!("{id} | full backup         | finished | None                 | ");
    let row = table.iter().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("{id} is not in {table:#?}"));
    assert_eq!(row.matches(" | ").count(), 10, "{row}");
    assert!(row.contains(&format!(" | /{STANZA}/")), "{row}");
    let log = world.object(&format!("backup/{STANZA}/{id}/backup.log"));
    assert!(log.starts_with("Stdout:\n") && log.contains("\nStderr:\n"), "{log}");
}

pub fn stands_on(world: &'static World) {
    world.with_repository();
    let full = world.backup().get("backup-id");
    world.add_rows(10);
    let first = world.shell.action(UNIT, &["create-backup", "type=incremental"]).ok();
    assert_eq!((first.get("type").as_str(), first.get("reference")), ("incremental", full.clone()));
    world.add_rows(10);
    let second = world.shell.action(UNIT, &["create-backup", "type=incremental"]).ok();
    assert_eq!(second.get("reference"), first.get("backup-id"));
    let differential = world.shell.action(UNIT, &["create-backup", "type=differential"]).ok();
    assert_eq!((differential.get("type").as_str(), differential.get("reference")), ("differential", full.clone()));
    let list = world.listed("finished");
    let of = |id: &str| list.iter().find(|entry| entry["backup-id"] == *id).cloned().unwrap_or_default();
    assert_eq!(of(&second.get("backup-id"))["reference"], *first.get("backup-id"));
    assert_eq!(of(&differential.get("backup-id"))["reference"], *full);
    let row = format!("{} | differential backup | finished | {full} | ", differential.get("backup-id"));
    assert!(world.table().iter().any(|line| line.starts_with(&row)), "{row} is not in {:#?}", world.table());
}

pub fn json(world: &'static World) {
    world.with_repository();
    world.some_backup();
    let action = world.list();
    schema::check(&action);
    assert_eq!(
        (&action["bucket"], &action["path"], &action["stanza"]),
        (&"backups".into(), &"/production/pg".into(), &STANZA.into())
    );
    // The same on the unit, without Juju.
    let agent = world.shell.agent("list-backups", &world.storage, &["--format", "json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&agent).expect("one JSON document"), action);
}

/// `27.9 MiB`
fn is_size(text: &str) -> bool {
    let (number, unit) = text.split_once(' ').unwrap_or_default();
    number.parse::<f64>().is_ok() && ["B", "KiB", "MiB", "GiB"].contains(&unit)
}

fn is_segment(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
