//! The built binary as Juju, a person or a timer starts it: exit code, both outputs, and what Juju is told, for all that
//! needs no running database. Hook tools are scripted; flows on the real software are for `tests/scenarios.rs`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the binary and look at what it left behind"
)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use fakes::{Call, Installed, Script};
use serde_json::{Value, json};

const AGENT: &str = env!("CARGO_BIN_EXE_pg-backup-agent");

/// The words that scripts written for Charmed PostgreSQL look for come first.
const NOT_SET_UP: &str = "Unit cannot perform backups as the database seems to be offline: it was never set up on this \
                          unit. Wait until it is active: juju status postgresql";

const SECRET: &str = "secret:9m4e2mr0ui3e8a215n4g";

mod by_hand {
    use super::*;

    #[test]
    fn without_juju_and_without_a_command_the_usage_is_shown() {
        for vars in [vec![], vec![("JUJU_DISPATCH_PATH", "")], vec![("JUJU_DISPATCH_PATH", "neither")]] {
            let ended = by_hand(&[], &vars);
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
            assert!(ended.stderr.contains("Usage: pg-backup-agent <COMMAND>"), "{}", ended.stderr);
            for command in ["create-backup", "list-backups"] {
                assert!(ended.stderr.contains(command), "{}", ended.stderr);
            }
        }
    }

    #[test]
    fn help_and_version_are_answers() {
        let version = format!("pg-backup-agent {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(by_hand(&["--version"], &[]), Ended { code: 0, stdout: version, stderr: String::new() });
        for args in [&["--help"][..], &["create-backup", "--help"], &["list-backups", "--help"]] {
            let help = by_hand(args, &[]);
            assert_eq!((help.code, help.stderr.as_str()), (0, ""));
            assert!(help.stdout.contains("Usage: pg-backup-agent"), "{}", help.stdout);
        }
    }

    #[test]
    fn a_command_that_cannot_be_meant_exits_2_and_names_what_is_wrong() {
        #[rustfmt::skip]
        let table: [(&[&str], &str); 6] = [
            (&["drop-database"],                                              "'drop-database'"),
            (&["list-backups"],                                               "--unit-dir <UNIT_DIR>"),
            (&["create-backup"],                                              "--unit-dir <UNIT_DIR>"),
            (&["create-backup", "--unit-dir", "/nonexistent", "--type=tar"],  "[possible values: full, differential, incremental]"),
            (&["list-backups", "--unit-dir", "/nonexistent", "--format=xml"], "[possible values: table, json]"),
            (&["restore", "--unit-dir", "/nonexistent"],                      "'restore'"),
        ];
        for (args, named) in table {
            let ended = by_hand(args, &[]);
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}");
            assert!(ended.stderr.contains(named), "{args:?}: {}", ended.stderr);
        }
    }

    #[test]
    fn a_folder_that_is_no_units_is_refused_with_the_command_that_finds_it() {
        let empty = tempfile::tempdir().unwrap();
        for folder in ["/nonexistent", empty.path().to_str().unwrap()] {
            for command in ["list-backups", "create-backup"] {
                let ended = by_hand(&[command, "--unit-dir", folder], &[]);
                let stderr = format!(
                    "{folder} is not the folder of a unit. \
                     Find it with: juju exec --unit <unit> -- storage-get -s pgdata/0 location\n"
                );
                assert_eq!(ended, Ended { code: 1, stdout: String::new(), stderr });
            }
        }
        assert!(below(empty.path()).is_empty());
    }

    #[test]
    fn a_unit_without_a_repository_is_told_what_to_relate() {
        let storage = a_unit(json!({}));
        let ended = by_hand(&["list-backups", "--unit-dir", storage.path().to_str().unwrap()], &[]);
        let stderr = "Relation with s3-integrator charm missing, cannot create/restore backup. \
                      Relate an object storage: juju integrate postgresql <s3 integrator>\n";
        assert_eq!(ended, Ended { code: 1, stdout: String::new(), stderr: stderr.to_owned() });
    }

    fn by_hand(args: &[&str], vars: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(AGENT);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").envs(vars.iter().copied());
        ended(command)
    }
}

mod hooks {
    use super::*;

    #[test]
    fn every_hook_waits_for_the_storage() {
        let long = "x".repeat(1000);
        let names = ["start", "config-changed", "update-status", "leader-elected", "upgrade-charm", "secret-changed"];
        let unknown = ["cos-agent-relation-joined", "no-such-hook", "", "../../etc/passwd", "a/b", "-h", &long];
        for name in names.into_iter().chain(unknown) {
            let tools = install(
                Script::new()
                    .expect("storage-list", ["pgdata", "--format=json"])
                    .stdout("[]\n")
                    .expect("status-set", ["waiting", "--", "waiting for storage `pgdata`"]),
            );
            assert_eq!(Start::hook(name).run(&tools), Ended::well(), "{name}");
            tools.finish();
        }
    }

    #[test]
    fn a_unit_that_was_never_set_up_goes_without_a_word() {
        let storage = tempfile::tempdir().unwrap();
        for name in ["stop", "remove", "pgdata-storage-detaching"] {
            let asked = ["pgdata", "--format=json"];
            let tools = install(Script::new().expect("storage-list", asked).stdout("null\n"));
            assert_eq!(Start::hook(name).run(&tools), Ended::well(), "{name}: nothing attached");
            tools.finish();
            let tools = install(on_storage(Script::new(), storage.path()));
            assert_eq!(Start::hook(name).run(&tools), Ended::well(), "{name}: nothing set up");
            tools.finish();
        }
        assert!(below(storage.path()).is_empty());
    }

    #[test]
    fn a_secrets_obsolete_revision_is_removed() {
        let tools = install(Script::new().expect("secret-remove", [SECRET, "--revision", "3"]));
        let vars = [("JUJU_SECRET_ID", SECRET), ("JUJU_SECRET_REVISION", "3"), ("JUJU_SECRET_LABEL", "")];
        assert_eq!(Start::hook("secret-remove").with(&vars).run(&tools), Ended::well());
        tools.finish();
        // Juju names no revision: nothing is done.
        let tools = install(Script::new());
        assert_eq!(Start::hook("secret-remove").with(&vars[..1]).run(&tools), Ended::well());
        tools.finish();
    }

    #[test]
    fn a_broken_hook_tool_fails_the_hook_with_the_reason() {
        let lost = "ERROR connection is shut down\n";
        let list = || Script::new().expect("storage-list", ["**"]);
        #[rustfmt::skip]
        let table = [
            (list().stderr(lost).exit(1),                                      "asking Juju: storage-list: connection is shut down"),
            (list().stdout("pgdata/0"),                                        "asking Juju: storage-list answered something that is not JSON of the expected shape"),
            (Script::new(),                                                    "asking Juju: hook tool: starting `storage-list`: No such file or directory (os error 2)"),
            (list().stdout("[]").expect("status-set", ["**"]).stderr(lost).exit(1), "setting the status: status-set: connection is shut down"),
        ];
        for (script, reason) in table {
            let tools = install(script);
            let ended = Start::hook("config-changed").run(&tools);
            assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.trim_end()), (1, "", in_log(reason).as_str()));
        }
    }

    #[test]
    fn what_is_wrong_with_the_input_is_the_status_and_the_hook_ends_well() {
        let denied = Some("ERROR permission denied\n");
        let gone = Some("ERROR secret \"9m4e2mr0ui3e8a215n4g\" not found\n");
        let waiting = "waiting for the leader to make the system users' passwords";
        let bag = |bucket: &str| json!({"bucket": bucket, "access-key": "a", "secret-key": "b"});
        let option = "option `compression` must be zst, lz4, gz, bz2 or none, not";
        let set = "juju config postgresql compression=<good value>";
        let long = "x".repeat(1 << 20);
        #[rustfmt::skip]
        let table = [
            // options, the store's bag, what secret-get says, level, message
            (json!({}),                          None,               None, "waiting", waiting.to_owned()),
            (json!({"compression": "tar"}),      None,               None, "blocked", format!("{option} `tar`; {set}")),
            (json!({"compression": "a\nb\u{1b}[31m\u{0}"}), None,    None, "blocked", format!("{option} `a\\nb\\u{{1b}}[31m\\0`; {set}")),
            (json!({"compression": long}),       None,               None, "blocked", format!("{option} `{}…`; {set}", "x".repeat(80))),
            (json!({"system-users": SECRET}),    None,               denied,   "blocked", "secret of `system-users` is not granted; juju grant-secret 9m4e2mr0ui3e8a215n4g postgresql".to_owned()),
            (json!({"system-users": SECRET}),    None,               gone,     "blocked", "secret 9m4e2mr0ui3e8a215n4g of `system-users` does not exist; juju config postgresql system-users=<secret URI>".to_owned()),
            (json!({}),                          Some(bag("a/../b")), None, "blocked", "s3-integrator: s3-parameters: `bucket` must be 1 to 255 letters, digits, `.`, `-` or `_`, not `a/../b`; juju config s3-integrator bucket=<value>".to_owned()),
        ];
        for (options, related, said, level, message) in table {
            let storage = tempfile::tempdir().unwrap();
            let mut script = a_follower(storage.path(), &options, related.as_ref());
            if let Some(said) = said {
                script = script.expect("secret-get", ["**"]).stderr(said).exit(1);
            }
            let tools = install(script.expect("status-set", [level, "--", "*"]));
            assert_eq!(Start::hook("config-changed").run(&tools), Ended::well(), "{message}");
            assert_eq!(status(&tools.calls()), [level, &message]);
            tools.finish();
        }
    }

    #[test]
    fn what_the_users_secret_leaves_out_is_made_by_the_leader_alone() {
        let storage = tempfile::tempdir().unwrap();
        let four = json!({"operator": "a", "monitoring": "b", "replication": "c", "rewind": "d"});
        let message = "waiting for the leader to make the system users' passwords";
        let script = a_follower(storage.path(), &json!({"system-users": SECRET}), None)
            .expect("secret-get", ["**"])
            .stdout(four.to_string())
            .expect("status-set", ["waiting", "--", message]);
        let tools = install(script);
        assert_eq!(Start::hook("config-changed").run(&tools), Ended::well());
        tools.finish();
        // A password of its own for the cluster store would keep it out for ever.
        assert_eq!(known(storage.path())["users"], json!({}));
    }

    #[test]
    fn a_unit_that_juju_removes_waits_for_its_end() {
        let storage = a_unit(json!({"peers": {"postgresql/1": {"address": "10.0.0.2", "joined": true}}}));
        let script = on_storage(Script::new().any_order(), storage.path())
            .expect("goal-state", ["--format=json"])
            .stdout("{\"units\":{\"postgresql/0\":{\"status\":\"dying\"},\"postgresql/1\":{\"status\":\"active\"}}}")
            .expect("is-leader", ["--format=json"])
            .stdout("false")
            .expect("status-set", ["maintenance", "--", "leaving the cluster"]);
        let tools = install(script);
        assert_eq!(Start::hook("update-status").run(&tools), Ended::well());
        tools.finish();
        // Whom `stop` hands the cluster over to is not forgotten.
        let known = known(storage.path());
        assert_eq!(known["leaving"], true);
        assert_eq!(known["peers"]["postgresql/1"]["address"], "10.0.0.2");
    }

    #[test]
    fn what_the_other_units_say_is_read_whatever_it_is() {
        let storage = tempfile::tempdir().unwrap();
        let peers = "database-peers:0";
        let word = json!({"address": "10.0.0.9", "joined": true, "etcd_user": "member-1"}).to_string();
        let bags = [json!({"ingress-address": "10.0.0.2", "member": word}), json!({"member": "{"}), json!({})];
        let units = json!(["postgresql/1", "postgresql/2", "postgresql/3"]);
        let mut script = on_storage(Script::new().any_order(), storage.path())
            .expect("network-get", ["database-peers", "--ingress-address", "--format=json"])
            .stdout("\"10.0.0.1\"")
            .expect("goal-state", ["--format=json"])
            .stdout("{\"units\":{\"postgresql/0\":{},\"postgresql/1\":{},\"postgresql/4\":{\"status\":\"dying\"}}}")
            .expect("relation-ids", ["database-peers", "--format=json"])
            .stdout(format!("[\"{peers}\"]"))
            .expect("relation-list", ["-r", peers, "--format=json"])
            .stdout(units.to_string())
            .expect("relation-get", ["-r", peers, "-", "postgresql/0", "--format=json"])
            .stdout("{}")
            .expect("relation-get", ["-r", peers, "--app", "-", "postgresql", "--format=json"])
            .stdout("{\"founder\":\"postgresql/1\"}")
            .expect("is-leader", ["--format=json"])
            .stdout("false")
            .expect("config-get", ["--format=json"])
            .stdout("{}")
            .expect("relation-ids", ["s3-parameters", "--format=json"])
            .stdout("[]")
            .expect("status-set", ["**"]);
        for (unit, bag) in units.as_array().unwrap().iter().zip(bags) {
            let args = ["-r", peers, "-", unit.as_str().unwrap(), "--format=json"];
            script = script.expect("relation-get", args).stdout(bag.to_string());
        }
        let tools = install(script);
        assert_eq!(Start::hook("database-peers-relation-changed").run(&tools), Ended::well());
        tools.finish();
        let known = known(storage.path());
        let of = |unit: &str| {
            let peer = &known["peers"][unit];
            (peer["address"].as_str().unwrap(), peer["joined"] == true, peer["etcd_user"].as_str().unwrap())
        };
        // Juju knows the address best.
        assert_eq!(of("postgresql/1"), ("10.0.0.2", true, "member-1"));
        assert_eq!([of("postgresql/2"), of("postgresql/3")], [("", false, ""); 2]);
        assert_eq!(known["founder"], "postgresql/1");
        // Those that leave still count as known, and no longer as planned.
        let all = ["postgresql/0", "postgresql/1", "postgresql/2", "postgresql/3", "postgresql/4"];
        assert_eq!((&known["known_units"], &known["planned_units"]), (&json!(all), &json!(2)));
    }

    #[test]
    fn a_units_folders_are_its_own_and_what_it_knows_is_private() {
        let storage = tempfile::tempdir().unwrap();
        let tools = install(a_follower(storage.path(), &json!({}), None).expect("status-set", ["**"]));
        assert_eq!(Start::hook("config-changed").run(&tools), Ended::well());
        let mode = |name: &str| fs::metadata(storage.path().join(name)).unwrap().permissions().mode() & 0o7777;
        #[rustfmt::skip]
        let want = [
            ("etc", 0o750), ("etcd", 0o700), ("lock", 0o700), ("log", 0o750), ("log/pgbackrest", 0o700), ("pg", 0o700),
            ("run", 0o700), ("spool", 0o700), ("state", 0o700), ("state/agent.lock", 0o640), ("state/unit.json", 0o600),
        ];
        let got: Vec<_> = below(storage.path()).into_iter().map(|name| (mode(&name), name)).collect();
        assert_eq!(got, want.map(|(name, mode)| (mode, name.to_owned())));
    }

    #[test]
    fn nothing_is_written_outside_the_storage() {
        let Some(namespace) = namespace(&[]) else {
            return eprintln!("skipped: only root may make a machine's files read-only for one process");
        };
        let storage = tempfile::tempdir().unwrap();
        let tools = install(a_follower(storage.path(), &json!({}), None).expect("status-set", ["**"]));
        let start = Start::hook("config-changed");
        let ended = start.run_where_all_else_is_read_only(namespace, &tools, storage.path());
        assert_eq!(ended, Ended::well());
        assert!(below(storage.path()).contains("state/unit.json"));
        tools.finish();
    }

    /// Juju runs `pgdata-storage-attached` before `install`: programs and OS user of the database come with the packages.
    #[test]
    fn on_a_bare_machine_the_first_hook_installs_what_it_needs() {
        for name in ["pgdata-storage-attached", "install"] {
            let (machine, storage) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let Some(ended) = Start::hook(name).run_on_a_bare_machine(machine.path(), storage.path()) else {
                return eprintln!("skipped: users may not have a namespace of their own here");
            };
            assert_eq!(ended, Ended::well(), "{name}");
            let calls = fs::read_to_string(machine.path().join("calls")).unwrap();
            let calls: Vec<_> = calls.lines().collect();
            let packages = "postgresql patroni etcd-server python3-etcd python3-idna pgbackrest util-linux";
            let installing = format!("status-set maintenance -- installing packages: {}", packages.replace(' ', ", "));
            let install = format!("apt-get install --yes --quiet --no-install-recommends {packages}");
            let installed = "juju-log -l INFO -- packages installed";
            assert_eq!(calls[..4], [&installing, "apt-get update --quiet", &install, installed], "{name}");
            let last = match name {
                "install" => installed,
                _ => "status-set waiting -- waiting for the peer relation",
            };
            assert_eq!(calls.last(), Some(&last), "{name}");
            // The package would make a cluster of its own.
            let conf = fs::read_to_string(machine.path().join("postgresql-common/createcluster.conf")).unwrap();
            assert_eq!(conf, "create_main_cluster = false\n");
        }
    }

    #[test]
    fn packages_that_cannot_be_had_fail_the_hook_with_apts_words() {
        let (machine, storage) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(machine.path().join("apt-is-broken"), "").unwrap();
        let Some(ended) = Start::hook("install").run_on_a_bare_machine(machine.path(), storage.path()) else {
            return eprintln!("skipped: users may not have a namespace of their own here");
        };
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
        assert_eq!(ended.stderr.trim_end(), in_log("apt-get update: E: Could not resolve 'deb.debian.org'"));
    }
}

mod actions {
    use super::*;

    #[test]
    fn before_set_up_they_are_refused_in_known_words_and_exit_well() {
        let empty = tempfile::tempdir().unwrap();
        for name in pg_backup_agent::actions::NAMES {
            let no_storage = |script: Script| script.expect("storage-list", ["pgdata", "--format=json"]).stdout("[]");
            let scripts = [no_storage(params(&json!({}))), on_storage(params(&json!({})), empty.path())];
            for script in scripts {
                let tools = install(script.expect("action-fail", ["--", NOT_SET_UP]));
                assert_eq!(Start::action(name).run(&tools), Ended::well(), "{name}");
                tools.finish();
            }
        }
        assert!(below(empty.path()).is_empty());
    }

    #[test]
    fn the_parameters_of_actions_yaml_are_those_that_are_taken() {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("actions.yaml")).unwrap();
        let actions: Value = serde_yaml::from_str(&text).unwrap();
        for (name, action) in actions.as_object().unwrap() {
            let none = serde_json::Map::new();
            let schemas = action["params"].as_object().unwrap_or(&none);
            let refused = fails(name, json!({"no such parameter": 1}));
            let taken = refused.split_once("It takes: ").map(|(_, names)| names.split(", ").collect::<BTreeSet<_>>());
            let taken = if refused.ends_with(". It takes none") { Some(BTreeSet::new()) } else { taken };
            assert_eq!(
                taken,
                Some(schemas.keys().map(String::as_str).collect()),
                "{name}: left: code, right: actions.yaml"
            );

            // As Juju fills them in: no complaint about a parameter.
            let defaults = schemas.iter().filter(|(_, schema)| !schema["default"].is_null());
            let defaults: Value = defaults.map(|(key, schema)| (key.clone(), schema["default"].clone())).collect();
            assert_eq!(fails(name, defaults), not_related(name), "{name}");
            for (key, schema) in schemas {
                for value in schema["enum"].as_array().into_iter().flatten() {
                    let refused = fails(name, json!({key: value}));
                    assert!(!refused.contains("Invalid"), "{name} {key}={value}: {refused}");
                }
            }
        }
    }

    #[test]
    fn bad_parameters_are_refused_by_name() {
        let long = "x".repeat(1 << 20);
        let kinds = "Possible values: full, differential, incremental.";
        let takes = "backup-id, restore-to-time, restore-to-lsn, restore-to-xid, restore-to-name, timeline, exclusive, dry-run, hold";
        #[rustfmt::skip]
        let table = [
            ("create-backup", json!({"type": "tar"}),                  format!("Invalid backup type: tar. {kinds}")),
            ("create-backup", json!({"type": ""}),                     format!("Invalid backup type: . {kinds}")),
            ("create-backup", json!({"type": "full; touch /tmp/x"}),   format!("Invalid backup type: full; touch /tmp/x. {kinds}")),
            ("create-backup", json!({"type": ["full"]}),               "parameter `type` of create-backup must be text".to_owned()),
            ("create-backup", json!({"type": "full\n[global]\nx=y"}),  "parameter `type` of create-backup has a line break or control character".to_owned()),
            ("create-backup", json!({"type": "full\u{0}"}),            "parameter `type` of create-backup has a line break or control character".to_owned()),
            ("create-backup", json!({"type": long}),                   "parameter `type` of create-backup is too long".to_owned()),
            ("create-backup", json!({"Type": "full"}),                 "create-backup has no parameter `Type`. It takes: type".to_owned()),
            ("list-backups",  json!({"format": "xml"}),                "Invalid format: xml. Possible values: table, json.".to_owned()),
            ("list-backups",  json!({"format": 7}),                    "parameter `format` of list-backups must be text".to_owned()),
            ("list-backups",  json!({"format": long}),                 "parameter `format` of list-backups is too long".to_owned()),
            ("restore",       json!({"backup-id": {"a": 1}}),          "parameter `backup-id` of restore must be text".to_owned()),
            ("restore",       json!({"backup-id": "x\ny"}),            "parameter `backup-id` of restore has a line break or control character".to_owned()),
            ("restore",       json!({"backup-id": long}),              "parameter `backup-id` of restore is too long".to_owned()),
            ("restore",       json!({"restore-to-name": "x\ny"}),      "parameter `restore-to-name` of restore has a line break or control character".to_owned()),
            ("restore",       json!({"restore-to-time": long}),        "parameter `restore-to-time` of restore is too long".to_owned()),
            ("restore",       json!({"timeline": [1]}),                "parameter `timeline` of restore must be a number".to_owned()),
            ("restore",       json!({"exclusive": "yes"}),             "parameter `exclusive` of restore must be true or false".to_owned()),
            ("restore",       json!({"dry-run": 1}),                   "parameter `dry-run` of restore must be true or false".to_owned()),
            ("restore",       json!({"backup_id": "x"}),               format!("restore has no parameter `backup_id`. It takes: {takes}")),
            ("restore",       json!({"a\nb\u{1b}\u{0}": "x"}),         format!("restore has no parameter `a\\nb\\u{{1b}}\\0`. It takes: {takes}")),
            ("restore",       json!({long.clone(): "x"}),              format!("restore has no parameter `{}`. It takes: {takes}", "x".repeat(60))),
        ];
        for (name, given, want) in table {
            assert_eq!(fails(name, given), want);
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_before_anything_is_asked() {
        let refusal = "list-backups has no parameter `stanza`. It takes: format";
        let tools = install(params(&json!({"stanza": "x"})).expect("action-fail", ["--", refusal]));
        assert_eq!(Start::action("list-backups").run(&tools), Ended::well());
        tools.finish();
    }

    #[test]
    fn an_action_that_does_not_exist_is_refused_with_those_that_do() {
        assert_eq!(
            fails("drop-database", json!({})),
            "there is no action `drop-database`. Try: create-backup, list-backups, restore, continue-restore, cancel-restore, undo-restore"
        );
    }

    #[test]
    fn a_unit_where_nothing_runs_says_what_to_do() {
        for name in pg_backup_agent::actions::NAMES {
            assert_eq!(fails(name, json!({})), not_related(name), "{name}");
        }
    }

    #[test]
    fn the_reason_why_a_repository_is_none_is_told() {
        let storage = a_unit(json!({"repository_problem": "s3-integrator has not yet said where backups go"}));
        let refusal = refusal(&storage, "list-backups", json!({}));
        assert!(refusal.starts_with("s3-integrator has not yet said where backups go. "), "{refusal}");
    }

    #[test]
    fn a_broken_hook_tool_is_the_actions_message_while_juju_can_be_told() {
        let lost = "ERROR connection is shut down\n";
        let told = |script: Script, message: &str| install(script.expect("action-fail", ["--", message]));

        let script = Script::new().expect("action-get", ["--format=json"]).stderr(lost).exit(1);
        let tools = told(script, "reading the parameters: action-get: connection is shut down");
        assert_eq!(Start::action("list-backups").run(&tools), Ended::well());
        tools.finish();

        let script = params(&json!({})).expect("storage-list", ["**"]).stderr(lost).exit(1);
        let tools = told(script, "asking Juju: storage-list: connection is shut down");
        assert_eq!(Start::action("restore").run(&tools), Ended::well());
        tools.finish();

        let script = params(&json!({"x": 1})).expect("action-fail", ["**"]).stderr(lost).exit(1);
        let tools = install(script);
        let ended = Start::action("restore").run(&tools);
        let reason = in_log("telling Juju how the action ended: action-fail: connection is shut down");
        assert_eq!((ended.code, ended.stderr.trim_end()), (1, reason.as_str()));
        tools.finish();
    }

    #[test]
    fn a_torn_file_of_the_unit_is_a_reason_and_no_panic() {
        let storage = a_unit(json!({}));
        for text in ["", "{\"unit\":\"postg", "[]", "{\"unit\":7}", "{\"unit\":\"not a unit\",\"model\":\"m\"}"] {
            fs::write(storage.path().join("state/unit.json"), text).unwrap();
            let refusal = refusal(&storage, "list-backups", json!({}));
            assert!(refusal.starts_with("reading "), "{text}: {refusal}");
        }
    }

    /// What an action of a unit without a repository answers. A backup looks at the database first.
    fn not_related(action: &str) -> &'static str {
        match action {
            "create-backup" => {
                "Unit cannot perform backups as the database seems to be offline: its role is not known (the secret of \
                 `system-users` lacks `operator`, `monitoring`, `replication`, `rewind`, `patroni`, `raft`. The next hook \
                 sets them up: juju status). See juju status for the state of the unit, and run the action again once it \
                 is active."
            }
            // Old data needs no repository.
            "continue-restore" | "cancel-restore" => {
                "There is no held restore on postgresql/0. juju run postgresql/leader restore backup-id=... hold=true holds \
                 one before the switch"
            }
            "undo-restore" => "There is no restore to undo. list-backups shows what can be restored instead",
            "restore" => {
                "Relation with s3-integrator charm missing, cannot create/restore backup. Set bucket, access-key and \
                 secret-key of the object storage and relate it: juju integrate postgresql s3-integrator"
            }
            _ => {
                "Relation with s3-integrator charm missing, cannot create/restore backup. Relate an object storage: juju \
                 integrate postgresql <s3 integrator>"
            }
        }
    }

    /// What the action of a unit that is set up, but has no repository, is refused with.
    fn fails(name: &str, given: Value) -> String {
        refusal(&a_unit(json!({})), name, given)
    }

    /// Runs it; nothing may happen but questions and one refusal.
    fn refusal(storage: &tempfile::TempDir, name: &str, given: Value) -> String {
        let folder = tempfile::tempdir().unwrap();
        let asked =
            |tool: &str, answer: &str| program(&folder.path().join(tool), &format!("/bin/cat <<'EOF'\n{answer}\nEOF"));
        asked("action-get", &given.to_string());
        asked("storage-list", "[\"pgdata/0\"]");
        asked("storage-get", &json!(storage.path()).to_string());
        asked("goal-state", "{\"units\":{\"postgresql/0\":{\"status\":\"active\"}}}");
        asked("is-leader", "true");
        let said = folder.path().join("said");
        program(
            &folder.path().join("action-fail"),
            &format!("[ \"$1\" = -- ] && printf %s \"$2\" >> {}", said.display()),
        );
        let ended = Start::action(name).run_with_path(folder.path());
        assert_eq!(ended, Ended::well(), "{name}");
        fs::read_to_string(&said).unwrap()
    }
}

mod context {
    use super::*;

    #[test]
    fn what_juju_always_sets_and_did_not_is_named() {
        for missing in ["JUJU_UNIT_NAME", "JUJU_MODEL_NAME", "JUJU_MODEL_UUID", "JUJU_CHARM_DIR"] {
            for start in [Start::hook("start"), Start::action("list-backups")] {
                let tools = install(Script::new());
                let ended = start.without(missing).run(&tools);
                let reason = format!(
                    "reading Juju's context: {missing} is not set: this is started by Juju, or by a person with a \
                     subcommand (try --help)"
                );
                assert_eq!((ended.code, ended.stderr.trim_end()), (1, in_log(&reason).as_str()));
                tools.finish();
            }
        }
    }

    #[test]
    fn a_unit_name_that_is_none_is_refused_before_it_becomes_a_path() {
        for unit in
            ["", "postgresql", "../../x/0", "postgresql/0/../..", "postgresql/-1", "postgresql/+1", "a b/0", "x\ny/0"]
        {
            let tools = install(Script::new());
            let ended = Start::hook("start").with(&[("JUJU_UNIT_NAME", unit)]).run(&tools);
            assert_eq!(ended.code, 1, "{unit:?}");
            assert!(ended.stderr.contains("reading Juju's context: "), "{unit:?}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
            tools.finish();
        }
    }
}

/// How the binary ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// Without a word: what there is to say Juju was told.
    fn well() -> Self {
        Self { code: 0, stdout: String::new(), stderr: String::new() }
    }
}

fn ended(mut command: Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A start by Juju: what it puts into the environment, and nothing else.
struct Start {
    vars: Vec<(String, String)>,
    /// Working directory, as Juju has it; must stay empty.
    charm: tempfile::TempDir,
    /// Stands in for what the packages bring: it is there, and cannot be run.
    programs: tempfile::TempDir,
}

impl Start {
    fn hook(name: &str) -> Self {
        // Without it, hooks would try to install it.
        assert!(Path::new("/usr/lib/postgresql").is_dir(), "PostgreSQL is not installed here: make deps");
        Self::at(&format!("hooks/{name}"), &[("JUJU_HOOK_NAME", name)])
    }

    fn action(name: &str) -> Self {
        let vars = [
            ("JUJU_HOOK_NAME", ""),
            ("JUJU_ACTION_NAME", name),
            ("JUJU_ACTION_UUID", "4"),
            ("JUJU_ACTION_TAG", "action-4"),
        ];
        Self::at(&format!("actions/{name}"), &vars)
    }

    fn at(path: &str, vars: &[(&str, &str)]) -> Self {
        let charm = tempfile::tempdir().unwrap();
        let folder = charm.path().to_str().unwrap();
        let always = [
            ("CHARM_DIR", folder),
            ("JUJU_CHARM_DIR", folder),
            ("JUJU_CONTEXT_ID", "postgresql/0-x-0123456789abcdef0123456789abcdef"),
            ("JUJU_AGENT_SOCKET_ADDRESS", "/nonexistent/agent.socket"),
            ("JUJU_AGENT_SOCKET_NETWORK", "unix"),
            ("JUJU_UNIT_NAME", "postgresql/0"),
            ("JUJU_MODEL_UUID", "5a7ba1d6-6cf9-4d8c-8ee4-14e3c3c1f7bd"),
            ("JUJU_MODEL_NAME", "prod"),
            ("JUJU_API_ADDRESSES", "10.0.0.1:17070"),
            ("JUJU_MACHINE_ID", "0"),
            ("JUJU_PRINCIPAL_UNIT", ""),
            ("JUJU_AVAILABILITY_ZONE", ""),
            ("JUJU_VERSION", "3.6.9"),
            ("CLOUD_API_VERSION", ""),
            ("JUJU_CHARM_HTTP_PROXY", ""),
            ("JUJU_CHARM_NO_PROXY", "127.0.0.1,localhost,::1"),
            ("LANG", "C.UTF-8"),
            ("TERM", "tmux-256color"),
            ("JUJU_DISPATCH_PATH", path),
        ];
        let vars = always.iter().chain(vars).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let programs = tempfile::tempdir().unwrap();
        for program in ["patroni", "etcd", "pgbackrest", "setpriv"] {
            fs::write(programs.path().join(program), "").unwrap();
        }
        Self { vars, charm, programs }
    }

    fn with(mut self, vars: &[(&str, &str)]) -> Self {
        self.vars.extend(vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.vars.retain(|(key, _)| key != name);
        self
    }

    fn run(self, tools: &Installed) -> Ended {
        self.run_with_path(tools.path())
    }

    fn run_with_path(self, path: &Path) -> Ended {
        let path = env::join_paths([path, self.programs.path()]).unwrap();
        self.run_as(Command::new(AGENT), path)
    }

    fn run_as(self, mut command: Command, path: impl AsRef<OsStr>) -> Ended {
        command.env_clear().envs(self.vars).env("PATH", path).current_dir(self.charm.path());
        let ended = ended(command);
        assert!(below(self.charm.path()).is_empty(), "written into the charm's folder");
        ended
    }

    /// All of `/` is read-only but the storage and the tools' notes.
    fn run_where_all_else_is_read_only(self, mut namespace: Command, tools: &Installed, storage: &Path) -> Ended {
        let script = "tools=$PATH; PATH=/usr/bin:/bin
            for folder; do mount --bind \"$folder\" \"$folder\"; done
            mount -o remount,bind,ro /
            PATH=$tools exec \"$0\"";
        namespace.args(["/bin/sh", "-ec", script, AGENT]).args([storage, tools.path()]);
        let path = env::join_paths([tools.path(), self.programs.path()]).unwrap();
        self.run_as(namespace, path)
    }

    /// No PostgreSQL, none of the other programs, and nobody but root in /etc/passwd, until `apt-get` brings them (not
    /// when there is a file `apt-is-broken`). `machine` holds what the process finds in their places, and the calls of
    /// tools. `None` where we may not do that.
    fn run_on_a_bare_machine(self, machine: &Path, storage: &Path) -> Option<Ended> {
        let mut namespace = namespace(&["--map-root-user"])?;
        let (tools, at) = (machine.join("tools"), machine.display());
        for folder in ["tools", "postgresql", "postgresql-common"] {
            fs::create_dir(machine.join(folder)).unwrap();
        }
        fs::write(machine.join("passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        let brings = format!(
            "[ -e {at}/apt-is-broken ] && {{ echo \"E: Could not resolve 'deb.debian.org'\" >&2; exit 100; }}
             [ $1 = update ] && exit
             /bin/mkdir -p /usr/lib/postgresql/15/bin
             /bin/touch /usr/lib/postgresql/15/bin/initdb {at}/tools/patroni {at}/tools/etcd {at}/tools/pgbackrest
             /bin/touch {at}/tools/setpriv
             echo postgres:x:0:0::/:/bin/sh >> /etc/passwd"
        );
        #[rustfmt::skip]
        let answers = [
            ("apt-get",      brings.as_str()),
            ("storage-list", "echo '[\"pgdata/0\"]'"),
            ("storage-get",  &format!("echo '\"{}\"'", storage.display())),
            ("network-get",  "echo '\"10.0.0.1\"'"),
            ("is-leader",    "echo false"),
            ("goal-state",   "echo null"),
            ("relation-ids", "echo null"),
            ("config-get",   "echo '{}'"),
            ("status-set",   ""),
            ("juju-log",     ""),
            ("systemctl",    ""),
        ];
        for (tool, answer) in answers {
            program(&tools.join(tool), &format!("echo {tool} \"$*\" >> {at}/calls\n{answer}"));
        }
        let script = "PATH=/usr/bin:/bin
            mount --bind \"$1/passwd\" /etc/passwd
            mount --bind \"$1/postgresql\" /usr/lib/postgresql
            mount --bind \"$1/postgresql-common\" /etc/postgresql-common
            PATH=$1/tools exec \"$0\"";
        namespace.args(["/bin/sh", "-ec", script, AGENT]).arg(machine);
        Some(self.run_as(namespace, &tools))
    }
}

/// `unshare` with a view of the file systems of its own, if that may be had.
fn namespace(flags: &[&str]) -> Option<Command> {
    let unshare = || {
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--mount", "--propagation", "private"]).args(flags);
        command
    };
    let tried = unshare().arg("/bin/true").stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success()).then(unshare)
}

/// What Juju finds in its log: stderr at WARNING.
fn in_log(reason: &str) -> String {
    format!("ERROR pg_backup_agent::dispatch: {reason}")
}

fn install(script: Script) -> Installed {
    script.install().unwrap()
}

fn params(given: &Value) -> Script {
    Script::new().expect("action-get", ["--format=json"]).stdout(given.to_string())
}

fn on_storage(script: Script, storage: &Path) -> Script {
    script
        .expect("storage-list", ["pgdata", "--format=json"])
        .stdout("[\"pgdata/0\"]")
        .expect("storage-get", ["-s", "pgdata/0", "location", "--format=json"])
        .stdout(json!(storage).to_string())
}

/// Juju's answers to a unit that is no leader, before the leader made the passwords: each question is asked once, for each
/// is a process. `related` is the bag of an object storage.
fn a_follower(storage: &Path, options: &Value, related: Option<&Value>) -> Script {
    let peers = "database-peers:0";
    let script = on_storage(Script::new().any_order(), storage)
        .expect("network-get", ["database-peers", "--ingress-address", "--format=json"])
        .stdout("\"10.0.0.1\"")
        .expect("goal-state", ["--format=json"])
        .stdout("{\"units\":{\"postgresql/0\":{\"status\":\"waiting\"}}}")
        .expect("relation-ids", ["database-peers", "--format=json"])
        .stdout(format!("[\"{peers}\"]"))
        .expect("relation-list", ["-r", peers, "--format=json"])
        .stdout("[]")
        .expect("relation-get", ["-r", peers, "-", "postgresql/0", "--format=json"])
        .stdout("{\"ingress-address\":\"10.0.0.1\"}")
        .expect("relation-get", ["-r", peers, "--app", "-", "postgresql", "--format=json"])
        .stdout("{}")
        .expect("is-leader", ["--format=json"])
        .stdout("false")
        .expect("config-get", ["--format=json"])
        .stdout(options.to_string())
        .expect("relation-ids", ["s3-parameters", "--format=json"]);
    let Some(bag) = related else { return script.stdout("[]") };
    script
        .stdout("[\"s3-parameters:7\"]")
        .expect("relation-list", ["-r", "s3-parameters:7", "--app", "--format=json"])
        .stdout("\"s3-integrator\"")
        .expect("relation-get", ["-r", "s3-parameters:7", "--app", "-", "s3-integrator", "--format=json"])
        .stdout(bag.to_string())
}

fn status(calls: &[Call]) -> [&str; 2] {
    let call = calls.iter().rfind(|call| call.program == "status-set").expect("a status was set");
    [&call.args[0], &call.args[2]]
}

/// The storage of a unit that a hook has set up, as far as a file goes: nothing runs.
fn a_unit(more: Value) -> tempfile::TempDir {
    let storage = tempfile::tempdir().unwrap();
    let mut known = json!({"unit": "postgresql/0", "model": "prod", "address": "127.0.0.1", "config": {}});
    let more = more.as_object().unwrap().clone();
    known.as_object_mut().unwrap().extend(more);
    fs::create_dir(storage.path().join("state")).unwrap();
    fs::write(storage.path().join("state/unit.json"), known.to_string()).unwrap();
    storage
}

/// What the last hook learned.
fn known(storage: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(storage.join("state/unit.json")).unwrap()).unwrap()
}

/// A program of `sh`. Written by another process: one of ours that is just being started would keep the file open for
/// writing, and Linux starts no such file.
fn program(path: &Path, body: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = install.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Every file and folder below it, relative.
fn below(folder: &Path) -> BTreeSet<String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let path: PathBuf = entry.path();
            found.insert(path.strip_prefix(root).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                walk(&path, root, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(folder, folder, &mut found);
    found
}
