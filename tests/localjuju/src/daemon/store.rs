//! The state file: written whole and atomically, readable by its owner only.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::model::World;

pub(super) fn save(home: &Path, world: &World) -> Result<()> {
    let (path, next) = (home.join("state.json"), home.join("state.json.next"));
    let text = serde_json::to_vec(world)?;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&next, &path)?;
    Ok(())
}

pub(super) fn load(home: &Path) -> Result<World> {
    let path = home.join("state.json");
    if !path.exists() {
        return Ok(World::default());
    }
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parsing {}", path.display()))
}
