//! Restores that end as they were asked for.

use std::collections::BTreeSet;

use crate::harness::{Results, until};
use crate::world::{Seat, World};

/// Aim of the outage, and what a machine with two cores that runs all of it may add.
const OUTAGE: f32 = 30.0;

impl World {
    /// A backup, and the rows that it has for sure.
    pub fn backup(&self) -> (String, BTreeSet<i64>) {
        let rows = self.rows_now();
        let made = self.action(&self.primary(), &["create-backup"]).ok();
        (made.get("backup-id"), rows)
    }

    pub fn rows_now(&self) -> BTreeSet<i64> {
        let rows = self.writer.pause();
        self.writer.go_on();
        rows
    }

    pub fn leader(&self) -> Seat {
        self.seats().into_iter().find(|seat| seat.leads).expect("a leader")
    }

    /// This unit is Juju's leader from now on.
    pub fn leads(&self, seat: &Seat) {
        self.shell.juju(&["set-leader", &seat.unit]).ok();
        until(30, "it leads", || self.seat(&seat.unit).leads);
    }

    /// Clients write rows that no backup has.
    pub fn rows_come(&self, count: usize) {
        let before = self.writer.written();
        until(60, "clients write", || self.writer.written() >= before + count);
    }

    pub fn restore(&self, id: &str) -> Results {
        self.action(&self.leader(), &["restore", &format!("backup-id={id}")]).ok()
    }

    /// Of the rows that were acknowledged, those of one stretch are gone: from after the
    /// backup until the stop. From now on the writer knows of the others alone.
    #[track_caller]
    pub fn went_back(&self, of_the_backup: &BTreeSet<i64>) -> Vec<i64> {
        let acknowledged = self.writer.pause();
        let there = self.primary().sql(self.shell, "SELECT n FROM written");
        let there: BTreeSet<i64> = there.lines().filter_map(|line| line.parse().ok()).collect();
        let missing: Vec<_> = of_the_backup.difference(&there).collect();
        assert!(missing.is_empty(), "rows of the backup are missing: {missing:?}");
        let gone: Vec<_> = acknowledged.difference(&there).copied().collect();
        let (Some(first), Some(last)) = (gone.first(), gone.last()) else { panic!("it did not go back") };
        let survived: Vec<_> = acknowledged.range(first..=last).filter(|row| there.contains(row)).collect();
        assert!(survived.is_empty(), "rows {first} to {last} are gone, but not {survived:?}");
        assert!(acknowledged.range(last + 1..).next().is_some(), "clients write to the restored cluster");
        self.writer.forget_rows(&gone);
        self.writer.go_on();
        gone
    }

    /// What a restore had taken away is back; what came since is gone.
    #[track_caller]
    fn came_back(&self, gone: &[i64]) -> Vec<i64> {
        let acknowledged = self.writer.pause();
        let there = self.primary().sql(self.shell, "SELECT n FROM written");
        let there: BTreeSet<i64> = there.lines().filter_map(|line| line.parse().ok()).collect();
        let missing: Vec<_> = gone.iter().filter(|row| !there.contains(row)).collect();
        assert!(missing.is_empty(), "rows from before the restore are missing: {missing:?}");
        let since: Vec<_> = acknowledged.difference(&there).copied().collect();
        let (Some(first), Some(last)) = (since.first(), since.last()) else { panic!("nothing was undone") };
        let survived: Vec<_> = acknowledged.range(first..=last).filter(|row| there.contains(row)).collect();
        assert!(survived.is_empty(), "rows {first} to {last} are gone, but not {survived:?}");
        self.writer.forget_rows(&since);
        self.writer.remember_rows(gone);
        self.writer.go_on();
        since
    }

    fn undo(&self) -> f32 {
        self.writer.forget_pauses();
        let results = self.action(&self.leader(), &["undo-restore"]).ok();
        let outage = self.writer.longest();
        assert_eq!(results.get("undo-status"), "undo started and finished");
        assert_eq!(results.find("still-copying"), None, "{results:?}");
        self.rows_come(20);
        outage
    }
}

/// Where a restore keeps the old data of a unit.
pub fn old_data(seat: &Seat) -> Vec<String> {
    let names = std::fs::read_dir(seat.storage.join("pg")).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("data.")).collect()
}

impl World {
    /// Nothing of it is left but the rows.
    #[track_caller]
    pub fn is_as_it_was(&self, folders: &[Vec<String>]) {
        self.is_whole(3);
        self.nothing_is_lost();
        until(60, "no copy is left", || self.folders() == folders);
        self.rows_come(10);
    }

    pub fn folders(&self) -> Vec<Vec<String>> {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        self.seats().iter().map(|seat| sorted(old_data(seat))).collect()
    }
}

pub fn formed(world: &'static World) {
    world.with_repository();
    world.add_units(2);
    world.is_whole(3);
    world.backup();
}

/// And an undo is undone: the data of both is kept.
pub fn undone(world: &'static World) {
    let (id, rows) = world.backup();
    world.rows_come(20);
    world.restore(&id);
    world.rows_come(20);
    let of_before = world.went_back(&rows);
    let outage = world.undo();
    let since = world.came_back(&of_before);
    world.is_whole(3);
    world.nothing_is_lost();
    let again = world.undo();
    world.came_back(&since);
    world.is_whole(3);
    eprintln!("    clients waited {outage:.1} s, and {again:.1} s");
    assert!(outage < OUTAGE && again < OUTAGE, "clients waited {outage} s and {again} s");
    world.backup();
}

/// The whole of it: a backup, rows that come later, one action, and the cluster as it was then.
fn goes_back(world: &'static World) {
    let (id, rows) = world.backup();
    world.rows_come(40);
    let kept = world.seats().iter().map(|seat| old_data(seat).len()).sum::<usize>();
    world.writer.forget_pauses();
    let results = world.restore(&id);
    let outage = world.writer.longest();
    assert_eq!(results.get("restore-status"), "restore started and finished");
    assert_eq!(results.find("still-copying"), None, "{results:?}");
    world.rows_come(20);
    world.went_back(&rows);
    world.is_whole(3);
    let now = world.seats().iter().map(|seat| old_data(seat).len()).sum::<usize>();
    assert_eq!(now, kept + 3, "every unit keeps its old data");
    eprintln!("    clients waited {outage:.1} s, the action took {} s", results.get("duration-seconds"));
    assert!(outage < OUTAGE, "clients waited {outage} s");
    // WAL goes on, and so do backups.
    world.backup();
}

pub fn on_the_primary(world: &'static World) {
    world.leads(&world.primary());
    goes_back(world);
}

pub fn on_a_replica(world: &'static World) {
    world.leads(&world.replica());
    goes_back(world);
}

/// A person looks before the switch, and says no once and yes once.
pub fn held(world: &'static World) {
    world.leads(&world.replica());
    let (id, rows) = world.backup();
    world.rows_come(20);
    let (driver, folders) = (world.leader(), world.folders());
    world.writer.forget_pauses();
    let (hold, id) = ("hold=true", format!("backup-id={id}"));
    let held = world.action(&driver, &["restore", &id, hold]).ok();
    let count = |results: &Results| {
        let socket =
            results.get("inspect").split("-h ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        let socket = socket.expect("a socket");
        let options = ["-h", &socket, "-U", "operator", "-d", "postgres"];
        let refused = world.shell.psql(&options, None, "INSERT INTO written VALUES (-1, 'x')");
        assert!(refused.stderr.contains("read-only"), "{refused:?}");
        world.shell.psql(&options, None, "SELECT count(*) FROM written").ok().parse::<usize>().expect("a number")
    };
    let there = count(&held);
    let now = world.primary().sql(world.shell, "SELECT count(*) FROM written").parse::<usize>().expect("a number");
    assert!(there >= rows.len() && there < now, "{there} rows in the copy, {now} in the cluster");
    world.says(&driver.unit, "active", "is held: juju run", 60);
    let refused = world.action(&driver, &["restore", &id]).failed();
    assert!(refused.contains("is held: juju run"), "{refused}");
    world.backup();
    world.action(&driver, &["cancel-restore"]).ok();
    world.is_as_it_was(&folders);
    assert!(world.writer.longest() < 5.0, "nothing was stopped, but clients waited {} s", world.writer.longest());

    world.action(&driver, &["restore", &id, hold]).ok();
    // A failover takes the number of the copy's timeline meanwhile.
    world.switchover();
    world.writer.forget_pauses();
    let outage = {
        world.action(&driver, &["continue-restore"]).ok();
        world.writer.longest()
    };
    world.rows_come(20);
    world.went_back(&rows);
    world.is_whole(3);
    eprintln!("    clients waited {outage:.1} s");
    assert!(outage < OUTAGE, "clients waited {outage} s");
    world.backup();
}
