//! What breaks, broken; and mended again as a person would.

use super::cells::{Fault, State};
use crate::harness::{until, until_some};
use crate::moment::Driving;
use crate::small_disk::SmallDisk;
use crate::watch::{self, Process};
use crate::world::{Seat, World};

/// Who is who in a cell: the unit that restores is a replica.
pub struct Roles {
    pub driver: Seat,
    pub primary: Seat,
    pub other: Seat,
}

/// Held still, the driver is where the cell says; when this returns it goes on, or is gone.
pub fn inject(
    world: &'static World,
    fault: Fault,
    state: State,
    roles: &Roles,
    driving: Option<&Driving>,
    disk: &SmallDisk,
) {
    match fault {
        Fault::Agent => driving.expect("an agent").kill(),
        Fault::Child => {
            if let Some(driving) = driving {
                driving.go_on();
            }
            let child = until_some(60, "the child runs", || child(state, roles));
            kill(&child);
        }
        Fault::Everything => {
            // Twice: what is being started just then is not missed.
            for _ in 0..2 {
                watch::of_folder(&roles.driver.storage).iter().for_each(kill);
            }
            if let Some(driving) = driving {
                driving.kill();
            }
        }
        Fault::Store => world.fault("refuse"),
        Fault::Disk => disk.fill(0),
        Fault::Leader => {
            world.shell.juju(&["set-leader", &roles.other.unit]).ok();
            until(30, "it leads", || world.seat(&roles.other.unit).leads);
        }
        Fault::Replica => world.power_off(&roles.other),
        Fault::Driver => world.power_off(&roles.driver),
        Fault::Primary => world.power_off(&roles.primary),
        Fault::Service => roles.other.processes("unit-service").iter().for_each(kill),
    }
    if let Some(driving) = driving {
        driving.go_on();
    }
}

pub fn mend(world: &'static World, fault: Fault, roles: &Roles, disk: &SmallDisk) {
    match fault {
        Fault::Store => world.fault("none"),
        Fault::Disk => disk.make_room(),
        Fault::Replica => world.power_on(&roles.other),
        Fault::Driver => world.power_on(&roles.driver),
        Fault::Primary => world.power_on(&roles.primary),
        _ => {}
    }
}

/// It may be gone already.
fn kill(process: &Process) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid), nix::sys::signal::Signal::SIGKILL);
}

/// The program that works in this state, on whichever unit.
fn child(state: State, roles: &Roles) -> Option<Process> {
    let of = |seat: &Seat, program: &str, word: &str| {
        let storage = seat.storage.display().to_string();
        let is = |process: &Process| {
            let first = process.line.split(' ').next().unwrap_or_default();
            first.rsplit('/').next() == Some(program) && process.line.contains(&storage) && process.line.contains(word)
        };
        watch::processes().into_iter().find(is)
    };
    let (driver, primary, other) = (&roles.driver, &roles.primary, &roles.other);
    match state {
        State::Fetching => of(driver, "pgbackrest", " restore"),
        State::Recovering | State::Held => of(driver, "postgres", "/data.restore-"),
        State::Seal => of(primary, "pgbackrest", "archive-push"),
        State::StopPrimary => of(primary, "pg_ctl", " stop"),
        State::StopReplicas => of(driver, "pg_ctl", " "),
        State::Adopting => driver.process("patroni"),
        State::Join => of(other, "pg_basebackup", " "),
        State::PutBack => primary.process("patroni"),
        State::Proven | State::Hold | State::Aside => None,
    }
}
