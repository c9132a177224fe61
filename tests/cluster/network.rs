//! Links that are cut: no refusal, only silence. The unit goes on, alone.

use super::world::{Seat, World};
use crate::harness::until;

/// Heals in the end, whatever happens.
struct Cut<'a>(&'a World, &'a Seat);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.shell.juju(&["network", &self.1.unit, "heal"]);
    }
}

impl World {
    fn cut<'a>(&'a self, seat: &'a Seat) -> Cut<'a> {
        self.lose(seat, &["network", &seat.unit, "cut"]);
        Cut(self, seat)
    }
}

pub fn replica(world: &'static World) {
    let replica = world.replica();
    let before = world.writer.written();
    let cut = world.cut(&replica);
    until(60, "clients write meanwhile", || world.writer.written() > before + 100);
    drop(cut);
    world.is_whole(3);
    assert!(world.writer.longest() < 10.0, "clients waited {} s", world.writer.longest());
}

pub fn primary(world: &'static World) {
    let old = world.primary();
    let others = world.replicas();
    let cut = world.cut(&old);
    until(60, "another unit is the primary", || others.iter().any(Seat::is_primary));
    // Before there is a new one the old one must have ended.
    let said = old.psql(world.shell, "SELECT pg_is_in_recovery()");
    assert_ne!(said.stdout.trim(), "f", "two members take writes");
    let before = world.writer.written();
    until(60, "clients write to the new primary", || world.writer.written() > before + 20);
    let said = old.psql(world.shell, "INSERT INTO written VALUES (-1, 'to one that is cut off')");
    assert!(!said.good, "{said:?}");
    drop(cut);
    world.is_whole(3);
    assert!(!world.seat(&old.unit).is_primary());
    assert!(world.writer.longest() < 45.0, "clients waited {} s", world.writer.longest());
}
