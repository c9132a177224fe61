//! The system users' own secret: granted, read, rotated, refused by name.

use super::harness::until;
use super::world::{UNIT, World};

const USERS: [&str; 4] = ["operator", "replication", "rewind", "monitoring"];

impl World {
    /// Writes a secret's content where no other process reads it from a command line.
    fn content(&self, lines: &[(String, String)]) -> String {
        let file = self.shell.home.join("content.yaml");
        let text: String = lines.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        std::fs::write(&file, text).expect("the secret's file");
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        file.display().to_string()
    }

    /// Passwords of the four users, `suffix` after each name.
    fn passwords(&self, word: &str, suffix: &str) -> String {
        let lines = USERS.map(|user| {
            let password = format!("{word}-canary-of-{user}");
            self.note(&format!("{user}, given"), &password);
            (format!("{user}{suffix}"), password)
        });
        self.content(&lines)
    }

    /// May `operator` come in over TCP with this password?
    pub fn lets_in(&self, password: &str) -> bool {
        let place = ["-h", &self.address, "-p", "5432", "-U", "operator", "-d", "postgres"];
        self.shell.psql(&place, Some(password), "SELECT 1").good
    }

    /// The secret of the scenarios, made by the first that asks.
    fn secret(&self) -> String {
        let known = self.knows()["config"]["system-users"].as_str().map(ToOwned::to_owned);
        known.filter(|uri| !uri.is_empty()).unwrap_or_else(|| {
            let uri = self.shell.juju(&["add-secret", "pg-users", "--file", &self.passwords("first", "")]).ok();
            self.config("postgresql", &format!("system-users={uri}"));
            uri
        })
    }
}

pub fn granted_later(world: &'static World) {
    let secret = world.secret();
    let id = secret.trim_start_matches("secret:");
    let message = world.blocked(UNIT, "granted");
    let command = format!("juju grant-secret {id} postgresql");
    assert_eq!(message, format!("secret of `system-users` is not granted; {command}"));
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    world.shell.juju(&words).ok();
    world.active(UNIT);
    until(30, "the secret's password opens the database", || world.lets_in("first-canary-of-operator"));
}

pub fn rotated(world: &'static World) {
    let secret = granted(world);
    let file = world.passwords("second", "-password");
    world.shell.juju(&["update-secret", &secret, "--file", &file]).ok();
    until(60, "the new password opens the database", || world.lets_in("second-canary-of-operator"));
    assert!(!world.lets_in("first-canary-of-operator"), "the old one does no more");
    world.active(UNIT);
    world.add_rows(1);
}

fn granted(world: &'static World) -> String {
    let secret = world.secret();
    world.shell.juju(&["grant-secret", &secret, "postgresql"]);
    world.active(UNIT);
    secret
}

pub fn bad_content(world: &'static World) {
    let secret = granted(world);
    world.shell.juju(&["update-secret", &secret, "--file", &world.passwords("third", "")]).ok();
    until(60, "the third password is in force", || world.lets_in("third-canary-of-operator"));
    let with = |user: &str, value: Option<&str>| {
        let given = USERS.iter().filter(|name| **name != user || value.is_some());
        let lines = given.map(|name| {
            let password =
                if *name == user { value.unwrap_or_default().to_owned() } else { format!("bad-canary-of-{name}") };
            ((*name).to_owned(), password)
        });
        lines.collect::<Vec<_>>()
    };
    let of = |what: &str| format!("the secret of `system-users` {what}");
    let long = format!("canary-{}", "x".repeat(600));
    #[rustfmt::skip]
    let table = [
        (with("monitoring", None),                 of("lacks `monitoring`")),
        (with("rewind", Some("\"   \"")),          of("has an empty password for `rewind`")),
        (with("operator", Some("\"a\\nb\"")),      of("has a line break or control character in the password of `operator`")),
        (with("replication", Some(&long)),         of("has a password of more than 512 bytes for `replication`")),
    ];
    for (content, sentence) in table {
        world.shell.juju(&["update-secret", &secret, "--file", &world.content(&content)]).ok();
        let message = world.blocked(UNIT, &sentence);
        assert!(message.starts_with(&sentence), "{message}");
        assert!(message.contains("; juju update-secret ") || message.chars().count() == 200, "{message}");
        assert!(world.lets_in("third-canary-of-operator"), "the last good passwords stay in force");
    }
    world.shell.juju(&["update-secret", &secret, "--file", &world.passwords("fourth", "-password")]).ok();
    world.active(UNIT);
    until(30, "the good password is in force", || world.lets_in("fourth-canary-of-operator"));
    world.config("postgresql", "system-users=secret:0123456789abcdefghij");
    let message = world.blocked(UNIT, "0123456789abcdefghij");
    let sentence = "secret 0123456789abcdefghij of `system-users` does not exist; juju config postgresql system-users=<secret URI>";
    assert!(
        message == sentence || message.contains("is not granted; juju grant-secret 0123456789abcdefghij"),
        "{message}"
    );
    world.config("postgresql", &format!("system-users={secret}"));
    world.active(UNIT);
}
