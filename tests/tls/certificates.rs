//! Certificates that are renewed, revoked, expire, and authorities that change:
//! nobody who uses the database notices.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::harness::{holds, until, until_some};
use super::switched::PAUSE;
use super::world::{AUTHORITY, World};

/// What each unit's services show.
type Serials = BTreeMap<String, String>;

impl World {
    pub fn serials(&self) -> Serials {
        self.units().into_iter().map(|unit| (unit.clone(), self.own_serial(&unit))).collect()
    }

    /// Certificates that all ports show, and that the present authority signed.
    #[track_caller]
    fn shows_the_authoritys(&self) {
        let ca = self.authority_ca();
        // etcd reads authorities at its start only: right after a change it is away for a moment.
        let shows = |unit: &String| holds(|| self.speaks_tls_alone(unit, &ca));
        until(60, "every port shows the authority's certificate", || self.units().iter().all(shows));
    }

    /// How many authorities the unit's services trust.
    fn trusted_count(&self, unit: &str) -> usize {
        let text = std::fs::read_to_string(self.trusted(unit)).unwrap_or_default();
        text.matches("-----BEGIN CERTIFICATE").count()
    }

    fn config_of_authority(&self, settings: &[&str]) {
        self.shell.juju(&[&["config", "certificates"], settings].concat()).ok();
    }
}

/// What must not happen while certificates change.
fn unnoticed(world: &'static World, change: impl FnOnce()) {
    let before = world.lives();
    change();
    world.is_whole(world.units().len());
    assert_eq!(world.lives(), before, "no PostgreSQL was restarted, and none was promoted");
    let pause = world.writer.longest_pause();
    assert!(pause <= PAUSE, "the writer waited {pause:?}");
}

pub fn renewed(world: &'static World) {
    world.with_tls();
    let before = world.serials();
    unnoticed(world, || {
        // At two thirds each unit asks for another: that one is valid long.
        world.config_of_authority(&["validity=45s"]);
        world.shell.action(AUTHORITY, &["reissue"]).ok();
        let short = until_some(90, "the short ones are taken over", || all_others(world, &before));
        world.config_of_authority(&["validity=8760h"]);
        until_some(120, "they are renewed before they expire", || all_others(world, &short));
    });
    world.shows_the_authoritys();
}

/// The present serial numbers, when no unit has its old one.
fn all_others(world: &'static World, before: &Serials) -> Option<Serials> {
    let now = world.serials();
    now.iter().all(|(unit, serial)| before.get(unit) != Some(serial)).then_some(now)
}

pub fn other_authority(world: &'static World) {
    world.with_tls();
    let before = world.serials();
    let old = std::fs::read_to_string(world.authority_ca()).expect("the CA");
    unnoticed(world, || {
        world.shell.action(AUTHORITY, &["rotate-ca"]).ok();
        until_some(180, "all units show certificates of the new authority", || all_others(world, &before));
        let trusts_one = || world.units().iter().all(|unit| world.trusted_count(unit) == 1);
        until(180, "nobody trusts the old authority", trusts_one);
    });
    let new = std::fs::read_to_string(world.authority_ca()).expect("the CA");
    assert_ne!(old, new);
    for unit in world.units() {
        let trusted = std::fs::read_to_string(world.trusted(&unit)).expect("whom it trusts");
        assert_eq!(trusted.trim(), new.trim(), "{unit}");
    }
    world.shows_the_authoritys();
}

pub fn revoked(world: &'static World) {
    world.with_tls();
    let unit = world.primary();
    let before = world.serials();
    let key = key_of(world, &unit);
    unnoticed(world, || {
        world.shell.action(AUTHORITY, &["revoke", &format!("unit={unit}")]).ok();
        until(120, "another certificate is in use", || world.own_serial(&unit) != before[&unit]);
        let ca = world.authority_ca();
        let signed = || world.units().iter().all(|unit| world.trusted_count(unit) == 1) && is_of(world, &unit, &ca);
        until(180, "it is the authority's, and the bridge is forgotten", signed);
    });
    assert_ne!(key_of(world, &unit), key, "the key is another");
    for (other, serial) in before.iter().filter(|(other, _)| **other != unit) {
        assert_eq!(&world.own_serial(other), serial, "{other} has kept its own");
    }
    world.shows_the_authoritys();
}

fn key_of(world: &'static World, unit: &str) -> String {
    let text = std::fs::read_to_string(world.pem(unit)).unwrap_or_default();
    text.split("-----BEGIN CERTIFICATE").next().unwrap_or_default().to_owned()
}

/// Is what a unit shows signed by this CA?
fn is_of(world: &'static World, unit: &str, ca: &std::path::Path) -> bool {
    let (address, pem) = (world.address(unit), world.pem(unit));
    super::ports::shown(&address, 5432, super::ports::Identity { pem: Some(&pem), trusts: ca }).is_ok()
}

const AMONG_EACH_OTHER: &str = "the units go on with certificates of their own among each other, clients that verify are refused; juju status certificates";

fn say_that_they_are_bridged(world: &'static World) {
    until(120, "the status says so", || {
        world.units().iter().all(|unit| {
            let (status, message) = world.status(unit);
            status == "blocked" && message.contains("certificate") && message.contains(AMONG_EACH_OTHER)
        })
    });
}

/// The authority is away, and the units see the end coming.
pub fn bridged(world: &'static World) {
    world.with_tls();
    let before = world.serials();
    unnoticed(world, || {
        // A third of it is left when they ask for another: time for a change-over on a slow machine, too.
        world.config_of_authority(&["validity=200s"]);
        world.shell.action(AUTHORITY, &["reissue"]).ok();
        let short = until_some(90, "the short ones are taken over", || all_others(world, &before));
        world.config_of_authority(&["away=true"]);
        let bridged = until_some(260, "every unit has a certificate of its own making", || all_others(world, &short));
        say_that_they_are_bridged(world);
        streams(world);
        let replica = world.replicas().remove(0);
        until(120, "a replica still backs up", || world.shell.action(&replica, &["create-backup"]).completed);
        world.config_of_authority(&["away=false", "validity=8760h"]);
        until_some(180, "the authority's are taken over", || all_others(world, &bridged));
        let trusts_one = || world.units().iter().all(|unit| world.trusted_count(unit) == 1);
        until(180, "nobody trusts the bridges", trusts_one);
    });
    world.shows_the_authoritys();
}

/// The authority is away, and no hook runs before the end: then the units cannot
/// reach each other any more, a primary may stand back, but no row is lost and
/// they find each other again.
pub fn expired(world: &'static World) {
    world.with_tls();
    let before = world.serials();
    world.config_of_authority(&["validity=45s"]);
    world.shell.action(AUTHORITY, &["reissue"]).ok();
    let short = until_some(90, "the short ones are taken over", || all_others(world, &before));
    world.config_of_authority(&["away=true"]);
    // The hardest way: nobody sees it coming.
    world.hooks_rest();
    until(90, "all have expired", || world.units().iter().all(|unit| has_expired(&world.pem(unit))));
    world.hooks_run();
    let bridged = until_some(180, "every unit has a certificate of its own making", || all_others(world, &short));
    say_that_they_are_bridged(world);
    streams(world);
    let pause = world.writer.longest_pause();
    eprintln!("    expired, longest pause {pause:.2?}");
    world.config_of_authority(&["away=false", "validity=8760h"]);
    until_some(180, "the authority's are taken over", || all_others(world, &bridged));
    world.is_whole(world.units().len());
    let trusts_one = || world.units().iter().all(|unit| world.trusted_count(unit) == 1);
    until(180, "nobody trusts the bridges", trusts_one);
    world.shows_the_authoritys();
    assert!(pause <= Duration::from_secs(60), "the writer waited {pause:?}");
}

fn has_expired(pem: &Path) -> bool {
    let check = Command::new("openssl")
        .args(["x509", "-noout", "-checkend", "0", "-in"])
        .arg(pem)
        .stdout(Stdio::null())
        .status();
    check.expect("openssl").code() == Some(1)
}

fn streams(world: &'static World) {
    let wanted = (world.units().len() - 1).to_string();
    let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    until(60, "the replicas stream", || world.sql(&world.primary(), streaming) == wanted);
}
