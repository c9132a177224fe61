//! Secrets: who may read, which revision, what is announced, what is forgotten.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use world::{Said, World};

fn said(code: i32, stdout: &str, stderr: &str) -> Said {
    Said { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

#[test]
fn a_users_secret_is_read_when_granted_and_tracked_until_refreshed() {
    let world = World::new();
    let charm = world
        .charm("reader")
        .file("config.yaml", "options: {tok: {type: secret}}")
        .dispatch("[ $HOOK = secret-changed ] && env | grep JUJU_SECRET | sort >> $DIR/secret; exit 0");
    world.ok(&["deploy", charm.text()]);
    let file = world.directory.path().join("value");
    std::fs::write(&file, "from a file").unwrap();
    let uri = world.ok(&["add-secret", "tok", "user=one", &format!("data#file={}", file.display())]).trim().to_owned();
    let id = uri.strip_prefix("secret:").unwrap();
    assert_eq!(id.len(), 20);
    world.ok(&["config", "reader", &format!("tok={uri}")]);
    world.settled();
    let get = |arguments: &str| world.on_unit("reader/0", &format!("secret-get {arguments}"));

    assert_eq!(get(&uri), said(1, "", "ERROR permission denied\n"));
    world.ok(&["grant-secret", "tok", "reader"]);
    assert_eq!(
        get(&format!("{id} --format=json --label mine")),
        said(0, "{\"data\":\"from a file\",\"user\":\"one\"}\n", "")
    );
    assert_eq!(get("--label mine user"), said(0, "one\n", ""));
    assert_eq!(get("--label mine user#base64"), said(0, "b25l\n", ""));
    assert_eq!(get("--label mine none"), said(1, "", "ERROR secret key value \"none\" not found\n"));
    assert!(!world.hooks("reader/0").contains(&"secret-changed".to_owned()));

    // Same content: no revision, no hook. New content: one of each.
    world.ok(&["update-secret", "tok", "user=one", "data=from a file"]);
    assert_eq!(world.json(&["show-secret", "tok"])[id]["revision"], 1);
    world.ok(&["update-secret", "tok", "user=two"]);
    world.wait("secret-changed", || world.hooks("reader/0").contains(&"secret-changed".to_owned()));
    world.settled();
    assert_eq!(world.hooks("reader/0").iter().filter(|hook| *hook == "secret-changed").count(), 1);
    assert_eq!(world.read("secret"), format!("JUJU_SECRET_ID={uri}\nJUJU_SECRET_LABEL=mine\n"));
    #[rustfmt::skip]
    let table = [
        ("",          "one\n"), // tracked
        (" --peek",   "two\n"),
        ("",          "one\n"),
        (" --refresh", "two\n"),
        ("",          "two\n"),
    ];
    for (flag, value) in table {
        assert_eq!(get(&format!("{uri} user{flag}")).stdout, value, "{flag}");
    }
    // A consumer cannot look at what it does not own.
    assert_eq!(get("x"), said(2, "", "ERROR secret URI \"x\" not valid\n"));
    let info = world.on_unit("reader/0", &format!("secret-info-get {id}"));
    assert_eq!(info, said(1, "", &format!("ERROR secret {id:?} not found\n")));
    world.ok(&["revoke-secret", "tok", "reader"]);
    assert_eq!(get(&uri), said(1, "", "ERROR permission denied\n"));
    world.ok(&["remove-secret", "tok"]);
    assert_eq!(get(&uri), said(1, "", &format!("ERROR secret {id:?} not found\n")));
}

#[test]
fn the_text_of_show_secret_is_jujus() {
    let world = World::new();
    let uri = world.ok(&["add-secret", "mine", "token=abc", "--info", "for tests"]);
    let id = uri.trim().strip_prefix("secret:").unwrap();
    let shown = world.ok(&["show-secret", "mine", "--reveal"]);
    let lines: Vec<&str> = shown.lines().filter(|line| !line.contains("checksum") && !line.contains("ated:")).collect();
    let expected = [
        &format!("{id}:"),
        "  revision: 1",
        "  owner: <model>",
        "  description: for tests",
        "  name: mine",
        "  content:",
        "    token: abc",
    ];
    assert_eq!(lines, expected);
    assert!(!world.ok(&["show-secret", "mine"]).contains("abc"));
    for (args, text) in [
        (vec!["add-secret", "mine", "token=x"], "secret with name \"mine\" already exists"),
        (vec!["add-secret", "other", "ab=x"], "key \"ab\" not valid"),
        (vec!["add-secret", "other"], "missing secret value or filename"),
        (vec!["show-secret", "other"], "secret \"other\" not found"),
        (vec!["grant-secret", "mine", "nobody"], "application \"nobody\" not found"),
    ] {
        let answer = world.juju(&args);
        assert_eq!((answer.code, answer.stderr), (1, format!("ERROR {text}\n")));
    }
}

#[test]
fn a_charms_secret_goes_over_a_relation_and_comes_with_its_hooks() {
    let world = World::new();
    let owner = world.charm("owner").meta("provides: {out: {interface: s}}").dispatch(
        "case $HOOK in\n\
         out-relation-created) uri=$(secret-add --label out pass=one); secret-get $uri pass > $DIR/pending\n\
           secret-grant $uri -r $JUJU_RELATION_ID; relation-set --app uri=$uri;;\n\
         secret-remove) echo $JUJU_SECRET_LABEL $JUJU_SECRET_REVISION >> $DIR/removed; secret-remove $JUJU_SECRET_ID --revision $JUJU_SECRET_REVISION;;\n\
         esac; exit 0",
    );
    let reader = world.charm("reader").meta("requires: {in: {interface: s}}").dispatch(
        "case $HOOK in\n\
         in-relation-changed) uri=$(relation-get --app uri $JUJU_REMOTE_APP); [ -n \"$uri\" ] && secret-get $uri --label in pass > $DIR/got;;\n\
         secret-changed) secret-get $JUJU_SECRET_ID --refresh pass > $DIR/got;;\n\
         esac; exit 0",
    );
    let stranger = world.charm("stranger");
    for charm in [&owner, &reader, &stranger] {
        world.ok(&["deploy", charm.text()]);
    }
    world.settled();
    world.ok(&["integrate", "owner", "reader"]);
    world.wait("the reader to read", || world.read("got") == "one\n");
    assert_eq!(world.read("pending"), "one\n");
    let uri = world.on_unit("reader/0", "relation-get -r 0 --app uri owner").stdout.trim().to_owned();
    assert_eq!(world.on_unit("stranger/0", &format!("secret-get {uri}")).stderr, "ERROR permission denied\n");

    // The owner always reads the newest; the reader's hook refreshes; the old revision is then obsolete.
    assert_eq!(world.on_unit("owner/0", &format!("secret-set {uri} pass=two")).code, 0);
    assert_eq!(world.on_unit("owner/0", "secret-get --label out pass").stdout, "two\n");
    world.wait("the reader to refresh", || world.read("got") == "two\n");
    world.wait("secret-remove", || world.read("removed") == "out 1\n");
    world.settled();
    let info = world.on_unit("owner/0", "secret-info-get --label out --format=json").stdout;
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let (_, info) = info.as_object().unwrap().iter().next().unwrap();
    assert_eq!((&info["revision"], &info["label"], &info["owner"]), (&2.into(), &"out".into(), &"application".into()));

    world.ok(&["remove-relation", "owner", "reader"]);
    world.wait("the grant to end with the relation", || {
        world.on_unit("reader/0", &format!("secret-get {uri}")).stderr == "ERROR permission denied\n"
    });
}

#[test]
fn secrets_rotate_and_expire() {
    let world = World::new();
    let charm = world.charm("clock").dispatch(
        "case $HOOK in\n\
         start) secret-add --owner unit --label short --expire 300ms abc=1;;\n\
         secret-expired) echo $JUJU_SECRET_LABEL $JUJU_SECRET_REVISION >> $DIR/expired;;\n\
         esac; exit 0",
    );
    world.ok(&["deploy", charm.text()]);
    world.wait("secret-expired", || world.read("expired") == "short 1\n");
}

#[test]
fn secret_values_are_kept_out_of_logs_and_other_users_reach() {
    let world = World::new();
    let charm = world.charm("quiet");
    world.ok(&["deploy", charm.text()]);
    world.settled();
    let uri = world.ok(&["add-secret", "deep", "token=verysecretvalue"]);
    world.ok(&["grant-secret", "deep", "quiet"]);
    assert!(world.ok(&["exec", "--unit", "quiet/0", "--", "secret-get", uri.trim()]).contains("verysecretvalue"));
    assert!(!world.ok(&["debug-log"]).contains("verysecretvalue"));
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |name: &str| world.home().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state.json"), mode("daemon.socket"), mode("daemon.log")), (0o600, 0o600, 0o600));
    assert_eq!((mode("models/m"), mode("models/m/storage"), mode("models/m/agents")), (0o755, 0o755, 0o755));
}
