//! How a cluster forms, grows and shrinks, and where new members get their data.

use super::world::{Seat, World};
use crate::harness::until;

const FROM_REPOSITORY: &str = "replica has been created using pgbackrest";
const FROM_PRIMARY: &str = "replica has been created using basebackup";

impl Seat {
    /// What Patroni says of where the data came from, the newest last.
    pub fn origins(&self) -> Vec<&'static str> {
        let log = self.log("patroni.log");
        let origin = |line: &str| [FROM_REPOSITORY, FROM_PRIMARY].into_iter().find(|words| line.contains(words));
        log.lines().filter_map(origin).collect()
    }

    #[track_caller]
    pub fn is_from_the_repository(&self) {
        assert_eq!(self.origins().last(), Some(&FROM_REPOSITORY), "{}", self.unit);
    }

    #[track_caller]
    pub fn is_from_the_primary(&self) {
        assert_eq!(self.origins().last(), Some(&FROM_PRIMARY), "{}", self.unit);
    }
}

pub fn from_the_primary(world: &'static World) {
    let units = world.seats().len();
    if units > 1 {
        return;
    }
    let new = world.add_units(1).remove(0);
    world.is_whole(2);
    world.seat(&new).is_from_the_primary();
    world.nothing_is_lost();
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}

pub fn from_the_repository(world: &'static World) {
    world.primary().sql(world.shell, "SELECT pg_switch_wal()");
    let new = world.add_units(1).remove(0);
    world.is_whole(3);
    world.seat(&new).is_from_the_repository();
    for seat in world.seats() {
        for service in ["etcd", "patroni", "postgres"] {
            let found = seat.processes(service);
            assert_eq!(found.len(), 1, "{service} of {}: {found:#?}", seat.unit);
        }
    }
    let failsafe = world.primary().key("/service/postgresql/failsafe");
    let known = |seat: &Seat| failsafe.contains(&format!("\"{}\"", seat.member()));
    until(30, "all are known as members that a primary may rely on", || {
        let failsafe = world.primary().key("/service/postgresql/failsafe");
        world.seats().iter().all(|seat| failsafe.contains(&format!("\"{}\"", seat.member())))
    });
    let _ = known;
    world.nothing_is_lost();
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}
