//! The server under pgBackRest: a throw-away PostgreSQL is backed up, restored and expired for real.
//!
//! Needs root, and Debian's postgresql and pgbackrest.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use object_storage::server::faults::Mode;
use object_storage::store::{Damage, Query, Store};
use support::{ADDRESS, Server};

/// A PostgreSQL on a socket only, archiving to the server.
struct Database {
    dir: PathBuf,
    bin: PathBuf,
}

fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let newest = versions
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok()));
    newest.unwrap().join("bin")
}

impl Database {
    fn start(server: &Server) -> Self {
        let database = Self { dir: server.dir.path().join("pg"), bin: bin() };
        fs::create_dir(&database.dir).unwrap();
        ok(&Command::new("chown").arg("postgres:postgres").arg(&database.dir).output().unwrap());
        fs::write(database.dir.join("pgbackrest.conf"), database.conf(server)).unwrap();
        ok(&database.run("initdb", &["-D", &database.at("data"), "-A", "trust", "-U", "postgres", "-N"]));
        database.begin("data");
        database
    }

    fn conf(&self, server: &Server) -> String {
        let keys = server.client().keys;
        let dir = self.dir.display();
        let lines = [
            "[global]".to_owned(),
            "repo1-type=s3".into(),
            "repo1-path=/backups".into(),
            "repo1-s3-bucket=pgb".into(),
            format!("repo1-s3-endpoint={ADDRESS}"),
            format!("repo1-storage-port={}", server.port()),
            "repo1-s3-uri-style=path".into(),
            "repo1-s3-region=us-east-1".into(),
            format!("repo1-s3-key={}", keys.access_key),
            format!("repo1-s3-key-secret={}", keys.secret_key),
            "repo1-storage-verify-tls=y".into(),
            format!("repo1-storage-ca-file={}", server.home.file("tls/ca.crt").display()),
            "repo1-bundle=n".into(),
            "repo1-retention-full=1".into(),
            "start-fast=y".into(),
            "process-max=2".into(),
            "compress-type=lz4".into(),
            "io-timeout=5".into(),
            "archive-timeout=20".into(),
            format!("log-path={dir}/log\nlock-path={dir}/lock\nspool-path={dir}/spool"),
            "log-level-file=off\nlog-level-console=warn".into(),
            "[test]".into(),
            format!("pg1-path={dir}/data\npg1-socket-path={dir}\npg1-user=postgres"),
        ];
        lines.join("\n")
    }

    fn at(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let path = [self.bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")];
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups", program]);
        command.args(args).current_dir(&self.dir).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::join_paths(path).unwrap()).env("HOME", &self.dir).output().unwrap()
    }

    fn begin(&self, data: &str) {
        let archive = format!("pgbackrest --config={} --stanza=test archive-push %p", self.at("pgbackrest.conf"));
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c archive_mode=on -c archive_command='{archive}'",
            self.dir.display()
        );
        let log = self.at("postgres.log");
        let data = self.at(data);
        ok(&self.run("pg_ctl", &["-D", &data, "-o", &options, "-l", &log, "-w", "start"]));
    }

    fn end(&self, data: &str) -> Output {
        self.run("pg_ctl", &["-D", &self.at(data), "-m", "immediate", "-w", "stop"])
    }

    fn sql(&self, text: &str) -> String {
        let out = self.run("psql", &["-h", &self.at(""), "-U", "postgres", "-XAtc", text]);
        ok(&out).trim().to_owned()
    }

    fn backrest(&self, args: &[&str]) -> Output {
        let config = format!("--config={}", self.at("pgbackrest.conf"));
        self.run("pgbackrest", &[&[config.as_str(), "--stanza=test"], args].concat())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.end("data");
    }
}

fn ok(out: &Output) -> String {
    let said = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    assert!(out.status.success(), "{}: {}{}", out.status, said(&out.stdout), said(&out.stderr));
    said(&out.stdout)
}

#[test]
fn a_backup_life() {
    let server = Server::start();
    server.bucket("pgb");
    let database = Database::start(&server);
    ok(&database.backrest(&["stanza-create"]));
    ok(&database.backrest(&["check"]));
    database.sql("CREATE TABLE t AS SELECT 1 AS n");
    // One file larger than a part of a multipart upload, not compressible to less than one.
    database.sql(
        "CREATE TABLE big AS SELECT md5(random()::text) || md5(random()::text) AS x FROM generate_series(1, 250000)",
    );
    ok(&database.backrest(&["--type=full", "backup"]));
    database.sql("INSERT INTO t VALUES (2)");
    ok(&database.backrest(&["--type=incr", "backup"]));
    let rows = database.sql("SELECT count(*), min(x) FROM big");

    let files = ok(&database.backrest(&["repo-ls", "--recurse", "--filter=backup.manifest$", "backup/test"]));
    assert_eq!(files.lines().count(), 2, "{files}");
    // A directory is not an object: the same call once hung on a 500.
    assert_eq!(ok(&database.backrest(&["repo-ls", "backup"])), "test\n");
    let verified = ok(&database.backrest(&["verify", "--log-level-console=info"]));
    assert!(!verified.contains("ERROR"), "{verified}");

    ok(&database.end("data"));
    fs::remove_dir_all(database.dir.join("data")).unwrap();
    ok(&database.backrest(&["restore"]));
    database.begin("data");
    assert_eq!(database.sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM t"), "1,2");
    assert_eq!(database.sql("SELECT count(*), min(x) FROM big"), rows);
    let recovered = || database.sql("SELECT pg_is_in_recovery()") == "f";
    support::wait_until("recovery has ended", recovered);

    let store = Store::visit(server.home.dir()).unwrap();
    let query = Query { prefix: "backups/backup/test/".into(), max: usize::MAX, ..Query::default() };
    let before = store.list("pgb", &query).unwrap().contents.len();
    ok(&database.backrest(&["--type=full", "backup"]));
    let info = ok(&database.backrest(&["info", "--output=json"]));
    assert_eq!(info.matches(r#""label":"#).count(), 1, "the older ones are expired: {info}");
    let store = Store::visit(server.home.dir()).unwrap();
    let after = store.list("pgb", &query).unwrap().contents.len();
    assert!(after < before, "{before} objects before, {after} after");

    let mut keys = store.list("pgb", &query).unwrap().contents.into_iter().map(|(key, _)| key);
    let damaged = keys.find(|key| key.ends_with("PG_VERSION.lz4")).unwrap();
    store.damage("pgb", &damaged, Damage::Flip).unwrap();
    let verified = database.backrest(&["verify", "--log-level-console=info"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(said.contains("checksum invalid: 1") || said.contains("invalid checksum"), "{said}");
}

#[test]
fn faults_as_pgbackrest_tells_them() {
    let server = Server::start();
    server.bucket("pgb");
    let database = Database::start(&server);
    ok(&database.backrest(&["stanza-create"]));
    #[rustfmt::skip]
    let table = [
        (Mode::Deny,        "403"),
        (Mode::Unavailable, "503"),
        (Mode::Refuse,      "Connection refused"),
        (Mode::Stall,       "timeout"),
    ];
    for (mode, word) in table {
        server.fault(mode, 0);
        let out = database.backrest(&["--io-timeout=1", "repo-ls", "archive"]);
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(!out.status.success() && said.contains(word), "{mode}: {said}");
    }
    server.fault(Mode::Full, 0);
    let segment = database.sql("SELECT pg_walfile_name(pg_current_wal_lsn())");
    let segment = database.at(&format!("data/pg_wal/{segment}"));
    let pg_path = format!("--pg1-path={}", database.at("data"));
    let out = database.backrest(&["--io-timeout=1", &pg_path, "archive-push", &segment]);
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(!out.status.success() && said.contains("507"), "{said}");
    server.fault(Mode::None, 0);
    ok(&database.backrest(&["check"]));
}
