//! Machines that are lost and come back, also with another address.

use super::world::{Seat, World};
use crate::harness::until;

/// Patroni's `ttl` and a turn of its loop, and a machine that has more to do.
const FAILOVER: f32 = 40.0;

impl World {
    /// Power goes, and comes back after `meanwhile`.
    fn without_power(&self, seat: &Seat, meanwhile: impl FnOnce()) {
        self.power_off(seat);
        let before = self.writer.written();
        meanwhile();
        until(60, "clients write meanwhile", || self.writer.written() > before + 20);
        self.power_on(seat);
        self.is_whole(3);
    }

    fn moves(&self, seat: &Seat) {
        self.shell.juju(&["set-address", &seat.unit]).ok();
        assert_ne!(self.seat(&seat.unit).address, seat.address);
    }
}

pub fn leader(world: &'static World) {
    let replica = world.replica();
    world.shell.juju(&["set-leader", &replica.unit]).ok();
    world.without_power(&replica, || {
        until(60, "another unit leads", || world.seats().iter().any(|seat| seat.leads && seat.unit != replica.unit));
    });
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}

pub fn primary(world: &'static World) {
    let old = world.primary();
    world.without_power(&old, || assert_ne!(world.primary().unit, old.unit));
    assert!(!world.seat(&old.unit).is_primary());
    assert!(world.writer.longest() < FAILOVER, "clients waited {} s", world.writer.longest());
}

pub fn moved_replica(world: &'static World) {
    let replica = world.replica();
    world.without_power(&replica, || world.moves(&replica));
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}

pub fn moved_primary(world: &'static World) {
    let old = world.primary();
    world.without_power(&old, || world.moves(&old));
    assert!(world.writer.longest() < FAILOVER, "clients waited {} s", world.writer.longest());
}
