//! Every password and private key there ever was, looked for wherever people
//! and other units look, with the agents at TRACE.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::watch;
use super::world::{MODEL, World};

pub fn nowhere(world: &'static World) {
    world.with_tls();
    world.note_secrets();
    let secrets = world.secrets();
    let keys = secrets.values().filter(|name| name.starts_with("the key of")).count();
    assert!(keys >= 3 && secrets.len() >= keys + 6, "{} secrets are known, {keys} of them keys", secrets.len());
    let model = world.shell.home.join("models").join(MODEL);
    let log = std::fs::read(model.join("debug.log")).expect("the log");
    assert!(memchr::memmem::find(&log, b"TRACE").is_some(), "the agents say all they can");
    let wanted = Wanted::new(&secrets);
    let mut found = Vec::new();
    let mut look = |place: &str, text: &[u8]| found.extend(wanted.find(text).map(|name| format!("{name} in {place}")));
    look("debug-log", &log);
    for command in [&["status", "--relations"][..], &["operations"], &["config", "postgresql"], &["secrets"]] {
        world.shell.juju(command).ok();
    }
    for unit in world.units() {
        // With what the units tell each other and the authority.
        world.shell.juju(&["show-unit", &unit]).ok();
    }
    for (command, said) in world.shell.outputs() {
        look(&format!("the output of `{command:.80}`"), said.as_bytes());
    }
    for line in world.lines.seen() {
        look("a command line", &line);
    }
    assert!(found.is_empty(), "{found:#?}");
    files(world, &model, &wanted);
}

/// The secrets, to be looked for many times.
struct Wanted<'a>(Vec<(memchr::memmem::Finder<'a>, &'a str)>);

impl<'a> Wanted<'a> {
    fn new(secrets: &'a BTreeMap<String, String>) -> Self {
        let finder = |secret: &'a String| memchr::memmem::Finder::new(secret.as_bytes());
        Self(secrets.iter().map(|(secret, name)| (finder(secret), name.as_str())).collect())
    }

    fn find(&self, text: &[u8]) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(finder, _)| finder.find(text).is_some()).map(|(_, name)| *name)
    }
}

/// Files may hold a secret when nobody but root and the database user reads them.
fn files(world: &'static World, model: &Path, wanted: &Wanted<'_>) {
    let (mut holders, mut open) = (0, Vec::new());
    for file in watch::files_below(model) {
        let program = file.ends_with("dispatch") || file.ends_with("agent");
        let data = file.components().any(|part| part.as_os_str() == "pg");
        if program || data {
            continue;
        }
        let text = std::fs::read(&file).unwrap_or_default();
        // etcd reserves its log in advance.
        let written = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let Some(name) = wanted.find(&text[..written]).next() else { continue };
        let Ok(about) = std::fs::metadata(&file) else { continue };
        holders += 1;
        let stored = file.components().any(|part| part.as_os_str() == "buckets");
        if stored || about.permissions().mode() & 0o027 != 0 || (about.uid() != 0 && about.mode() & 0o077 != 0) {
            open.push(format!("{name} in {} ({:o})", file.display(), about.mode()));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    assert!(holders >= 3 * world.units().len(), "only {holders} files hold a secret: is it looked for rightly?");
}
