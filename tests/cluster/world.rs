//! The one cluster that all scenarios share: three units with networks of their
//! own where that is permitted. Made whole before each scenario; after each no
//! acknowledged row is missing on any member.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::writer::Writer;
use crate::harness::{Action, Shell, until, until_some};
use crate::stage::{Stage, words};

pub const MODEL: &str = "clus";
pub const APP: &str = "postgresql";
pub const STORE: &str = "object-storage/0";
const HOOKS: &str = "update-status-hook-interval=3s";
pub const PATH: &str = "production/pg";

/// What a scenario needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The cluster as the scenario before left it.
    Nothing,
    /// Three members, all well, a repository, and somebody who writes.
    Three,
    /// The same, and links that can be cut.
    Links,
}

pub struct World {
    pub shell: &'static Shell,
    pub writer: Writer,
    /// Every machine has a network of its own.
    pub namespaces: bool,
    storages: Mutex<BTreeMap<String, PathBuf>>,
}

/// One unit, as Juju tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// `postgresql/0`
    pub unit: String,
    pub address: String,
    pub storage: PathBuf,
    pub namespace: Option<String>,
    /// Juju's leader.
    pub leads: bool,
    pub off: bool,
    /// Workload status and its message.
    pub status: (String, String),
    pub agent: String,
}

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();

pub fn trial(sentence: impl Into<String>, needs: Needs, scenario: impl Fn(&'static World) + Send + 'static) -> Trial {
    let trial = Trial::test(sentence, move || {
        let world = WORLD.get_or_init(set_up).as_ref().map_err(|why| format!("the cluster was not set up: {why}"))?;
        let begun = Instant::now();
        let scenario = || {
            if needs != Needs::Nothing {
                world.make_whole();
            }
            world.writer.forget_pauses();
            let healed = begun.elapsed();
            scenario(world);
            if needs != Needs::Nothing {
                world.is_whole(3);
                world.nothing_is_lost();
            }
            let (healed, all) = (healed.as_secs_f32(), begun.elapsed().as_secs_f32());
            eprintln!("    {all:.1} s, {healed:.1} s of it to be whole; longest pause {:.1} s", world.writer.longest());
        };
        catch_unwind(AssertUnwindSafe(scenario)).map_err(|panic| {
            let why = format!("{}\n{}", words(&*panic), world.diagnosis());
            world.begin_afresh();
            Failed::from(why)
        })
    });
    // Said before anything is set up: a machine that does not permit it is told so at once.
    let ignored = needs == Needs::Links && !namespaces_are_permitted();
    trial.with_ignored_flag(ignored).with_kind(if ignored { "needs network namespaces" } else { "" })
}

/// Asked of the machine, once.
fn namespaces_are_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let name = format!("pgba{}", std::process::id());
        let ip = |words: &[&str]| {
            let done = std::process::Command::new("ip").args(words).stderr(std::process::Stdio::null()).status();
            done.is_ok_and(|status| status.success())
        };
        let made = ip(&["netns", "add", &name]);
        made && ip(&["netns", "delete", &name])
    })
}

fn set_up() -> Result<World, String> {
    catch_unwind(build).map_err(|panic| words(&*panic))
}

/// A cluster of one, which is not related yet: the first scenarios let it grow.
fn build() -> World {
    let Stage { shell, charms } = Stage::set(MODEL, &["postgresql", "object-storage"]);
    // For the writer's thread.
    let shell: &'static Shell = Box::leak(Box::new(shell));
    let wanted = if namespaces_are_permitted() { "localjuju-network=namespaces" } else { "localjuju-network=loopback" };
    let namespaces = shell.juju(&["add-model", MODEL, "--config", wanted]).good && namespaces_are_permitted();
    if !namespaces {
        shell.juju(&["add-model", MODEL]);
    }
    // `the next hook` is never far, a lost leader not for long.
    let settings = [HOOKS, "localjuju-retry-min=1s", "localjuju-leader-timeout=10s"];
    shell.juju(&[&["model-config"], &settings[..]].concat()).ok();
    let charm = |name: &str| charms.join(name).display().to_string();
    // A backup that comes by itself is a scenario of its own.
    shell.juju(&["deploy", &charm("postgresql"), APP, "--config", "backup-after-restore=false"]).ok();
    let store = [&charm("object-storage"), "object-storage", "--config", "bucket=backups", "--config"];
    shell.juju(&[&["deploy"], &store[..], &[&format!("path={PATH}")]].concat()).ok();
    let world = World { shell, writer: Writer::new(shell), namespaces, storages: Mutex::default() };
    let up = || world.seats().first().is_some_and(|seat| seat.status.0 == "active") && world.store_is_up();
    until(180, "a cluster of one comes up", up);
    let first = world.seats().remove(0);
    first.sql(world.shell, "CREATE TABLE written (n bigint PRIMARY KEY, v text)");
    // Text that does not compress away: a slow store is felt.
    let text = "(SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 16) j)";
    first.sql(world.shell, &format!("CREATE TABLE bulk AS SELECT i, {text} FROM generate_series(1, 12000) i"));
    world.writer.begin(&first.storage);
    world
}

/// Units of PostgreSQL, in their order; also of a model whose daemon is busy.
pub fn seats(shell: &Shell) -> Vec<(String, Value, Value)> {
    let mut status = shell.look(&["status"]);
    let machines = status["machines"].take();
    let mut units: Vec<_> = match status["applications"][APP]["units"].take() {
        Value::Object(units) => units.into_iter().collect(),
        _ => Vec::new(),
    };
    units.sort_by_key(|(name, _)| number(name));
    let machine = |unit: &Value| machines[unit["machine"].as_str().unwrap_or_default()].clone();
    units.into_iter().map(|(name, unit)| (name, machine(&unit), unit)).collect()
}

pub fn number(unit: &str) -> u32 {
    unit.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

impl World {
    pub fn seats(&self) -> Vec<Seat> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seat = |(unit, machine, about): (String, Value, Value)| Seat {
            storage: self.storage_of(&unit),
            address: text(&about["public-address"]),
            namespace: machine["network-namespace"].as_str().map(ToOwned::to_owned),
            leads: about["leader"] == true,
            off: machine["juju-status"]["current"] == "down",
            status: (text(&about["workload-status"]["current"]), text(&about["workload-status"]["message"])),
            agent: text(&about["juju-status"]["current"]),
            unit,
        };
        seats(self.shell).into_iter().map(seat).collect()
    }

    pub fn seat(&self, unit: &str) -> Seat {
        let found = self.seats().into_iter().find(|seat| seat.unit == unit);
        found.unwrap_or_else(|| panic!("there is no {unit}"))
    }

    /// The storage `pgdata` of a unit; known from the time when it had one.
    fn storage_of(&self, unit: &str) -> PathBuf {
        let mut known = self.storages.lock().expect("storages");
        if let Some(storage) = known.get(unit) {
            return storage.clone();
        }
        let answer = self.shell.look(&["storage"]);
        for (_, about) in answer["storage"].as_object().into_iter().flatten() {
            for (unit, attachment) in about["attachments"]["units"].as_object().into_iter().flatten() {
                if let Some(location) = attachment["location"].as_str().filter(|_| unit.starts_with(APP)) {
                    known.insert(unit.clone(), PathBuf::from(location));
                }
            }
        }
        known.get(unit).cloned().unwrap_or_default()
    }

    fn store_is_up(&self) -> bool {
        let status = self.shell.look(&["status"]);
        status["applications"]["object-storage"]["units"][STORE]["workload-status"]["current"] == "active"
    }

    /// What a scenario that failed had arranged fails no other one: hooks run, nothing is held, the
    /// client writes, and rows that this one lost are not missed twice.
    fn begin_afresh(&self) {
        self.fault("none");
        self.shell.juju(&["model-config", HOOKS]);
        for Seat { unit, .. } in self.seats().into_iter().filter(|seat| !seat.off) {
            self.shell.action(&unit, &["cancel-restore"]);
        }
        self.writer.forget_all();
        self.writer.go_on();
    }

    /// As most scenarios expect it.
    pub fn make_whole(&self) {
        self.fault("none");
        for seat in self.seats() {
            if self.namespaces {
                self.shell.juju(&["network", &seat.unit, "heal"]);
            }
            if seat.off {
                self.power_on(&seat);
            }
        }
        self.with_repository();
        let units = self.names();
        for extra in units.iter().skip(3) {
            self.shell.juju(&["remove-unit", extra, "--force", "--no-prompt"]).ok();
        }
        if units.len() < 3 {
            self.add_units(3 - units.len());
        }
        self.is_whole(3);
    }

    /// Related, archiving, and with a stanza.
    pub fn with_repository(&self) {
        let related = self.shell.look(&["status"])["applications"][APP]["relations"]["s3-parameters"].is_array();
        if !related {
            self.integrate();
        }
        until(120, "the repository is set up", || {
            let mut seats = self.seats().into_iter().filter(|seat| !seat.off);
            seats.all(|seat| seat.knows()["repository_ready"] == true)
        });
    }

    pub fn integrate(&self) {
        self.shell.juju(&["integrate", "postgresql:s3-parameters", "object-storage:s3-credentials"]).ok();
    }

    /// Adds units, and gives their names.
    pub fn add_units(&self, count: usize) -> Vec<String> {
        let before = self.names();
        self.shell.juju(&["add-unit", APP, "-n", &count.to_string()]).ok();
        let after = self.names();
        after.into_iter().filter(|name| !before.contains(name)).collect()
    }

    pub fn names(&self) -> Vec<String> {
        self.seats().into_iter().map(|seat| seat.unit).collect()
    }

    pub fn fault(&self, mode: &str) {
        self.shell.action(STORE, &["fault", &format!("mode={mode}")]).ok();
    }

    pub fn slow(&self, rate: u32) {
        self.shell.action(STORE, &["fault", "mode=slow", &format!("rate={rate}")]).ok();
    }

    pub fn action(&self, seat: &Seat, words: &[&str]) -> Action {
        self.shell.action(&seat.unit, words)
    }

    /// Entries of list-backups of one unit with this status.
    #[track_caller]
    pub fn listed(&self, seat: &Seat, status: &str) -> Vec<Value> {
        let text = self.action(seat, &["list-backups", "format=json"]).ok().get("backups");
        let list: Value = serde_json::from_str(&text).expect("one JSON document");
        let entries = list["backups"].as_array().cloned().unwrap_or_default();
        entries.into_iter().filter(|entry| entry["status"] == status).collect()
    }

    pub fn power_off(&self, seat: &Seat) {
        self.lose(seat, &["power-off", &seat.unit]);
    }

    /// Of a primary that is lost what it acknowledged last may be lost with it.
    pub fn lose(&self, seat: &Seat, how: &[&str]) {
        let (leads, at) = (seat.is_primary(), Instant::now());
        self.shell.juju(how).ok();
        if leads {
            self.writer.forgives(at);
        }
    }

    pub fn power_on(&self, seat: &Seat) {
        self.shell.juju(&["power-on", &seat.unit]).ok();
    }

    /// Waits for a unit with this status whose message holds `part`; gives the whole message.
    #[track_caller]
    pub fn says(&self, unit: &str, level: &str, part: &str, seconds: u64) -> String {
        let mut last = (String::new(), String::new());
        let seen = catch_unwind(AssertUnwindSafe(|| {
            until_some(seconds, part, || {
                last = self.seat(unit).status;
                (last.0 == level && last.1.contains(part)).then(|| last.1.clone())
            })
        }));
        seen.unwrap_or_else(|_| {
            panic!("{unit} is not {level} with `{part}` in {seconds} s, but {}: {}", last.0, last.1)
        })
    }

    fn diagnosis(&self) -> String {
        let mut parts = vec![self.shell.juju(&["status", "--relations"]).stdout];
        let log = self.shell.juju(&["debug-log", "--replay", "--no-tail"]).stdout;
        let told = |line: &&str| ![" TRACE ", " DEBUG ", "update-status"].iter().any(|word| line.contains(word));
        let lines: Vec<_> = log.lines().filter(told).collect();
        parts.push(lines[lines.len().saturating_sub(50)..].join("\n"));
        for seat in self.seats() {
            for name in ["patroni.log", "etcd.log"] {
                let log = std::fs::read(seat.storage.join("log").join(name)).unwrap_or_default();
                let log = String::from_utf8_lossy(&log).into_owned();
                let lines: Vec<_> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(12)..].join("\n");
                parts.push(format!("{} {name}:\n{last}", seat.unit));
            }
        }
        parts.join("\n----\n")
    }
}
