//! patroni.yml, from typed values. The one module that knows YAML.

use serde_json::{Value, json};

use super::layout::{Layout, PG_PORT};
use super::urls;
use crate::model::TlsStage;
use crate::secrets::{ExposeSecret, SecretString};

/// What PostgreSQL does with a finished WAL segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archiving {
    /// No repository was ever asked for: nothing to keep it for.
    Discard,
    /// Keep it here until archiving goes on: a restore is being adopted.
    Hold,
    /// Push it to the repository.
    Push { stanza: String },
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("patroni.yml is not YAML")]
    Yaml(#[from] serde_yaml::Error),
    #[error("patroni.yml reads back as something else")]
    Differs,
}

impl Archiving {
    /// PostgreSQL's `archive_command`.
    pub fn command(&self, layout: &Layout) -> String {
        match self {
            Self::Discard => "/bin/true".to_owned(),
            Self::Hold => "/bin/false".to_owned(),
            Self::Push { stanza } => format!("{} archive-push %p", pgbackrest(layout, stanza)),
        }
    }
}

fn pgbackrest(layout: &Layout, stanza: &str) -> String {
    format!("pgbackrest --config={} --stanza={stanza}", layout.pgbackrest_conf().display())
}

/// Everything patroni.yml says that differs between units.
pub struct PatroniConf<'a> {
    pub layout: &'a Layout,
    /// Cluster name: the application.
    pub scope: &'a str,
    pub member: &'a str,
    pub address: &'a str,
    /// Addresses of units with etcd members, our own first.
    pub etcd: &'a [String],
    pub etcd_user: &'a str,
    pub stage: TlsStage,
    /// Tells the set of trusted authorities apart.
    pub trust: &'a str,
    pub bin_dir: &'a str,
    pub archiving: &'a Archiving,
    /// This unit has the data of the cluster, or is the one to make it: no other
    /// may ever begin a second one.
    pub may_begin: bool,
    /// The command that builds a replica from the repository; `None` copies from the primary.
    pub replica_from_repository: Option<&'a str>,
    /// Seconds after which PostgreSQL closes a segment that is not full; 0 = never.
    pub archive_timeout: u32,
    pub operator: &'a SecretString,
    pub replication: &'a SecretString,
    pub rewind: &'a SecretString,
    pub patroni: &'a SecretString,
    pub raft: &'a SecretString,
}

impl PatroniConf<'_> {
    /// JSON, which is YAML to every reader. A YAML writer of today leaves words
    /// like `on`, `yes` or `0123` bare, and Patroni's reader (YAML 1.1) takes
    /// them for booleans and octals: a password must not be one of those by
    /// chance. What was written is read back before anybody relies on it.
    pub fn render(&self) -> Result<String, RenderError> {
        let document = self.document();
        let text = format!("{document:#}\n");
        let read: Value = serde_yaml::from_str(&text)?;
        if read == document { Ok(text) } else { Err(RenderError::Differs) }
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "scope": self.scope,
            "namespace": "/service/",
            "name": self.member,
            "log": {"level": "INFO"},
            "etcd3": self.etcd3(),
            "restapi": self.restapi(),
            "ctl": self.ctl(),
            "postgresql": self.postgresql(),
        });
        if self.may_begin {
            add(&mut document, json!({"bootstrap": {"dcs": dynamic_configuration(), "initdb": initdb()}}));
        }
        document
    }

    fn pem(&self) -> (String, String) {
        (self.layout.unit_pem().display().to_string(), self.layout.trusted().display().to_string())
    }

    /// On the way to TLS members of both kinds are there: certificates are
    /// known before they are needed.
    fn etcd3(&self) -> Value {
        let tls_only = !self.stage.accepts_plain();
        let hosts: Vec<_> = self.etcd.iter().map(|address| urls::etcd_host(address, tls_only)).collect();
        let mut etcd3 = json!({
            "hosts": hosts,
            "protocol": if tls_only { "https" } else { "http" },
            "username": self.etcd_user,
            "password": self.raft.expose_secret(),
        });
        if self.stage.accepts_tls() {
            let (pem, trusted) = self.pem();
            add(&mut etcd3, json!({"cacert": trusted, "cert": pem, "key": pem}));
        }
        etcd3
    }

    fn restapi(&self) -> Value {
        let mut restapi = json!({
            "listen": urls::rest_host(self.address),
            "connect_address": urls::rest_host(self.address),
            "authentication": {"username": "patroni", "password": self.patroni.expose_secret()},
        });
        if self.stage.dials_tls() {
            let (pem, _) = self.pem();
            let trusted = self.layout.trusted_as(self.trust).display().to_string();
            let tls = json!({"certfile": pem, "keyfile": pem, "cafile": trusted, "verify_client": "optional"});
            add(&mut restapi, tls);
        }
        restapi
    }

    /// How Patroni speaks to the REST APIs of the others.
    fn ctl(&self) -> Value {
        if !self.stage.dials_tls() {
            return json!({});
        }
        let (pem, trusted) = self.pem();
        json!({"cacert": trusted, "certfile": pem, "keyfile": pem, "insecure": false})
    }

    /// A user of PostgreSQL's, and how it reaches the primary from another unit.
    fn user(&self, name: &str, password: &SecretString) -> Value {
        let mut user = json!({"username": name, "password": password.expose_secret()});
        if self.stage.dials_tls() {
            let (_, trusted) = self.pem();
            add(&mut user, json!({"sslmode": "verify-full", "sslrootcert": trusted}));
        }
        user
    }

    fn postgresql(&self) -> Value {
        let path = |path: std::path::PathBuf| path.display().to_string();
        json!({
            "listen": format!("{}:{PG_PORT}", urls::host(self.address)),
            "connect_address": format!("{}:{PG_PORT}", urls::host(self.address)),
            "data_dir": path(self.layout.data()),
            "bin_dir": self.bin_dir,
            "pgpass": path(self.layout.pgpass()),
            "use_unix_socket": true,
            "authentication": {
                "superuser": self.user("operator", self.operator),
                "replication": self.user("replication", self.replication),
                "rewind": self.user("rewind", self.rewind),
            },
            "parameters": self.parameters(),
            "recovery_conf": self.recovery_conf(),
            "pg_hba": access_rules(self.stage),
            "pg_ident": ["operator postgres operator", "operator root operator"],
            "create_replica_methods": self.replica_methods(),
            "pgbackrest": {
                "command": self.replica_from_repository.unwrap_or("/bin/false"),
                "keep_data": true,
                "no_params": true,
                "no_leader": true,
            },
            "basebackup": [{"checkpoint": "fast"}],
        })
    }

    fn replica_methods(&self) -> Value {
        match self.replica_from_repository {
            // What the repository does not give, the primary does.
            Some(_) => json!(["pgbackrest", "basebackup"]),
            None => json!(["basebackup"]),
        }
    }

    fn parameters(&self) -> Value {
        let mut parameters = json!({
            "unix_socket_directories": self.layout.run().display().to_string(),
            "archive_mode": "on",
            "archive_command": self.archiving.command(self.layout),
            "archive_timeout": self.archive_timeout,
            "password_encryption": "scram-sha-256",
            "log_line_prefix": "%m [%p]: ",
            "ssl": if self.stage.accepts_tls() { "on" } else { "off" },
            // A machine that loses power closes nothing: for so long its connection holds the slot that it
            // needs when it comes back. The default is a minute.
            "wal_sender_timeout": "20s",
            "wal_receiver_timeout": "20s",
        });
        if self.stage.accepts_tls() {
            let (pem, trusted) = self.pem();
            add(&mut parameters, json!({"ssl_cert_file": pem, "ssl_key_file": pem, "ssl_ca_file": trusted}));
        }
        parameters
    }

    fn recovery_conf(&self) -> Value {
        match self.archiving {
            // A dead store would otherwise hold up a start for minutes, file by file.
            Archiving::Push { stanza } => json!({
                "restore_command": format!("timeout 60 {} --log-level-console=warn archive-get %f \"%p\"", pgbackrest(self.layout, stanza)),
            }),
            Archiving::Discard | Archiving::Hold => json!({}),
        }
    }
}

fn dynamic_configuration() -> Value {
    json!({
        // The least that Patroni takes is loop_wait + 2 * retry_timeout. An etcd that is restarted, and elects
        // a leader after it, is away for some seconds: that alone must not demote a primary.
        "ttl": 22,
        "loop_wait": 5,
        "retry_timeout": 8,
        "maximum_lag_on_failover": 1_048_576,
        // Without it two dead etcd members demote a healthy primary in seconds.
        "failsafe_mode": true,
        "postgresql": {
            "use_pg_rewind": true,
            "use_slots": true,
            "remove_data_directory_on_rewind_failure": false,
            "remove_data_directory_on_diverged_timelines": false,
            "parameters": {"max_connections": 100, "wal_level": "logical", "wal_log_hints": "on"},
        },
    })
}

fn initdb() -> Value {
    json!([
        {"encoding": "UTF8"},
        {"locale": "C.UTF-8"},
        "data-checksums",
        {"auth-local": "peer"},
        {"auth-host": "scram-sha-256"},
    ])
}

fn add(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}

/// `operator` is let in locally by the operating system's word alone, so that a
/// wrong password never locks the agent out. Between units nothing is plain
/// once all of them speak TLS; clients choose.
fn access_rules(stage: TlsStage) -> Value {
    let between_units = if stage.accepts_plain() { "host" } else { "hostssl" };
    json!([
        "local all operator peer map=operator",
        "local all all scram-sha-256",
        format!("{between_units} replication replication all scram-sha-256"),
        "host all all all scram-sha-256",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(archiving: &Archiving) -> Value {
        in_stage(TlsStage::Plain, archiving)
    }

    fn in_stage(stage: TlsStage, archiving: &Archiving) -> Value {
        let secret = |text: &str| SecretString::from(text.to_owned());
        let hostile = secret("p: \"'#{}\\ %");
        let layout = Layout::below("/u");
        let conf = PatroniConf {
            layout: &layout,
            scope: "postgresql",
            member: "postgresql-0",
            address: "127.1.2.3",
            etcd: &["127.1.2.3".to_owned()],
            etcd_user: "member-1",
            stage,
            trust: "1",
            may_begin: true,
            replica_from_repository: None,
            bin_dir: "/usr/lib/postgresql/15/bin",
            archiving,
            archive_timeout: 300,
            operator: &hostile,
            replication: &secret("r"),
            rewind: &secret("w"),
            patroni: &secret("p"),
            raft: &secret("f"),
        };
        serde_yaml::from_str(&conf.render().unwrap()).unwrap()
    }

    #[test]
    fn a_password_full_of_yaml_survives() {
        let got = document(&Archiving::Discard);
        assert_eq!(got["postgresql"]["authentication"]["superuser"]["password"], "p: \"'#{}\\ %");
    }

    #[test]
    fn no_text_is_left_bare_for_an_older_reader_to_take_for_something_else() {
        let secret = |text: &str| SecretString::from(text.to_owned());
        let layout = Layout::below("/u");
        let text = PatroniConf {
            layout: &layout,
            scope: "on",
            member: "no",
            address: "127.1.2.3",
            etcd: &[],
            etcd_user: "off",
            stage: TlsStage::Plain,
            trust: "",
            may_begin: true,
            replica_from_repository: None,
            bin_dir: "/b",
            archiving: &Archiving::Discard,
            archive_timeout: 0,
            operator: &secret("yes"),
            replication: &secret("0123"),
            rewind: &secret("12:30:45"),
            patroni: &secret("null"),
            raft: &secret("1_000"),
        }
        .render()
        .unwrap();
        for word in ["on", "no", "yes", "0123", "12:30:45", "null", "1_000"] {
            assert!(text.contains(&format!(": \"{word}\"")), "{word}");
        }
    }

    #[test]
    fn what_happens_to_a_segment_is_one_of_three_things() {
        #[rustfmt::skip]
        let table = [
            (Archiving::Discard,                            "/bin/true"),
            (Archiving::Hold,                               "/bin/false"),
            (Archiving::Push { stanza: "m.db".to_owned() }, "pgbackrest --config=/u/etc/pgbackrest.conf --stanza=m.db archive-push %p"),
        ];
        for (archiving, want) in table {
            assert_eq!(document(&archiving)["postgresql"]["parameters"]["archive_command"], want);
        }
    }

    #[test]
    fn from_plain_to_tls_step_by_step() {
        use TlsStage::{Accept, Dial, Only, Plain};
        #[rustfmt::skip]
        let table = [
            // stage  etcd    knows certificates  REST   to others            ssl    replication
            (Plain,   "http",  false,             false, Value::Null,         "off", "host"),
            (Accept,  "http",  true,              false, Value::Null,         "on",  "host"),
            (Dial,    "http",  true,              true,  json!("verify-full"),  "on",  "host"),
            (Only,    "https", true,              true,  json!("verify-full"),  "on",  "hostssl"),
        ];
        for (stage, etcd, certificates, rest, sslmode, ssl, replication) in table {
            let got = in_stage(stage, &Archiving::Discard);
            assert_eq!(got["etcd3"]["protocol"], etcd, "{stage}");
            assert_eq!(got["etcd3"]["cacert"].is_string(), certificates, "{stage}");
            assert_eq!(got["restapi"]["certfile"].is_string(), rest, "{stage}");
            assert_eq!(got["ctl"]["cacert"].is_string(), rest, "{stage}");
            assert_eq!(got["postgresql"]["authentication"]["replication"]["sslmode"], sslmode, "{stage}");
            assert_eq!(got["postgresql"]["parameters"]["ssl"], ssl, "{stage}");
            let rules = got["postgresql"]["pg_hba"].to_string();
            assert!(rules.contains(&format!("\"{replication} replication replication")), "{stage}: {rules}");
        }
    }

    #[test]
    fn a_recovery_that_adopts_a_restore_asks_no_archive() {
        assert_eq!(document(&Archiving::Hold)["postgresql"]["recovery_conf"], json!({}));
    }
}
