//! Any process of a unit, killed as an out-of-memory killer does it: everything
//! comes back by itself.

use super::world::{Seat, World};
use crate::harness::{until, until_some};
use crate::watch::kill_hard;

impl World {
    /// Kills the service of this unit and waits until another process has its place.
    #[track_caller]
    fn comes_back(&self, seat: &Seat, service: &str) {
        let old = seat.process(service).unwrap_or_else(|| panic!("{service} of {}", seat.unit));
        kill_hard(&old);
        until(60, &format!("{service} of {} is back", seat.unit), || {
            seat.process(service).is_some_and(|new| new.pid != old.pid)
        });
        self.is_whole(3);
    }
}

pub fn etcd(world: &'static World) {
    world.comes_back(&world.replica(), "etcd");
    world.comes_back(&world.primary(), "etcd");
    assert!(world.writer.longest() < 10.0, "clients waited {} s", world.writer.longest());
}

pub fn patroni(world: &'static World) {
    for seat in [world.replica(), world.primary()] {
        let before = seat.process("postgres").expect("PostgreSQL").pid;
        world.comes_back(&seat, "patroni");
        assert_eq!(seat.process("postgres").map(|process| process.pid), Some(before), "PostgreSQL of {}", seat.unit);
        assert!(world.writer.longest() < 2.0, "clients waited {} s", world.writer.longest());
    }
}

pub fn postgres(world: &'static World) {
    world.comes_back(&world.replica(), "postgres");
    assert!(world.writer.longest() < 2.0, "clients waited {} s", world.writer.longest());
    world.comes_back(&world.primary(), "postgres");
    assert!(world.writer.longest() < 30.0, "clients waited {} s", world.writer.longest());
}

pub fn archiving(world: &'static World) {
    let primary = world.primary();
    world.slow(200_000);
    let segment = primary.sql(world.shell, "SELECT pg_walfile_name(pg_current_wal_lsn())");
    primary.sql(world.shell, "SELECT pg_switch_wal()");
    let pushing = until_some(60, "WAL is pushed", || {
        let mut processes = primary.processes("pgbackrest").into_iter();
        processes.find(|process| process.line.contains("archive-push"))
    });
    kill_hard(&pushing);
    world.fault("none");
    until(90, &format!("WAL {segment} is archived"), || {
        primary.sql(world.shell, "SELECT coalesce(max(last_archived_wal), '') FROM pg_stat_archiver") >= segment
    });
}
