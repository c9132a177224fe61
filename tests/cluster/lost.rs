//! What a unit had on its disk is lost: it comes back with what the others have.

use std::path::Path;

use super::world::World;

fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        let path = entry.path();
        let removed = match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.expect("removing what is lost");
    }
}

pub fn etcd(world: &'static World) {
    let replica = world.replica();
    world.power_off(&replica);
    empty(&replica.storage.join("etcd"));
    world.power_on(&replica);
    world.is_whole(3);
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}

pub fn everything(world: &'static World) {
    // The timeline that begins here has no backup.
    world.switchover();
    world.is_whole(3);
    world.writer.forget_pauses();
    let replica = world.replica();
    world.power_off(&replica);
    empty(&replica.storage);
    world.power_on(&replica);
    world.is_whole(3);
    world.seat(&replica.unit).is_from_the_primary();
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}
