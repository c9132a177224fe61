//! A storage with a filesystem of its own, which can be filled up to its limit.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::{MODEL, World};
use crate::harness::until;

/// A small disk of its own for the storage that the next unit will have.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn for_the_next_unit(world: &World, megabytes: u32) -> Self {
        let storages = world.shell.home.join("models").join(MODEL).join("storage");
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.rsplit('-').next()?.parse::<u32>().ok();
        let used = std::fs::read_dir(&storages).expect("the storages").flatten().filter_map(number).max();
        let place = storages.join(format!("pgdata-{}", used.map_or(0, |used| used + 1)));
        std::fs::create_dir(&place).expect("the storage");
        let size = format!("size={megabytes}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "pgba"]).arg(&place).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting a small disk needs root");
        Self(place)
    }

    fn free(&self) -> u64 {
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().expect("df");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("free bytes")
    }

    pub fn fill(&self, leave: u64) {
        // What is free may be less a moment later: somebody writes there.
        until(10, "the disk is full", || {
            let bytes = self.free().saturating_sub(leave);
            let filled = Command::new("fallocate").args(["-l", &bytes.to_string()]).arg(self.ballast()).status();
            bytes == 0 || filled.is_ok_and(|status| status.success())
        });
    }

    /// Fine when it was not filled.
    pub fn make_room(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    pub fn place(&self) -> &Path {
        &self.0
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
