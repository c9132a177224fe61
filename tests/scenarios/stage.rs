//! What every program of scenarios stands on: a home for localjuju, the built
//! programs and charms, and a cleaner that outlives whatever happens to us.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use super::harness::Shell;

static CLEANER: Mutex<Option<Child>> = Mutex::new(None);

/// Where scenarios run, and what they deploy.
pub struct Stage {
    pub shell: Shell,
    pub charms: PathBuf,
}

impl Stage {
    /// A new home with this one model to come, which is taken away at the end.
    pub fn set(model: &str, needed: &[&str]) -> Self {
        let target = Path::new(env!("CARGO_BIN_EXE_pg-backup-agent")).parent().expect("a folder of programs");
        let place = |name: &str, default: PathBuf| std::env::var_os(name).map_or(default, PathBuf::from);
        let bin = place("BIN_DIR", target.to_owned());
        let charms = place("CHARMS_DIR", target.with_file_name("charms"));
        let dispatches = needed.iter().map(|charm| charms.join(charm).join("dispatch"));
        for needed in dispatches.chain([bin.join("localjuju")]) {
            assert!(needed.exists(), "{} is missing: run make test", needed.display());
        }
        let home = tempfile::Builder::new().prefix("sc.").tempdir_in("/tmp").expect("a folder").keep();
        // OS user postgres passes through.
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        start_cleaner(&home, &bin.join("localjuju"), model);
        Self { shell: Shell::new(home, bin), charms }
    }
}

/// What a scenario that failed said.
pub fn words(panic: &(dyn std::any::Any + Send)) -> String {
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

/// Waits for the end of this program, whatever it is, and then cleans up: its
/// standard input is a pipe that nobody else holds open.
fn start_cleaner(home: &Path, juju: &Path, model: &str) {
    let keep = if std::env::var_os("SCENARIOS_KEEP").is_some() { "yes" } else { "" };
    let script = r#"
        read -r _
        [ -z "$3" ] || { echo "left: LOCALJUJU_HOME=$1 $2 status" >&2; exit; }
        [ ! -d "$1/models/$4" ] || LOCALJUJU_HOME=$1 "$2" destroy-model --no-prompt --force "$4" >/dev/null 2>&1
        awk -v home="$1/" 'index($2, home) == 1 { print $2 }' /proc/mounts | xargs -r umount -l
        rm -rf "$1""#;
    let mut cleaner = Command::new("sh");
    cleaner.args(["-c", script, "sh"]).args([home, juju]).args([keep, model]);
    // Ctrl-C is for the whole group of a terminal; this one goes on.
    let cleaner = cleaner.stdin(Stdio::piped()).process_group(0).spawn().expect("starting sh");
    *CLEANER.lock().expect("the cleaner") = Some(cleaner);
}
