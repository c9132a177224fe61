//! The end: nothing of a unit or a model is left.

use super::harness::until;
use super::watch;
use super::world::{MODEL, World};

pub fn application(world: &'static World) {
    world.with_repository();
    world.shell.juju(&["remove-application", "postgresql", "--no-prompt"]).ok();
    let gone = || world.shell.json(&["status"])["applications"]["postgresql"].is_null();
    until(120, "the application is gone", gone);
    let left = watch::of_folder(&world.storage);
    assert!(left.is_empty(), "{left:#?}");
    let log = world.shell.juju(&["debug-log", "--replay", "--no-tail"]).ok();
    assert!(log.contains("ran \"stop\" hook"), "the unit ended its programs itself");
    assert!(world.storage.join("pg/data/PG_VERSION").exists(), "the storage is kept, with the data");
}

pub fn model(world: &'static World) {
    let folder = world.shell.home.join("models");
    world.shell.juju(&["destroy-model", "--no-prompt", "--destroy-storage", MODEL]).ok();
    until(60, "no process is left", || watch::of_folder(&folder).is_empty());
    until(10, "no file is left", || !folder.join(MODEL).exists());
}
