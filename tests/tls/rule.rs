//! Who may back up when the units speak TLS: every row of the table.

use super::harness::until;
use super::ports;
use super::watch;
use super::world::World;

pub fn every_row(world: &'static World) {
    world.with_tls();
    let (primary, replicas) = (world.primary(), world.replicas());
    let primary: &'static str = primary.leak();
    let [first, second]: [&'static str; 2] = [replicas[0].clone().leak(), replicas[1].clone().leak()];
    // Its role comes before the full backup that is missing.
    for (words, kind) in [(&["create-backup"][..], ""), (&["create-backup", "type=incremental"], " type=incremental")] {
        let refused = world.shell.action(primary, words).failed();
        let begin = "Unit cannot perform backups as it is the cluster primary. \
                     Run it on the healthiest replica: juju run ";
        let command = refused.strip_prefix(begin).unwrap_or_else(|| panic!("{refused}"));
        let named = command.strip_suffix(&format!(" create-backup{kind}")).unwrap_or_else(|| panic!("{refused}"));
        assert!([first, second].contains(&named), "{refused}");
        if kind.is_empty() {
            copied_from_replica(world, named);
        }
    }
    let differential = world.shell.action(first, &["create-backup", "type=differential"]).ok();
    let incremental = world.shell.action(second, &["create-backup", "type=incremental"]).ok();
    assert_eq!(incremental.get("reference"), differential.get("backup-id"), "another unit's backup is stood on");
    one_at_a_time(world, primary, first, second);
    world.hooks_rest();
    too_far_behind(world, primary, first);
    does_not_run(world, primary, second);
    is_cut_off(world, second);
    world.hooks_run();
}

/// The very command that the refusal names.
fn copied_from_replica(world: &'static World, unit: &str) {
    let made = world.backup(unit);
    let log = world.log_of(&made.get("backup-id"));
    assert!(log.contains("--backup-standby") && log.contains("wait for replay on the standby to reach"), "{log}");
    let pause = world.writer.longest_pause();
    assert!(pause.as_secs() < 3, "the primary's clients waited {pause:?}");
}

fn one_at_a_time(world: &'static World, primary: &str, first: &'static str, second: &str) {
    let running = world.slow_backup(first);
    let refused = world.shell.action(second, &["create-backup"]).failed();
    assert_eq!(
        refused,
        format!(
            "a backup is running on {first}; only one may run at a time. \
             Wait until it is done (list-backups shows its progress), then try again."
        )
    );
    for unit in [primary, second] {
        assert_eq!(world.listed(unit, "in-progress").len(), 1, "{unit}");
    }
    assert!(!running.is_over(), "it was still running then");
    world.fault("none");
    running.end().ok();
}

/// Nothing comes from the primary any more: the program that receives is stopped.
fn too_far_behind(world: &'static World, primary: &str, replica: &str) {
    let receiver = world.processes(replica, "walreceiver").pop().expect("a program that receives WAL");
    watch::signal(&receiver, nix::sys::signal::Signal::SIGSTOP);
    world.sql(
        primary,
        "SELECT count(pg_logical_emit_message(false, 'scenario', repeat('x', 1048576))) FROM generate_series(1, 270)",
    );
    let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until(30, "Patroni has seen it", || lag(world, primary, replica) > 256 << 20);
        world.shell.action(replica, &["create-backup"]).failed()
    }));
    watch::signal(&receiver, nix::sys::signal::Signal::SIGCONT);
    let said = said.expect("a refusal");
    assert!(said.contains("MiB behind the primary (at most 256 MiB are allowed)"), "{said}");
    assert!(said.ends_with(&format!("Wait until it has caught up, then: juju run {replica} create-backup")), "{said}");
}

/// As every unit's Patroni tells it.
fn lag(world: &'static World, primary: &str, replica: &str) -> u64 {
    let identity = ports::Identity { pem: None, trusts: &world.trusted(primary) };
    let told = ports::http(&format!("https://{}:8008/cluster", world.address(primary)), Some(identity), &[]);
    let cluster: serde_json::Value = serde_json::from_str(&told.expect("the cluster").1).unwrap_or_default();
    let name = replica.replace('/', "-");
    let member = cluster["members"].as_array().into_iter().flatten().find(|member| member["name"] == *name);
    member.and_then(|member| member["lag"].as_u64()).unwrap_or_default()
}

/// Patroni, told to stand back, leaves a PostgreSQL alone that has been stopped.
fn does_not_run(world: &'static World, primary: &str, replica: &str) {
    let data = world.storage(replica).join("pg/data").display().to_string();
    let control = |how: &[&str]| {
        let status = std::process::Command::new("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "/usr/lib/postgresql/15/bin/pg_ctl"])
            .args(["-D", &data])
            .args(how)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .status();
        status.expect("pg_ctl").success()
    };
    pause(world, primary, true);
    assert!(control(&["stop", "-m", "fast", "-w"]), "PostgreSQL of {replica} stops");
    let mut said = String::new();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until(30, "it is refused", || {
            said = world.shell.action(replica, &["create-backup"]).message;
            said.starts_with("Unit cannot perform backups as it's not in running state")
        });
    }));
    pause(world, primary, false);
    assert!(refused.is_ok(), "{said}");
    assert!(said.contains(&format!("Wait until juju status shows {replica} as active")), "{said}");
}

/// By what an operator has: the REST API, with the unit's certificate and password.
fn pause(world: &'static World, unit: &str, yes: bool) {
    let (pem, trusts) = (world.pem(unit), world.trusted(unit));
    let knows = world.knows(unit);
    let user = format!("patroni:{}", knows["users"]["patroni-password"].as_str().unwrap_or_default());
    let file = world.shell.home.join("user");
    std::fs::write(&file, format!("user = \"{user}\"\n")).expect("a file for curl");
    let url = format!("https://{}:8008/config", world.address(unit));
    let body = format!("{{\"pause\": {yes}}}");
    let file = file.display().to_string();
    let identity = ports::Identity { pem: Some(&pem), trusts: &trusts };
    let told = ports::http(&url, Some(identity), &["-K", &file, "-X", "PATCH", "-d", &body]);
    std::fs::remove_file(&file).expect("removing it");
    assert_eq!(told.as_ref().map(|(code, _)| *code), Ok(200), "{told:?}");
}

/// Unknown refuses: a unit that reaches nobody knows neither its role nor its lag.
fn is_cut_off(world: &'static World, replica: &str) {
    if !world.namespaces {
        return;
    }
    world.is_whole(world.units().len());
    world.shell.juju(&["network", replica, "cut"]).ok();
    let mut said = String::new();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until(40, "it is refused", || {
            let action = world.shell.action(replica, &["create-backup"]);
            said.clone_from(&action.message);
            !action.completed && said.starts_with("Unit cannot perform backups as")
        });
    }));
    world.shell.juju(&["network", replica, "heal"]).ok();
    eprintln!("    cut off: {said}");
    assert!(refused.is_ok(), "{said}");
}

/// The end: one unit is planned, which is the primary, and may back up.
pub fn one_planned_unit(world: &'static World) {
    world.with_tls();
    let primary = world.primary();
    for replica in world.replicas() {
        world.shell.juju(&["remove-unit", &replica, "--no-prompt"]).ok();
    }
    until(180, "one unit is left", || world.units().len() == 1);
    world.is_whole(1);
    world.tell_writer();
    let made = world.backup(&primary);
    assert!(world.log_of(&made.get("backup-id")).contains("--no-backup-standby"), "copied from the primary");
    world.speaks_tls_alone(&primary, &world.authority_ca());
}
