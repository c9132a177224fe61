//! The cluster, looked at from outside: its units, who is the primary, whether
//! it is whole, which rows it has, how far it is with TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::harness::{until, until_some};
use super::watch;
use super::world::{AUTHORITY, MODEL, World};

impl World {
    /// Units of postgresql, in the order of their numbers.
    pub fn units(&self) -> Vec<String> {
        let status = self.shell.json(&["status"]);
        let units = status["applications"]["postgresql"]["units"].as_object().cloned().unwrap_or_default();
        units.keys().cloned().collect()
    }

    /// `juju status` of one unit.
    pub fn unit(&self, unit: &str) -> Value {
        let application = unit.split('/').next().unwrap_or_default();
        self.shell.json(&["status"])["applications"][application]["units"][unit].take()
    }

    /// Workload status and its message.
    pub fn status(&self, unit: &str) -> (String, String) {
        let status = self.unit(unit)["workload-status"].take();
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        (text("current"), text("message"))
    }

    pub fn address(&self, unit: &str) -> String {
        self.unit(unit)["public-address"].as_str().unwrap_or_default().to_owned()
    }

    /// What each agent wrote down, with where it lies.
    fn files(&self) -> Vec<(PathBuf, Value)> {
        let folder = self.shell.home.join("models").join(MODEL).join("storage");
        let storages = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let read = |storage: PathBuf| {
            let text = std::fs::read(storage.join("state/unit.json")).ok()?;
            Some((storage, serde_json::from_slice(&text).ok()?))
        };
        storages.filter_map(read).collect()
    }

    pub fn storage(&self, unit: &str) -> PathBuf {
        until_some(10, &format!("the storage of {unit}"), || {
            self.files().into_iter().find(|(_, file)| file["unit"] == unit).map(|(storage, _)| storage)
        })
    }

    pub fn knows(&self, unit: &str) -> Value {
        self.files().into_iter().find(|(_, file)| file["unit"] == unit).map(|(_, file)| file).unwrap_or_default()
    }

    /// In the unit's own PostgreSQL, by its socket.
    #[track_caller]
    pub fn sql(&self, unit: &str, sql: &str) -> String {
        self.try_sql(unit, sql).unwrap_or_else(|error| panic!("{unit}: {sql}: {error}"))
    }

    pub fn try_sql(&self, unit: &str, sql: &str) -> Result<String, String> {
        let Some((storage, _)) = self.files().into_iter().find(|(_, file)| file["unit"] == unit) else {
            return Err("it has no storage".to_owned());
        };
        let socket = storage.join("run").display().to_string();
        let said = self.shell.psql(&["-h", &socket, "-U", "operator", "-d", "postgres"], None, sql);
        if said.good { Ok(said.stdout.trim_end().to_owned()) } else { Err(said.stderr) }
    }

    fn find_primary(&self) -> Option<String> {
        self.units().into_iter().find(|unit| self.try_sql(unit, "SELECT pg_is_in_recovery()").is_ok_and(|is| is == "f"))
    }

    #[track_caller]
    pub fn primary(&self) -> String {
        until_some(60, "there is a primary", || self.find_primary())
    }

    pub fn replicas(&self) -> Vec<String> {
        let primary = self.primary();
        self.units().into_iter().filter(|unit| *unit != primary).collect()
    }

    /// All units active, all replicas streaming, every etcd well.
    #[track_caller]
    pub fn is_whole(&self, count: usize) {
        let mut last = String::new();
        let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(240, "the cluster is whole", || match self.wholeness(count) {
                Ok(()) => true,
                Err(why) => {
                    last = why;
                    false
                }
            })
        }));
        assert!(whole.is_ok(), "the cluster is not whole: {last}");
    }

    fn wholeness(&self, count: usize) -> Result<(), String> {
        let units = self.units();
        if units.len() != count {
            return Err(format!("{units:?} are not {count}"));
        }
        for unit in &units {
            let (status, message) = self.status(unit);
            if status != "active" {
                return Err(format!("{unit} is {status}: {message}"));
            }
            self.etcd_is_well(unit)?;
        }
        let primary = self.find_primary().ok_or("no primary")?;
        let streaming = self.try_sql(&primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name LIKE 'postgresql-%'")?;
        if streaming == (count - 1).to_string() {
            Ok(())
        } else {
            Err(format!("{streaming} replicas stream from {primary}"))
        }
    }

    fn etcd_is_well(&self, unit: &str) -> Result<(), String> {
        let (pem, trusted) = (self.pem(unit), self.trusted(unit));
        let address = self.address(unit);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "3"]);
        if self.knows(unit)["reached"] == "only" {
            curl.arg("--cacert").arg(trusted).arg("--cert").arg(pem).arg(format!("https://{address}:2382/health"));
        } else {
            curl.arg(format!("http://{address}:2379/health"));
        }
        let output = curl.output().expect("curl");
        let text = String::from_utf8_lossy(&output.stdout);
        let told = format!("etcd of {unit}: {text}{}", String::from_utf8_lossy(&output.stderr));
        if text.contains("\"true\"") { Ok(()) } else { Err(told) }
    }

    /// Every row that was acknowledged is on every unit, and all have the same rows.
    pub fn nothing_is_lost(&self) {
        self.is_whole(self.units().len());
        let _held = self.writer.hold();
        let primary = self.primary();
        let digest =
            "SELECT count(*) || ' ' || coalesce(md5(string_agg(row::text, ',' ORDER BY row)), '') FROM written";
        let want = self.sql(&primary, digest);
        for unit in self.units() {
            until(30, &format!("{unit} has the rows of {primary}"), || {
                self.try_sql(&unit, digest).is_ok_and(|rows| rows == want)
            });
        }
        let there: BTreeSet<i64> =
            self.sql(&primary, "SELECT row FROM written").lines().filter_map(|row| row.parse().ok()).collect();
        let lost: Vec<i64> = self.writer.rows().into_iter().filter(|row| !there.contains(row)).collect();
        assert!(lost.is_empty(), "{} rows were acknowledged and are lost: {lost:?}", lost.len());
    }

    /// Key, certificate and chain that the unit's services show.
    pub fn pem(&self, unit: &str) -> PathBuf {
        self.storage(unit).join("etc/unit.pem")
    }

    pub fn trusted(&self, unit: &str) -> PathBuf {
        self.storage(unit).join("etc/trusted.pem")
    }

    pub fn integrate_authority(&self) {
        let related =
            !self.shell.json(&["status"])["applications"]["postgresql"]["relations"]["certificates"].is_null();
        if !related {
            self.shell.juju(&["integrate", "postgresql:certificates", "certificates"]).ok();
        }
    }

    pub fn separate_authority(&self) {
        self.shell.juju(&["remove-relation", "postgresql", "certificates"]).ok();
    }

    pub fn all_are_at(&self, stage: &str) -> bool {
        let units = self.units();
        let files: BTreeMap<String, Value> =
            self.files().into_iter().filter_map(|(_, file)| Some((file["unit"].as_str()?.to_owned(), file))).collect();
        units.iter().all(|unit| files.get(unit).is_some_and(|file| file["stage"] == stage && file["reached"] == stage))
    }

    #[track_caller]
    pub fn with_tls(&self) {
        self.integrate_authority();
        until(240, "all units speak TLS alone", || self.all_are_at("only"));
        self.is_whole(self.units().len());
    }

    /// The authority's CA, as PEM in a file.
    pub fn authority_ca(&self) -> PathBuf {
        let pem = self.shell.action(AUTHORITY, &["get-ca"]).ok().get("ca");
        let file = self.shell.home.join("authority.pem");
        std::fs::write(&file, format!("{pem}\n")).expect("writing the authority's CA");
        file
    }

    /// Passwords, and the lines of keys that tell them apart.
    pub fn note_secrets(&self) {
        let mut secrets = self.secrets.lock().expect("secrets");
        for (storage, file) in self.files() {
            for (user, password) in file["users"].as_object().into_iter().flatten() {
                secrets.insert(password.as_str().unwrap_or_default().to_owned(), user.clone());
            }
            for key in ["access-key", "secret-key"] {
                file["repository"]["secret"][key]
                    .as_str()
                    .map(|secret| secrets.insert(secret.to_owned(), key.to_owned()));
            }
            let tls = std::fs::read(storage.join("state/tls.json")).unwrap_or_default();
            let tls: Value = serde_json::from_slice(&tls).unwrap_or_default();
            for held in ["request", "in_use", "pending"] {
                // The second line has most of the private number.
                let line = tls[held]["key"].as_str().and_then(|key| key.lines().nth(2));
                line.map(|line| secrets.insert(line.to_owned(), format!("the key of {}", file["unit"])));
            }
        }
        secrets.retain(|secret, _| secret.len() >= 8);
    }

    pub fn secrets(&self) -> BTreeMap<String, String> {
        self.secrets.lock().expect("secrets").clone()
    }

    /// When the unit's PostgreSQL was started, and what it is; of the primary also its timeline. (A replica's
    /// control file tells the timeline of its last restart point, which may be long ago.)
    pub fn life(&self, unit: &str) -> String {
        let life = "SELECT pg_postmaster_start_time() || CASE WHEN pg_is_in_recovery() THEN ' a replica' \
                    ELSE ' the primary of timeline ' || left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
        self.sql(unit, life)
    }

    pub fn lives(&self) -> Vec<String> {
        self.units().iter().map(|unit| format!("{unit} {}", self.life(unit))).collect()
    }

    /// Processes of one unit whose line holds a word.
    pub fn processes(&self, unit: &str, word: &str) -> Vec<watch::Process> {
        let mut found = watch::of_folder(&self.storage(unit));
        found.retain(|process| process.line.contains(word));
        found
    }
}
