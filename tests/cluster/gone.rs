//! Units that died for good and are removed, one and most of them.

use super::world::{Seat, World};

impl World {
    fn dies(&self, seat: &Seat) {
        self.power_off(seat);
        self.shell.juju(&["remove-unit", &seat.unit, "--force", "--no-prompt"]).ok();
    }
}

pub fn one(world: &'static World) {
    let primary = world.primary();
    world.dies(&primary);
    world.is_whole(2);
    world.has_no_trace_of(&[primary.unit]);
    assert!(world.writer.longest() < 40.0, "clients waited {} s", world.writer.longest());
    world.add_units(1);
    world.is_whole(3);
}

pub fn two(world: &'static World) {
    let (primary, replicas) = (world.primary(), world.replicas());
    let (survivor, other) = (&replicas[0], &replicas[1]);
    // Together: the survivor alone has no quorum, and must not begin anything by itself.
    world.power_off(other);
    world.power_off(&primary);
    for seat in [other, &primary] {
        world.shell.juju(&["remove-unit", &seat.unit, "--force", "--no-prompt"]).ok();
    }
    world.is_whole(1);
    assert!(world.seat(&survivor.unit).is_primary());
    world.has_no_trace_of(&[primary.unit, other.unit.clone()]);
    world.nothing_is_lost();
    world.add_units(2);
    world.is_whole(3);
}
