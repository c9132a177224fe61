//! Input that is meant to do harm: refused by its name, nothing executed,
//! nothing half-written.

use super::harness::until;
use super::world::{BUCKET, PATH, UNIT, World};

impl World {
    /// Text that makes this file if anything executes it.
    fn bait(&self) -> (String, std::path::PathBuf) {
        let trap = self.shell.home.join("executed");
        (format!("$(touch {0})`touch {0}`;touch {0}", trap.display()), trap)
    }

    pub fn journals(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.storage.join("state")).into_iter().flatten().flatten();
        let mut names: Vec<_> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

pub fn relation_data(world: &'static World) {
    world.with_repository();
    let (bait, trap) = world.bait();
    let good_bucket = format!("bucket={BUCKET}");
    let good_path = format!("path={PATH}");
    #[rustfmt::skip]
    let table = [
        ("bucket",        "bucket=a\nb".to_owned(),                    good_bucket.as_str()),
        ("bucket",        format!("bucket={bait}"),                    &good_bucket),
        ("path",          "path=../../x".to_owned(),                   &good_path),
        ("path",          "path=x\nrepo1-path=/etc".to_owned(),        &good_path),
        ("region",        format!("region={bait}"),                    "region=us-east-1"),
        ("storage-class", "storage-class=a b\n[global]".to_owned(),    "storage-class="),
    ];
    for (field, bad, good) in table {
        world.config("object-storage", &bad);
        let message = world.blocked(UNIT, &format!("`{field}` must be"));
        assert!(message.starts_with(&format!("object-storage: s3-parameters: `{field}` must be ")), "{message}");
        assert!(message.chars().count() <= 200 && !message.contains('\n'), "{message}");
        world.config("object-storage", good);
        world.active(UNIT);
    }
    assert!(!trap.exists(), "something executed what it was told");
    let conf = std::fs::read_to_string(world.storage.join("etc/pgbackrest.conf")).expect("pgbackrest.conf");
    assert_eq!(conf.matches("repo1-path=").count(), 1, "{conf}");
    world.archives();
}

pub fn backup_ids(world: &'static World) {
    world.with_repository();
    let (bait, trap) = world.bait();
    let id = world.some_backup();
    let before = (world.rows(), world.journals());
    // As a person types it.
    let known = [
        format!("backup-id={bait}"),
        "backup-id=../../../etc/passwd".to_owned(),
        "backup-id=--set=latest".to_owned(),
        format!("backup-id={id}x"),
        "backup-id=2001-01-01T00:00:00Z".to_owned(),
    ];
    for words in &known {
        let refused = world.shell.action(UNIT, &["restore", words]).failed();
        assert!(refused.contains("backup-id"), "{words}: {refused}");
    }
    let unknown = world.shell.action(UNIT, &["restore", &known[4]]).failed();
    assert!(unknown.starts_with("Invalid backup-id: 2001-01-01T00:00:00Z. Nearest of "), "{unknown}");
    assert!(
        unknown.contains(&world.listed("finished")[0]["backup-id"].as_str().unwrap_or_default().to_owned()),
        "{unknown}"
    );
    let missing = world.shell.action(UNIT, &["restore"]).failed();
    assert!(missing.starts_with("Either backup-id or restore-to-time parameters need to be provided"), "{missing}");
    // What no command line can carry.
    let file = world.shell.home.join("params.yaml");
    let values = [
        format!("\"{id}\\n--set=latest\""),
        format!("\"{}\"", "x".repeat(1 << 20)),
        "7".to_owned(),
        "true".to_owned(),
        format!("[\"{id}\"]"),
        format!("{{\"a\": \"{id}\"}}"),
    ];
    for value in values {
        std::fs::write(&file, format!("backup-id: {value}\n")).expect("the parameters' file");
        let refused = world.shell.action(UNIT, &["restore", "--params", &file.display().to_string()]).failed();
        assert!(refused.contains("backup-id"), "{:.60}: {refused:.1000}", value);
    }
    for words in [["create-backup", "type=full;id"], ["create-backup", "type=tar"], ["list-backups", "format=xml"]] {
        world.shell.action(UNIT, &words).failed();
    }
    assert!(!trap.exists(), "something executed what it was told");
    assert_eq!((world.rows(), world.journals()), before, "nothing was touched");
    assert_eq!(world.status(UNIT).0, "active");
}

pub fn options(world: &'static World) {
    world.with_repository();
    let (bait, trap) = world.bait();
    #[rustfmt::skip]
    let table = [
        ("process-max",       format!("process-max={bait}")),
        ("compression",       "compression=zst\n[global]".to_owned()),
        ("compression-level", "compression-level=99".to_owned()),
        ("archive-timeout",   "archive-timeout=-1".to_owned()),
        ("system-users",      "system-users=secret:../../x".to_owned()),
    ];
    for (option, bad) in table {
        let said = world.shell.juju(&["config", "postgresql", &bad]);
        if said.good {
            let message = world.blocked(UNIT, &format!("option `{option}` must be "));
            assert!(message.starts_with(&format!("option `{option}` must be ")), "{message}");
            assert!(message.ends_with(&format!("; juju config postgresql {option}=<good value>")), "{message}");
            assert_eq!(world.sql("SELECT 1"), "1", "the database goes on");
        } else {
            // Juju refused it itself.
            assert!(said.stderr.contains(option), "{}", said.stderr);
        }
        world.shell.juju(&["config", "postgresql", "--reset", option]).ok();
        until(60, "active again", || world.status(UNIT).0 == "active");
    }
    assert!(!trap.exists(), "something executed what it was told");
}
