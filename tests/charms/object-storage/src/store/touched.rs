//! What another process changed: the charm's actions edit the same files as the running server.
//!
//! They append to a file whose length the server compares at each request. So a change holds from the
//! next request on, and the actions work as well while the server is stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Touch {
    pub(super) bucket: String,
    /// `None`: the bucket itself.
    pub(super) key: Option<String>,
}

#[derive(Debug)]
pub(super) struct Touched {
    path: PathBuf,
    seen: Mutex<u64>,
}

impl Touched {
    /// From now on. To be called before the files are read.
    pub(super) fn from_now(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let seen = Mutex::new(file.metadata()?.len());
        Ok(Self { path, seen })
    }

    pub(super) fn append(&self, bucket: &str, key: Option<&str>) -> io::Result<()> {
        let touch = Touch { bucket: bucket.to_owned(), key: key.map(str::to_owned) };
        let line = format!("{}\n", serde_json::to_string(&touch)?);
        OpenOptions::new().append(true).open(&self.path)?.write_all(line.as_bytes())
    }

    /// Runs `reload` on what was touched, before any other request can look.
    pub(super) fn each_new(&self, mut reload: impl FnMut(Touch) -> io::Result<()>) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let length = fs::metadata(&self.path)?.len();
        if length <= *seen {
            return Ok(());
        }
        let mut new = vec![0; usize::try_from(length - *seen).map_err(io::Error::other)?];
        File::open(&self.path)?.read_exact_at(&mut new, *seen)?;
        // A line is appended by one write, but do not count on it.
        let whole = new.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        for line in new[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            reload(serde_json::from_slice(line)?)?;
        }
        *seen += whole as u64;
        Ok(())
    }
}
