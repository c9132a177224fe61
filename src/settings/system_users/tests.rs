//! Tables of what is good and what is refused.

use super::*;

fn content(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let healthy = ["operator", "monitoring", "replication", "rewind", "patroni", "raft"];
    let mut all: BTreeMap<String, String> =
        healthy.iter().map(|user| ((*user).to_owned(), format!("{user}'s own"))).collect();
    all.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    all
}

fn without(users: &[&str]) -> BTreeMap<String, String> {
    content(&[]).into_iter().filter(|(user, _)| !users.contains(&user.as_str())).collect()
}

/// A small generator (Lehmer's), the same in every run.
fn repeatable() -> impl FnMut(&mut [u8]) {
    let mut state = 1_u64;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state * 48_271 % 0x7FFF_FFFF;
            *byte = (state >> 8) as u8;
        }
    }
}

#[test]
fn both_spellings_of_a_user_are_read() {
    let bare = SystemUsers::from_content(&content(&[]), None).unwrap();
    let suffixed = SystemUsers::from_content(&bare.to_content(), None).unwrap();
    assert!(bare == suffixed);
    assert_eq!(bare.rewind.expose_secret(), "rewind's own");
    assert!(bare.to_content().keys().all(|key| key.ends_with("-password")));
}

#[test]
fn what_cannot_be_a_password_is_refused_with_the_name_of_the_user() {
    use BadSystemUsers::*;
    let long = "x".repeat(1 << 20);
    #[rustfmt::skip]
    let table = [
        (content(&[("operator", "")]),                  Empty { user: "operator" }),
        (content(&[("operator", "  ")]),                Empty { user: "operator" }),
        (content(&[("rewind", "a\0b")]),                Nul { user: "rewind" }),
        (content(&[("raft", "a\nb")]),                  Control { user: "raft" }),
        (content(&[("replication", "a\x1bb")]),         Control { user: "replication" }),
        (content(&[("monitoring", &long)]),             TooLong { user: "monitoring" }),
        (content(&[("operator-password", "another")]),  Twice { user: "operator" }),
        (without(&["rewind", "operator"]),              Missing { users: vec!["operator", "rewind"] }),
        (without(&["patroni"]),                         Missing { users: vec!["patroni"] }),
    ];
    for (content, want) in table {
        assert_eq!(SystemUsers::from_content(&content, None).unwrap_err(), want);
    }
}

#[test]
fn a_users_secret_may_leave_out_what_is_not_a_user_of_the_database() {
    let generated = SystemUsers::generate(&mut repeatable());
    let users = SystemUsers::from_content(&without(&["patroni", "raft"]), Some(&generated)).unwrap();
    assert!(same(&users.raft, &generated.raft) && same(&users.patroni, &generated.patroni));
    assert_eq!(
        SystemUsers::from_content(&without(&["rewind"]), Some(&generated)).unwrap_err(),
        BadSystemUsers::Missing { users: vec!["rewind"] }
    );
}

#[test]
fn generated_passwords_are_long_different_and_plain() {
    let users = SystemUsers::generate(&mut repeatable());
    let mut passwords: Vec<_> = users.to_content().into_values().collect();
    assert!(passwords.iter().all(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    passwords.dedup();
    assert_eq!(passwords.len(), 6);
}

#[test]
fn every_letter_is_as_likely_as_any_other() {
    let all: String = (0..=255).filter_map(letter).collect();
    for letter in ('A'..='Z').chain('a'..='z').chain('0'..='9') {
        assert_eq!(all.matches(letter).count(), 4, "{letter}");
    }
}

#[test]
fn the_command_names_every_user_and_no_password_is_ever_printed() {
    let secret = "9m4e2mr0ui3e8a215n4g".parse().unwrap();
    let bad = SystemUsers::from_content(&content(&[("rewind", "canary\n")]), None).unwrap_err();
    assert_eq!(
        bad.command(&secret),
        "juju update-secret secret:9m4e2mr0ui3e8a215n4g operator=<password> monitoring=<password> \
         replication=<password> rewind=<password>"
    );
    assert_eq!(
        BadSystemUsers::Missing { users: vec!["operator", "rewind"] }.to_string(),
        "the secret of `system-users` lacks `operator`, `rewind`"
    );
    let users = SystemUsers::from_content(&content(&[("rewind", "canary")]), None).unwrap();
    assert!(!format!("{bad} {bad:?} {users:?}").contains("canary"));
}
