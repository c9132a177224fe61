//! Runs pgBackRest: as the database's OS user, with an environment of our own,
//! short questions with a deadline, long work killed when we die.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::archive;
use super::args::{Common, RestoreRequest};
use super::exit::EngineError;
use super::{info, lock_file};
use crate::model::{
    Archives, Backup, BackupLabel, BackupPlan, Catalog, RunningBackup, Stanza, Timeline, WalSegment, WalSegmentSize,
};
use crate::sys::files;
use crate::sys::process::{Invocation, OsUser, Output, Runner, Running};

/// A question to the repository; on a dead store pgBackRest itself gives up after 40 s and says why.
const QUESTION: Duration = Duration::from_secs(60);
/// A month of WAL is some fifty thousand names.
const LISTING: Duration = Duration::from_secs(300);
/// stanza-create writes a few objects, check waits up to a minute for one WAL segment.
const SETUP: Duration = Duration::from_secs(180);

/// An empty lock file is read again this often before it means that nothing runs.
const TORN_READS: u32 = 5;

/// pgBackRest on this unit, for one stanza.
#[derive(Debug, Clone)]
pub struct Engine {
    pub runner: Runner,
    /// pgbackrest.conf, readable by `user`.
    pub config: PathBuf,
    pub stanza: Stanza,
    pub user: OsUser,
    /// Where pgBackRest keeps its lock files.
    pub lock_dir: PathBuf,
    /// Working directory and HOME: one that `user` can read.
    pub work_dir: PathBuf,
}

/// A backup or a restore that runs. Dropping it kills it.
#[derive(Debug)]
pub struct RunningProcess(Running);

impl RunningProcess {
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }
}

/// All that a backup or a restore printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupLog {
    pub stdout: String,
    pub stderr: String,
}

/// A backup or a restore that ended, well or not: its log is there either way.
#[derive(Debug)]
pub struct Ended {
    pub log: BackupLog,
    pub outcome: Result<(), EngineError>,
}

impl Engine {
    /// `2.45`
    pub async fn version(&self) -> Result<String, EngineError> {
        let out = self.ask(vec!["version".to_owned()], QUESTION).await?;
        let version = out.stdout.trim().strip_prefix("pgBackRest ").map(str::to_owned);
        version.ok_or_else(|| EngineError::Unreadable { question: "version", why: out.last_line().to_owned() })
    }

    /// What the repository holds for our stanza, also when that is nothing.
    pub async fn catalog(&self) -> Result<Catalog, EngineError> {
        info::parse(&self.ask(self.common().info(), QUESTION).await?.stdout)
    }

    /// Makes the stanza; fine when it is there already and ours.
    pub async fn stanza_create(&self) -> Result<(), EngineError> {
        self.ask(self.common().stanza_create(), SETUP).await.map(drop)
    }

    /// Switches WAL and waits until the segment is in the repository.
    pub async fn check(&self) -> Result<(), EngineError> {
        self.ask(self.common().check(), SETUP).await.map(drop)
    }

    /// `request` is put on the backup as an annotation, to find it again.
    pub async fn start_backup(&self, plan: &BackupPlan, request: &str) -> Result<RunningProcess, EngineError> {
        self.start(self.common().backup(plan, request))
    }

    pub async fn start_restore(&self, request: &RestoreRequest) -> Result<RunningProcess, EngineError> {
        self.start(self.common().restore(request))
    }

    /// Answers the other members of the cluster until it is ended: for a service.
    /// SIGHUP makes it read its file and certificates anew; a certificate that
    /// cannot be read ends it. Without a peer in the file it does not start.
    pub fn server(&self) -> Invocation {
        self.invocation(self.common().server())
    }

    /// What Patroni runs to make a replica of this set, as one line; for the
    /// method's `command`, with `no_params: true` and `keep_data: true`.
    pub fn replica_restore(&self, label: &BackupLabel) -> String {
        self.common().replica_restore(label)
    }

    /// What an isolated server asks for histories of timelines, and nothing else.
    pub fn history_command(&self) -> String {
        self.common().history_command()
    }

    /// Waits for the end; the log is lost when it failed (see [`Self::end`]).
    pub async fn finish(&self, running: RunningProcess) -> Result<BackupLog, EngineError> {
        let ended = self.end(running).await?;
        ended.outcome.map(|()| ended.log)
    }

    /// Waits for the end, and keeps the log of a failure too.
    pub async fn end(&self, running: RunningProcess) -> Result<Ended, EngineError> {
        let out = running.0.wait().await?;
        let outcome = EngineError::of(&out);
        Ok(Ended { log: BackupLog { stdout: out.stdout, stderr: out.stderr }, outcome })
    }

    /// The backup that runs on this unit, whoever started it. Workers that a
    /// killed backup leaves behind are none, but hold the lock until they have
    /// finished their file: see [`Catalog::lock_held`].
    pub async fn running_backup(&self) -> Result<Option<RunningBackup>, EngineError> {
        let path = self.lock_dir.join(format!("{}-backup.lock", self.stanza));
        let read = || files::read(&path).map_err(|source| EngineError::File { path: path.clone(), source });
        let mut text = read()?;
        for _ in 0..TORN_READS {
            // pgBackRest empties the file before it writes how far it is.
            if text.as_ref().is_none_or(|text| !text.trim().is_empty()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            text = read()?;
        }
        text.map_or(Ok(None), |text| lock_file::running(&text, is_pgbackrest))
    }

    /// WAL segments this backup needs that are not in the archive.
    pub async fn missing_wal(&self, backup: &Backup, size: WalSegmentSize) -> Result<Vec<WalSegment>, EngineError> {
        let mut missing = archive::needed(backup, size)?;
        for folder in archive::folders(&missing) {
            let folder = format!("archive/{}/{}/{folder}", self.stanza, backup.archive_id);
            let there = archive::segments(&self.list(&folder, None).await?);
            missing.retain(|segment| !there.contains(segment));
        }
        Ok(missing)
    }

    /// All WAL that is archived of the stanza, and the timelines that are known by
    /// their histories.
    pub async fn archives(&self) -> Result<Archives, EngineError> {
        let listing = self.ask(self.common().list_archives(), LISTING).await?;
        Ok(archive::archives(&archive::parse(&listing.stdout)?))
    }

    /// What the history of a timeline says.
    pub async fn history(&self, archive_id: &str, timeline: Timeline) -> Result<String, EngineError> {
        self.ask(self.common().history(archive_id, timeline), QUESTION).await.map(|out| out.stdout)
    }

    /// Puts a segment of the archive into a file, as PostgreSQL would get it.
    pub async fn fetch_segment(&self, segment: WalSegment, to: &Path) -> Result<(), EngineError> {
        self.ask(self.common().archive_get(segment, to), QUESTION).await.map(drop)
    }

    async fn list(&self, folder: &str, filter: Option<&str>) -> Result<archive::Listing, EngineError> {
        archive::parse(&self.ask(self.common().list(folder, filter), QUESTION).await?.stdout)
    }

    async fn ask(&self, args: Vec<String>, deadline: Duration) -> Result<Output, EngineError> {
        let out = self.runner.run(&self.invocation(args).within(deadline)).await?;
        EngineError::of(&out).map(|()| out)
    }

    fn start(&self, args: Vec<String>) -> Result<RunningProcess, EngineError> {
        Ok(RunningProcess(self.runner.start(&self.invocation(args).dies_with_us())?))
    }

    fn common(&self) -> Common<'_> {
        Common { config: &self.config, stanza: &self.stanza }
    }

    fn invocation(&self, args: Vec<String>) -> Invocation {
        let mut invocation = Invocation::new("pgbackrest")
            .args(args)
            .as_user(&self.user)
            // Labels carry the local time of the process: ours are UTC everywhere.
            // `UTC0` needs no zone file, which may be missing or lie.
            .env("TZ", "UTC0")
            .env("HOME", self.work_dir.to_string_lossy());
        invocation.cwd = Some(self.work_dir.clone());
        invocation
    }
}

/// Alive, and not another program that was given the same number since.
pub(super) fn is_pgbackrest(pid: u32) -> bool {
    let command = files::read(Path::new(&format!("/proc/{pid}/cmdline")));
    command.is_ok_and(|text| text.is_some_and(|text| text.contains("pgbackrest")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BackupKind, CopyFrom};

    /// Runs `test` against fake programs and checks that all expected calls were made.
    fn with<T, F: Future<Output = T>>(script: fakes::Script, test: impl FnOnce(Engine) -> F) -> T {
        let programs = script.install().expect("installing the fakes");
        let path = programs.path();
        let engine = Engine {
            runner: Runner::new(programs.env_path()),
            config: "/srv/db/etc/pgbackrest.conf".into(),
            stanza: Stanza::parse("m.db").unwrap(),
            user: OsUser("root".into()),
            lock_dir: path.to_owned(),
            work_dir: path.to_owned(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(test(engine));
        programs.finish();
        answer
    }

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/pgbackrest/2.45/", $name))
        };
    }

    const COMMON: [&str; 4] =
        ["--config=/srv/db/etc/pgbackrest.conf", "--stanza=m.db", "--log-level-console=off", "--log-level-stderr=warn"];

    fn question<'a>(rest: &[&'a str]) -> Vec<&'a str> {
        COMMON.iter().chain(rest).copied().collect()
    }

    #[test]
    fn the_server_is_the_database_users_and_outlives_us() {
        let server = with(fakes::Script::new(), |engine| async move { engine.server() });
        assert_eq!(server.user, Some(OsUser("root".into())));
        assert!(!server.dies_with_us && server.deadline.is_none() && server.cwd.is_some());
        assert_eq!(server.args.last().map(String::as_str), Some("server"));
    }

    #[test]
    fn the_version_is_asked() {
        let script = fakes::Script::new().expect("pgbackrest", ["version"]).stdout("pgBackRest 2.45\n");
        assert_eq!(with(script, |engine| async move { engine.version().await }).unwrap(), "2.45");
    }

    #[test]
    fn the_catalog_is_read() {
        let script = fakes::Script::new()
            .expect("pgbackrest", question(&["--output=json", "--io-timeout=10", "info"]))
            .stdout(fixture!("info.json"));
        let catalog = with(script, |engine| async move { engine.catalog().await }).unwrap();
        assert_eq!(catalog.backups.len(), 3);
    }

    #[test]
    fn a_failed_check_says_what_pgbackrest_said() {
        let script = fakes::Script::new()
            .expect("pgbackrest", question(&["check"]))
            .stderr(fixture!("check-archive-timeout.stderr"))
            .exit(82);
        let error = with(script, |engine| async move { engine.check().await }).unwrap_err();
        assert!(matches!(error, EngineError::ArchiveTimeout(_)));
    }

    #[test]
    fn a_backup_that_finds_the_lock_held_keeps_its_log() {
        let plan = BackupPlan { kind: BackupKind::Full, copy_from: CopyFrom::Primary };
        let script = fakes::Script::new()
            .expect("pgbackrest", ["**", "--type=full", "--annotation=request=7f3a", "--no-backup-standby", "backup"])
            .stdout(fixture!("backup-locked.stdout"))
            .exit(50);
        let ended = with(script, |engine| async move {
            let running = engine.start_backup(&plan, "7f3a").await.unwrap();
            engine.end(running).await.unwrap()
        });
        assert!(matches!(ended.outcome, Err(EngineError::Locked(_))));
        assert_eq!(ended.log.stdout, fixture!("backup-locked.stdout"));
    }

    #[test]
    fn a_segment_that_is_not_in_the_archive_is_named() {
        let mut backup = info::parse(fixture!("info.json")).unwrap().backups.remove(2);
        backup.wal_stop = Some("000000010000000000000018".parse().unwrap());
        let script = fakes::Script::new()
            .expect(
                "pgbackrest",
                question(&["--output=json", "--io-timeout=10", "repo-ls", "archive/m.db/15-1/0000000100000000"]),
            )
            .stdout(fixture!("repo-ls-wal.json"));
        let missing = with(script, |engine| async move { engine.missing_wal(&backup, WalSegmentSize::DEFAULT).await });
        assert_eq!(missing.unwrap(), ["000000010000000000000018".parse().unwrap()]);
    }

    #[test]
    fn all_archives_are_asked_for_in_one_go() {
        let script = fakes::Script::new()
            .expect("pgbackrest", ["**", "--recurse", "**", "repo-ls", "archive/m.db"])
            .stdout(fixture!("repo-ls-archives.json"));
        let found = with(script, |engine| async move { engine.archives().await }).unwrap();
        assert_eq!(found["15-1"].histories.len(), 2);
    }

    #[test]
    fn a_segment_that_is_not_there_is_an_error_and_a_history_is_text() {
        let history = "1\t0/5000138\treached consistency\n";
        let script = fakes::Script::new()
            .expect("pgbackrest", ["**", "repo-get", "archive/m.db/15-1/00000010.history"])
            .stdout(history)
            .expect("pgbackrest", ["**", "--no-archive-async", "**", "archive-get", "000000100000000000000005", "/x"])
            .exit(1);
        let (read, fetched) = with(script, |engine| async move {
            let segment = "000000100000000000000005".parse().unwrap();
            let read = engine.history("15-1", Timeline(16)).await;
            (read, engine.fetch_segment(segment, Path::new("/x")).await)
        });
        assert_eq!(read.unwrap(), history);
        assert!(fetched.is_err());
    }

    #[test]
    fn the_lock_file_of_a_process_that_is_gone_means_that_nothing_runs() {
        let script = fakes::Script::new().expect("pgbackrest", ["version"]).stdout("pgBackRest 2.45\n");
        let running = with(script, |engine| async move {
            engine.version().await.unwrap();
            let lock = engine.lock_dir.join("m.db-backup.lock");
            files::write(&lock, br#"{"execId":"1-a","pid":4194999}"#, &files::Access::Public).unwrap();
            engine.running_backup().await
        });
        assert_eq!(running.unwrap(), None);
    }
}
