//! Where things lie below the home directory, and how they are made: traversable by other users, state for the owner only.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Daemon;
use crate::model::names::unit_tag;
use crate::tools;
use crate::uniter::environ::Places;

/// Longest path of a unix socket, without its closing zero.
const SOCKET_PATH: usize = 107;

pub(crate) fn model_directory(home: &Path, model: &str) -> PathBuf {
    home.join("models").join(model)
}

pub(crate) fn places(home: &Path, model: &str, unit: &str) -> Places {
    let directory = model_directory(home, model);
    let agent = directory.join("agents").join(unit_tag(unit));
    Places {
        charm: agent.join("charm"),
        socket: agent.join("agent.socket"),
        tools: directory.join("tools").join(unit_tag(unit)),
    }
}

pub(crate) fn storage_location(home: &Path, model: &str, id: &str) -> PathBuf {
    model_directory(home, model).join("storage").join(id.replace('/', "-"))
}

pub(crate) fn charm_archive(home: &Path, model: &str, charm: &str, revision: u32) -> PathBuf {
    model_directory(home, model).join("charms").join(format!("{charm}-{revision}"))
}

/// Makes a directory and those above it that are missing, all traversable by everybody.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    match fs::create_dir(path) {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(fault),
        _ => {}
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

pub(crate) fn check_socket_path(path: &Path) -> Result<()> {
    if path.as_os_str().len() > SOCKET_PATH {
        bail!(
            "path of the socket is too long ({} of {SOCKET_PATH} bytes): {}; choose a shorter LOCALJUJU_HOME or name",
            path.as_os_str().len(),
            path.display()
        );
    }
    Ok(())
}

impl Daemon {
    /// A new unit's directories and tools.
    pub(crate) fn make_unit(&self, model: &str, unit: &str, charm: &str, revision: u32) -> Result<()> {
        let places = places(&self.home, model, unit);
        check_socket_path(&places.socket)?;
        let agent = places.charm.parent().unwrap_or(&places.charm);
        make_directory(agent)?;
        make_directory(&places.tools)?;
        for name in tools::names().chain(["juju-exec", "juju-run"]) {
            let link = places.tools.join(name);
            let _ = fs::remove_file(&link);
            symlink(&self.program, &link).with_context(|| format!("linking {}", link.display()))?;
        }
        self.lay_out_charm(model, unit, charm, revision)
    }

    pub(crate) fn lay_out_charm(&self, model: &str, unit: &str, charm: &str, revision: u32) -> Result<()> {
        let archive = charm_archive(&self.home, model, charm, revision);
        crate::charm::unpack::lay_out(&archive, &places(&self.home, model, unit).charm)
    }
}

pub(crate) fn remove_unit(home: &Path, model: &str, unit: &str) {
    let places = places(home, model, unit);
    for directory in [places.charm.parent(), Some(places.tools.as_path())].into_iter().flatten() {
        if let Err(fault) = fs::remove_dir_all(directory)
            && fault.kind() != io::ErrorKind::NotFound
        {
            eprintln!("localjuju: removing {}: {fault}", directory.display());
        }
    }
}
