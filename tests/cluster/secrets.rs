//! The system users' passwords change while the cluster is written to: at every
//! moment the old or the new one works, nothing is restarted.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::json;

use super::members::basic;
use super::world::{APP, MODEL, Seat, World};
use crate::harness::until;
use crate::watch;

const USERS: [&str; 6] = ["operator", "replication", "rewind", "monitoring", "patroni", "raft"];
const SECRET: &str = "pg-users";

fn password(word: &str, user: &str) -> String {
    format!("{word}-password-of-{user}")
}

impl World {
    /// Writes the content where no other process reads it from a command line.
    fn content(&self, word: &str) -> String {
        let file = self.shell.home.join("content.yaml");
        let text: String = USERS.iter().map(|user| format!("{user}: {}\n", password(word, user))).collect();
        std::fs::write(&file, text).expect("the secret's file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        file.display().to_string()
    }

    /// All users' passwords are those of this word from now on.
    fn rotate(&self, word: &str) {
        let file = self.content(word);
        let known = self.shell.look(&["secrets"]);
        let there = known.to_string().contains(&format!("\"{SECRET}\""));
        if there {
            self.shell.juju(&["update-secret", SECRET, "--file", &file]).ok();
            self.shell.juju(&["grant-secret", SECRET, APP]);
            return;
        }
        let uri = self.shell.juju(&["add-secret", SECRET, "--file", &file]).ok();
        self.shell.juju(&["grant-secret", SECRET, APP]).ok();
        self.shell.juju(&["config", APP, &format!("system-users={uri}")]).ok();
    }

    fn lets_in(&self, seat: &Seat, user: &str, password: &str) -> bool {
        let place = ["-h", &seat.address, "-U", user, "-d", "postgres"];
        self.shell.psql(&place, Some(password), "SELECT 1").good
    }

    /// On every member the passwords of this word are right.
    #[track_caller]
    fn is_rotated_to(&self, word: &str) {
        for seat in self.seats() {
            for user in ["operator", "monitoring"] {
                let what = format!("{} lets {user} in by the {word} password", seat.unit);
                until(60, &what, || self.lets_in(&seat, user, &password(word, user)));
            }
            until(60, &format!("Patroni of {} takes the {word} password", seat.unit), || {
                seat.takes_command_with(&password(word, "patroni"))
            });
        }
    }

    fn are_no_more(&self, word: &str) {
        for seat in self.seats() {
            for user in ["operator", "monitoring", "rewind"] {
                assert!(
                    !self.lets_in(&seat, user, &password(word, user)),
                    "the {word} password of {user} at {}",
                    seat.unit
                );
            }
            assert!(
                !seat.takes_command_with(&password(word, "patroni")),
                "the {word} password at Patroni of {}",
                seat.unit
            );
        }
    }

    /// Every replica's connection, by when it began.
    fn streams(&self) -> String {
        self.primary().sql(
            self.shell,
            "SELECT string_agg(application_name || ' ' || backend_start, ', ' ORDER BY 1) FROM pg_stat_replication",
        )
    }

    fn postmasters(&self) -> BTreeMap<String, (i32, String)> {
        let about = |seat: &Seat| {
            let started = seat.sql(self.shell, "SELECT pg_postmaster_start_time()");
            (seat.process("postgres").map(|process| process.pid).unwrap_or_default(), started)
        };
        self.seats().iter().map(|seat| (seat.unit.clone(), about(seat))).collect()
    }
}

impl Seat {
    /// One that changes nothing.
    fn takes_command_with(&self, password: &str) -> bool {
        let answer = super::members::http(
            &self.address,
            super::members::REST,
            "PATCH",
            "/config",
            &basic("patroni", password),
            "{}",
        );
        answer.is_some_and(|answer| answer.status != 401)
    }

    /// Users that etcd lets in.
    fn etcd_users(&self) -> Vec<String> {
        let answer = self.etcd_as_member("auth/user/list", &json!({}));
        let users = answer["users"].as_array().into_iter().flatten();
        users.filter_map(|user| user.as_str().map(ToOwned::to_owned)).collect()
    }
}

pub fn rotated(world: &'static World) {
    let made_up = world.primary().password("operator");
    world.writer.log_in_with(&[&made_up, &password("first", "operator")]);
    world.rotate("first");
    world.is_rotated_to("first");
    world.is_whole(3);
    let (postmasters, streams) = (world.postmasters(), world.streams());
    world.writer.log_in_with(&[&password("first", "operator"), &password("second", "operator")]);
    world.rotate("second");
    world.is_rotated_to("second");
    world.are_no_more("first");
    until(120, "etcd's old users end", || {
        world.seats().iter().all(|seat| {
            let ours = seat.knows()["etcd_user"].as_str().unwrap_or_default().to_owned();
            let mut users = seat.etcd_users();
            users.sort();
            users == [ours, "root".to_owned()]
        })
    });
    // Few would prove little; a slow machine takes longer for them.
    until(120, "clients have logged in often", || world.writer.logins() > 50);
    let (_, locked_out) = world.writer.stay_connected_with(&password("second", "operator"));
    assert_eq!(locked_out, Vec::<String>::new(), "at every moment one of both works");
    assert_eq!(world.postmasters(), postmasters, "PostgreSQL is not restarted");
    assert_eq!(world.streams(), streams, "every replica streams all along");
    assert!(world.writer.longest() < 5.0, "clients waited {} s", world.writer.longest());
}

pub fn killed_meanwhile(world: &'static World) {
    let known = world.primary().password("operator");
    let words = ["third", "fourth", "fifth"];
    let passwords: Vec<_> = words.iter().map(|word| password(word, "operator")).collect();
    let mut all: Vec<_> = passwords.iter().map(String::as_str).collect();
    all.insert(0, &known);
    world.writer.log_in_with(&all);
    let mut kills = Vec::new();
    for (round, word) in words.into_iter().enumerate() {
        world.rotate(word);
        for seat in world.seats() {
            kills.push(kill_dispatch(world, &seat, round));
        }
        world.is_rotated_to(word);
        world.is_whole(3);
    }
    let (_, locked_out) = world.writer.stay_connected_with(&password("fifth", "operator"));
    world.are_no_more("fourth");
    assert!(kills.iter().flatten().count() >= 3, "hooks that were killed: {kills:?}");
    assert_eq!(locked_out, Vec::<String>::new(), "killed after {kills:?}");
}

/// Kills the next hook of this unit after up to a second of it. `None`: it ended before.
fn kill_dispatch(world: &World, seat: &Seat, round: usize) -> Option<Duration> {
    let line = world.shell.home.join("models").join(MODEL).join("agents");
    let line = line.join(format!("unit-{}", seat.member())).join("charm/dispatch").display().to_string();
    let find = || watch::processes().into_iter().find(|process| process.line == line);
    until(30, &format!("a hook of {} runs", seat.unit), || find().is_some());
    let after = Duration::from_millis(RandomState::new().hash_one((round, &seat.unit)) % 1000);
    let (begun, hook) = (Instant::now(), find()?);
    while begun.elapsed() < after {
        std::thread::sleep(Duration::from_millis(5));
    }
    let same = find().filter(|now| now.pid == hook.pid)?;
    watch::kill_hard(&same);
    Some(after)
}

pub fn revoked(world: &'static World) {
    world.rotate("sixth");
    let (_, _) = world.writer.stay_connected_with(&password("sixth", "operator"));
    world.is_rotated_to("sixth");
    world.is_whole(3);
    world.shell.juju(&["revoke-secret", SECRET, APP]).ok();
    let mut command = String::new();
    for seat in world.seats() {
        let message = world.says(&seat.unit, "blocked", "is not granted; juju grant-secret ", 60);
        command = message.rsplit("; juju ").next().unwrap_or_default().to_owned();
        assert!(world.lets_in(&seat, "operator", &password("sixth", "operator")), "the old passwords go on");
    }
    let words: Vec<&str> = command.split(' ').collect();
    world.shell.juju(&words).ok();
    world.is_whole(3);
}
