//! Where everything of one server lies: a directory (the charm's storage) and the names in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// What the server must know at its start (`server.json`). Keys and faults may change while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub address: std::net::IpAddr,
    /// Name in the endpoint and base domain of virtual-host style; empty = the address.
    #[serde(default)]
    pub hostname: String,
    /// Requests signed for another region are refused; empty = any region.
    #[serde(default)]
    pub region: String,
    /// Objects are on disk before they are acknowledged.
    #[serde(default)]
    pub fsync: bool,
    /// One line a request in `server.log`.
    #[serde(default)]
    pub log_requests: bool,
}

impl ServerConfig {
    #[must_use]
    pub fn host(&self) -> String {
        match self.hostname.as_str() {
            "" => self.address.to_string(),
            name => name.to_owned(),
        }
    }
}

impl Home {
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    #[must_use]
    pub fn server_config(&self) -> PathBuf {
        self.file("server.json")
    }

    /// The port of this server: chosen at its first start, kept from then on.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        fs::read_to_string(self.file("port")).ok()?.trim().parse().ok()
    }

    pub fn keep_port(&self, port: u16) -> io::Result<()> {
        replace(&self.file("port"), port.to_string().as_bytes(), 0o644)
    }

    /// `None` when the file does not exist.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    pub fn write_json(&self, name: &str, value: &impl Serialize, mode: u32) -> io::Result<()> {
        replace(&self.file(name), &serde_json::to_vec_pretty(value)?, mode)
    }
}

/// A reader sees the old file or the new one, never half of one.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
