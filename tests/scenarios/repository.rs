//! The repository: set up, watched, healed; in both dialects; another cluster's.

use super::harness::until;
use super::store::STANZA;
use super::watch;
use super::world::{BUCKET, PATH, STORE, UNIT, World};

pub fn none_is_related(world: &'static World) {
    let refused = world.shell.action(UNIT, &["create-backup"]).failed();
    assert!(
        refused.starts_with("Relation with s3-integrator charm missing, cannot create/restore backup"),
        "{refused}"
    );
    assert!(refused.contains("juju integrate postgresql "), "{refused}");
    let refused = world.shell.action(UNIT, &["list-backups"]).failed();
    assert!(refused.contains("Relation with s3-integrator charm missing"), "{refused}");
}

pub fn no_bucket_is_named(world: &'static World) {
    world.integrate();
    let command = "juju config object-storage bucket=<value>";
    let message = world.blocked(UNIT, "bucket");
    assert_eq!(message, format!("object-storage: Missing S3 parameters: ['bucket']; {command}"));
    let refused = world.shell.action(UNIT, &["create-backup"]).failed();
    assert!(refused.contains("Missing S3 parameters: ['bucket']") && refused.contains(command), "{refused}");
    world.config("object-storage", &format!("path={PATH}"));
    world.config("object-storage", &format!("bucket={BUCKET}"));
    world.active(UNIT);
}

pub fn is_set_up(world: &'static World) {
    world.with_repository();
    let table = world.table();
    assert_eq!(table[..3], ["Storage bucket name: backups", "Backups base path: /production/pg/backup/", ""]);
    let columns = "backup-id            | action              | status   | reference-backup-id  | LSN start/stop          \
                   | start-time           | finish-time          | timeline | backup-path | size       | repository-size";
    assert_eq!(table[3..], [columns.to_owned(), "-".repeat(columns.len())]);
    let list = world.list();
    assert_eq!(
        (list["backups"].as_array().map(Vec::len), list["restores"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    assert!(world.objects("").contains(&"model-uuid.txt".to_owned()), "the repository is marked");
    world.archives();
}

pub fn faults_heal(world: &'static World) {
    world.with_repository();
    let endpoint = world.knows()["repository"]["bag"]["endpoint"].as_str().unwrap_or_default().to_owned();
    #[rustfmt::skip]
    let faults = [
        ("deny",        format!("bucket {BUCKET}: access denied (403)")),
        ("refuse",      format!("{endpoint}: connection refused")),
        ("unavailable", "(503)".to_owned()),
        ("stall",       format!("{endpoint}: no answer within ")),
    ];
    for (mode, words) in faults {
        world.fault(mode);
        let message = world.blocked(UNIT, &words);
        assert!(message.starts_with("the repository does not answer: "), "{message}");
        world.fault("none");
        world.active(UNIT);
    }
    world.archives();
}

pub fn keys_rotate(world: &'static World) {
    world.with_repository();
    let key = || world.knows()["repository"]["secret"]["access-key"].clone();
    let old = key();
    world.config("object-storage", "rotate-keys=1");
    until(60, "the new keys are known", || key() != old);
    until(60, "they are good", || world.knows()["repository_ready"] == true);
    world.active(UNIT);
    world.archives();
}

pub fn plain_dialect(world: &'static World) {
    world.with_repository();
    let id = world.some_backup();
    relate_again(world, "v0");
    let bag = || world.knows()["repository"]["bag"].clone();
    assert!(bag()["access-key"].is_string(), "the keys came plainly");
    let there = |id: &str| world.listed("finished").iter().any(|entry| entry["backup-id"] == *id);
    assert!(there(&id), "the same repository");
    let old = bag()["access-key"].clone();
    world.config("object-storage", "rotate-keys=2");
    until(60, "the new keys are known", || bag()["access-key"] != old);
    world.active(UNIT);
    let new = world.backup().get("backup-id");
    relate_again(world, "v1");
    assert!(there(&id) && there(&new), "still the same repository");
}

fn relate_again(world: &'static World, dialect: &str) {
    world.separate();
    let discards = || !world.sql("SHOW archive_command").contains("archive-push");
    until(60, "WAL that nobody keeps is let go", discards);
    world.config("object-storage", &format!("dialect={dialect}"));
    world.integrate();
    world.with_repository();
    world.archives();
}

pub fn of_another_cluster(world: &'static World) {
    world.with_repository();
    let id = world.some_backup();
    world.separate();
    let before = world.objects("");
    let charm = world.shell.home.join("charm").display().to_string();
    world.shell.juju(&["deploy", &charm, "other"]).ok();
    world.shell.juju(&["integrate", "other:s3-parameters", "object-storage:s3-credentials"]).ok();
    until(180, "the other cluster comes up", || {
        !world.status("other/0").1.is_empty() && !world.sql_of("other/0").is_empty()
    });
    let message = world.blocked("other/0", "the S3 repository has backups from another cluster");
    let sentence = format!(
        "the S3 repository has backups from another cluster: stanza `{STANZA}`, this cluster is `scen.other`; \
         use another path or bucket: juju config "
    );
    assert!(message.starts_with(&sentence), "{message}");
    let refused = world.shell.action("other/0", &["create-backup"]).failed();
    assert!(refused.contains("another cluster") || refused.starts_with("Stanza was not initialised"), "{refused}");
    assert_eq!(world.objects(""), before, "nothing was written to the other cluster's repository");
    world.config("object-storage", "path=production/other");
    world.active("other/0");
    world.shell.action("other/0", &["create-backup"]).ok();
    assert_eq!(world.objects(""), before);
    let storage = world.storage_of("other/0");
    world.shell.juju(&["remove-application", "other", "--no-prompt", "--destroy-storage"]).ok();
    until(120, "it is gone", || world.shell.json(&["status"])["applications"]["other"].is_null());
    assert!(watch::of_folder(&storage).is_empty(), "{:?}", watch::of_folder(&storage));
    world.config("object-storage", &format!("path={PATH}"));
    world.integrate();
    world.with_repository();
    assert!(world.listed("finished").iter().any(|entry| entry["backup-id"] == *id), "ours as before");
    assert_eq!(world.status(STORE).0, "active");
}

impl World {
    /// Where a database of this model listens, once it does.
    fn sql_of(&self, unit: &str) -> String {
        let socket = self.storage_of(unit).join("run").display().to_string();
        self.shell.psql(&["-h", &socket, "-U", "operator", "-d", "postgres"], None, "SELECT 1").stdout
    }
}
