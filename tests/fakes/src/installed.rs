//! A script laid out as a directory of programs, and what the test reads from it afterwards.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{env, ffi::OsString, fs, io, thread};

use tempfile::TempDir;

use crate::script::{CALLS_FILE, Call, SCRIPT_FILE, Script, shown};

/// The directory to put in front of PATH. Dropping it checks that every expected call was made.
#[derive(Debug)]
pub struct Installed {
    dir: TempDir,
    script: Script,
    checked: bool,
}

impl Script {
    /// Lays the programs out in a temporary directory.
    pub fn install(self) -> io::Result<Installed> {
        self.install_with(&built_fake()?)
    }

    /// The same with a known `fake` binary, for tests of this crate.
    pub fn install_with(self, fake: &Path) -> io::Result<Installed> {
        let dir = tempfile::Builder::new().prefix("fakes-").tempdir()?;
        // The code under test may switch to another user before it runs the program.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777))?;
        fs::write(dir.path().join(SCRIPT_FILE), serde_json::to_vec(&self)?)?;
        let calls = dir.path().join(CALLS_FILE);
        fs::write(&calls, "")?;
        fs::set_permissions(&calls, fs::Permissions::from_mode(0o666))?;
        let programs: BTreeSet<_> = self.steps.iter().map(|step| step.program.as_str()).collect();
        for program in programs {
            symlink(fake, dir.path().join(program))?;
        }
        Ok(Installed { dir, script: self, checked: false })
    }
}

impl Installed {
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The PATH of this process with the fakes in front.
    #[must_use]
    pub fn env_path(&self) -> OsString {
        let mut path = self.path().as_os_str().to_owned();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
        path
    }

    /// What was called so far, in the order of the calls.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.path().join(CALLS_FILE)).expect("reading the calls");
        let calls = text.lines().map(serde_json::from_str);
        calls.collect::<Result<_, _>>().expect("reading a call")
    }

    /// Panics when an expected call was not made, or one was made that nobody expected.
    pub fn finish(mut self) {
        self.check();
    }

    fn check(&mut self) {
        self.checked = true;
        let made = self.calls();
        let unexpected = made.iter().filter(|call| call.step.is_none());
        let unexpected = unexpected.map(|call| format!("unexpected: {}", shown(&call.program, &call.args)));
        let missing = self.script.never_made(&made);
        let missing = missing.iter().map(|line| format!("never made: {line}"));
        let faults: Vec<_> = unexpected.chain(missing).collect();
        assert!(faults.is_empty(), "calls of fake programs:\n{}", faults.join("\n"));
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if !self.checked && !thread::panicking() {
            self.check();
        }
    }
}

/// `target/<profile>/fake`, seen from a test in `target/<profile>/deps` (or a binary beside it).
fn built_fake() -> io::Result<PathBuf> {
    let here = env::current_exe()?;
    let beside = here.ancestors().skip(1).take(2).map(|dir| dir.join("fake"));
    beside.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        let text = "the binary `fake` is not built: run `cargo build -p fakes` (same profile) first";
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}
