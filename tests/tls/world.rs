//! The one model that all scenarios share: three units, an object storage and
//! an authority; set up when the first scenario runs, taken away when the test
//! program ends, however it ends.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use libtest_mimic::{Failed, Trial};

use super::harness::{Shell, until};
use super::watch::CommandLines;
use super::writer::Writer;

pub const MODEL: &str = "tls";
pub const STORE: &str = "object-storage/0";
pub const AUTHORITY: &str = "certificates/0";
const HOOKS: &str = "update-status-hook-interval=2s";

pub struct World {
    pub shell: Shell,
    pub lines: CommandLines,
    pub writer: Writer,
    /// Every unit has a network of its own.
    pub namespaces: bool,
    /// Every secret there was, by what it is.
    pub(super) secrets: Mutex<BTreeMap<String, String>>,
}

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
static CLEANER: Mutex<Option<Child>> = Mutex::new(None);

pub fn trial(sentence: &'static str, scenario: fn(&'static World)) -> Trial {
    Trial::test(sentence, move || {
        let world = WORLD.get_or_init(set_up).as_ref().map_err(|why| format!("the cluster was not set up: {why}"))?;
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            world.heal();
            world.writer.mark();
            scenario(world);
            world.note_secrets();
            world.nothing_is_lost();
        }));
        eprintln!("    {:.0?}, longest pause of the writer {:.2?}", began.elapsed(), world.writer.longest_pause());
        outcome.map_err(|panic| {
            world.note_secrets();
            let diagnosis = catch_unwind(AssertUnwindSafe(|| world.diagnosis())).unwrap_or_default();
            Failed::from(format!("{}\n{diagnosis}", words(&*panic)))
        })
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Takes everything away.
pub fn end() {
    if let Some(mut cleaner) = CLEANER.lock().expect("the cleaner").take() {
        drop(cleaner.stdin.take());
        let _ = cleaner.wait();
    }
}

fn set_up() -> Result<World, String> {
    catch_unwind(build).map_err(|panic| words(&*panic))
}

fn build() -> World {
    let target = Path::new(env!("CARGO_BIN_EXE_pg-backup-agent")).parent().expect("a folder of programs");
    let place = |name: &str, default: PathBuf| std::env::var_os(name).map_or(default, PathBuf::from);
    let bin = place("BIN_DIR", target.to_owned());
    let charms = place("CHARMS_DIR", target.with_file_name("charms"));
    let charm = |name: &str| charms.join(name).display().to_string();
    for needed in [bin.join("localjuju"), charms.join("postgresql/dispatch"), charms.join("certificates/dispatch")] {
        assert!(needed.exists(), "{} is missing: run make test", needed.display());
    }
    let home = tempfile::Builder::new().prefix("tl.").tempdir_in("/tmp").expect("a folder").keep();
    // OS user postgres passes through.
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    start_cleaner(&home, &bin.join("localjuju"));
    let lines = CommandLines::watch();
    let talkative = talkative_charm(&charms.join("postgresql"), &home.join("charm")).display().to_string();
    let shell = Shell::new(home, bin);
    let namespaces = shell.juju(&["add-model", MODEL, "--config", "localjuju-network=namespaces"]).good;
    if !namespaces {
        shell.juju(&["add-model", MODEL]).ok();
    }
    shell.juju(&["model-config", HOOKS, "localjuju-retry-min=1s"]).ok();
    shell.juju(&["deploy", &talkative, "postgresql", "-n", "3"]).ok();
    shell.juju(&["deploy", &charm("object-storage"), "object-storage", "--config", "bucket=backups"]).ok();
    shell.juju(&["deploy", &charm("certificates"), "certificates"]).ok();
    shell.juju(&["integrate", "postgresql:s3-parameters", "object-storage:s3-credentials"]).ok();
    let writer = Writer::start(Vec::new(), String::new());
    let world = World { shell, lines, writer, namespaces, secrets: Mutex::default() };
    world.is_whole(3);
    world.sql(&world.primary(), "CREATE TABLE written (row bigint PRIMARY KEY)");
    // Text that does not compress away: a slow store is felt.
    world.sql(&world.primary(), "CREATE TABLE ballast AS SELECT i, (SELECT string_agg(md5((i * j)::text), '') AS v FROM generate_series(1, 16) j) FROM generate_series(1, 8000) i");
    world.tell_writer();
    until(20, "the writer writes", || !world.writer.rows().is_empty());
    world
}

/// Waits for the end of this program, whatever it is, and then cleans up: its
/// standard input is a pipe that nobody else holds open.
fn start_cleaner(home: &Path, juju: &Path) {
    let keep = if std::env::var_os("SCENARIOS_KEEP").is_some() { "yes" } else { "" };
    let script = r#"
        read -r _
        [ -z "$3" ] || { echo "left: LOCALJUJU_HOME=$1 $2 status" >&2; exit; }
        [ ! -d "$1/models/$4" ] || LOCALJUJU_HOME=$1 "$2" destroy-model --no-prompt --force "$4" >/dev/null 2>&1
        rm -rf "$1""#;
    let mut cleaner = Command::new("sh");
    cleaner.args(["-c", script, "sh"]).args([home, juju]).args([keep, MODEL]);
    // Ctrl-C is for the whole group of a terminal; this one goes on.
    let cleaner = cleaner.stdin(Stdio::piped()).process_group(0).spawn().expect("starting sh");
    *CLEANER.lock().expect("the cleaner") = Some(cleaner);
}

/// The charm, whose agent tells everything it can.
fn talkative_charm(from: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir(to).expect("a folder for the charm");
    for file in std::fs::read_dir(from).expect("the charm").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("copying the charm");
    }
    std::fs::rename(to.join("dispatch"), to.join("agent")).expect("the agent");
    let script = "#!/bin/bash\nexport PG_BACKUP_AGENT_LOG=trace\nexec -a \"$0\" \"${0%/*}/agent\"\n";
    std::fs::write(to.join("dispatch"), script).expect("dispatch");
    std::fs::set_permissions(to.join("dispatch"), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    to.to_owned()
}

impl World {
    /// As a scenario expects it: the store and the authority well, the cluster whole.
    fn heal(&self) {
        self.fault("none");
        self.shell.juju(&["config", "certificates", "away=false", "validity=8760h"]).ok();
        self.hooks_run();
        self.is_whole(self.units().len());
    }

    pub fn fault(&self, mode: &str) {
        self.shell.action(STORE, &["fault", &format!("mode={mode}")]).ok();
    }

    pub fn slow(&self, rate: u32) {
        self.shell.action(STORE, &["fault", "mode=slow", &format!("rate={rate}")]).ok();
    }

    pub fn hooks_run(&self) {
        self.shell.juju(&["model-config", HOOKS]).ok();
    }

    /// No hook disturbs what a scenario has arranged.
    pub fn hooks_rest(&self) {
        self.shell.juju(&["model-config", "update-status-hook-interval=1h"]).ok();
        let idle = |unit: &String| self.unit(unit)["juju-status"]["current"] == "idle";
        until(60, "all units are idle", || self.units().iter().all(idle));
    }

    pub fn tell_writer(&self) {
        let addresses = self.units().iter().map(|unit| self.address(unit)).collect();
        let password =
            self.knows(&self.primary())["users"]["operator-password"].as_str().unwrap_or_default().to_owned();
        self.writer.is_told(addresses, password);
    }

    fn diagnosis(&self) -> String {
        let mut parts =
            vec![self.shell.juju(&["status", "--relations"]).stdout, format!("writer: {}", self.writer.why())];
        let log = self.shell.juju(&["debug-log", "--replay", "--no-tail"]).stdout;
        let lines: Vec<_> = log.lines().filter(|line| !is_chatter(line)).collect();
        parts.push(lines[lines.len().saturating_sub(60)..].join("\n"));
        for unit in self.units() {
            let knows = self.knows(&unit);
            let of_tls = ["stage", "reached", "wants_tls", "joined", "trusts", "will_trust", "certificates_changed"];
            parts.push(format!("{unit}: {}", of_tls.map(|key| format!("{key} {}", knows[key])).join(", ")));
            for name in ["patroni.log", "etcd.log"] {
                let log = std::fs::read(self.storage(&unit).join("log").join(name)).unwrap_or_default();
                let log = String::from_utf8_lossy(&log).into_owned();
                let lines: Vec<_> = log.lines().collect();
                parts.push(format!("{unit} {name}:\n{}", lines[lines.len().saturating_sub(6)..].join("\n")));
            }
        }
        parts.join("\n----\n")
    }
}

fn is_chatter(line: &str) -> bool {
    [" TRACE ", "\"TRACE ", " DEBUG ", "\"DEBUG ", "ran \"update-status\""].iter().any(|level| line.contains(level))
}
