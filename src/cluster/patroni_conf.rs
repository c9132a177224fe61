//! patroni.yml, from typed values. The one module that knows YAML.

use serde_json::{Value, json};

use super::layout::{Layout, PG_PORT};
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
    /// `host:port` of etcd members.
    pub etcd: &'a [String],
    pub bin_dir: &'a str,
    pub archiving: &'a Archiving,
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
        json!({
            "scope": self.scope,
            "namespace": "/service/",
            "name": self.member,
            "log": {"level": "INFO"},
            "etcd3": {
                "hosts": self.etcd,
                "protocol": "http",
                "username": "root",
                "password": self.raft.expose_secret(),
            },
            "restapi": {
                "listen": format!("{}:8008", self.address),
                "connect_address": format!("{}:8008", self.address),
                "authentication": {"username": "patroni", "password": self.patroni.expose_secret()},
            },
            "bootstrap": {"dcs": dynamic_configuration(), "initdb": initdb()},
            "postgresql": self.postgresql(),
        })
    }

    fn postgresql(&self) -> Value {
        let path = |path: std::path::PathBuf| path.display().to_string();
        let user =
            |name: &str, password: &SecretString| json!({"username": name, "password": password.expose_secret()});
        json!({
            "listen": format!("{}:{PG_PORT}", self.address),
            "connect_address": format!("{}:{PG_PORT}", self.address),
            "data_dir": path(self.layout.data()),
            "bin_dir": self.bin_dir,
            "pgpass": path(self.layout.pgpass()),
            "use_unix_socket": true,
            "authentication": {
                "superuser": user("operator", self.operator),
                "replication": user("replication", self.replication),
                "rewind": user("rewind", self.rewind),
            },
            "parameters": {
                "unix_socket_directories": path(self.layout.run()),
                "archive_mode": "on",
                "archive_command": self.archiving.command(self.layout),
                "archive_timeout": self.archive_timeout,
                "password_encryption": "scram-sha-256",
                "log_line_prefix": "%m [%p]: ",
            },
            "recovery_conf": self.recovery_conf(),
            "pg_hba": access_rules(),
            "pg_ident": ["operator postgres operator", "operator root operator"],
            "create_replica_methods": ["basebackup"],
            "basebackup": [{"checkpoint": "fast"}],
        })
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
        "ttl": 20,
        "loop_wait": 5,
        "retry_timeout": 5,
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

/// `operator` is let in locally by the operating system's word alone, so that a
/// wrong password never locks the agent out.
fn access_rules() -> Value {
    json!([
        "local all operator peer map=operator",
        "local all all scram-sha-256",
        "host replication replication all scram-sha-256",
        "host all all all scram-sha-256",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(archiving: &Archiving) -> Value {
        let secret = |text: &str| SecretString::from(text.to_owned());
        let hostile = secret("p: \"'#{}\\ %");
        let layout = Layout::below("/u");
        let conf = PatroniConf {
            layout: &layout,
            scope: "postgresql",
            member: "postgresql-0",
            address: "127.1.2.3",
            etcd: &["127.1.2.3:2379".to_owned()],
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
    fn a_recovery_that_adopts_a_restore_asks_no_archive() {
        assert_eq!(document(&Archiving::Hold)["postgresql"]["recovery_conf"], json!({}));
    }
}
