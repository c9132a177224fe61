//! A server nobody can reach: it recovers restored data on a socket of its own,
//! takes no client, archives nothing, and dies with us.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::control_data::{ClusterState, ControlData, ControlDataError};
use super::postgres::{Postgres, SqlError};
use super::shutdown::StopError;
use crate::model::{Role, Timeline};
use crate::sys::files::{self, Access};
use crate::sys::process::{Invocation, OsUser, ProcessError, Runner, Running};

const POLL: Duration = Duration::from_millis(100);
/// Data that was shut down opens within.
const BEYOND: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
pub enum IsolatedError {
    #[error("preparing the isolated server")]
    Prepare(#[from] std::io::Error),
    #[error("running the isolated server")]
    Process(#[from] ProcessError),
    #[error("the isolated server")]
    Sql(#[from] SqlError),
    #[error("the restored data")]
    Control(#[from] ControlDataError),
    #[error("recovery broke off: {0}")]
    Ended(String),
    #[error("the isolated server")]
    Stop(#[source] StopError),
    #[error("tidying the copy: {0}")]
    Tidy(String),
    #[error("the isolated server was not shut down cleanly: {0:?}")]
    NotClean(ClusterState),
}

/// Where to run it.
pub struct Isolated {
    pub runner: Runner,
    pub user: OsUser,
    /// The restored data directory.
    pub data: PathBuf,
    /// A folder of root's for its access files and log, with one below it for the
    /// socket; made and removed here.
    pub scratch: PathBuf,
}

/// While it runs. Dropped = killed, with all its children.
pub struct RunningServer<'a> {
    place: &'a Isolated,
    process: Running,
}

impl Isolated {
    /// The data carries the settings of the unit that was backed up, so all
    /// that names a place or a peer is overridden.
    fn settings(&self) -> Vec<String> {
        let file = |name: &str| self.scratch.join(name).display().to_string();
        #[rustfmt::skip]
        let table = [
            ("listen_addresses", String::new()),
            ("unix_socket_directories", self.socket().display().to_string()),
            ("port", super::PG_PORT.to_string()),
            ("hba_file", file("hba.conf")),
            ("ident_file", file("ident.conf")),
            ("external_pid_file", String::new()),
            ("ssl", "off".to_owned()),
            // Nothing of a try that may fail reaches the archive; what is
            // pending is archived after the cluster has adopted the data.
            ("archive_mode", "on".to_owned()),
            // Empty, not a failing one: that is tried three times, a second apart, before the server ends.
            ("archive_command", String::new()),
            ("primary_conninfo", String::new()),
            ("primary_slot_name", String::new()),
            ("synchronous_standby_names", String::new()),
            ("logging_collector", "off".to_owned()),
            // How recovery ended is read in its log, whatever the backup's settings are.
            ("log_destination", "stderr".to_owned()),
            ("log_min_messages", "warning".to_owned()),
            ("lc_messages", "C".to_owned()),
            ("timezone", "UTC".to_owned()),
            ("cluster_name", "restore".to_owned()),
            ("hot_standby", "on".to_owned()),
            // A copy must not take its publisher's place.
            ("max_logical_replication_workers", "0".to_owned()),
        ];
        table.into_iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect()
    }

    pub fn start(&self) -> Result<RunningServer<'_>, IsolatedError> {
        self.start_with(&[])
    }

    fn start_with(&self, more: &[String]) -> Result<RunningServer<'_>, IsolatedError> {
        self.prepare_access()?;
        let mut invocation = self.invocation(more).dies_with_us();
        invocation.output_to = Some(self.log());
        Ok(RunningServer { place: self, process: self.runner.start(&invocation)? })
    }

    fn prepare_access(&self) -> Result<(), IsolatedError> {
        files::remove_folder(&self.scratch)?;
        files::make_folder_for_readers(&self.scratch, &self.user)?;
        files::make_folder(&self.socket(), Some(&self.user), 0o700)?;
        let access = Access::ReadableBy(self.user.clone());
        files::write(&self.scratch.join("hba.conf"), b"local all operator peer map=operator\n", &access)?;
        files::write(
            &self.scratch.join("ident.conf"),
            b"operator postgres operator\noperator root operator\n",
            &access,
        )?;
        Ok(())
    }

    fn invocation(&self, more: &[String]) -> Invocation {
        Invocation::new("postgres")
            .args(["-D", &self.data.display().to_string()])
            .args(self.settings())
            .args(more.iter().cloned())
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .as_user(&self.user)
    }

    /// Opens data that was shut down for reading only, as a standby of nobody, on the socket in
    /// the answer: a program that runs until it is stopped, whoever started it.
    pub async fn open_for_reading(&self) -> Result<(Invocation, PathBuf), IsolatedError> {
        self.prepare_access()?;
        self.make_standby().await?;
        Ok((self.invocation(&standing_still("/bin/false")), self.socket()))
    }

    /// Starts data that was shut down and gives it a timeline of its own, above all that
    /// `history_command` (a `restore_command` that answers history files and nothing else)
    /// knows: of an era that was left meanwhile nothing is replayed.
    pub async fn start_beyond(&self, history_command: &str) -> Result<(RunningServer<'_>, Postgres), IsolatedError> {
        self.make_standby().await?;
        let mut server = self.start_with(&standing_still(history_command))?;
        let opened = async {
            server.promote().await?;
            server.recovered().await
        };
        // It was shut down: there is nothing to replay, and what does not open now never does.
        let session = tokio::time::timeout(BEYOND, opened).await;
        let session =
            session.map_err(|_| IsolatedError::Ended(format!("it did not open in {} s", BEYOND.as_secs())))??;
        Ok((server, session))
    }

    /// A timeline of the running cluster whose history is not archived yet is none that is free.
    pub async fn learn_histories(&self, of_cluster: &Path) -> Result<(), IsolatedError> {
        let (from, to) = (of_cluster.join("pg_wal"), self.data.join("pg_wal"));
        if !files::exists(&from) {
            return Ok(());
        }
        let (from, to) = (from.display().to_string(), to.display().to_string());
        let copy = ["-maxdepth", "1", "-name", "*.history", "-exec", "cp", "-n", "-t", &to, "{}", "+"];
        self.as_user(Invocation::new("find").args([from.as_str()]).args(copy)).await
    }

    async fn make_standby(&self) -> Result<(), IsolatedError> {
        let signal = self.data.join("standby.signal").display().to_string();
        self.as_user(Invocation::new("touch").args(["--", &signal])).await
    }

    /// Histories of timelines that it had before are not archived once more: a number may
    /// have been given to another since, and the archive takes no second file of a name.
    pub async fn forget_old_histories(&self, present: Timeline) -> Result<(), IsolatedError> {
        let folder = self.data.join("pg_wal/archive_status").display().to_string();
        let present = format!("{:08X}.history.ready", present.0);
        let find = ["-maxdepth", "1", "-name", "*.history.ready", "!", "-name", &present, "-delete"];
        self.as_user(Invocation::new("find").args([folder.as_str()]).args(find)).await
    }

    async fn as_user(&self, step: Invocation) -> Result<(), IsolatedError> {
        let output = self.runner.run(&step.as_user(&self.user).within(Duration::from_secs(60))).await?;
        match output.success() {
            true => Ok(()),
            false => Err(IsolatedError::Tidy(output.last_line().to_owned())),
        }
    }

    /// A server that a killed agent left behind would hold the data: end it.
    pub async fn end_leftover(&self) -> Result<(), IsolatedError> {
        super::shutdown::ensure_stopped(&self.runner, &self.user, &self.data).await.map_err(IsolatedError::Stop)
    }

    fn socket(&self) -> PathBuf {
        self.scratch.join("socket")
    }

    fn log(&self) -> PathBuf {
        self.scratch.join("server.log")
    }

    /// All that it has logged.
    pub fn said(&self) -> String {
        files::read(&self.log()).ok().flatten().unwrap_or_default()
    }

    fn last_words(&self) -> String {
        fatal_lines(&self.said())
    }

    pub fn remove_scratch(&self) -> std::io::Result<()> {
        files::remove_folder(&self.scratch)
    }
}

impl RunningServer<'_> {
    /// Waits until recovery has ended by promotion. There is no deadline: WAL
    /// may be long; the server's end is the end of waiting.
    pub async fn recovered(&mut self) -> Result<Postgres, IsolatedError> {
        loop {
            if !self.process.is_running() {
                return Err(IsolatedError::Ended(self.place.last_words()));
            }
            if let Some(session) = self.promoted().await {
                return Ok(session);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Promotes it as soon as it answers.
    async fn promote(&mut self) -> Result<(), IsolatedError> {
        loop {
            if !self.process.is_running() {
                return Err(IsolatedError::Ended(self.place.last_words()));
            }
            if let Ok(session) = Postgres::connect(&self.place.socket(), "postgres").await {
                return Ok(session.promote().await?);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn promoted(&self) -> Option<Postgres> {
        let session = Postgres::connect(&self.place.socket(), "postgres").await.ok()?;
        matches!(session.role().await, Ok(Role::Primary)).then_some(session)
    }

    /// A session with another database of it.
    pub async fn connect(&self, database: &str) -> Result<Postgres, SqlError> {
        Postgres::connect(&self.place.socket(), database).await
    }

    /// Fast shutdown, then the control file must say so.
    pub async fn stop(mut self, patience: Duration) -> Result<ControlData, IsolatedError> {
        self.process.interrupt();
        let deadline = Instant::now() + patience;
        while self.process.is_running() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        drop(self.process);
        let data = ControlData::read(&self.place.runner, &self.place.user, &self.place.data).await?;
        match data.state {
            ClusterState::ShutDown => Ok(data),
            state => Err(IsolatedError::NotClean(state)),
        }
    }
}

/// A standby that replays nothing beyond what it has.
fn standing_still(restore_command: &str) -> Vec<String> {
    let options = [
        ("recovery_target_timeline", "current"),
        ("restore_command", restore_command),
        ("recovery_target", ""),
        ("recovery_target_lsn", ""),
        ("recovery_target_name", ""),
        ("recovery_target_time", ""),
        ("recovery_target_xid", ""),
    ];
    options.map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).concat()
}

fn fatal_lines(log: &str) -> String {
    let said = |line: &&str| ["FATAL:", "PANIC:", "HINT:", "ERROR:"].iter().any(|word| line.contains(word));
    let lines: Vec<_> = log.lines().filter(said).map(after_prefix).collect();
    match lines.as_slice() {
        [] => log.lines().next_back().unwrap_or("no message").to_owned(),
        lines => lines[lines.len().saturating_sub(3)..].join("; "),
    }
}

/// Without time and pid in front.
fn after_prefix(line: &str) -> &str {
    ["FATAL:", "PANIC:", "HINT:", "ERROR:"]
        .iter()
        .filter_map(|word| line.find(word))
        .min()
        .map_or(line, |at| &line[at..])
}

impl Isolated {
    /// Takes out what recovery needed and a running member must not have. It is
    /// done as the database user, who owns the folder and could have put
    /// anything in the files' places.
    pub async fn tidy(&self) -> Result<(), IsolatedError> {
        let file = |name: &str| self.data.join(name).display().to_string();
        // The dynamic configuration is of the day of the backup; etcd has today's.
        let leftovers = ["patroni.dynamic.json", "postmaster.opts", "recovery.signal", "standby.signal"].map(file);
        let recovery = r"/^[[:space:]]*(recovery_target|restore_command)/d";
        let steps = [
            Invocation::new("sed").args(["-i", "-E", recovery, &file("postgresql.auto.conf")]),
            Invocation::new("rm").args(["-f", "--"]).args(leftovers),
        ];
        for step in steps {
            self.as_user(step).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_fatal_words_are_told_without_their_prefix() {
        let stderr = "2026-11-22 03:00:00 UTC [7]: LOG:  starting\n\
                      2026-11-22 03:00:01 UTC [7]: FATAL:  recovery ended before configured recovery target was reached\n\
                      2026-11-22 03:00:01 UTC [7]: LOG:  shutting down\n";
        assert_eq!(fatal_lines(stderr), "FATAL:  recovery ended before configured recovery target was reached");
    }

    #[test]
    fn tidying_takes_recovery_settings_and_leaves_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let user = OsUser(nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name);
        let auto = dir.path().join("postgresql.auto.conf");
        let text = b"work_mem = '8MB'\nrestore_command = 'x'\n  recovery_target = 'immediate'\n";
        files::write(&auto, text, &Access::Private).unwrap();
        files::write(&dir.path().join("patroni.dynamic.json"), b"{}", &Access::Private).unwrap();
        let place = Isolated {
            runner: Runner::new("/usr/bin:/bin"),
            user,
            data: dir.path().to_owned(),
            scratch: dir.path().join("s"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(place.tidy()).unwrap();
        assert_eq!(std::fs::read_to_string(auto).unwrap(), "work_mem = '8MB'\n");
        assert!(!dir.path().join("patroni.dynamic.json").exists());
    }
}
