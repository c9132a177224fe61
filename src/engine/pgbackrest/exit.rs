//! What went wrong, from pgBackRest's exit code and its own words. Decides
//! nothing about trying again. Codes: src/build/error/error.yaml of pgBackRest.

use crate::sys::process::{Exit, Output, ProcessError};

/// A run that did not do what it should. `Display` is pgBackRest's own ERROR
/// and HINT lines, joined into one line; `hint` is what helps a user of the charm.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It could not be started or did not end in time.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// 50: another pgBackRest process is at work on this unit.
    #[error("{0}")]
    Locked(String),
    /// 49: the repository's host does not answer.
    #[error("{0}")]
    Connect(String),
    /// 39, 101, 103, 105: the repository answers, and says no.
    #[error("{0}")]
    RepoAccess(String),
    /// 55, 73: something that a stanza needs is not in the repository.
    #[error("{0}")]
    Missing(String),
    /// 28, 44, 51, 58: the stanza belongs to another database.
    #[error("{0}")]
    StanzaMismatch(String),
    /// 56, 57: PostgreSQL does not answer, or no primary was found.
    #[error("{0}")]
    Database(String),
    /// 68, 87: PostgreSQL is not set up to archive with pgBackRest.
    #[error("{0}")]
    ArchiveDisabled(String),
    /// Another member of the cluster, not the repository, could not be asked: TLS
    /// between the units, its address, its server. Codes 49, 56, 101, 105.
    #[error("{0}")]
    Peer(String),
    /// 42, 95 and TLS errors: a certificate or its key is not good, or not believed.
    #[error("{0}")]
    Certificate(String),
    /// 56, 57, 58: the primary moved or was lost while the backup ran, or there are two.
    #[error("{0}")]
    RoleChanged(String),
    /// 106: the newest backup is of a later time than now.
    #[error("{0}")]
    Clock(String),
    /// 82: a WAL segment did not reach the repository in time.
    #[error("{0}")]
    ArchiveTimeout(String),
    /// 64: writing failed; with "No space left on device" the disk is full.
    #[error("{0}")]
    Write(String),
    /// 75: no such backup set, or the repository could not be read.
    #[error("{0}")]
    BackupSet(String),
    /// 62: `pgbackrest stop` is in force.
    #[error("{0}")]
    Stopped(String),
    /// 63: it was asked to end (SIGTERM) and cleaned up.
    #[error("{0}")]
    Terminated(String),
    #[error("pgBackRest was killed by signal {0}")]
    Signal(i32),
    #[error("{message}")]
    Failed { code: i32, message: String },
    /// The catalog could not be had, though the run itself ended well.
    #[error("{0}")]
    Repository(String),
    /// It answered something that this agent does not understand.
    #[error("the answer of `pgbackrest {question}` cannot be read: {why}")]
    Unreadable { question: &'static str, why: String },
    /// One of pgBackRest's files on this unit cannot be read.
    #[error("reading `{}`", path.display())]
    File { path: std::path::PathBuf, source: std::io::Error },
}

impl EngineError {
    /// The meaning of a run; `Ok` when it ended well.
    pub(super) fn of(out: &Output) -> Result<(), Self> {
        let code = match out.exit {
            Exit::Code(0) => return Ok(()),
            Exit::Signal(number) => return Err(Self::Signal(number)),
            Exit::Code(code) => code,
        };
        let said = error_lines(&out.stdout, &out.stderr);
        let message = said.unwrap_or_else(|| match code {
            63 => "pgBackRest was asked to end (SIGTERM) before it was done".to_owned(),
            _ => format!("pgBackRest ended with exit code {code}: {}", redact(out.last_line())),
        });
        // The store compares the time of a request with its own; its answer stands far below the error's line.
        if [&out.stdout, &out.stderr].iter().any(|text| text.contains("RequestTimeTooSkewed")) {
            return Err(Self::Clock(format!("{message}; RequestTimeTooSkewed: the store's clock is another")));
        }
        if let Some(told) = Self::by_text(&message) {
            return Err(told(message));
        }
        Err(match code {
            50 => Self::Locked(message),
            49 => Self::Connect(message),
            39 | 101 | 103 | 105 => Self::RepoAccess(message),
            55 | 73 => Self::Missing(message),
            28 | 44 | 51 | 58 => Self::StanzaMismatch(message),
            56 | 57 => Self::Database(message),
            68 | 87 => Self::ArchiveDisabled(message),
            82 => Self::ArchiveTimeout(message),
            64 => Self::Write(message),
            75 => Self::BackupSet(message),
            62 => Self::Stopped(message),
            63 => Self::Terminated(message),
            106 => Self::Clock(message),
            code => Self::Failed { code, message },
        })
    }

    /// Where one code has several causes, the text tells which: 56 is a primary that
    /// is down and a peer that does not let us in, 58 another database and a
    /// promotion, 49 and 101 the repository and a peer.
    fn by_text(message: &str) -> Option<fn(String) -> Self> {
        let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        match () {
            () if has(&ROLE_CHANGED) => Some(Self::RoleChanged),
            // The peer answers and lets us in, its PostgreSQL does not answer it.
            () if has(&["[DbConnectError] raised from remote"]) => None,
            () if has(&CERTIFICATE) => Some(Self::Certificate),
            () if names_peer(message) => Some(Self::Peer),
            () => None,
        }
    }

    /// The sentence that helps.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Process(ProcessError::Start { .. }) => "Check that the package pgbackrest is installed on this unit.",
            Self::Process(_) => {
                "Check that the repository's endpoint answers from this unit, and the load of this unit; then try again."
            }
            Self::Locked(_) => {
                "Wait until the backup that runs is done (list-backups shows it), then try again. \
                 After a killed backup its workers first finish the file they are at."
            }
            Self::Connect(_) => "Check the option `endpoint` of the object storage, its port and the network between.",
            Self::RepoAccess(message) if message.contains("TLS error") => {
                "The TLS connection to the repository broke, or in a backup from a replica the one to the primary's unit: \
                 see juju status, then run the action again."
            }
            Self::RepoAccess(_) => {
                "Check bucket, region, s3-uri-style, access-key and secret-key of the object storage."
            }
            Self::Missing(_) => {
                "The stanza is created by the charm once the repository can be reached: see juju status."
            }
            Self::StanzaMismatch(_) => {
                "The path in the repository holds another database's backups: give this cluster another `path` or bucket."
            }
            Self::Database(_) => {
                "Check with juju status that PostgreSQL runs on its units and that the cluster has a primary."
            }
            Self::Peer(_) => {
                "Another unit of the cluster did not answer or let this one in: juju status shows which unit has the \
                 address. Port 8432 must be open between the units; the charm starts the server there, and renews its \
                 list of members, at its next hook."
            }
            Self::Certificate(_) => {
                "Between the units: see juju status of the TLS certificates operator, and whether the clocks of the \
                 units are right (date -u). Towards the repository: give the store's authority as `tls-ca-chain` of \
                 the object storage."
            }
            Self::RoleChanged(_) => {
                "Wait until juju status shows one primary and its replicas, then run the action again; \
                 what was copied so far is used or removed by the next backup."
            }
            Self::Clock(_) => {
                "The clock of this unit, or of the unit that made the newest backup, is wrong: compare them (date -u) and \
                 set it right. Then, or at once if no newer full backup is there, make a full backup."
            }
            Self::ArchiveDisabled(_) => {
                "The charm sets archive_command; juju debug-log says why it is not in force yet."
            }
            Self::ArchiveTimeout(_) => {
                "PostgreSQL's log says why archiving fails; a store that is slow or full is the usual cause."
            }
            Self::Write(message) if message.contains("No space left on device") => {
                "The disk of the unit is full: `juju exec --unit UNIT -- df -h` shows which. Enlarge the volume of its \
                 storage `pgdata` (juju storage --filesystem) or free space, then try again."
            }
            Self::Write(_) => "Check the free space of the unit's disk and of the repository.",
            Self::BackupSet(_) => "See list-backups for the backups there are, and check that the repository answers.",
            Self::Stopped(_) => {
                "Run `pgbackrest start` for this stanza on the unit, as the one who stopped it may have forgotten."
            }
            Self::Terminated(_) | Self::Signal(_) => "Nothing is left to clean up; run the action again.",
            Self::Repository(_) => {
                "Check the settings of the object storage and that its endpoint answers from this unit."
            }
            Self::Failed { .. } | Self::Unreadable { .. } | Self::File { .. } => {
                "See juju debug-log and pgBackRest's log on the unit."
            }
        }
    }
}

/// Texts of src/db/db.c and src/db/helper.c of pgBackRest, and of libpq. Most carry
/// 58, which otherwise means that the repository is of another database.
const ROLE_CHANGED: [&str; 6] = [
    "server closed the connection unexpectedly",
    "more than one primary cluster found",
    "standby is no longer in recovery",
    "primary has switched to recovery",
    "standby is on timeline",
    "does not match pg_control timeline",
];

/// src/common/crypto/common.c and src/common/io/tls of pgBackRest, and OpenSSL's alerts.
const CERTIFICATE: [&str; 8] = [
    "in certificate common name or subject alternative names",
    "unable to verify certificate presented by",
    "unable to load cert file",
    "unable to load key file",
    "has group or other permissions",
    "alert unknown ca",
    "alert bad certificate",
    "alert certificate",
];

/// `unable to check pg2: …`, `raised from remote-0 tls protocol on '10.0.0.2'`; pg1
/// is this unit. A connection that breaks later is not named.
fn names_peer(message: &str) -> bool {
    let is_peer = |rest: &str| {
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        number != "1" && !number.is_empty()
    };
    let checked = message.split("unable to check pg").skip(1).any(is_peer);
    checked || message.contains(" tls protocol on '")
}

/// pgBackRest's ERROR entries with their HINTs in one line, secrets taken out;
/// `None` when it complained about nothing. A warning that something could not
/// be reached is told too: it holds the cause of the error that follows.
pub fn error_lines(stdout: &str, stderr: &str) -> Option<String> {
    let entries = entries(stdout).chain(entries(stderr));
    let told: Vec<String> = entries.filter(|entry| entry.is_told()).flat_map(|entry| entry.lines()).collect();
    (!told.is_empty()).then(|| redact(&told.join("; ")))
}

/// One log entry: its level, first line, and the indented lines below it.
struct Entry<'a> {
    level: &'a str,
    text: &'a str,
    below: Vec<&'a str>,
}

impl Entry<'_> {
    fn is_told(&self) -> bool {
        self.level == "ERROR" || (self.level == "WARN" && self.text.starts_with("unable to"))
    }

    fn lines(&self) -> Vec<String> {
        let answer = store_answer(&self.below).map(|answer| format!(" ({answer})")).unwrap_or_default();
        let first = format!("{}{answer}", self.text.trim_end_matches(':'));
        let hints = self.below.iter().filter(|line| line.starts_with("HINT:"));
        std::iter::once(first).chain(hints.map(|&hint| hint.to_owned())).collect()
    }
}

/// An object store explains itself in XML, in the dump below the error.
fn store_answer(below: &[&str]) -> Option<String> {
    let dump = below.join(" ");
    let element = |name: &str| {
        let (_, rest) = dump.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    let code = element("Code")?;
    Some(element("Message").map_or(code.clone(), |message| format!("{code}: {message}")))
}

fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut found: Vec<Entry<'_>> = Vec::new();
    for line in text.lines() {
        match (head(line), found.last_mut()) {
            (Some((level, text)), _) => found.push(Entry { level, text, below: Vec::new() }),
            (None, Some(entry)) => entry.below.push(line.trim()),
            (None, None) => {}
        }
    }
    found.into_iter()
}

/// `2026-11-22 02:33:28.275 P00  ERROR: text` on stdout, `ERROR: text` on stderr.
fn head(line: &str) -> Option<(&str, &str)> {
    const LEVELS: [&str; 6] = ["ERROR", "WARN", "INFO", "DETAIL", "DEBUG", "TRACE"];
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    let (before, text) = line.split_once(": ")?;
    let level = before.split_whitespace().next_back()?;
    let stamped = before.split_whitespace().nth(2).is_some_and(|process| process.starts_with('P'));
    (LEVELS.contains(&level) && (stamped || before == level)).then_some((level, text.trim()))
}

/// pgBackRest hides its secrets itself; this is for what it passes on from others.
fn redact(text: &str) -> String {
    const KEYS: [&str; 6] =
        ["-s3-key-secret=", "-s3-key=", "-s3-token=", "-cipher-pass=", "password=", "x-amz-security-token="];
    let hide = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let end = KEYS.iter().find_map(|key| lower.find(key).map(|at| at + key.len()));
        end.map_or_else(|| word.to_owned(), |end| format!("{}<redacted>", &word[..end]))
    };
    text.split(' ').map(hide).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(code: i32, stdout: &str, stderr: &str) -> String {
        let out = Output { exit: Exit::Code(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() };
        let error = EngineError::of(&out).unwrap_err();
        assert!(!error.hint().is_empty());
        format!("{error}")
    }

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/pgbackrest/", $name))
        };
    }

    #[test]
    fn a_person_reads_pgbackrests_own_words_in_one_line() {
        #[rustfmt::skip]
        let table = [
            (82, "", fixture!("2.45/check-archive-timeout.stderr"),
             "[082]: WAL segment 000000010000000000000018 was not archived before the 3000ms timeout; \
              HINT: check the archive_command to ensure that all options are correct (especially --stanza).; \
              HINT: check the PostgreSQL server log for errors.; \
              HINT: run the 'start' command if the stanza was previously stopped."),
            (50, fixture!("2.45/backup-locked.stdout"), "",
             "[050]: unable to acquire lock on file '/srv/db/lock/m.db-backup.lock': Resource temporarily unavailable; \
              HINT: is another pgBackRest process running?"),
            (55, fixture!("2.45/backup-missing-stanza.stdout"), fixture!("2.45/backup-missing-stanza.stderr"),
             "[055]: unable to load info file '/srv/db/repo/backup/m.db/backup.info' or \
              '/srv/db/repo/backup/m.db/backup.info.copy'; \
              HINT: backup.info cannot be opened and is required to perform a backup.; \
              HINT: has a stanza-create been performed?"),
            (56, fixture!("2.45/backup-pg-down.stdout"), "",
             "unable to check pg1: [DbConnectError] unable to connect to 'dbname='postgres' port=17432 \
              host='/srv/db/sock'': connection to server on socket \"/srv/db/sock/.s.PGSQL.17432\" failed: \
              No such file or directory; \
              [056]: unable to find primary cluster - cannot proceed; \
              HINT: are all available clusters in recovery?"),
            (63, fixture!("2.45/backup-terminated.stdout"), "",
             "pgBackRest was asked to end (SIGTERM) before it was done"),
            (49, "", fixture!("2.45/s3-create.stderr"),
             "[049]: unable to connect to 'localhost:1': [111] Connection refused"),
            (75, fixture!("2.45/restore-badset.stdout"), fixture!("2.45/restore-badset.stderr"),
             "[075]: backup set 20000101-000000F is not valid"),
            (28, "", fixture!("2.45/create-mismatch.stderr"),
             "[028]: backup and archive info files exist but do not match the database; \
              HINT: is this the correct stanza?; HINT: did an error occur during stanza-upgrade?"),
            (99, "", "", "pgBackRest ended with exit code 99: no message"),
        ];
        for (code, stdout, stderr, want) in table {
            assert_eq!(recorded(code, stdout, stderr), want);
        }
    }

    #[test]
    fn an_exit_code_is_a_meaning() {
        let of =
            |code| EngineError::of(&Output { exit: Exit::Code(code), stdout: String::new(), stderr: String::new() });
        assert!(of(0).is_ok());
        assert!(matches!(of(50), Err(EngineError::Locked(_))));
        assert!(matches!(of(62), Err(EngineError::Stopped(_))));
        assert!(matches!(of(63), Err(EngineError::Terminated(_))));
        assert!(matches!(of(82), Err(EngineError::ArchiveTimeout(_))));
        assert!(matches!(of(105), Err(EngineError::RepoAccess(_))));
        assert!(matches!(of(25), Err(EngineError::Failed { code: 25, .. })));
        let killed = Output { exit: Exit::Signal(9), stdout: String::new(), stderr: String::new() };
        assert!(matches!(EngineError::of(&killed), Err(EngineError::Signal(9))));
    }

    #[test]
    fn a_stores_refusal_is_told_and_its_headers_are_not() {
        let stderr = "ERROR: [039]: HTTP request failed with 403 (Forbidden):\n       \
                      *** Request Headers ***:\n       authorization: AWS4-HMAC-SHA256 Credential=AKIA\n       \
                      *** Response Content ***:\n       \
                      <Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist</Message></Error>\n";
        assert_eq!(
            recorded(39, "", stderr),
            "[039]: HTTP request failed with 403 (Forbidden) (InvalidAccessKeyId: The key does not exist)"
        );
    }

    #[test]
    fn secrets_that_others_print_are_taken_out() {
        let stderr =
            "ERROR: [102]: `wrapper --repo1-s3-key-secret=hunter2 --repo1-s3-key=AK' host=x password=pw failed\n";
        assert_eq!(
            recorded(102, "", stderr),
            "[102]: `wrapper --repo1-s3-key-secret=<redacted> --repo1-s3-key=<redacted> host=x password=<redacted> failed"
        );
    }

    /// Recorded with two units of 2.45, one fault each.
    #[test]
    fn a_fault_between_the_units_is_not_blamed_on_the_repository() {
        type Is = fn(&EngineError) -> bool;
        let peer: Is = |error| matches!(error, EngineError::Peer(_));
        let certificate: Is = |error| matches!(error, EngineError::Certificate(_));
        let moved: Is = |error| matches!(error, EngineError::RoleChanged(_));
        let database: Is = |error| matches!(error, EngineError::Database(_));
        let clock: Is = |error| matches!(error, EngineError::Clock(_));
        const NO_PRIMARY: &str = "ERROR: [056]: unable to find primary cluster - cannot proceed\n       \
                                  HINT: are all available clusters in recovery?\n";
        #[rustfmt::skip]
        let table = [
            // its server is down
            (49, "WARN: unable to check pg2: [HostConnectError] unable to connect to '127.43.9.1:18432': [111] Connection refused\n\
                  ERROR: [049]: unable to connect to '127.43.9.1:18432': [111] Connection refused\n", peer),
            (56, &format!("WARN: unable to check pg2: [HostConnectError] unable to connect to '127.43.9.1:18432': [111] Connection refused\n{NO_PRIMARY}"), peer),
            // it does not know us
            (56, &format!("WARN: unable to check pg12: [AccessError] raised from remote-0 tls protocol on '127.43.9.1': access denied\n{NO_PRIMARY}"), peer),
            // certificates: its name, its authority, our authority, our key file
            (95, "ERROR: [095]: unable to find hostname '127.43.9.1' in certificate common name or subject alternative names\n", certificate),
            (56, &format!("WARN: unable to check pg2: [CryptoError] unable to verify certificate presented by '127.43.9.1:18432': [20] unable to get local issuer certificate\n{NO_PRIMARY}"), certificate),
            (56, &format!("WARN: unable to check pg2: [ServiceError] TLS error [1:167773208] tlsv1 alert unknown ca\n{NO_PRIMARY}"), certificate),
            (42, "ERROR: [042]: key file '/u/etc/own.pem' has group or other permissions\n       HINT: file must have permissions u=rw, g=r (0640) or less if owned by root\n", certificate),
            // its PostgreSQL is down
            (56, "WARN: unable to check pg2: [DbConnectError] raised from remote-0 tls protocol on '127.43.9.2': unable to connect to 'dbname='postgres' port=15432'\n\
                  ERROR: [056]: unable to find standby cluster - cannot proceed\n", database),
            // the primary was killed, or the replica promoted, in mid-backup; two primaries
            (57, "ERROR: [057]: raised from remote-0 tls protocol on '127.43.9.1': unable to execute query 'select pg_catalog.pg_is_in_recovery()': \
                  server closed the connection unexpectedly\n       \tThis probably means the server terminated abnormally\n", moved),
            (58, "ERROR: [058]: standby is no longer in recovery\n       HINT: was the standby promoted during the backup?\n", moved),
            (56, "ERROR: [056]: more than one primary cluster found\n", moved),
            (106, "ERROR: [106]: new backup label '20261130-110555F_20261130-110805I' is not later than latest backup label '20261130-110555F_20261201-000800I'\n       \
                   HINT: has the timezone changed?\n       HINT: is there clock skew?\n", clock),
            (39, "ERROR: [039]: unable to load info file '/backup/db/backup.info' or '/backup/db/backup.info.copy'\n       \
                  RequestTimeTooSkewed: request time is too far from server time\n", clock),
        ];
        for (code, stderr, is) in table {
            let out = Output { exit: Exit::Code(code), stdout: String::new(), stderr: stderr.to_owned() };
            let error = EngineError::of(&out).unwrap_err();
            assert!(is(&error), "{error:?}");
            assert!(!error.hint().contains("`path`") && !error.hint().contains("access-key"), "{error:?}");
        }
    }

    #[test]
    fn a_full_disk_and_a_broken_connection_say_what_to_look_at() {
        let hint = |code, stderr: &str| {
            let out = Output { exit: Exit::Code(code), stdout: String::new(), stderr: stderr.to_owned() };
            EngineError::of(&out).unwrap_err().hint()
        };
        let full = "ERROR: [064]: raised from local-2 protocol: unable to write '/u/pg/data.restore/base/1/6110': [28] No space left on device\n";
        assert!(hint(64, full).starts_with("The disk of the unit is full: "));
        assert!(
            hint(101, "ERROR: [101]: TLS error [1:167772454] unexpected eof while reading\n")
                .contains("the primary's unit")
        );
    }
}
