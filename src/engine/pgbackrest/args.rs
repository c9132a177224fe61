//! The arguments of every pgBackRest run. Pure; odd flags carry their reason.

use std::path::{Path, PathBuf};

use crate::model::{BackupLabel, BackupPlan, CopyFrom, Stanza};

/// Key of the annotation by which a backup is found again in the catalog.
pub const REQUEST_ANNOTATION: &str = "request";

/// A backup set to restore, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    pub label: BackupLabel,
    /// An empty or missing folder beside the running cluster's data.
    pub data_dir: PathBuf,
    pub process_max: u32,
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

    /// Restores one set and nothing after it: consistent, then promoted.
    pub fn restore(&self, request: &RestoreRequest) -> Vec<String> {
        let options = [
            format!("--pg1-path={}", request.data_dir.display()),
            format!("--process-max={}", request.process_max),
            format!("--set={}", request.label),
            "--type=immediate".to_owned(),
            // The default, `pause`, would wait for a person in a server that nobody can reach.
            "--target-action=promote".to_owned(),
            // Not the newest timeline, which may have branched off before this
            // backup. `--target-timeline` is not valid with `--type=immediate`.
            "--recovery-option=recovery_target_timeline=current".to_owned(),
        ];
        self.command("info", options, &["restore"])
    }

    /// Names directly in a folder of the repository, those that match `filter`.
    /// Never recursive: an archive has one object a WAL segment.
    pub fn list(&self, folder: &str, filter: Option<&str>) -> Vec<String> {
        let filter = filter.map(|expression| format!("--filter={expression}"));
        self.command("off", answer_soon().into_iter().chain(filter), &["repo-ls", folder])
    }
}

/// JSON, and soon: on a dead store pgBackRest takes four times io-timeout to
/// give up, and the caller kills it before it could say why.
fn answer_soon() -> [String; 2] {
    ["--output=json".to_owned(), "--io-timeout=10".to_owned()]
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
}
