//! Every secret there ever was, looked for everywhere, with the agent at TRACE.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::watch;
use super::world::{MODEL, World};

pub fn nowhere(world: &'static World) {
    world.with_repository();
    world.some_backup();
    let secrets = world.secrets();
    assert!(
        secrets.len() >= 8 && secrets.keys().all(|secret| secret.len() >= 8),
        "{} secrets are known",
        secrets.len()
    );
    let model = world.shell.home.join("models").join(MODEL);
    let log = std::fs::read_to_string(model.join("debug.log")).expect("the log");
    assert!(log.contains("\"TRACE ") && log.contains("\"DEBUG pg_backup_agent"), "the agent says all it can");
    let wanted = Wanted::new(&secrets);
    let mut found = Vec::new();
    let mut look = |place: &str, text: &[u8]| found.extend(wanted.find(text).map(|name| format!("{name} in {place}")));
    look("debug-log", log.as_bytes());
    for command in [&["status", "--relations"][..], &["operations"], &["config", "postgresql"], &["secrets"]] {
        world.shell.juju(command).ok();
    }
    for (command, said) in world.shell.outputs() {
        look(&format!("the output of `{command:.80}`"), said.as_bytes());
    }
    for line in world.lines.seen() {
        look("a command line", &line);
    }
    for file in watch::files_below(&model.join("storage/")).iter().filter(|file| is_repository(file)) {
        look(&file.display().to_string(), &std::fs::read(file).unwrap_or_default());
    }
    assert!(found.is_empty(), "{found:#?}");
    files(world, &wanted);
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

/// What is stored in the object storage: others read it.
fn is_repository(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "buckets")
}

/// Files may hold a secret when nobody but root and the database user reads them.
fn files(world: &'static World, wanted: &Wanted<'_>) {
    let data = world.storage.join("pg");
    let is_program = |file: &Path| file.ends_with("dispatch") || file.ends_with("agent");
    let mut holders = 0;
    for file in watch::files_below(&world.shell.home) {
        if file.starts_with(&data) || is_repository(&file) || is_program(&file) {
            continue;
        }
        let text = std::fs::read(&file).unwrap_or_default();
        // etcd reserves its log in advance.
        let written = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if let Some(name) = wanted.find(&text[..written]).next() {
            let about = std::fs::metadata(&file).expect("a file's mode");
            holders += 1;
            assert_eq!(about.permissions().mode() & 0o027, 0, "{name} in {}", file.display());
            assert!(about.uid() == 0 || about.mode() & 0o077 == 0, "{name} in {}", file.display());
        }
    }
    assert!(holders >= 3, "only {holders} files hold a secret: is it looked for rightly?");
    for folder in std::fs::read_dir(&data).expect("data folders").flatten() {
        let mode = folder.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.path().display());
    }
}
