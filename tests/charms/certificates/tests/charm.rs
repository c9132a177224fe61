//! The charm under localjuju: what a requirer is told when it asks, and when the authority is told something.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod world;

use std::fs;
use std::time::SystemTime;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use world::World;

/// openssl believes it, and it is for the key that the unit has.
#[track_caller]
fn verify(world: &World, unit: &str, entry: &Value) {
    let text = |name: &str| entry[name].as_str().unwrap().to_owned();
    assert_eq!(entry["chain"], json!([text("certificate"), text("ca")]));
    fs::write(world.path("leaf.pem"), text("certificate")).unwrap();
    fs::write(world.path("ca.pem"), text("ca")).unwrap();
    let named = ["-verify_hostname", "db.example", "-purpose", "sslserver"];
    let args = [&["verify", "-x509_strict", "-CAfile", "ca.pem"], &named[..], &["leaf.pem"]].concat();
    assert_eq!(world.openssl(&args), "leaf.pem: OK\n");
    let theirs = world.openssl(&["pkey", "-in", &format!("{unit}.key"), "-pubout"]);
    assert_eq!(world.openssl(&["x509", "-in", "leaf.pem", "-noout", "-pubkey"]), theirs);
}

fn ca_name(world: &World) -> String {
    fs::write(world.path("ca.pem"), world.result(&["get-ca"], "ca")).unwrap();
    let subject = world.openssl(&["x509", "-in", "ca.pem", "-noout", "-subject", "-nameopt", "multiline"]);
    subject.rsplit(" = ").next().unwrap().trim().to_owned()
}

fn list(world: &World) -> Vec<Value> {
    serde_json::from_str(&world.result(&["list"], "certificates")).unwrap()
}

/// Units of the requirer that have one, the name of the CA, what else is said.
fn signs(units: &str, ca: &str, rest: &str) -> String {
    format!("active: signs for {units}, CA {ca}{rest}")
}

#[test]
fn it_signs_revokes_rotates_and_is_away() {
    let world = World::new();
    world.ok(&["deploy", &world.path("certificates"), "certificates"]);
    world.ok(&["deploy", &world.path("pg"), "pg"]);
    world.ok(&["integrate", "pg", "certificates"]);

    // Each unit is answered for its own request, and one does not disturb the other.
    let first = world.wait_entry("pg-0", "its certificate", |_| true);
    verify(&world, "pg-0", &first);
    let ca = ca_name(&world);
    world.wait_status(&signs("1 unit", &ca, ""));
    assert_eq!(world.result(&["get-ca"], "ca"), first["ca"].as_str().unwrap());
    world.ok(&["add-unit", "pg"]);
    let second = world.wait_entry("pg-1", "its certificate", |_| true);
    verify(&world, "pg-1", &second);
    world.wait_status(&signs("2 units", &ca, ""));
    assert_eq!(world.entry("pg-0").unwrap(), first);

    // A new charm keeps its CA: nothing is signed again.
    world.ok(&["refresh", "certificates", "--path", &world.path("certificates")]);
    world.wait("the upgrade", || world.hooks("upgrade-charm") == 1);
    assert_eq!(ca_name(&world), ca);

    // Revoked until the unit asks with a new request.
    let serials = world.result(&["revoke", "unit=pg/0"], "serials");
    let revoked = world.wait_entry("pg-0", "its revocation", |entry| entry["revoked"] == true);
    assert_eq!(revoked["certificate"], first["certificate"]);
    assert_eq!(world.wait_entry("pg-1", "no revocation", |_| true), second);
    world.wait_status(&signs("1 unit", &ca, ""));
    let listed = list(&world);
    assert_eq!(json!([listed[0]["serial"]]).to_string(), serials);
    let shown: Vec<_> = listed.iter().map(|one| (one["unit"].as_str().unwrap(), one["revoked"] == true)).collect();
    assert_eq!(shown, [("pg/0", true), ("pg/1", false)]);
    assert_eq!(world.failure(&["revoke", "unit=pg/0"]), "pg/0 has no certificate that is not revoked already");
    assert_eq!(world.failure(&["revoke", "unit=pg/7"]), "no unit `pg/7` is related");
    world.action("pg/0", &["ask"]);
    let again = world.wait_entry("pg-0", "a new certificate", |entry| entry.get("revoked").is_none());
    verify(&world, "pg-0", &again);
    assert_eq!(world.told("pg-0").len(), 2, "the old request's entry is gone");

    // Another CA, and everything is its own.
    assert_eq!(world.result(&["rotate-ca"], "signed"), "2");
    let rotated = ca_name(&world);
    assert_ne!(rotated, ca);
    for (unit, old) in [("pg-0", &again), ("pg-1", &second)] {
        let new = world.wait_entry(unit, "the new CA", |entry| entry["ca"] != old["ca"]);
        assert_ne!(new["certificate"], old["certificate"]);
        assert_eq!(new["ca"].as_str().unwrap(), world.result(&["get-ca"], "ca"));
        verify(&world, unit, &new);
    }
    world.wait_status(&signs("2 units", &rotated, ""));

    // Away: who asks waits, what was answered stays.
    world.ok(&["config", "certificates", "away=true"]);
    world.wait_status("active: away: signs nothing");
    let before = list(&world);
    let kept = world.entry("pg-0").unwrap();
    let heard = world.hooks("certificates-relation-changed");
    world.action("pg/1", &["ask"]);
    world.wait("the authority hears it", || world.hooks("certificates-relation-changed") > heard);
    for words in [&["rotate-ca"][..], &["reissue"], &["revoke", "unit=pg/0"]] {
        assert_eq!(world.failure(words), "away: signs nothing");
    }
    assert_eq!(world.entry("pg-0").unwrap(), kept);
    assert_eq!(world.entry("pg-1"), None);
    // Only pg/1's line goes: its request is another one now.
    assert_eq!(list(&world), before[..1]);
    world.ok(&["config", "certificates", "away=false"]);
    let answered = world.wait_entry("pg-1", "what it asked for meanwhile", |_| true);
    verify(&world, "pg-1", &answered);

    // A short validity is for new certificates.
    world.ok(&["config", "certificates", "validity=soon"]);
    let blocked = "blocked: option `validity` must be 1s to 87600h, such as 90s, 15m, 24h or 1h30m, not `soon`";
    world.wait_status(blocked);
    world.ok(&["config", "certificates", "validity=90s"]);
    world.wait_status(&signs("2 units", &rotated, ""));
    assert_eq!(world.entry("pg-1").unwrap(), answered);
    assert_eq!(world.result(&["reissue"], "signed"), "2");
    let short = world.wait_entry("pg-1", "a short certificate", |entry| *entry != answered);
    assert_eq!(short["ca"], answered["ca"]);
    verify(&world, "pg-1", &short);
    for one in list(&world) {
        let until = OffsetDateTime::parse(one["not-after"].as_str().unwrap(), &Rfc3339).unwrap();
        let left = (until - OffsetDateTime::from(SystemTime::now())).whole_seconds();
        assert!((60..=90).contains(&left), "{one}: {left} s");
    }

    // What is no request is named, and does not harm the others.
    world.action("pg/1", &["babble"]);
    world.wait_status(&signs("1 unit", &rotated, "; skips pg/1 (not a request)"));
    assert!(world.entry("pg-0").is_some());
    world.ok(&["remove-relation", "pg", "certificates"]);
    world.wait_status(&signs("0 units", &rotated, ""));
}
