//! The fakes as a test uses them: order, wildcards, standard input, files, misses, concurrency.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests start the fakes themselves")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs, io::Write, panic, thread};

use fakes::{Installed, Script};

fn install(script: Script) -> Installed {
    script.install_with(Path::new(env!("CARGO_BIN_EXE_fake"))).unwrap()
}

fn run(tools: &Installed, program: &str, args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", tools.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A fake that does not read standard input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn panics(run: impl FnOnce() + panic::UnwindSafe) -> String {
    let cause = panic::catch_unwind(run).unwrap_err();
    cause.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn answers_come_in_the_order_of_the_script() {
    let tools = install(
        Script::new()
            .expect("pgbackrest", ["--stanza=m.db", "info"])
            .stdout("[]\n")
            .expect("pgbackrest", ["--set=*", "restore"])
            .stderr("P00 ERROR")
            .exit(50),
    );
    let info = run(&tools, "pgbackrest", &["--stanza=m.db", "info"], "");
    assert_eq!((info.status.code(), &info.stdout[..]), (Some(0), &b"[]\n"[..]));
    let restore = run(&tools, "pgbackrest", &["--set=20261122F", "restore"], "");
    assert_eq!((restore.status.code(), &restore.stderr[..]), (Some(50), &b"P00 ERROR"[..]));
    assert_eq!(tools.calls()[1].args, ["--set=20261122F", "restore"]);
    tools.finish();
}

#[test]
fn a_call_out_of_order_exits_97_and_says_what_was_expected() {
    let tools = install(Script::new().expect("a", ["1"]).expect("a", ["2"]));
    let out = run(&tools, "a", &["2"], "");
    assert_eq!(out.status.code(), Some(97));
    assert_eq!(
        String::from_utf8(out.stderr).unwrap(),
        "fake: unexpected call: a 2\nfake:   still expected: a 1\nfake:   still expected: a 2\n"
    );
    let message = panics(|| tools.finish());
    assert_eq!(message, "calls of fake programs:\nunexpected: a 2\nnever made: a 1\nnever made: a 2");
}

#[test]
fn any_order_and_repeats() {
    let script = Script::new()
        .any_order()
        .expect("is-leader", ["**"])
        .stdout("true")
        .repeat()
        .expect("config-get", ["--format=json"])
        .stdout("{}");
    let tools = install(script);
    run(&tools, "config-get", &["--format=json"], "");
    run(&tools, "is-leader", &["--format=json"], "");
    run(&tools, "is-leader", &[], "");
    assert_eq!(tools.calls().len(), 3);
}

#[test]
fn standard_input_is_compared_and_files_are_left_behind() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let script = Script::new().expect("relation-set", ["--file", "-"]).stdin("{*}").writes(path, "made");
    let tools = install(script);
    assert_eq!(run(&tools, "relation-set", &["--file", "-"], "{}").status.code(), Some(0));
    assert_eq!(fs::read_to_string(path).unwrap(), "made");
    assert_eq!(tools.calls()[0].stdin.as_deref(), Some("{}"));
    tools.finish();

    let tools = install(Script::new().expect("relation-set", ["--file", "-"]).stdin("{}"));
    assert_eq!(run(&tools, "relation-set", &["--file", "-"], "[]").status.code(), Some(97));
    panics(|| tools.finish());
}

#[test]
fn dropping_it_fails_the_test_when_a_call_was_never_made() {
    let tools = install(Script::new().expect("a", ["1"]));
    assert_eq!(panics(|| drop(tools)), "calls of fake programs:\nnever made: a 1");
}

#[test]
fn programs_at_the_same_time_never_meet_the_same_expectation() {
    let script = (0..16).fold(Script::new().any_order(), |s, n| s.expect("a", ["*"]).stdout(n.to_string()));
    let tools = install(script);
    let mut said: Vec<u32> = thread::scope(|scope| {
        let runs: Vec<_> = (0..16).map(|_| scope.spawn(|| run(&tools, "a", &["x"], ""))).collect();
        let said = runs.into_iter().map(|run| String::from_utf8(run.join().unwrap().stdout).unwrap());
        said.map(|text| text.parse().unwrap()).collect()
    });
    said.sort_unstable();
    assert_eq!(said, (0..16).collect::<Vec<_>>());
}
