//! A server of one's own for a test, and a small S3 client that shows every byte.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests start the server themselves")]

mod client;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use client::{Answer, Client, Request};

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use object_storage::home::{Home, ServerConfig};
use object_storage::keys::Keys;
use object_storage::server::faults::{self, Mode};
use tempfile::TempDir;

pub const ADDRESS: &str = "127.23.4.1";

pub struct Server {
    pub dir: TempDir,
    pub home: Home,
    child: Child,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = tempfile::Builder::new().prefix("object-storage-").tempdir().unwrap();
        // The database's user reads the CA in it.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = Home::new(dir.path());
        let mut config = ServerConfig {
            address: ADDRESS.parse().unwrap(),
            hostname: String::new(),
            region: "us-east-1".to_owned(),
            fsync: false,
            log_requests: false,
        };
        change(&mut config);
        home.write_json("server.json", &config, 0o644).unwrap();
        let child = spawn(&home);
        Self { dir, home, child }
    }

    /// The same objects and port, a new process.
    pub fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.home);
    }

    pub fn port(&self) -> u16 {
        self.home.port().unwrap()
    }

    pub fn client(&self) -> Client {
        Client::new(&self.home, Keys::read(&self.home).unwrap().unwrap())
    }

    /// A client and a bucket.
    pub fn bucket(&self, name: &str) -> Client {
        let mut client = self.client();
        assert_eq!(client.put(&format!("/{name}"), "").status, 200);
        client
    }

    pub fn fault(&self, mode: Mode, rate: u64) {
        let asked = Instant::now();
        let fault = faults::ask(&self.home, mode, rate).unwrap();
        wait_until("the fault is played", || faults::is_applied(&self.home, &fault));
        assert!(asked.elapsed() < Duration::from_secs(1), "effective within a second");
    }

    pub fn accepts(&self) -> bool {
        TcpStream::connect((ADDRESS, self.port())).is_ok()
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(home: &Home) -> Child {
    let _ = fs::remove_file(home.file("ready"));
    let child = Command::new(env!("CARGO_BIN_EXE_object-storage"))
        .args(["serve", "--config"])
        .arg(home.server_config())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the server is up", || home.file("ready").exists());
    child
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}
