//! The one model that all scenarios share: set up when the first of them runs,
//! taken away when the test program ends, however it ends.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::harness::{Shell, until, until_some};
use super::stage::{Stage, words};
use super::watch::CommandLines;

pub const MODEL: &str = "scen";
pub const UNIT: &str = "postgresql/0";
pub const STORE: &str = "object-storage/0";
pub const BUCKET: &str = "backups";
pub const PATH: &str = "production/pg";
const RELATION: [&str; 2] = ["postgresql:s3-parameters", "object-storage:s3-credentials"];

pub struct World {
    pub shell: Shell,
    /// The storage `pgdata` of `postgresql/0`.
    pub storage: PathBuf,
    pub address: String,
    pub lines: CommandLines,
    /// Every secret there was, by what it is.
    secrets: Mutex<BTreeMap<String, String>>,
}

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();

pub fn trial(sentence: &'static str, scenario: fn(&'static World)) -> Trial {
    Trial::test(sentence, move || {
        let world = WORLD.get_or_init(set_up).as_ref().map_err(|why| format!("the cluster was not set up: {why}"))?;
        let scenario = || {
            world.heal();
            scenario(world);
            world.note_secrets();
        };
        catch_unwind(AssertUnwindSafe(scenario)).map_err(|panic| {
            world.note_secrets();
            Failed::from(format!("{}\n{}", words(&*panic), world.diagnosis()))
        })
    })
}

fn set_up() -> Result<World, String> {
    catch_unwind(build).map_err(|panic| words(&*panic))
}

fn build() -> World {
    let Stage { shell, charms } = Stage::set(MODEL, &["postgresql", "object-storage"]);
    let lines = CommandLines::watch();
    let charm = talkative_charm(&charms.join("postgresql"), &shell.home.join("charm"));
    shell.juju(&["add-model", MODEL]).ok();
    // `the next hook` is never far.
    shell.juju(&["model-config", "update-status-hook-interval=2s", "localjuju-retry-min=1s"]).ok();
    // A backup that comes by itself is a scenario of its own.
    let by_hand = ["--config", "backup-after-restore=false"];
    shell.juju(&[&["deploy", &charm.display().to_string(), "postgresql"], &by_hand[..]].concat()).ok();
    shell.juju(&["deploy", &charms.join("object-storage").display().to_string(), "object-storage"]).ok();
    let (storage, address) = (PathBuf::new(), String::new());
    let mut world = World { shell, storage, address, lines, secrets: Mutex::default() };
    until(180, "the cluster comes up", || world.status(UNIT).0 == "active" && world.status(STORE).0 == "active");
    world.storage = world.storage_of(UNIT);
    world.address = world.unit(UNIT)["public-address"].as_str().unwrap_or_default().to_owned();
    world.sql("CREATE TABLE rows (id int PRIMARY KEY, v text)");
    // Text that does not compress away: a slow store is felt.
    world.sql("INSERT INTO rows SELECT i, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 16) j) FROM generate_series(1, 5000) i");
    world
}

/// The charm, whose agent tells everything it can and whose unit is far from
/// UTC, where we may make it think so.
fn talkative_charm(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).expect("a folder for the charm");
    for file in std::fs::read_dir(from).expect("the charm").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copying the charm");
    }
    std::fs::rename(to.join("dispatch"), to.join("agent")).expect("the agent");
    let zone = "mount --bind /usr/share/zoneinfo/Asia/Kathmandu /etc/localtime";
    let may = Command::new("unshare").args(["--mount", "sh", "-c", zone]).stderr(Stdio::null()).status();
    let there = match may.is_ok_and(|status| status.success()) {
        true => format!("exec unshare --mount bash -c '{zone}; exec -a \"$0\" \"$1\"' \"$0\" \"${{0%/*}}/agent\""),
        false => "exec -a \"$0\" \"${0%/*}/agent\"".to_owned(),
    };
    let script = format!("#!/bin/bash\nexport PG_BACKUP_AGENT_LOG=trace TZ=Asia/Kathmandu\n{there}\n");
    std::fs::write(to.join("dispatch"), script).expect("dispatch");
    std::fs::set_permissions(to.join("dispatch"), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    to.to_owned()
}

impl World {
    /// As a scenario expects it: the store well, the unit active.
    pub fn heal(&self) {
        if self.shell.json(&["status"])["applications"]["postgresql"].is_null() {
            return;
        }
        self.fault("none");
        let active = || self.status(UNIT).0 == "active" && self.agent_state(UNIT) == "idle";
        until(120, "the unit is active and idle", active);
    }

    /// `juju status` of one unit.
    pub fn unit(&self, unit: &str) -> Value {
        let application = unit.split('/').next().unwrap_or_default();
        self.shell.json(&["status"])["applications"][application]["units"][unit].take()
    }

    /// Workload status and its message.
    pub fn status(&self, unit: &str) -> (String, String) {
        let status = self.unit(unit)["workload-status"].take();
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        (text("current"), text("message"))
    }

    fn agent_state(&self, unit: &str) -> String {
        self.unit(unit)["juju-status"]["current"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for a blocked unit whose message holds `part`; gives the whole message.
    #[track_caller]
    pub fn blocked(&self, unit: &str, part: &str) -> String {
        let mut last = (String::new(), String::new());
        let seen = catch_unwind(AssertUnwindSafe(|| {
            until_some(60, part, || {
                last = self.status(unit);
                (last.0 == "blocked" && last.1.contains(part)).then(|| last.1.clone())
            })
        }));
        seen.unwrap_or_else(|_| panic!("{unit} is not blocked with `{part}`, but {}: {}", last.0, last.1))
    }

    #[track_caller]
    pub fn active(&self, unit: &str) {
        until(90, &format!("{unit} is active again"), || self.status(unit).0 == "active");
    }

    pub fn fault(&self, mode: &str) {
        self.shell.action(STORE, &["fault", &format!("mode={mode}")]).ok();
    }

    pub fn slow(&self, rate: u32) {
        self.shell.action(STORE, &["fault", "mode=slow", &format!("rate={rate}")]).ok();
    }

    pub fn config(&self, application: &str, setting: &str) {
        self.shell.juju(&["config", application, setting]).ok();
    }

    pub fn integrate(&self) {
        self.shell.juju(&["integrate", RELATION[0], RELATION[1]]).ok();
    }

    pub fn separate(&self) {
        self.shell.juju(&["remove-relation", RELATION[0], RELATION[1]]).ok();
        // The unit forgets it in the hook that tells its end; Juju, when that hook has ended.
        let known = || self.shell.json(&["status"])["applications"]["postgresql"]["relations"]["s3-parameters"].clone();
        until(60, "the relation is gone", || self.knows()["repository"].is_null() && known().is_null());
    }

    /// Related, archiving, and with a stanza; whatever was before.
    pub fn with_repository(&self) {
        if self.knows()["repository"].is_null() {
            self.config("object-storage", &format!("bucket={BUCKET}"));
            self.config("object-storage", &format!("path={PATH}"));
            if self.shell.json(&["status"])["applications"]["postgresql"]["relations"]["s3-parameters"].is_null() {
                self.integrate();
            }
        }
        until(120, "the repository is set up", || self.knows()["repository_ready"] == true);
        self.heal();
    }

    /// What the agent wrote down of the unit.
    pub fn knows(&self) -> Value {
        let text = std::fs::read(self.storage.join("state/unit.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn storage_of(&self, unit: &str) -> PathBuf {
        let command = "storage-get -s $(storage-list pgdata) location";
        PathBuf::from(self.shell.juju(&["exec", "--unit", unit, command]).ok())
    }

    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let socket = self.storage.join("run").display().to_string();
        self.shell.psql(&["-h", &socket, "-U", "operator", "-d", "postgres"], None, sql).ok()
    }

    /// How many rows, and what is in them.
    pub fn rows(&self) -> String {
        self.sql("SELECT count(*) || ' rows, ' || md5(string_agg(id || ':' || v, ',' ORDER BY id)) FROM rows")
    }

    pub fn add_rows(&self, rows: u32) {
        self.sql(&format!("INSERT INTO rows SELECT m + i, md5(i::text) FROM generate_series(1, {rows}) i, (SELECT max(id) AS m FROM rows) x"));
    }

    pub fn note(&self, name: &str, secret: &str) {
        self.secrets.lock().expect("secrets").insert(secret.to_owned(), name.to_owned());
    }

    pub fn secrets(&self) -> BTreeMap<String, String> {
        self.secrets.lock().expect("secrets").clone()
    }

    /// Passwords and keys in force now.
    fn note_secrets(&self) {
        let knows = self.knows();
        for users in ["users", "applied_users"] {
            let users = knows[users].as_object().into_iter().flatten();
            users.for_each(|(user, password)| self.note(user, password.as_str().unwrap_or_default()));
        }
        let keys = |key: &str, content: &Value| content[key].as_str().map(|secret| self.note(key, secret));
        let bag = &knows["repository"];
        for content in [&bag["secret"], &bag["bag"]] {
            keys("access-key", content);
            keys("secret-key", content);
        }
    }

    fn diagnosis(&self) -> String {
        let mut parts = vec![self.shell.juju(&["status", "--relations"]).stdout];
        let log = self.shell.juju(&["debug-log", "--replay", "--no-tail"]).stdout;
        let lines: Vec<_> =
            log.lines().filter(|line| ![" TRACE ", " DEBUG "].iter().any(|level| line.contains(level))).collect();
        parts.push(lines[lines.len().saturating_sub(40)..].join("\n"));
        for name in ["patroni.log", "etcd.log"] {
            let log = std::fs::read(self.storage.join("log").join(name)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            let lines: Vec<_> = log.lines().collect();
            parts.push(format!("{name}:\n{}", lines[lines.len().saturating_sub(15)..].join("\n")));
        }
        parts.join("\n----\n")
    }
}
