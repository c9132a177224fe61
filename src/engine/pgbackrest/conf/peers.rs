//! The other units of the cluster in pgbackrest.conf: who may ask this unit for
//! its files, and where theirs are. Decides nothing about who is a peer.
//!
//! Seen with pgBackRest 2.45 (two units on loopback addresses, 2026-11-30):
//! - Certificate and key may be one file, key, leaf and chain in a row, for server
//!   and client. Wider than 0640 root:postgres is refused on both sides: `[042]: key
//!   file … has group or other permissions`.
//! - An address must be a DNS name of the peer's certificate: an IP name does not
//!   count (`unable to find hostname '…' in certificate common name or subject
//!   alternative names`). A leaf without its chain, or of another authority, is refused.
//! - SIGHUP makes the server read file and certificates anew, and a file that is no
//!   certificate ends it (`[095]: unable to load cert file`, `server command end:
//!   aborted`): write it whole (rename), and start what has ended.
//! - Without a certificate one gets through the handshake, the greeting
//!   (`{"name":"pgBackRest",…}`) and `server-ping`, but no answer to a request; with a
//!   certificate whose name is not listed, or for another stanza, `access denied`.
//! - `server` without any `tls-server-auth` refuses to start (`[037]`); it and
//!   `server-ping` take no `--stanza` (`[031]`).
//! - A peer that is down: `backup`, `stanza-create` warn and go on where the primary is
//!   reachable (else `[056]`); `check` fails (`[049]`, `[095]`), also on the primary.
//!   `restore`, `archive-push`, `archive-get`, `info`, `expire` never ask a peer.

use std::path::PathBuf;

use super::render::Sections;
use super::values::UnsafeValue;
use crate::model::Stanza;

/// How this unit is reached by the others and proves who it is.
#[derive(Debug, Clone)]
pub struct TlsConf {
    /// Its own; the server listens there and nowhere else.
    pub address: String,
    pub port: u16,
    /// Key, certificate and chain in one file: root's, 0640.
    pub own_file: PathBuf,
    /// Who signs for all members.
    pub ca_file: PathBuf,
    pub peers: Vec<PeerConf>,
}

/// Another member. Its server listens at the same port as ours.
#[derive(Debug, Clone)]
pub struct PeerConf {
    /// The common name of its certificate.
    pub member: String,
    /// A DNS name of its certificate, also if it is an IP address.
    pub address: String,
    /// Its own pgbackrest.conf, on its own disk.
    pub config: PathBuf,
    pub pg_path: PathBuf,
    pub pg_port: u16,
    pub pg_socket_dir: PathBuf,
    pub pg_user: String,
}

impl TlsConf {
    /// pgBackRest's usual port.
    pub const PORT: u16 = 8432;

    /// A server that nobody may ask does not start.
    pub fn serves(&self) -> bool {
        !self.peers.is_empty()
    }
}

/// `[global]`: who we are, and whom we answer. Nothing while we are alone.
pub(super) fn server(file: &mut Sections, tls: &TlsConf, stanza: &Stanza) -> Result<(), UnsafeValue> {
    if !tls.serves() {
        return Ok(());
    }
    file.line("tls-server-address", &tls.address)?;
    file.line("tls-server-port", &tls.port.to_string())?;
    file.path("tls-server-ca-file", &tls.ca_file)?;
    file.path("tls-server-cert-file", &tls.own_file)?;
    file.path("tls-server-key-file", &tls.own_file)?;
    for peer in &tls.peers {
        // This cluster's stanza and never `*`: the authority may sign for other clusters.
        file.line("tls-server-auth", &format!("{}={stanza}", client(peer)?))?;
    }
    Ok(())
}

/// `[stanza]`: where the others are. The local PostgreSQL is always pg1.
pub(super) fn clients(file: &mut Sections, tls: &TlsConf) -> Result<(), UnsafeValue> {
    for (peer, number) in tls.peers.iter().zip(2..) {
        let option = |rest: &str| format!("pg{number}{rest}");
        file.line(&option("-host"), &peer.address)?;
        file.line(&option("-host-type"), "tls")?;
        file.line(&option("-host-port"), &tls.port.to_string())?;
        file.path(&option("-host-ca-file"), &tls.ca_file)?;
        file.path(&option("-host-cert-file"), &tls.own_file)?;
        file.path(&option("-host-key-file"), &tls.own_file)?;
        file.path(&option("-host-config"), &peer.config)?;
        file.path(&option("-path"), &peer.pg_path)?;
        file.line(&option("-port"), &peer.pg_port.to_string())?;
        file.path(&option("-socket-path"), &peer.pg_socket_dir)?;
        file.line(&option("-user"), &peer.pg_user)?;
    }
    Ok(())
}

/// A name with a `=` would let in somebody else, for what stands behind it.
fn client(peer: &PeerConf) -> Result<&str, UnsafeValue> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if peer.member.is_empty() || !peer.member.chars().all(plain) {
        return Err(UnsafeValue { option: "tls-server-auth".to_owned(), reason: "must begin with a plain name" });
    }
    Ok(&peer.member)
}

#[cfg(test)]
mod tests {
    use super::super::render::render;
    use super::super::render::tests::conf;
    use super::super::values::Conf;
    use super::*;

    fn peer(number: u32) -> PeerConf {
        PeerConf {
            member: format!("postgresql-{number}"),
            address: format!("10.0.0.{number}"),
            config: format!("/srv/db{number}/etc/pgbackrest.conf").into(),
            pg_path: format!("/srv/db{number}/pg/data").into(),
            pg_port: 5432,
            pg_socket_dir: format!("/srv/db{number}/run").into(),
            pg_user: "operator".into(),
        }
    }

    fn with(peers: Vec<PeerConf>) -> Conf {
        let tls = TlsConf {
            address: "10.0.0.1".into(),
            port: TlsConf::PORT,
            own_file: "/srv/db/etc/member.pem".into(),
            ca_file: "/srv/db/etc/members-ca.pem".into(),
            peers,
        };
        Conf { tls: Some(tls), ..conf() }
    }

    #[test]
    fn the_other_members_are_let_in_and_found() {
        let alone = render(&conf()).unwrap();
        let file = render(&with(vec![peer(2), peer(3)])).unwrap();
        let added: Vec<_> = file.lines().filter(|line| !alone.lines().any(|old| old == *line)).collect();
        insta::assert_snapshot!(added.join("\n"), @r#"
        tls-server-address=10.0.0.1
        tls-server-port=8432
        tls-server-ca-file=/srv/db/etc/members-ca.pem
        tls-server-cert-file=/srv/db/etc/member.pem
        tls-server-key-file=/srv/db/etc/member.pem
        tls-server-auth=postgresql-2=prod.postgresql
        tls-server-auth=postgresql-3=prod.postgresql
        pg2-host=10.0.0.2
        pg2-host-type=tls
        pg2-host-port=8432
        pg2-host-ca-file=/srv/db/etc/members-ca.pem
        pg2-host-cert-file=/srv/db/etc/member.pem
        pg2-host-key-file=/srv/db/etc/member.pem
        pg2-host-config=/srv/db2/etc/pgbackrest.conf
        pg2-path=/srv/db2/pg/data
        pg2-port=5432
        pg2-socket-path=/srv/db2/run
        pg2-user=operator
        pg3-host=10.0.0.3
        pg3-host-type=tls
        pg3-host-port=8432
        pg3-host-ca-file=/srv/db/etc/members-ca.pem
        pg3-host-cert-file=/srv/db/etc/member.pem
        pg3-host-key-file=/srv/db/etc/member.pem
        pg3-host-config=/srv/db3/etc/pgbackrest.conf
        pg3-path=/srv/db3/pg/data
        pg3-port=5432
        pg3-socket-path=/srv/db3/run
        pg3-user=operator
        "#);
        let order = ["log-level-file=info", "tls-server-address", "[global:archive-get]", "pg1-user", "pg2-host="];
        assert!(order.map(|text| file.find(text).unwrap()).is_sorted());
    }

    #[test]
    fn a_unit_alone_has_the_same_file_with_certificates_as_without() {
        assert_eq!(render(&with(Vec::new())).unwrap(), render(&conf()).unwrap());
    }

    #[test]
    fn a_name_that_could_let_in_more_is_refused() {
        for member in ["", "*", "a=m.db,b", "a b", "a\ntls-server-auth=b", "[global]"] {
            let hostile = PeerConf { member: member.to_owned(), ..peer(2) };
            assert_eq!(
                render(&with(vec![hostile])).unwrap_err().to_string(),
                "pgBackRest option `tls-server-auth` must begin with a plain name",
                "{member:?}"
            );
        }
    }

    #[test]
    fn a_peers_value_that_could_add_a_line_is_refused_by_the_name_of_its_option() {
        let hostile = PeerConf { address: "10.0.0.3\n[global]".into(), ..peer(3) };
        assert_eq!(
            render(&with(vec![peer(2), hostile])).unwrap_err().to_string(),
            "pgBackRest option `pg3-host` must not contain line breaks or control characters"
        );
        let hostile = PeerConf { config: "/srv\r/x".into(), ..peer(2) };
        assert_eq!(render(&with(vec![hostile])).unwrap_err().option, "pg2-host-config");
    }
}
