//! Units that come, go and move while TLS is on.

use super::harness::until;
use super::world::World;

pub fn added_and_removed(world: &'static World) {
    world.with_tls();
    let before = world.units();
    world.shell.juju(&["add-unit", "postgresql"]).ok();
    until(60, "it is there", || world.units().len() == before.len() + 1);
    world.is_whole(before.len() + 1);
    world.tell_writer();
    until(120, "it speaks TLS alone", || world.all_are_at("only"));
    let ca = world.authority_ca();
    let new = world.units().into_iter().find(|unit| !before.contains(unit)).expect("the new unit");
    world.speaks_tls_alone(&new, &ca);
    world.backup(&new);
    world.shell.juju(&["remove-unit", &new, "--no-prompt"]).ok();
    until(120, "it is gone", || world.units().len() == before.len());
    world.is_whole(before.len());
    world.tell_writer();
    let replica = world.replicas().remove(0);
    world.backup(&replica);
}

pub fn moved(world: &'static World) {
    world.with_tls();
    let unit = world.replicas().remove(0);
    let old = world.address(&unit);
    world.shell.juju(&["power-off", &unit]).ok();
    world.shell.juju(&["set-address", &unit]).ok();
    world.shell.juju(&["power-on", &unit]).ok();
    let address = || world.address(&unit);
    until(60, "it has another address", || address() != old);
    world.is_whole(world.units().len());
    world.tell_writer();
    let ca = world.authority_ca();
    let names_it = || {
        let pem = world.pem(&unit);
        super::ports::shown(&address(), 5432, super::ports::Identity { pem: Some(&pem), trusts: &ca }).is_ok()
    };
    until(120, "its certificate has the new address", names_it);
    world.speaks_tls_alone(&unit, &ca);
    until(60, "a backup from there", || world.shell.action(&unit, &["create-backup"]).completed);
}
