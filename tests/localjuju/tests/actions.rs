//! Actions and exec: parameters, results, failures, waiting, cancelling.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use serde_json::json;
use world::World;

const ACTIONS: &str = "\
params:
  params:
    name: {type: string, default: you, minLength: 2, pattern: '^[a-z]+$'}
    count: {type: integer, minimum: 1, maximum: 3}
    kind: {type: string, enum: [full, diff]}
    deep: {type: object, properties: {on: {type: boolean, default: true}}}
    list: {type: array, items: {type: integer}}
  required: [kind]
  additionalProperties: false
any: {}
fail: {}
crash: {}
long: {parallel: true}
state: {}
";

const SCRIPT: &str = "\
case $JUJU_DISPATCH_PATH in
actions/params) action-set params=\"$(action-get --format=json)\" deep=$(action-get deep.on);;
actions/any) [ -z \"$JUJU_HOOK_NAME\" ] || exit 9; action-log -- one two; action-set a.b=1 a.c=2 x=; echo out; echo err >&2;;
actions/fail) action-set kept=yes; state-set flushed=yes; action-fail -- \"no luck\"; echo after;;
actions/crash) action-set kept=yes; state-set dropped=yes; action-fail -- told; exit 3;;
actions/long) sleep 1000 & echo $! > $DIR/child; touch $DIR/begun; wait;;
actions/state) state-get --format=json;;
esac";

fn model() -> World {
    let world = World::new();
    let charm = world.charm("act").file("actions.yaml", ACTIONS).dispatch(SCRIPT);
    world.ok(&["deploy", charm.text()]);
    world.settled();
    world
}

#[test]
fn parameters_are_typed_filled_in_and_checked() {
    let world = model();
    #[rustfmt::skip]
    let good = [
        (vec!["kind=full"],                        json!({"kind": "full", "name": "you", "deep": {"on": true}})),
        (vec!["kind=diff", "count=2", "name=me"],  json!({"kind": "diff", "count": 2, "name": "me", "deep": {"on": true}})),
        (vec!["kind=full", "deep.on=false"],       json!({"kind": "full", "name": "you", "deep": {"on": false}})),
        (vec!["kind=full", "list=[1, 2]"],         json!({"kind": "full", "name": "you", "list": [1, 2], "deep": {"on": true}})),
        (vec!["--string-args", "kind=full"],       json!({"kind": "full", "name": "you", "deep": {"on": true}})),
    ];
    for (words, expected) in good {
        let args: Vec<&str> = ["run", "act/leader", "params"].into_iter().chain(words.clone()).collect();
        let answer = world.json(&args);
        let results = &answer["act/0"]["results"];
        let given: serde_json::Value = serde_json::from_str(results["params"].as_str().unwrap()).unwrap();
        assert_eq!(given, expected, "{words:?}");
        assert_eq!(results["return-code"], 0);
    }
    #[rustfmt::skip]
    let bad = [
        (vec![],                          "(root) : \"kind\" property is missing and required, given {}"),
        (vec!["kind=x"],                  "(root).kind : must match one of the enum values [\"full\",\"diff\"], given \"x\""),
        (vec!["kind=full", "count=4"],    "(root).count : must be lower than or equal to 3, given 4"),
        (vec!["kind=full", "count=0"],    "(root).count : must be greater than or equal to 1, given 0"),
        (vec!["kind=full", "count=many"], "(root).count : must be of type integer, given \"many\""),
        (vec!["kind=full", "name=X1"],    "(root).name : does not match pattern '^[a-z]+$', given \"X1\""),
        (vec!["kind=full", "name=x"],     "(root).name : string's length must be greater than or equal to 2, given \"x\""),
        (vec!["kind=full", "list=[a]"],   "(root).list.0 : must be of type integer, given \"a\""),
        (vec!["kind=full", "more=1"],     "(root) : additional property \"more\" is not allowed, given {\"kind\":\"full\",\"more\":1}"),
    ];
    for (words, fault) in bad {
        let args: Vec<&str> = ["run", "act/0", "params"].into_iter().chain(words.clone()).collect();
        let said = world.juju(&args);
        let first = said.stderr.lines().last().unwrap().to_owned();
        assert_eq!(
            (said.code, first),
            (0, format!("cannot run \"params\" action: validation failed: {fault}")),
            "{words:?}"
        );
    }
    for (words, code, text) in [
        (vec!["run", "act/0"], 2, "no action specified"),
        (vec!["run", "any"], 2, "no unit specified"),
        (vec!["run", "act/0", "any", "x"], 2, "argument \"x\" must be of the form key.key.key...=value"),
        (
            vec!["run", "act/0", "any", "X=1"],
            2,
            "key \"X\" must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric and hyphens",
        ),
    ] {
        let said = world.juju(&words);
        assert_eq!((said.code, said.stderr), (code, format!("ERROR {text}\n")));
    }
    let said = world.juju(&["run", "act/0", "none"]);
    assert!(
        said.stderr.ends_with("failed to schedule any tasks:\naction \"none\" not defined on unit \"act/0\"\n"),
        "{}",
        said.stderr
    );
}

#[test]
fn the_output_of_run_is_jujus() {
    let world = model();
    let said = world.juju(&["run", "act/0", "any"]);
    assert_eq!(said.code, 0);
    assert_eq!(said.stdout, "a:\n  b: \"1\"\n  c: \"2\"\nx: \"\"\n\nout\nerr\n");
    let (head, rest) = said.stderr.split_once("Waiting for task 2...\n\n").unwrap();
    assert_eq!(head, "Running operation 1 with 1 task\n  - task 2 on unit-act-0\n\n");
    assert!(rest.contains(" one two\n"), "{rest}");

    let json = world.json(&["run", "act/0", "any"]);
    let task = &json["act/0"];
    assert_eq!((&task["id"], &task["status"], &task["unit"]), (&json!("4"), &json!("completed"), &json!("act/0")));
    assert_eq!(
        task["results"],
        json!({"a": {"b": "1", "c": "2"}, "x": "", "stdout": "out\n", "stderr": "err\n", "return-code": 0})
    );
    assert_eq!(world.json(&["show-task", "4"])["status"], "completed");
    assert_eq!(world.json(&["operations"])["3"]["status"], "completed");
}

#[test]
fn a_failure_told_keeps_its_words_and_a_crash_does_not() {
    let world = model();
    let told = world.juju(&["run", "act/0", "fail"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, "Action id 2 failed: no luck\nkept: \"yes\"\n\nafter\n"));
    let crash = world.juju(&["run", "act/0", "crash"]);
    assert_eq!((crash.code, crash.stdout.as_str()), (1, "Action id 4 failed: exit status 3\nkept: \"yes\"\n\n"));
    assert!(crash.stderr.ends_with("ERROR the following task failed:\n - id \"4\" with return code 3\n\nuse 'juju show-task' to inspect the failure\n\n"));
    // What the first has set is flushed, what the second has set is not; the unit is not in error.
    assert_eq!(world.on_unit("act/0", "state-get --format=json").stdout, "{\"flushed\":\"yes\"}\n");
    assert_eq!(world.status()["applications"]["act"]["units"]["act/0"]["juju-status"]["current"], "idle");
}

#[test]
fn a_task_is_run_in_the_background_and_cancelled() {
    let world = model();
    let scheduled = world.juju(&["run", "act/0", "long", "--background"]);
    assert_eq!(scheduled.code, 0);
    let text = "Scheduled operation 1 with task 2\nCheck operation status with 'juju show-operation 1'\nCheck task status with 'juju show-task 2'\n";
    assert_eq!((scheduled.stdout.as_str(), scheduled.stderr.as_str()), ("", text));
    world.ok(&["run", "act/0", "state", "--background"]);
    world.wait("the action to run", || world.read("begun").is_empty() && world.directory.path().join("begun").exists());
    let late = world.juju(&["run", "act/0", "state", "--wait", "100ms"]);
    assert_eq!(
        (late.code, late.stderr.lines().last().unwrap()),
        (1, "ERROR timed out waiting for results from: unit act/0")
    );
    world.ok(&["cancel-task", "6", "2"]);
    world.wait("the end", || world.json(&["show-task", "2"])["status"] == "aborted");
    assert_eq!(world.json(&["show-task", "6"])["status"], "cancelled");
    world.wait("the next", || world.json(&["show-task", "4"])["status"] == "completed");
    // Only dispatch itself was killed.
    let child = world.read("child");
    assert!(std::path::Path::new("/proc").join(child.trim()).exists());
}

#[test]
fn exec_runs_commands_in_a_hook_context() {
    let world = model();
    assert_eq!(world.ok(&["exec", "--unit", "act/leader", "echo $JUJU_UNIT_NAME; is-leader"]), "act/0\nTrue\n");
    assert_eq!(world.ok(&["exec", "--application", "act", "--", "echo", "two  words"]), "two  words\n");
    assert_eq!(world.ok(&["exec", "--machine", "0", "--", "echo m"]), "m\n");
    let said = world.juju(&["exec", "--unit", "act/0", "--format", "json", "--", "echo out; exit 7"]);
    assert_eq!(said.code, 1);
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(json["act/0"]["results"], json!({"stdout": "out\n", "return-code": 7}));
    assert_eq!(world.juju(&["exec", "--unit", "act/9", "true"]).stderr, "ERROR unit \"act/9\" not found\n");
    // A unit's own process comes back in by juju-exec, with a fresh context.
    let again = world.on_unit("act/0", "printf %s \"$JUJU_DISPATCH_PATH\"; state-set by=daemon; exit 5");
    assert_eq!((again.code, again.stdout.as_str()), (5, ""));
    assert_eq!(world.on_unit("act/0", "state-get by").stdout, "daemon\n");
    let inside = world.on_unit("act/0", "juju-exec -u act/0 true");
    assert!(inside.stderr.starts_with("ERROR juju-exec cannot be called from within a hook"), "{}", inside.stderr);
}
