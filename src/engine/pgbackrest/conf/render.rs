//! pgbackrest.conf, from typed values. Decides how the engine is set up, not who gets it.
//! Names and defaults: <https://pgbackrest.org/configuration.html>.

use std::path::Path;

use super::peers;
use super::values::{Conf, RepositoryConf, StanzaConf, UnsafeValue, UriStyle};
use crate::secrets::ExposeSecret;

/// pgBackRest's word for "keep for ever" under `retention-full-type=time`.
const KEEP_ALL_DAYS: u32 = 9_999_999;

/// The text of the file, or the option that cannot be written.
pub fn render(conf: &Conf) -> Result<String, UnsafeValue> {
    let mut file = Sections::default();
    file.section("global");
    repository(&mut file, &conf.repository)?;
    behaviour(&mut file, conf)?;
    if let Some(tls) = &conf.tls {
        peers::server(&mut file, tls, &conf.stanza.name)?;
    }
    // A store that is down must not hold up a standby that asks for its next
    // timeline: archive-get gives up early and PostgreSQL asks again.
    file.section("global:archive-get");
    file.line("io-timeout", "10")?;
    file.section(conf.stanza.name.as_str());
    stanza(&mut file, &conf.stanza)?;
    if let Some(tls) = &conf.tls {
        peers::clients(&mut file, tls)?;
    }
    Ok(file.text)
}

fn repository(file: &mut Sections, conf: &RepositoryConf) -> Result<(), UnsafeValue> {
    let s3 = &conf.storage;
    file.line("repo1-type", "s3")?;
    file.line("repo1-path", &s3.path)?;
    file.line("repo1-s3-bucket", &s3.bucket)?;
    file.line("repo1-s3-endpoint", &s3.endpoint_host)?;
    if let Some(port) = s3.endpoint_port {
        file.line("repo1-storage-port", &port.to_string())?;
    }
    file.line("repo1-s3-region", &s3.region)?;
    file.line("repo1-s3-uri-style", if s3.uri_style == UriStyle::Path { "path" } else { "host" })?;
    file.line("repo1-s3-key", s3.key.expose_secret())?;
    file.line("repo1-s3-key-secret", s3.key_secret.expose_secret())?;
    if let Some(token) = &s3.token {
        file.line("repo1-s3-token", token.expose_secret())?;
    }
    if let Some(ca_file) = &s3.ca_file {
        file.path("repo1-storage-ca-file", ca_file)?;
    }
    file.line("repo1-bundle", yes_no(conf.bundle))?;
    // Without a retention pgBackRest warns at every backup; "time" counts days, not backups.
    file.line("repo1-retention-full-type", "time")?;
    file.line("repo1-retention-full", &conf.retention_days.unwrap_or(KEEP_ALL_DAYS).to_string())?;
    file.line("repo1-retention-history", "365")
}

fn behaviour(file: &mut Sections, conf: &Conf) -> Result<(), UnsafeValue> {
    file.line("compress-type", conf.compression.kind.as_str())?;
    if let Some(level) = conf.compression.level {
        file.line("compress-level", &level.to_string())?;
    }
    file.line("process-max", &conf.process_max.to_string())?;
    // A backup asks for a checkpoint at once instead of waiting for the next one.
    file.line("start-fast", "y")?;
    file.line("archive-async", yes_no(conf.archive_async))?;
    file.line("archive-timeout", "60")?;
    // A dead store is asked again for this long, and again for every copy of a
    // file: with the default of 60 s a command takes four minutes to fail.
    file.line("io-timeout", "20")?;
    // The checkpoint of a busy cluster takes minutes; protocol-timeout must be the longer one.
    file.line("db-timeout", "600")?;
    file.line("protocol-timeout", "630")?;
    file.path("log-path", &conf.paths.log)?;
    file.path("lock-path", &conf.paths.lock)?;
    file.path("spool-path", &conf.paths.spool)?;
    // archive-push and archive-get write into PostgreSQL's log: only what is wrong.
    file.line("log-level-console", "warn")?;
    file.line("log-level-file", "info")
}

fn stanza(file: &mut Sections, conf: &StanzaConf) -> Result<(), UnsafeValue> {
    file.path("pg1-path", &conf.pg_path)?;
    file.line("pg1-port", &conf.pg_port.to_string())?;
    file.path("pg1-socket-path", &conf.pg_socket_dir)?;
    file.line("pg1-user", &conf.pg_user)
}

fn yes_no(on: bool) -> &'static str {
    if on { "y" } else { "n" }
}

/// The file as it grows.
#[derive(Default)]
pub(super) struct Sections {
    text: String,
}

impl Sections {
    pub(super) fn section(&mut self, name: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.text.push_str(&format!("{gap}[{name}]\n"));
    }

    pub(super) fn line(&mut self, option: &str, value: &str) -> Result<(), UnsafeValue> {
        let reason = match value {
            "" => Some("is empty"),
            _ if value.contains(char::is_control) => Some("must not contain line breaks or control characters"),
            _ if value.trim() != value => Some("must not begin or end with a space"),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(UnsafeValue { option: option.to_owned(), reason });
        }
        self.text.push_str(&format!("{option}={value}\n"));
        Ok(())
    }

    pub(super) fn path(&mut self, option: &str, path: &Path) -> Result<(), UnsafeValue> {
        let not_text = || UnsafeValue { option: option.to_owned(), reason: "is a path that is not UTF-8" };
        self.line(option, path.to_str().ok_or_else(not_text)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::values::{Compression, CompressionType, Paths, S3Repository};
    use super::*;
    use crate::model::Stanza;

    pub(in super::super) fn conf() -> Conf {
        Conf {
            repository: RepositoryConf {
                storage: S3Repository {
                    bucket: "backups".into(),
                    endpoint_host: "s3.example.com".into(),
                    endpoint_port: None,
                    region: "eu-west-1".into(),
                    path: "/production".into(),
                    uri_style: UriStyle::Host,
                    key: "AKIA123".into(),
                    key_secret: "se#cr=et".into(),
                    token: None,
                    ca_file: None,
                },
                bundle: true,
                retention_days: None,
            },
            compression: Compression { kind: CompressionType::Zst, level: Some(1) },
            process_max: 2,
            archive_async: true,
            paths: Paths { log: "/srv/db/log".into(), lock: "/srv/db/lock".into(), spool: "/srv/db/spool".into() },
            stanza: StanzaConf {
                name: Stanza::parse("prod.postgresql").unwrap(),
                pg_path: "/srv/db/data".into(),
                pg_port: 5432,
                pg_socket_dir: "/srv/db/sock".into(),
                pg_user: "operator".into(),
            },
            tls: None,
        }
    }

    #[test]
    fn the_plain_file() {
        insta::assert_snapshot!(render(&conf()).unwrap(), @r#"
        [global]
        repo1-type=s3
        repo1-path=/production
        repo1-s3-bucket=backups
        repo1-s3-endpoint=s3.example.com
        repo1-s3-region=eu-west-1
        repo1-s3-uri-style=host
        repo1-s3-key=AKIA123
        repo1-s3-key-secret=se#cr=et
        repo1-bundle=y
        repo1-retention-full-type=time
        repo1-retention-full=9999999
        repo1-retention-history=365
        compress-type=zst
        compress-level=1
        process-max=2
        start-fast=y
        archive-async=y
        archive-timeout=60
        io-timeout=20
        db-timeout=600
        protocol-timeout=630
        log-path=/srv/db/log
        lock-path=/srv/db/lock
        spool-path=/srv/db/spool
        log-level-console=warn
        log-level-file=info

        [global:archive-get]
        io-timeout=10

        [prod.postgresql]
        pg1-path=/srv/db/data
        pg1-port=5432
        pg1-socket-path=/srv/db/sock
        pg1-user=operator
        "#);
    }

    #[test]
    fn a_private_store_adds_its_port_its_token_its_authority_and_its_days() {
        let mut private = conf();
        private.repository.retention_days = Some(30);
        let s3 = &mut private.repository.storage;
        s3.endpoint_port = Some(9443);
        s3.uri_style = UriStyle::Path;
        s3.token = Some("tok".into());
        s3.ca_file = Some("/srv/db/etc/s3-ca.crt".into());
        let plain = render(&conf()).unwrap();
        let file = render(&private).unwrap();
        let added: Vec<_> = file.lines().filter(|line| !plain.contains(line)).collect();
        assert_eq!(
            added,
            [
                "repo1-storage-port=9443",
                "repo1-s3-uri-style=path",
                "repo1-s3-token=tok",
                "repo1-storage-ca-file=/srv/db/etc/s3-ca.crt",
                "repo1-retention-full=30",
            ]
        );
    }

    #[test]
    fn a_value_that_could_add_a_line_is_refused_by_the_name_of_its_option() {
        let mut hostile = conf();
        hostile.repository.storage.bucket = "b\nrepo1-path=/other".into();
        assert_eq!(
            render(&hostile).unwrap_err().to_string(),
            "pgBackRest option `repo1-s3-bucket` must not contain line breaks or control characters"
        );
        let mut padded = conf();
        padded.repository.storage.key_secret = " secret".into();
        assert_eq!(
            render(&padded).unwrap_err().to_string(),
            "pgBackRest option `repo1-s3-key-secret` must not begin or end with a space"
        );
    }

    #[test]
    fn secrets_are_not_in_the_debug_form() {
        assert!(!format!("{:?}", conf()).contains("se#cr=et"));
    }
}
