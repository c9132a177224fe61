//! The hook tools as Juju knows them: which argv each method makes, and what it makes of the answer. Nothing runs but
//! scripted programs. What hooks and actions do with the answers is not looked at here.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write programs and read what they left behind"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fakes::{Installed, Script};
use pg_backup_agent::juju::{Juju, JujuError, Level, SecretAnswer};
use pg_backup_agent::model::error_chain;
use pg_backup_agent::sys::environment::Vars;
use pg_backup_agent::sys::process::Runner;
use serde_json::{Value, json};

/// Linux refuses to start a program with a longer argument (MAX_ARG_STRLEN).
const LINUX_TAKES: usize = 128 * 1024;

mod relations {
    use super::*;

    #[tokio::test]
    async fn ids_of_an_endpoint() {
        let args = ["relation-ids", "s3-parameters", "--format=json"];
        #[rustfmt::skip]
        let table = [
            (r#"["s3-parameters:3","s3-parameters:7"]"#, vec!["s3-parameters:3", "s3-parameters:7"]),
            ("[]\n",                                     vec![]),
            ("null\n",                                   vec![]),
        ];
        for (answer, want) in table {
            let ids = asked(args, answer, async |juju| juju.relation_ids("s3-parameters").await).await;
            assert_eq!(ids.unwrap(), want, "{answer}");
        }
    }

    #[tokio::test]
    async fn the_application_at_the_other_end_is_none_while_it_breaks() {
        let args = ["relation-list", "-r", "s3-parameters:7", "--app", "--format=json"];
        #[rustfmt::skip]
        let table = [
            (r#""s3-integrator""#, Some("s3-integrator")),
            (r#""""#,              None),
            ("null",               None),
        ];
        for (answer, want) in table {
            let app = asked(args, answer, async |juju| juju.relation_app("s3-parameters:7").await).await;
            assert_eq!(app.unwrap().as_deref(), want, "{answer}");
        }
    }

    #[tokio::test]
    async fn units_of_a_relation() {
        let args = ["relation-list", "-r", "database-peers:0", "--format=json"];
        for (answer, want) in
            [(r#"["postgresql/1","postgresql/2"]"#, vec!["postgresql/1", "postgresql/2"]), ("null", vec![])]
        {
            let units = asked(args, answer, async |juju| juju.relation_units("database-peers:0").await).await;
            assert_eq!(units.unwrap(), want, "{answer}");
        }
    }

    #[tokio::test]
    async fn bags_are_read_whole() {
        #[rustfmt::skip]
        let table = [
            (r#"{"bucket":"b","path":""}"#, vec![("bucket", "b"), ("path", "")]),
            ("{}",                          vec![]),
            ("null",                        vec![]),
        ];
        for (answer, want) in table {
            let args = ["relation-get", "-r", "s3-parameters:7", "--app", "-", "s3", "--format=json"];
            let bag = asked(args, answer, async |juju| juju.app_bag("s3-parameters:7", "s3").await).await;
            assert_eq!(bag.unwrap(), map(&want), "{answer}");
            let args = ["relation-get", "-r", "s3-parameters:7", "-", "s3/0", "--format=json"];
            let bag = asked(args, answer, async |juju| juju.unit_bag("s3-parameters:7", "s3/0").await).await;
            assert_eq!(bag.unwrap(), map(&want), "{answer}");
        }
    }

    #[tokio::test]
    async fn bags_are_written_through_standard_input_and_argv_holds_none_of_it() {
        // An empty value deletes its key; text that a shell, YAML or a flag parser would take apart arrives as it is.
        let bag = map(&[("--app", "-x"), ("bucket", "a: 'b' \"c\" $(d)\n"), ("password", "hunter2"), ("path", "")]);
        let document = r#"{"--app":"-x","bucket":"a: 'b' \"c\" $(d)\n","password":"hunter2","path":""}"#;
        let tools = install(
            Script::new()
                .expect("relation-set", ["-r", "database-peers:0", "--app", "--file", "-"])
                .stdin(document)
                .expect("relation-set", ["-r", "database-peers:0", "--file", "-"])
                .stdin(document),
        );
        let juju = juju(tools.path());
        juju.set_app_bag("database-peers:0", &bag).await.unwrap();
        juju.set_unit_bag("database-peers:0", &bag).await.unwrap();
        tools.finish();
    }

    #[tokio::test]
    async fn a_bag_may_be_longer_than_any_argument() {
        let bag = map(&[("ca", &"x".repeat(1 << 20))]);
        let args = ["-r", "database-peers:0", "--app", "--file", "-"];
        let tools = install(Script::new().expect("relation-set", args).stdin("{\"ca\":\"xxx*\"}"));
        juju(tools.path()).set_app_bag("database-peers:0", &bag).await.unwrap();
        assert_eq!(tools.calls()[0].stdin.as_ref().unwrap().len(), (1 << 20) + r#"{"ca":""}"#.len());
        tools.finish();
    }

    #[tokio::test]
    async fn a_refused_write_is_told_in_the_tools_words() {
        let tools = install(
            Script::new().expect("relation-set", ["**"]).stderr("ERROR cannot write relation settings\n").exit(1),
        );
        let error = juju(tools.path()).set_app_bag("database-peers:0", &map(&[("a", "b")])).await.unwrap_err();
        assert_eq!(error_chain(&error), "relation-set: cannot write relation settings");
    }
}

mod secrets {
    use super::*;

    const URI: &str = "secret:9m4e2mr0ui3e8a215n4g";

    #[tokio::test]
    async fn the_newest_revision_is_asked_for() {
        let args = ["secret-get", "--format=json", "--refresh", "--", URI];
        let answer = r#"{"operator":"p w","monitoring":""}"#;
        let secret = asked(args, answer, async |juju| juju.secret(URI).await).await;
        let want = map(&[("operator", "p w"), ("monitoring", "")]);
        assert_eq!(secret.unwrap(), SecretAnswer::Content(want));
    }

    #[tokio::test]
    async fn what_a_person_must_mend_is_an_answer_and_the_rest_an_error() {
        #[rustfmt::skip]
        let table = [
            ("ERROR permission denied\n",                                 Ok(SecretAnswer::Denied)),
            ("ERROR getting secret: permission denied\n",                 Ok(SecretAnswer::Denied)),
            ("ERROR secret \"9m4e2mr0ui3e8a215n4g\" not found\n",         Ok(SecretAnswer::NotFound)),
            ("ERROR consumer label \"x\" not found\n",                    Ok(SecretAnswer::NotFound)),
            ("ERROR connection is shut down\n",                           Err("secret-get: connection is shut down")),
            ("ERROR secret URI \"secret:x\" not valid\n",                 Err("secret-get: secret URI \"secret:x\" not valid")),
            ("",                                                          Err("secret-get: no message")),
        ];
        for (stderr, want) in table {
            let tools = install(Script::new().expect("secret-get", ["**"]).stderr(stderr).exit(1));
            let got = juju(tools.path()).secret(URI).await.map_err(|error| error_chain(&error));
            assert_eq!(got, want.map_err(str::to_owned), "{stderr}");
        }
    }

    #[tokio::test]
    async fn an_error_never_shows_what_a_secret_holds() {
        for answer in
            ["\"hunter2\"", "{\"operator\":\"hunter2\"", "{\"operator\":[\"hunter2\"]}", "operator: hunter2", "null"]
        {
            let tools = install(Script::new().expect("secret-get", ["**"]).stdout(answer));
            let error = juju(tools.path()).secret(URI).await.unwrap_err();
            let shown = format!("{} {error:?}", error_chain(&error));
            assert!(shown.contains("secret-get"), "{shown}");
            assert!(!shown.contains("hunter2"), "{answer} is shown: {shown}");
        }
    }

    #[tokio::test]
    async fn a_new_secret_is_handed_over_in_a_private_file_that_is_gone_afterwards() {
        let unit = tempfile::tempdir().unwrap();
        let (tools, scratch, seen) = (folder(&unit, "tools"), folder(&unit, "state"), folder(&unit, "seen"));
        let at = seen.display();
        // Called with: --label L --description D --file F
        let body = format!(
            "printf '%s\\n' \"$@\" > {at}/argv; /bin/cat \"$6\" > {at}/content; /usr/bin/stat -c %a \"$6\" > {at}/mode; \
             /bin/cat /proc/$$/environ > {at}/environ; echo {URI}"
        );
        tool(&tools, "secret-add", &body);
        let content = map(&[("operator-password", "hunter2"), ("raft-password", "-- $(id)\n")]);
        let uri = juju(&tools).add_secret("system-users", "passwords of users", &content, &scratch).await.unwrap();
        assert_eq!(uri, URI);

        let argv = fs::read_to_string(seen.join("argv")).unwrap();
        let argv: Vec<_> = argv.lines().collect();
        assert_eq!(argv[..5], ["--label", "system-users", "--description", "passwords of users", "--file"]);
        assert!(Path::new(argv[5]).starts_with(&scratch), "{argv:?}");
        assert_eq!(argv.len(), 6);
        assert_eq!(fs::read_to_string(seen.join("mode")).unwrap(), "600\n");
        let handed: Value = serde_json::from_slice(&fs::read(seen.join("content")).unwrap()).unwrap();
        assert_eq!(handed, json!({"operator-password": "hunter2", "raft-password": "-- $(id)\n"}));
        assert!(!fs::read_to_string(seen.join("environ")).unwrap().contains("hunter2"));
        assert_eq!(names_in(&scratch), [""; 0], "left behind");
    }

    #[tokio::test]
    async fn the_file_is_gone_when_juju_refuses_too() {
        let unit = tempfile::tempdir().unwrap();
        let scratch = folder(&unit, "state");
        let tools =
            install(Script::new().expect("secret-add", ["**"]).stderr("ERROR this unit is not the leader\n").exit(1));
        let content = map(&[("operator-password", "hunter2")]);
        let error = juju(tools.path()).add_secret("l", "d", &content, &scratch).await.unwrap_err();
        assert_eq!(error_chain(&error), "secret-add: this unit is not the leader");
        assert_eq!(names_in(&scratch), [""; 0], "left behind");
    }

    #[tokio::test]
    async fn without_a_private_place_nothing_is_handed_over() {
        let tools = install(Script::new());
        let nowhere = tools.path().join("gone/state");
        let error = juju(tools.path()).add_secret("l", "d", &map(&[("abc", "hunter2")]), &nowhere).await.unwrap_err();
        let text = error_chain(&error);
        assert!(text.starts_with("secret-add: writing its content: ") && !text.contains("hunter2"), "{text}");
        assert_eq!(tools.calls(), []);
    }

    #[tokio::test]
    async fn an_obsolete_revision_is_removed_by_number() {
        let args = ["secret-remove", URI, "--revision", "3"];
        asked(args, "", async |juju| juju.remove_secret_revision(URI, "3").await).await.unwrap();
    }
}

mod questions {
    use super::*;

    #[tokio::test]
    async fn options_and_parameters_are_objects_of_their_types() {
        let answer = r#"{"bundle":true,"archive-timeout":300,"process-max":"auto"}"#;
        let want = json!({"bundle": true, "archive-timeout": 300, "process-max": "auto"});
        for (answer, want) in [(answer, want), ("{}", json!({})), ("null", json!(null))] {
            let config = asked(["config-get", "--format=json"], answer, async |juju| juju.config().await).await;
            assert_eq!(config.unwrap(), want, "{answer}");
            let params = asked(["action-get", "--format=json"], answer, async |juju| juju.action_params().await).await;
            assert_eq!(params.unwrap(), want, "{answer}");
        }
    }

    #[tokio::test]
    async fn leadership_is_true_or_false_and_nothing_else() {
        let args = ["is-leader", "--format=json"];
        for (answer, want) in
            [("true\n", Some(true)), ("false\n", Some(false)), ("null", None), ("True\n", None), ("", None)]
        {
            let leader = asked(args, answer, async |juju| juju.is_leader().await).await;
            assert_eq!(leader.ok(), want, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn the_address_that_peers_reach() {
        let args = ["network-get", "database-peers", "--ingress-address", "--format=json"];
        let address = asked(args, "\"10.1.2.3\"\n", async |juju| juju.address("database-peers").await).await;
        assert_eq!(address.unwrap(), "10.1.2.3");
    }

    #[tokio::test]
    async fn planned_units_are_those_that_stay_and_never_none() {
        #[rustfmt::skip]
        let table = [
            (r#"{"units":{"postgresql/0":{"status":"active"}},"relations":{}}"#, 1),
            (r#"{"units":{"p/0":{"status":"active"},"p/1":{"status":"waiting"},"p/2":{"status":"allocating"}}}"#, 3),
            (r#"{"units":{"p/0":{"status":"active"},"p/1":{"status":"dying"},"p/2":{"status":"dead"}}}"#, 1),
            (r#"{"units":{"p/0":{"since":"2026-11-22"}, "p/1":{}}}"#, 2),
            (r#"{"units":{"p/0":{"status":"dying"}}}"#, 1),
            (r#"{"units":{}}"#, 1),
            (r#"{}"#, 1),
            ("null", 1),
        ];
        for (answer, want) in table {
            let units = asked(["goal-state", "--format=json"], answer, async |juju| juju.planned_units().await).await;
            assert_eq!(units.unwrap(), want, "{answer}");
        }
    }

    #[tokio::test]
    async fn units_that_leave_are_known_and_do_not_stay() {
        #[rustfmt::skip]
        let table = [
            (r#"{"units":{"p/1":{"status":"dying"},"p/0":{"status":"active"},"p/10":{}}}"#, vec![("p/0", true), ("p/1", false), ("p/10", true)]),
            (r#"{"units":{"p/0":{"status":"dead"}},"relations":{"r":{"q/0":{"status":"joined"}}}}"#, vec![("p/0", false)]),
            ("null", vec![]),
        ];
        for (answer, want) in table {
            let args = ["goal-state", "--format=json"];
            let units = asked(args, answer, async |juju| juju.units().await).await.unwrap();
            let units: Vec<_> = units.iter().map(|(name, stays)| (name.as_str(), *stays)).collect();
            assert_eq!(units, want, "{answer}");
            let staying = asked(args, answer, async |juju| juju.goal_units().await).await.unwrap();
            let want: Vec<_> = want.iter().filter(|(_, stays)| *stays).map(|(name, _)| *name).collect();
            assert_eq!(staying, want, "{answer}");
        }
    }

    #[tokio::test]
    async fn storage_that_is_not_attached_is_no_storage() {
        for answer in ["[]", "null"] {
            let storage =
                asked(["storage-list", "pgdata", "--format=json"], answer, async |juju| juju.storage("pgdata").await)
                    .await;
            assert_eq!(storage.unwrap(), None, "{answer}");
        }
    }

    #[tokio::test]
    async fn storage_is_where_juju_mounted_it() {
        let tools = install(
            Script::new()
                .expect("storage-list", ["pgdata", "--format=json"])
                .stdout("[\"pgdata/0\"]\n")
                .expect("storage-get", ["-s", "pgdata/0", "location", "--format=json"])
                .stdout("\"/var/lib/juju/storage/pgdata/0\"\n"),
        );
        let storage = juju(tools.path()).storage("pgdata").await.unwrap();
        assert_eq!(storage, Some(PathBuf::from("/var/lib/juju/storage/pgdata/0")));
        tools.finish();
    }
}

mod sentences {
    use super::*;

    /// Free text as people, stores and engines write it.
    const TEXTS: &[&str] = &[
        "waiting for storage `pgdata`",
        "",
        "-h",
        "--help",
        "--",
        "-l ERROR",
        "line one\nline two",
        "a=b $(id) 'x' \"y\" \\ ;",
        "früh – 備份",
    ];

    #[tokio::test]
    async fn free_text_stands_behind_two_dashes_and_arrives_as_it_is() {
        for text in TEXTS {
            let tools = install(
                Script::new()
                    .expect("status-set", ["waiting", "--", text])
                    .expect("application-version-set", ["--", text])
                    .expect("action-log", ["--", text])
                    .expect("action-fail", ["--", text])
                    .expect("juju-log", ["-l", "DEBUG", "--", text])
                    .expect("juju-log", ["-l", "INFO", "--", text])
                    .expect("juju-log", ["-l", "WARNING", "--", text])
                    .expect("juju-log", ["-l", "ERROR", "--", text]),
            );
            let juju = juju(tools.path());
            juju.set_status("waiting", text).await.unwrap();
            juju.set_version(text).await.unwrap();
            juju.action_log(text).await.unwrap();
            juju.action_fail(text).await.unwrap();
            for level in [Level::Debug, Level::Info, Level::Warning, Level::Error] {
                juju.log(level, text).await.unwrap();
            }
            let calls = tools.calls();
            assert!(calls.iter().all(|call| call.args.last().is_some_and(|arg| arg == text)), "{calls:?}");
            tools.finish();
        }
    }

    #[tokio::test]
    async fn text_that_no_argument_can_hold_is_cut_at_a_character() {
        // 3 bytes each: no power of two falls between two of them.
        let text = "備".repeat(100_000);
        let tools = install(
            Script::new()
                .expect("action-log", ["--", "備*"])
                .expect("action-fail", ["--", "備*"])
                .expect("juju-log", ["-l", "ERROR", "--", "備*"]),
        );
        let juju = juju(tools.path());
        juju.action_log(&text).await.unwrap();
        juju.action_fail(&text).await.unwrap();
        juju.log(Level::Error, &text).await.unwrap();
        for call in tools.calls() {
            let said = call.args.last().unwrap();
            assert!(said.len() < LINUX_TAKES && said.len() > LINUX_TAKES / 2, "{}: {}", call.program, said.len());
            assert!(text.starts_with(said.as_str()), "{} ends within a character", call.program);
        }
    }

    #[tokio::test]
    async fn a_zero_byte_does_not_keep_a_text_from_juju() {
        let tools = install(
            Script::new()
                .expect("action-fail", ["--", "the store said *oops"])
                .expect("action-log", ["--", "the store said *oops"])
                .expect("juju-log", ["-l", "INFO", "--", "the store said *oops"])
                .expect("action-set", ["next=the store said *oops"]),
        );
        let (juju, text) = (juju(tools.path()), "the store said \0oops");
        juju.action_fail(text).await.unwrap();
        juju.action_log(text).await.unwrap();
        juju.log(Level::Info, text).await.unwrap();
        juju.action_set(&pairs(&[("next", text)])).await.unwrap();
    }
}

mod results {
    use super::*;

    #[tokio::test]
    async fn results_are_set_in_their_order() {
        let results = pairs(&[("backup-status", "backup created"), ("size", ""), ("next", "-a=b\nc")]);
        let tools = install(
            Script::new()
                .expect("action-set", ["backup-status=backup created"])
                .expect("action-set", ["size="])
                .expect("action-set", ["next=-a=b\nc"]),
        );
        juju(tools.path()).action_set(&results).await.unwrap();
        tools.finish();
    }

    #[tokio::test]
    async fn a_long_result_is_cut_at_the_end_of_a_line() {
        let (row, rows) = ("2026-11-22T03:00:00Z | full | finished | – ", 20_000);
        let table = format!("{row}\n").repeat(rows);
        assert!(!Juju::fits_a_result(&table));
        let tools = install(Script::new().expect("action-set", ["backups=*"]));
        juju(tools.path()).action_set(&pairs(&[("backups", &table)])).await.unwrap();
        let argument = &tools.calls()[0].args[0];
        assert!(argument.len() < LINUX_TAKES && argument.len() > LINUX_TAKES / 2, "{}", argument.len());
        let told = argument.strip_prefix("backups=").unwrap();
        assert!(told.lines().all(|line| line == row), "the last row is cut: {:?}", told.lines().next_back());
        assert!(told.ends_with(row), "it ends with a whole row");
        tools.finish();
    }

    #[tokio::test]
    async fn a_long_line_is_cut_at_a_character() {
        let line = "備".repeat(100_000);
        let tools = install(Script::new().expect("action-set", ["backups=備*"]));
        juju(tools.path()).action_set(&pairs(&[("backups", &line)])).await.unwrap();
        let argument = &tools.calls()[0].args[0];
        assert!(argument.len() < LINUX_TAKES && line.starts_with(&argument["backups=".len()..]));
        tools.finish();
    }

    #[tokio::test]
    async fn the_longest_result_that_fits_arrives_whole() {
        let longest = (0..LINUX_TAKES).rev().find(|length| Juju::fits_a_result(&"x".repeat(*length))).unwrap();
        let value = "x".repeat(longest);
        let tools = install(Script::new().expect("action-set", [format!("repository-size={value}")]));
        juju(tools.path()).action_set(&pairs(&[("repository-size", &value)])).await.unwrap();
        tools.finish();
    }

    #[tokio::test]
    async fn a_key_that_juju_refuses_is_an_error_and_ends_it() {
        let said = "ERROR key \"Size\" must start and end with lowercase alphanumeric, and contain only lowercase \
                    alphanumeric, hyphens and periods\n";
        let tools = install(Script::new().expect("action-set", ["Size=1"]).stderr(said).exit(2));
        let error = juju(tools.path()).action_set(&pairs(&[("Size", "1"), ("type", "full")])).await.unwrap_err();
        assert_eq!(error_chain(&error), said.replacen("ERROR ", "action-set: ", 1).trim_end());
    }
}

mod trouble {
    use super::*;

    #[tokio::test]
    async fn an_error_has_the_tools_words() {
        #[rustfmt::skip]
        let table = [
            // stderr, stdout, exit, told
            ("ERROR not running an action\n",                           "",      1, "action-get: not running an action"),
            ("WARNING old\nERROR connection is shut down\n\n",          "",      1, "action-get: connection is shut down"),
            ("error: flag provided but not defined: --format\n",        "",      2, "action-get: error: flag provided but not defined: --format"),
            ("",                                                        "said\n", 1, "action-get: said"),
            ("",                                                        "",      1, "action-get: no message"),
            // A tool that says something bad and ends well is believed.
            ("ERROR nothing\n",                                         "oops",  0, "action-get answered something that is not JSON of the expected shape"),
            ("",                                                        "",      0, "action-get answered something that is not JSON of the expected shape"),
        ];
        for (stderr, stdout, exit, told) in table {
            let script = Script::new().expect("action-get", ["--format=json"]).stderr(stderr).stdout(stdout).exit(exit);
            let tools = install(script);
            let error = juju(tools.path()).action_params().await.unwrap_err();
            assert_eq!(error_chain(&error), told);
            assert_eq!(matches!(error, JujuError::Refused { .. }), exit != 0);
        }
    }

    #[tokio::test]
    async fn an_answer_of_another_shape_is_an_error() {
        let tools = install(
            Script::new()
                .expect("relation-ids", ["**"])
                .stdout("{}")
                .expect("relation-get", ["**"])
                .stdout(r#"{"a":1}"#)
                .expect("network-get", ["**"])
                .stdout(r#"{"bind-addresses":[]}"#)
                .expect("storage-list", ["**"])
                .stdout(r#"["pgdata/0"]"#)
                .expect("storage-get", ["**"])
                .stdout("null"),
        );
        let juju = juju(tools.path());
        let shape = |error: JujuError| matches!(error, JujuError::Shape { .. });
        assert!(shape(juju.relation_ids("x").await.unwrap_err()));
        assert!(shape(juju.app_bag("x:1", "y").await.unwrap_err()));
        assert!(shape(juju.address("x").await.unwrap_err()));
        assert!(shape(juju.storage("pgdata").await.unwrap_err()));
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_named() {
        let nothing = tempfile::tempdir().unwrap();
        let error = juju(nothing.path()).is_leader().await.unwrap_err();
        let want = "hook tool: starting `is-leader`: No such file or directory (os error 2)";
        assert_eq!(error_chain(&error), want);
    }

    #[tokio::test]
    async fn a_tool_that_is_killed_is_an_error() {
        let unit = tempfile::tempdir().unwrap();
        let tools = folder(&unit, "tools");
        tool(&tools, "status-set", "kill -9 $$");
        let error = juju(&tools).set_status("active", "").await.unwrap_err();
        assert_eq!(error_chain(&error), "status-set: no message");
    }

    #[tokio::test]
    async fn a_tool_gets_what_juju_set_and_nothing_else() {
        let unit = tempfile::tempdir().unwrap();
        let (tools, seen) = (folder(&unit, "tools"), unit.path().join("environ"));
        tool(&tools, "status-set", &format!("/bin/cat /proc/$$/environ > {}", seen.display()));
        juju(&tools).set_status("active", "").await.unwrap();
        let environ = fs::read_to_string(&seen).unwrap();
        let mut got: Vec<_> = environ.split_terminator('\0').collect();
        got.sort_unstable();
        let path = format!("PATH={}", tools.display());
        let want = [
            "JUJU_AGENT_SOCKET_ADDRESS=/agent.socket",
            "JUJU_AGENT_SOCKET_NETWORK=unix",
            "JUJU_CONTEXT_ID=postgresql/0-start-0123",
            "JUJU_UNIT_NAME=postgresql/0",
            &path,
        ];
        assert_eq!(got, want);
    }
}

/// What Juju sets, and what a machine may have set beside it.
fn vars() -> Vars {
    let vars = [
        ("JUJU_CONTEXT_ID", "postgresql/0-start-0123"),
        ("JUJU_UNIT_NAME", "postgresql/0"),
        ("JUJU_AGENT_SOCKET_ADDRESS", "/agent.socket"),
        ("JUJU_AGENT_SOCKET_NETWORK", "unix"),
        ("PATH", "/from/juju"),
        ("CHARM_DIR", "/charm"),
        ("HOME", "/root"),
        ("LD_PRELOAD", "/evil.so"),
        ("PGPASSWORD", "hunter2"),
        ("NOT_JUJU_X", "1"),
    ];
    vars.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn juju(tools: &Path) -> Juju {
    Juju::new(Runner::new(tools), &vars())
}

fn install(script: Script) -> Installed {
    script.install().unwrap()
}

/// One call: the tool and its argv, its answer, and what to ask with.
async fn asked<T, const N: usize>(call: [&str; N], answer: &str, ask: impl AsyncFnOnce(Juju) -> T) -> T {
    let tools = install(Script::new().expect(call[0], call[1..].iter().copied()).stdout(answer));
    let got = ask(juju(tools.path())).await;
    tools.finish();
    got
}

/// A program of `sh`. Written by another process: one of ours that is just being started would keep the file open for
/// writing, and Linux starts no such file.
fn tool(folder: &Path, name: &str, body: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(folder.join(name)).stdin(Stdio::piped());
    let mut child = install.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn folder(below: &tempfile::TempDir, name: &str) -> PathBuf {
    let path = below.path().join(name);
    fs::create_dir(&path).unwrap();
    path
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs(entries).into_iter().collect()
}

fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
