//! Who may back up where units do not speak TLS, and what the others are told.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::world::{PATH, Seat, World};
use crate::harness::{until, until_some};

/// Exactly, with the primary's command.
fn refused_on_replica(primary: &Seat, options: &str) -> String {
    format!(
        "Unit cannot perform backups as TLS is not enabled. Run it on the primary: juju run {} create-backup{options} \
         (or relate a TLS certificates operator to back up from replicas)",
        primary.unit
    )
}

pub fn settings_missing(world: &'static World) {
    let unit = world.seats().remove(0);
    let refused = world.action(&unit, &["create-backup"]).failed();
    let sentence = "Relation with s3-integrator charm missing, cannot create/restore backup";
    assert!(refused.starts_with(sentence) && refused.contains("juju integrate postgresql "), "{refused}");
}

pub fn stanza_not_ready(world: &'static World) {
    let unit = world.seats().remove(0);
    world.fault("deny");
    world.integrate();
    world.says(&unit.unit, "blocked", "access denied (403)", 60);
    let refused = world.action(&unit, &["create-backup"]).failed();
    assert!(refused.starts_with("Stanza was not initialised (") && refused.contains("403"), "{refused}");
    world.fault("none");
    world.with_repository();
    world.says(&unit.unit, "active", "", 60);
}

pub fn one_unit(world: &'static World) {
    world.with_repository();
    let unit = world.seats().remove(0);
    world.action(&unit, &["create-backup"]).ok();
    // The rest begins with an empty repository.
    world.shell.juju(&["config", "object-storage", &format!("path={PATH}/cluster")]).ok();
    until(60, "the new path is known", || {
        let knows = unit.knows();
        knows["repository"]["bag"]["path"].as_str().is_some_and(|path| path.ends_with("/cluster"))
            && knows["repository_ready"] == true
    });
    assert!(world.listed(&unit, "finished").is_empty());
}

pub fn replica_without_full(world: &'static World) {
    let (primary, replica) = (world.primary(), world.replica());
    let refused = world.action(&replica, &["create-backup", "type=incremental"]).failed();
    assert_eq!(refused, refused_on_replica(&primary, " type=incremental"), "the right to back up comes first");
    let refused = world.action(&primary, &["create-backup", "type=incremental"]).failed();
    assert!(refused.starts_with("Invalid backup type: incremental. No previous full backup"), "{refused}");
    world.action(&primary, &["create-backup"]).ok();
}

pub fn three_units(world: &'static World) {
    let primary = world.primary();
    let made = world.action(&primary, &["create-backup"]).ok().get("backup-id");
    for replica in world.replicas() {
        let refused = world.action(&replica, &["create-backup", "type=incremental"]).failed();
        assert_eq!(refused, refused_on_replica(&primary, " type=incremental"));
    }
    let refused = world.action(&world.replica(), &["create-backup"]).failed();
    assert_eq!(refused, refused_on_replica(&primary, ""));
    let command = refused.split("Run it on the primary: juju run ").nth(1).and_then(|rest| rest.split(" (").next());
    let (unit, action) = command.and_then(|command| command.split_once(' ')).expect("a command");
    let second = world.shell.action(unit, &[action]).ok().get("backup-id");
    for seat in world.seats() {
        let ids: Vec<_> = world.listed(&seat, "finished").iter().map(|entry| entry["backup-id"].clone()).collect();
        assert!(ids.contains(&Value::from(made.as_str())) && ids.contains(&Value::from(second.as_str())), "{ids:?}");
    }
}

pub fn listed_everywhere(world: &'static World) {
    let primary = world.primary();
    // It lasts until all have been asked, on a slow machine too.
    world.slow(150_000);
    let unit: &'static str = Box::leak(primary.unit.clone().into_boxed_str());
    let running = world.shell.start_action(unit, &["create-backup"]);
    let replicas = world.replicas();
    let shown = |seat: &Seat| {
        let entry = world.listed(seat, "in-progress").pop()?;
        entry["percent"].as_f64().filter(|percent| *percent > 0.0)
    };
    for seat in &replicas {
        until_some(120, &format!("{} lists it, with its percent", seat.unit), || {
            assert!(!running.is_over(), "it was over too soon");
            shown(seat)
        });
    }
    // A person on the unit itself.
    let table = world.shell.agent("list-backups", &primary.storage, &[]).ok();
    assert!(table.lines().any(|line| line.contains(" | in progress: ")), "{table}");
    world.fault("none");
    running.end().ok();
    for seat in world.seats() {
        assert!(world.listed(&seat, "in-progress").is_empty(), "on {}", seat.unit);
    }
}

/// Goes on in the end, whatever happens.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

pub fn role_unknown(world: &'static World) {
    let replica = world.replica();
    // A hook would wait for Patroni, and the action for the hook.
    world.shell.juju(&["model-config", "update-status-hook-interval=60m"]).ok();
    until(60, "no hook runs", || world.seats().iter().all(|seat| seat.agent == "idle"));
    let patroni = replica.process("patroni").expect("Patroni");
    let refused = {
        let stopped = Stopped(Pid::from_raw(patroni.pid));
        kill(stopped.0, Signal::SIGSTOP).expect("stopping Patroni");
        world.action(&replica, &["create-backup"])
    };
    world.shell.juju(&["model-config", "update-status-hook-interval=3s"]).ok();
    let refused = refused.failed();
    let sentence = "Unit cannot perform backups as the database seems to be offline: its role is not known (";
    assert!(refused.starts_with(sentence) && refused.contains("juju status"), "{refused}");
}
