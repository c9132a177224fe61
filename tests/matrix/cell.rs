//! One cell: a restore is begun, held at its state, something breaks, and when all has
//! settled by itself or as the status said: which rows are there?

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use super::cells::{Fault, State};
use super::inject::{Roles, inject, mend};
use super::table::{self, Row};
use crate::harness::{Action, Running, until};
use crate::moment::{Driving, journals};
use crate::small_disk::SmallDisk;
use crate::stage::words;
use crate::world::{APP, Seat, World, number};

/// How long clients may have to wait for the end that comes by itself before somebody mends what broke.
const BY_ITSELF: Duration = Duration::from_secs(60);

/// A backup that restores go back to.
#[derive(Clone)]
struct Backup {
    id: String,
    /// It has these for sure.
    has: BTreeSet<i64>,
    /// It has none but these.
    at_most: BTreeSet<i64>,
}

/// Of the restores before: made at the end of each cell.
static BACKUP: Mutex<Option<Backup>> = Mutex::new(None);

fn newest() -> MutexGuard<'static, Option<Backup>> {
    BACKUP.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Two units whose disks can be filled; old data goes at once, so that none is filled by the cells before.
fn prepared(world: &World) -> &'static [SmallDisk] {
    static DISKS: OnceLock<Vec<SmallDisk>> = OnceLock::new();
    DISKS.get_or_init(|| {
        world.with_repository();
        world.shell.juju(&["config", APP, "keep-old-data=0"]).ok();
        let disks = vec![SmallDisk::for_the_next_unit(world, 1500), SmallDisk::for_the_next_unit(world, 1500)];
        world.add_units(2);
        world.is_whole(3);
        disks
    })
}

pub fn run(world: &'static World, state: State, fault: Fault) {
    let begun = Instant::now();
    let disks = prepared(world);
    disks.iter().for_each(SmallDisk::make_room);
    world.make_whole();
    let tried = catch_unwind(AssertUnwindSafe(|| try_it(world, state, fault, disks)));
    let seconds = begun.elapsed().as_secs_f32();
    let (row, failed) = match tried {
        Ok((rows, said)) => {
            let failed = (rows.outcome != AS_ASKED && rows.outcome != AS_IT_WAS || rows.lost > 0)
                .then(|| format!("{}, {} rows lost", rows.outcome, rows.lost));
            (Row::new(state, fault, rows.outcome, rows.lost, seconds, said), failed)
        }
        Err(panic) => {
            // What could not be reached is no outcome; what did not settle is one.
            *newest() = None;
            let why = words(&*panic);
            (Row::new(state, fault, "not settled", 0, seconds, why.clone()), Some(why))
        }
    };
    table::add(row);
    if let Some(why) = failed {
        panic!("{} x {}: {why}", state.name(), fault.name());
    }
}

pub const AS_IT_WAS: &str = "as it was";
pub const AS_ASKED: &str = "as asked";

struct Rows {
    outcome: &'static str,
    lost: usize,
}

fn try_it(world: &'static World, state: State, fault: Fault, disks: &[SmallDisk]) -> (Rows, String) {
    let roles = roles(world);
    world.leads(&roles.driver);
    let disk = disks.iter().find(|disk| disk.place() == roles.driver.storage).expect("the driver's disk is small");
    let backup = newest().take().unwrap_or_else(|| back_up(world));
    world.rows_come(15);
    let since: BTreeSet<_> = world.rows_now().difference(&backup.at_most).copied().collect();
    let said = match state {
        State::Held => held(world, fault, &roles, disk, &backup),
        _ => broken_at(world, state, fault, &roles, disk, &backup),
    };
    world.is_whole(3);
    until(60, "no restore is open", || is_settled(&roles.driver));
    world.rows_come(10);
    let rows = classify(world, &backup, &since);
    // All units have the same, and the cluster can be backed up.
    world.nothing_is_lost();
    *newest() = Some(back_up(world));
    eprintln!("    {}: {} rows lost; {said}", rows.outcome, rows.lost);
    (rows, said)
}

fn roles(world: &World) -> Roles {
    let primary = world.primary();
    let (small, rest): (Vec<_>, Vec<_>) =
        world.seats().into_iter().filter(|seat| seat.unit != primary.unit).partition(|seat| number(&seat.unit) > 0);
    let mut replicas = small.into_iter().chain(rest);
    Roles { driver: replicas.next().expect("a replica"), other: replicas.next().expect("another"), primary }
}

fn back_up(world: &World) -> Backup {
    let (id, has) = world.backup();
    Backup { id, has, at_most: world.rows_now() }
}

fn broken_at(
    world: &'static World,
    state: State,
    fault: Fault,
    roles: &Roles,
    disk: &SmallDisk,
    backup: &Backup,
) -> String {
    let known = journals(&roles.driver);
    let running = world.start_restore(&roles.driver, &backup.id);
    let driving = match Driving::begun(world, &running, &roles.driver, &known) {
        Ok(driving) => driving,
        Err(why) => panic!("{why}: {}", running.end().message),
    };
    if state == State::PutBack {
        lose_the_copy(&driving, &roles.driver);
    }
    driving.hold_at(|journal, stage| state.is(journal, stage)).unwrap_or_else(|why| panic!("{why}"));
    inject(world, fault, state, roles, Some(&driving), disk);
    settle(world, fault, roles, disk, running, &driving)
}

/// The usual reason to go back in a state in which data has moved: what was recovered cannot take its place.
fn lose_the_copy(driving: &Driving, driver: &Seat) {
    driving.hold_at(|journal, stage| State::Aside.is(journal, stage)).unwrap_or_else(|why| panic!("{why}"));
    std::fs::remove_dir_all(driver.storage.join("pg").join(format!("data.restore-{}", driving.id))).expect("the copy");
}

/// By itself; what is away for so long that clients wait is mended then.
fn settle(
    world: &'static World,
    fault: Fault,
    roles: &Roles,
    disk: &SmallDisk,
    running: Running,
    driving: &Driving,
) -> String {
    if fault != Fault::Driver {
        // Once it is committed the action waits for those that follow, minutes for one that is gone.
        until(420, "the restore ends", || running.is_over() || driving.written().0 == "committed");
    }
    let by_itself = is_served(world);
    mend(world, fault, roles, disk);
    let Action { completed, message, .. } = running.end();
    let served = if by_itself { "" } else { "clients waited until it was mended; " };
    format!("{served}{}{message}", if completed { "done" } else { "" })
}

fn is_served(world: &World) -> bool {
    let (begun, before) = (Instant::now(), world.writer.written());
    while world.writer.written() < before + 5 {
        if begun.elapsed() > BY_ITSELF {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    true
}

/// It waits for a person, whatever happens to it; then a person says go on.
fn held(world: &'static World, fault: Fault, roles: &Roles, disk: &SmallDisk, backup: &Backup) -> String {
    world.action(&roles.driver, &["restore", &format!("backup-id={}", backup.id), "hold=true"]).ok();
    inject(world, fault, State::Held, roles, None, disk);
    let served = is_served(world);
    // Of what lasts: the status says what is wrong with it, and a person mends it first.
    mend(world, fault, roles, disk);
    world.is_whole(3);
    world.says(&roles.driver.unit, "active", "is held: juju run", 60);
    world.action(&roles.driver, &["continue-restore"]).ok();
    format!("{}held, continued", if served { "" } else { "clients waited until it was mended; " })
}

/// The journal of the unit that restores, the order that all have heard, and the claim: of a
/// process that was killed it lasts half a minute, and refuses the next restore meanwhile.
fn is_settled(driver: &Seat) -> bool {
    let open = journals(driver).iter().any(|id| {
        let file = driver.storage.join("state").join(format!("restore-{id}.json"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        !["committed", "rolled-back"].iter().any(|state| text.contains(&format!("\"state\":\"{state}\"")))
    });
    let order: serde_json::Value =
        serde_json::from_str(&driver.key("/pg-backup-agent/restore/order")).unwrap_or_default();
    let is_claimed = !driver.key("/pg-backup-agent/restore/driver").is_empty();
    !open && !is_claimed && (order.is_null() || ["join", "put-back"].iter().any(|stage| order["stage"] == **stage))
}

/// `since`: acknowledged after the backup and before the restore. All of them are there, or none.
fn classify(world: &World, backup: &Backup, since: &BTreeSet<i64>) -> Rows {
    let acknowledged = world.writer.pause();
    let there = world.primary().sql(world.shell, "SELECT n FROM written");
    let there: BTreeSet<i64> = there.lines().filter_map(|line| line.parse().ok()).collect();
    let missing: BTreeSet<_> = acknowledged.difference(&there).copied().collect();
    let rows = if since.is_subset(&there) {
        Rows { outcome: AS_IT_WAS, lost: missing.len() }
    } else if since.is_disjoint(&there) {
        // The first that the restored cluster took; whatever came later is there.
        let last = since.last().copied().unwrap_or_default();
        let first_new = acknowledged.range(last + 1..).find(|row| there.contains(row)).copied().unwrap_or(i64::MAX);
        let lost_new = missing.range(first_new..).count();
        Rows { outcome: AS_ASKED, lost: lost_new + backup.has.difference(&there).count() }
    } else {
        Rows { outcome: "mixed", lost: missing.len() }
    };
    world.writer.forget_rows(&missing.into_iter().collect::<Vec<_>>());
    world.writer.go_on();
    rows
}
