//! The arguments of every pgBackRest run. Pure; odd flags carry their reason.

use std::path::{Path, PathBuf};

use crate::model::{
    BackupLabel, BackupPlan, CopyFrom, RecoveryGoal, RestoreTarget, Stanza, Stop, Timeline, WalSegment,
};

/// Key of the annotation by which a backup is found again in the catalog.
pub const REQUEST_ANNOTATION: &str = "request";

/// A backup set to restore, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    pub label: BackupLabel,
    /// An empty or missing folder beside the running cluster's data.
    pub data_dir: PathBuf,
    pub process_max: u32,
    /// Where recovery is to end.
    pub goal: RecoveryGoal,
}

/// What all runs have in common.
#[derive(Debug, Clone)]
pub(super) struct Common<'a> {
    pub config: &'a Path,
    pub stanza: &'a Stanza,
}

impl Common<'_> {
    /// `level` is what goes to stdout. Warnings and errors go to stderr alone:
    /// there they come without a time stamp and never mix with JSON.
    fn command(&self, level: &str, options: impl IntoIterator<Item = String>, command: &[&str]) -> Vec<String> {
        let mut args = vec![
            format!("--config={}", self.config.display()),
            format!("--stanza={}", self.stanza),
            format!("--log-level-console={level}"),
            "--log-level-stderr=warn".to_owned(),
        ];
        args.extend(options);
        args.extend(command.iter().map(|&word| word.to_owned()));
        args
    }

    pub fn info(&self) -> Vec<String> {
        self.command("off", answer_soon(), &["info"])
    }

    pub fn stanza_create(&self) -> Vec<String> {
        self.command("off", [], &["stanza-create"])
    }

    pub fn check(&self) -> Vec<String> {
        self.command("off", [], &["check"])
    }

    pub fn backup(&self, plan: &BackupPlan, request: &str) -> Vec<String> {
        let mut options =
            vec![format!("--type={}", plan.kind.engine_word()), format!("--annotation={REQUEST_ANNOTATION}={request}")];
        options.push(match plan.copy_from {
            // Said aloud, so that a `backup-standby` in a hand-edited file cannot
            // make the primary of a one-unit cluster wait for a standby for ever.
            CopyFrom::Primary => "--no-backup-standby".to_owned(),
            CopyFrom::Standby => "--backup-standby".to_owned(),
        });
        self.command("info", options, &["backup"])
    }

    /// Restores one set; recovered to the goal, then promoted.
    pub fn restore(&self, request: &RestoreRequest) -> Vec<String> {
        let options = [
            format!("--pg1-path={}", request.data_dir.display()),
            format!("--process-max={}", request.process_max),
            format!("--set={}", request.label),
        ];
        self.command("info", options.into_iter().chain(recovery(&request.goal)), &["restore"])
    }

    /// Answers the other members, until it is ended. Takes no stanza: whom it
    /// answers for what stands in its file.
    pub fn server(&self) -> Vec<String> {
        vec![
            format!("--config={}", self.config.display()),
            // One line a start and a reload is enough beside what went wrong.
            "--log-level-console=info".to_owned(),
            "--log-level-stderr=off".to_owned(),
            "server".to_owned(),
        ]
    }

    /// The command line of Patroni's replica method, for `no_params: true` and
    /// `keep_data: true`. Patroni splits it as a shell does, but runs no shell.
    ///
    /// Not said on purpose: the path (`pg1-path` of the file is the data directory),
    /// a target timeline (a replica follows the newest), `--force`.
    pub fn replica_restore(&self, label: &BackupLabel) -> String {
        let words = [
            "pgbackrest".to_owned(),
            format!("--config={}", self.config.display()),
            format!("--stanza={}", self.stanza),
            // Patroni's log takes both streams; only what is wrong, and with its time.
            "--log-level-console=warn".to_owned(),
            "--log-level-stderr=off".to_owned(),
            // The newest set may lie on a branch that a restore has left: the
            // replica would ask for its next timeline for ever.
            format!("--set={label}"),
            // standby.signal and no target: it goes on with what the primary streams.
            "--type=standby".to_owned(),
            // What lies there is compared and used, not copied again: an aborted
            // restore goes on. Where there is no database it only warns and copies
            // all; without it, files that are in the way refuse ([040]).
            "--delta".to_owned(),
            "restore".to_owned(),
        ];
        words.map(|word| quoted(&word)).join(" ")
    }

    /// A `restore_command` that answers histories of timelines and no WAL: a shell
    /// runs it, `%f` and `%p` are PostgreSQL's.
    pub fn history_command(&self) -> String {
        let words = [
            "pgbackrest".to_owned(),
            format!("--config={}", self.config.display()),
            format!("--stanza={}", self.stanza),
            "--log-level-console=warn".to_owned(),
            "--log-level-stderr=off".to_owned(),
            // The spool is the running cluster's.
            "--no-archive-async".to_owned(),
            "archive-get".to_owned(),
        ];
        // Of PostgreSQL, not of the shell: a percent sign in a path would be a placeholder.
        let words = words.map(|word| quoted(&word).replace('%', "%%")).join(" ");
        format!("case %f in *.history) {words} %f \"%p\";; *) exit 1;; esac")
    }

    /// All whole WAL segments and histories of the stanza. In one go: a run for
    /// every 256 segments would take longer than the listing itself.
    pub fn list_archives(&self) -> Vec<String> {
        let options = answer_soon()
            .into_iter()
            .chain(["--recurse", r"--filter=/[0-9A-F]{24}-|/[0-9A-F]{8}\.history$"].map(str::to_owned));
        self.command("off", options, &["repo-ls", &format!("archive/{}", self.stanza)])
    }

    /// A timeline's history as it is stored: it is never compressed.
    pub fn history(&self, archive_id: &str, timeline: Timeline) -> Vec<String> {
        let file = format!("archive/{}/{archive_id}/{:08X}.history", self.stanza, timeline.0);
        self.command("off", ["--io-timeout=10".to_owned()], &["repo-get", &file])
    }

    /// A segment of WAL into a file, decrypted and decompressed.
    pub fn archive_get(&self, segment: WalSegment, to: &Path) -> Vec<String> {
        // The spool is the running server's.
        let options = ["--no-archive-async", "--io-timeout=10"].map(str::to_owned);
        self.command("off", options, &["archive-get", &segment.to_string(), &to.display().to_string()])
    }

    /// Names directly in a folder of the repository, those that match `filter`.
    /// Never recursive: an archive has one object a WAL segment.
    pub fn list(&self, folder: &str, filter: Option<&str>) -> Vec<String> {
        let filter = filter.map(|expression| format!("--filter={expression}"));
        self.command("off", answer_soon().into_iter().chain(filter), &["repo-ls", folder])
    }
}

fn recovery(goal: &RecoveryGoal) -> Vec<String> {
    let (kind, target) = match &goal.target {
        RestoreTarget::BackupEnd => ("immediate", None),
        RestoreTarget::Latest => ("default", None),
        // With its offset: PostgreSQL would take its own time zone.
        RestoreTarget::Time(time) => ("time", Some(time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string())),
        RestoreTarget::Lsn(lsn) => ("lsn", Some(lsn.to_string())),
        RestoreTarget::Xid(xid) => ("xid", Some(xid.to_string())),
        RestoreTarget::Name(name) => ("name", Some(name.clone())),
    };
    let mut options = vec![format!("--type={kind}")];
    options.extend(target.map(|target| format!("--target={target}")));
    if goal.target != RestoreTarget::Latest {
        // The default, `pause`, would wait for a person in a server that nobody can reach.
        options.push("--target-action=promote".to_owned());
    }
    if goal.stop == Stop::Before {
        options.push("--target-exclusive".to_owned());
    }
    options.push(match goal.target {
        // Not the newest timeline, which may have branched off before this
        // backup. `--target-timeline` is not valid with `--type=immediate`.
        RestoreTarget::BackupEnd => "--recovery-option=recovery_target_timeline=current".to_owned(),
        _ => format!("--target-timeline={}", goal.timeline.0),
    });
    options
}

/// JSON, and soon: on a dead store pgBackRest takes four times io-timeout to
/// give up, and the caller kills it before it could say why.
fn answer_soon() -> [String; 2] {
    ["--output=json".to_owned(), "--io-timeout=10".to_owned()]
}

/// As a shell, and Python's `shlex.split`, read one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BackupKind;

    fn shown(args: impl FnOnce(&Common<'_>) -> Vec<String>) -> String {
        let stanza = Stanza::parse("prod.postgresql").unwrap();
        args(&Common { config: Path::new("/srv/db/etc/pgbackrest.conf"), stanza: &stanza }).join("\n")
    }

    #[test]
    fn a_full_backup_of_the_primary() {
        let plan = BackupPlan { kind: BackupKind::Full, copy_from: CopyFrom::Primary };
        insta::assert_snapshot!(shown(|common| common.backup(&plan, "7f3a")), @r#"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=info
        --log-level-stderr=warn
        --type=full
        --annotation=request=7f3a
        --no-backup-standby
        backup
        "#);
    }

    #[test]
    fn an_incremental_copied_from_this_replica() {
        let plan = BackupPlan { kind: BackupKind::Incremental, copy_from: CopyFrom::Standby };
        insta::assert_snapshot!(shown(|common| common.backup(&plan, "7f3a")), @r#"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=info
        --log-level-stderr=warn
        --type=incr
        --annotation=request=7f3a
        --backup-standby
        backup
        "#);
    }

    #[test]
    fn a_restore_of_one_set_beside_the_data() {
        let request = RestoreRequest {
            label: "20261122-030000F".parse().unwrap(),
            data_dir: "/srv/db/data.restore".into(),
            process_max: 2,
            goal: goal(RestoreTarget::BackupEnd, Stop::After),
        };
        insta::assert_snapshot!(shown(|common| common.restore(&request)), @r#"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=info
        --log-level-stderr=warn
        --pg1-path=/srv/db/data.restore
        --process-max=2
        --set=20261122-030000F
        --type=immediate
        --target-action=promote
        --recovery-option=recovery_target_timeline=current
        restore
        "#);
    }

    fn goal(target: RestoreTarget, stop: Stop) -> RecoveryGoal {
        RecoveryGoal { target, stop, timeline: Timeline(16) }
    }

    #[test]
    fn every_target_has_its_options_and_times_have_their_offset() {
        let time = RestoreTarget::Time("2026-11-22T03:00:00.5+02:00".parse().unwrap());
        let name = RestoreTarget::Name("before x".into());
        #[rustfmt::skip]
        let table = [
            (RestoreTarget::Latest,                              Stop::After,  "--type=default --target-timeline=16"),
            (time.clone(),                                       Stop::After,  "--type=time --target=2026-11-22 01:00:00.500000+00 --target-action=promote --target-timeline=16"),
            (time,                                               Stop::Before, "--type=time --target=2026-11-22 01:00:00.500000+00 --target-action=promote --target-exclusive --target-timeline=16"),
            (RestoreTarget::Lsn("0/3000028".parse().unwrap()),   Stop::After,  "--type=lsn --target=0/3000028 --target-action=promote --target-timeline=16"),
            (RestoreTarget::Xid(736),                            Stop::Before, "--type=xid --target=736 --target-action=promote --target-exclusive --target-timeline=16"),
            (name,                                               Stop::After,  "--type=name --target=before x --target-action=promote --target-timeline=16"),
        ];
        for (target, stop, want) in table {
            assert_eq!(recovery(&goal(target, stop)).join(" "), want);
        }
    }

    #[test]
    fn wal_is_listed_read_and_fetched() {
        insta::assert_snapshot!(shown(|common| common.list_archives()), @r"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=off
        --log-level-stderr=warn
        --output=json
        --io-timeout=10
        --recurse
        --filter=/[0-9A-F]{24}-|/[0-9A-F]{8}\.history$
        repo-ls
        archive/prod.postgresql
        ");
        insta::assert_snapshot!(shown(|common| common.history("15-1", Timeline(16))), @r"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=off
        --log-level-stderr=warn
        --io-timeout=10
        repo-get
        archive/prod.postgresql/15-1/00000010.history
        ");
        let segment = "000000100000000000000005".parse().unwrap();
        insta::assert_snapshot!(shown(|common| common.archive_get(segment, Path::new("/srv/db/look/x"))), @r"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=off
        --log-level-stderr=warn
        --no-archive-async
        --io-timeout=10
        archive-get
        000000100000000000000005
        /srv/db/look/x
        ");
    }

    #[test]
    fn questions_answer_in_json_and_keep_stdout_clean() {
        insta::assert_snapshot!(shown(|common| common.info()), @r#"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=off
        --log-level-stderr=warn
        --output=json
        --io-timeout=10
        info
        "#);
        insta::assert_snapshot!(shown(|common| common.list("archive/prod.postgresql/15-1", Some(r"\.history$"))), @r#"
        --config=/srv/db/etc/pgbackrest.conf
        --stanza=prod.postgresql
        --log-level-console=off
        --log-level-stderr=warn
        --output=json
        --io-timeout=10
        --filter=\.history$
        repo-ls
        archive/prod.postgresql/15-1
        "#);
    }

    #[test]
    fn the_server_answers_for_what_stands_in_its_file() {
        insta::assert_snapshot!(shown(|common| common.server()), @r#"
        --config=/srv/db/etc/pgbackrest.conf
        --log-level-console=info
        --log-level-stderr=off
        server
        "#);
    }

    #[test]
    fn a_replica_is_made_from_one_set_by_a_line_that_survives_a_shell() {
        let stanza = Stanza::parse("prod.postgresql").unwrap();
        let line = |config| {
            let label = "20261122-030000F_20261123-040000I".parse().unwrap();
            Common { config: Path::new(config), stanza: &stanza }.replica_restore(&label)
        };
        insta::assert_snapshot!(line("/srv/db/etc/pgbackrest.conf"), @"pgbackrest --config=/srv/db/etc/pgbackrest.conf --stanza=prod.postgresql --log-level-console=warn --log-level-stderr=off --set=20261122-030000F_20261123-040000I --type=standby --delta restore");
        insta::assert_snapshot!(line("/srv/my db's; $(x)/c")
            .split(" --stanza").next().unwrap(), @r"pgbackrest '--config=/srv/my db'\''s; $(x)/c'");
    }
}
