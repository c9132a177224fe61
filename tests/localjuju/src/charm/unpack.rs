//! Lays a charm (directory or `.charm` file) out in a directory. Touches files below the target only.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail};

/// More than any charm needs; a guard against archives that unpack without end.
const MOST_BYTES: u64 = 4 << 30;

pub(crate) fn lay_out(source: &Path, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target).context("removing the old charm")?;
    }
    fs::create_dir_all(target)?;
    fs::set_permissions(target, fs::Permissions::from_mode(0o755))?;
    if source.is_dir() {
        copy_directory(source, target)?;
    } else {
        unzip(source, target)?;
    }
    // Juju sets the executable bit of hooks, and only of hooks.
    let hooks = target.join("hooks");
    for entry in fs::read_dir(&hooks).into_iter().flatten().flatten() {
        let path = entry.path();
        if let Ok(kind) = path.metadata()
            && kind.is_file()
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(kind.permissions().mode() | 0o100))?;
        }
    }
    Ok(())
}

/// Left out of a copy: what a packed charm would not contain either.
fn is_left_out(name: &str) -> bool {
    matches!(name, ".git" | ".tox" | ".venv" | "__pycache__" | "target")
}

pub(crate) fn copy_directory(source: &Path, target: &Path) -> Result<()> {
    for entry in fs::read_dir(source).with_context(|| format!("reading {}", source.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if is_left_out(&name.to_string_lossy()) {
            continue;
        }
        let (from, to) = (entry.path(), target.join(&name));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_dir() {
            fs::create_dir_all(&to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
            copy_directory(&from, &to)?;
        } else if kind.is_file() {
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}

fn unzip(source: &Path, target: &Path) -> Result<()> {
    let file = fs::File::open(source).with_context(|| format!("opening {}", source.display()))?;
    let mut archive = zip::ZipArchive::new(file).context("cannot read charm archive: zip")?;
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        total = total.saturating_add(entry.size());
        if total > MOST_BYTES {
            bail!("charm archive is too large");
        }
        let name = Path::new(entry.name()?.as_ref()).to_path_buf();
        if name.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            bail!("charm archive names a path outside of itself: {}", name.display());
        }
        let to = target.join(&name);
        let mode = entry.unix_mode();
        if entry.is_dir() {
            fs::create_dir_all(&to)?;
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if mode.is_some_and(|mode| mode & 0o170_000 == 0o120_000) {
            let link = io::read_to_string(&mut entry)?;
            let inside = !Path::new(&link).is_absolute() && !link.split('/').any(|part| part == "..");
            if !inside {
                bail!("charm archive has a symbolic link out of itself: {}", name.display());
            }
            symlink(link, &to)?;
            continue;
        }
        let mut out = fs::File::create(&to)?;
        io::copy(&mut entry, &mut out)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode.map_or(0o644, |mode| mode & 0o777)))?;
    }
    Ok(())
}
