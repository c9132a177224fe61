//! TLS is turned on and off in a running cluster.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::harness::{holds, until};
use super::ports::{self, Identity, POSTGRESQL};
use super::watch;
use super::world::{MODEL, World};

/// What a client may wait at most while nothing fails.
pub const PAUSE: Duration = Duration::from_secs(5);

/// etcd reads whom it trusts at its start only: right after a change it is away for a moment.
fn at_last(what: &str, check: impl Fn()) {
    until(60, what, || holds(&check));
}

pub fn on(world: &'static World) {
    let before = world.lives();
    world.with_tls();
    assert_eq!(world.lives(), before, "no PostgreSQL was restarted, and none was promoted");
    let pause = world.writer.longest_pause();
    assert!(pause <= PAUSE, "the writer waited {pause:?}");
    let ca = world.authority_ca();
    for unit in world.units() {
        at_last(&format!("{unit} speaks TLS alone"), || world.speaks_tls_alone(&unit, &ca));
        client_verifies(world, &unit, &ca);
    }
    let plain = "SELECT count(*) FROM pg_stat_replication r JOIN pg_stat_ssl s USING (pid) WHERE NOT s.ssl";
    until(60, "replication is encrypted", || world.sql(&world.primary(), plain) == "0");
    world.note_secrets();
    key_is_at_home(world);
}

/// A client that verifies everything is served by every unit.
fn client_verifies(world: &'static World, unit: &str, ca: &std::path::Path) {
    let knows = world.knows(unit);
    let password = knows["users"]["operator-password"].as_str().unwrap_or_default();
    let options = format!(
        "host={} user=operator dbname=postgres sslmode=verify-full sslrootcert={}",
        world.address(unit),
        ca.display()
    );
    let said =
        world.shell.psql(&["-d", &options], Some(password), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    assert_eq!(said.ok(), "t", "{unit}");
}

/// The private key is on its unit and nowhere else, and nobody else reads it.
fn key_is_at_home(world: &'static World) {
    let model = world.shell.home.join("models").join(MODEL);
    let state = std::fs::read_to_string(world.shell.home.join("state.json")).expect("what Juju stores");
    for unit in world.units() {
        let storage = world.storage(&unit);
        let text = std::fs::read_to_string(world.pem(&unit)).expect("the key");
        let key = text.lines().nth(2).expect("the second line of the key");
        assert!(key.len() == 64, "{unit}: a line of base64");
        assert!(!state.contains(key), "{unit}: its key is in what Juju stores");
        let mut holders = 0;
        for file in watch::files_below(&model) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            if memchr::memmem::find(&bytes, key.as_bytes()).is_none() {
                continue;
            }
            holders += 1;
            assert!(file.starts_with(&storage), "the key of {unit} is in {}", file.display());
            let mode = std::fs::metadata(&file).expect("its mode").permissions().mode();
            assert_eq!(mode & 0o027, 0, "the key of {unit} is in {} with mode {mode:o}", file.display());
        }
        assert_eq!(holders, 2, "{unit}: the services' file and the agent's");
        let seen = world.lines.seen();
        assert!(
            !seen.iter().any(|line| memchr::memmem::find(line, key.as_bytes()).is_some()),
            "{unit}: in a command line"
        );
    }
}

pub fn off_and_on(world: &'static World) {
    world.with_tls();
    let before = world.lives();
    off(world);
    assert_eq!(world.lives(), before, "no PostgreSQL was restarted, and none was promoted");
    toggled(world);
    assert_eq!(world.lives(), before, "no PostgreSQL was restarted, and none was promoted");
    let pause = world.writer.longest_pause();
    assert!(pause <= PAUSE, "the writer waited {pause:?}");
}

fn off(world: &'static World) {
    world.separate_authority();
    until(240, "all units speak plain", || world.all_are_at("plain"));
    world.is_whole(world.units().len());
    for unit in world.units() {
        at_last(&format!("{unit} speaks plain"), || world.speaks_plain(&unit));
    }
    let (primary, replicas) = (world.primary(), world.replicas());
    let refused = world.shell.action(&replicas[0], &["create-backup"]).failed();
    assert_eq!(
        refused,
        format!(
            "Unit cannot perform backups as TLS is not enabled. Run it on the primary: juju run {primary} create-backup \
             (or relate a TLS certificates operator to back up from replicas)"
        )
    );
    let made = world.backup(&primary);
    assert!(world.log_of(&made.get("backup-id")).contains("--no-backup-standby"), "copied from the primary");
}

/// On, off and on again before anything of it is done.
fn toggled(world: &'static World) {
    let some = |stage: &'static str| move || world.units().iter().any(|unit| world.knows(unit)["stage"] == stage);
    world.integrate_authority();
    until(120, "a unit is on its way", some("accept"));
    world.separate_authority();
    let gone = || world.shell.json(&["status"])["applications"]["postgresql"]["relations"]["certificates"].is_null();
    until(120, "the relation is gone", gone);
    world.integrate_authority();
    until(240, "all units speak TLS alone", || world.all_are_at("only"));
    world.separate_authority();
    until(120, "the relation is gone", gone);
    world.integrate_authority();
    world.with_tls();
    let ca = world.authority_ca();
    for unit in world.units() {
        let pem = world.pem(&unit);
        let shown = ports::shown(&world.address(&unit), POSTGRESQL, Identity { pem: Some(&pem), trusts: &ca });
        assert_eq!(shown, Ok(world.own_serial(&unit)), "{unit}");
    }
}
