//! One who is on the network, tries every port with TLS on.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::ports::{self, ENGINE, ETCD_CLIENT, ETCD_PEER, Identity, REST};
use super::world::{MODEL, World};

/// Certificates that an outsider may have.
struct Papers {
    /// Of an authority that nobody knows.
    strange: PathBuf,
    /// Of the authority, with another name than any unit's.
    misnamed: PathBuf,
}

pub fn every_port(world: &'static World) {
    world.with_tls();
    let papers = papers(world);
    let unit = world.primary();
    let (address, trusts, own) = (world.address(&unit), world.trusted(&unit), world.pem(&unit));
    let with = |pem| Identity { pem, trusts: &trusts };
    let refused = [("no certificate", None), ("a strange certificate", Some(papers.strange.as_path()))];
    for (name, pem) in refused {
        for port in [ETCD_CLIENT, ETCD_PEER] {
            let said = ports::http(&format!("https://{address}:{port}/health"), Some(with(pem)), &[]);
            assert!(said.is_err(), "{name}, port {port}: {said:?}");
        }
    }
    etcd_by_password(&address, with(Some(&papers.misnamed)));
    rest(
        world,
        &unit,
        with(None),
        &[("a strange certificate", with(Some(&papers.strange))), ("a certificate", with(Some(&own)))],
    );
    for (name, pem, lets_in) in [
        ("a strange certificate", &papers.strange, false),
        ("another's name", &papers.misnamed, false),
        ("a unit's own", &world.pem(&world.replicas()[0]), true),
    ] {
        let said = engine(world, &unit, pem);
        assert_eq!(said.is_ok(), lets_in, "{name} at port {ENGINE}: {said:?}");
    }
    let dump = said(
        Command::new("pg_dump")
            .env("PGPASSWORD", "guess")
            .args(["-w", "-h", &address, "-U", "operator", "-d", "postgres"]),
    );
    assert!(dump.is_err_and(|why| why.contains("password authentication failed")), "PostgreSQL wants its password");
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(std::process::Stdio::null()).output().expect("starting a program");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

fn openssl(arguments: &[&str], folder: &Path) {
    said(Command::new("openssl").args(arguments).current_dir(folder)).expect("openssl");
}

fn papers(world: &'static World) -> Papers {
    let folder = world.shell.home.join("outsider");
    std::fs::create_dir_all(&folder).expect("a folder");
    let model = world.shell.home.join("models").join(MODEL).join("storage");
    let storages = std::fs::read_dir(model).expect("storages").flatten();
    let file =
        storages.map(|entry| entry.path().join("authority.json")).find(|file| file.exists()).expect("the authority");
    let authority: Value = serde_json::from_slice(&std::fs::read(file).expect("the authority")).expect("JSON");
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    put("ca.pem", authority["certificate"].as_str().unwrap_or_default());
    put("ca.key", authority["key"].as_str().unwrap_or_default());
    let names = format!("subjectAltName=IP:198.18.0.1\nextendedKeyUsage=clientAuth,serverAuth\n");
    put("names", &names);
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(
        &[&["req", "-x509", "-keyout", "s.key", "-out", "s.pem", "-days", "2", "-subj", "/CN=postgresql-1"], &key[..]]
            .concat(),
        &folder,
    );
    openssl(&[&["req", "-keyout", "m.key", "-out", "m.csr", "-subj", "/CN=outsider"], &key[..]].concat(), &folder);
    openssl(
        &[
            "x509",
            "-req",
            "-in",
            "m.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "m.pem",
        ],
        &folder,
    );
    let both = |name: &str| {
        let read =
            |end: &str| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).expect("what openssl made");
        let file = folder.join(format!("{name}-both.pem"));
        std::fs::write(&file, format!("{}{}", read("key"), read("pem"))).expect("a file");
        file
    };
    Papers { strange: both("s"), misnamed: both("m") }
}

/// A certificate of the authority is not enough: etcd wants a user's password.
fn etcd_by_password(address: &str, identity: Identity<'_>) {
    let url = |path: &str| format!("https://{address}:{ETCD_CLIENT}/v3/{path}");
    // "/" to the end of all keys.
    let range = ports::http(&url("kv/range"), Some(identity), &["-d", r#"{"key":"AA==","range_end":"AA=="}"#]);
    let (code, body) = range.expect("an answer");
    assert!(code != 200 && !body.contains("kvs"), "{code} {body}");
    let user = r#"{"name":"root","password":"guess"}"#;
    let (code, body) = ports::http(&url("auth/authenticate"), Some(identity), &["-d", user]).expect("an answer");
    assert!(code != 200 && !body.contains("token\":\""), "{code} {body}");
}

/// Patroni tells everybody how the cluster is, and takes orders from those only
/// who have a certificate and the password.
fn rest(world: &'static World, unit: &str, stranger: Identity<'_>, others: &[(&str, Identity<'_>)]) {
    let url = format!("https://{}:{REST}/config", world.address(unit));
    let order = ["-X", "PATCH", "-d", r#"{"ttl": 30}"#];
    let tried = std::iter::once(("no certificate", stranger)).chain(others.iter().copied());
    for (name, identity) in tried {
        for user in [&[][..], &["-u", "patroni:guess"]] {
            let said = ports::http(&url, Some(identity), &[&order[..], user].concat());
            let refused = said.as_ref().map_or(true, |(code, _)| [401, 403].contains(code));
            assert!(refused, "{name}: {said:?}");
        }
    }
}

/// Asks a unit's pgBackRest for the repository, as another unit would.
fn engine(world: &'static World, unit: &str, pem: &Path) -> Result<String, String> {
    let file = world.shell.home.join("outsider/engine.pem");
    std::fs::copy(pem, &file).expect("copying it");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let storage = world.storage(unit);
    let option = |name: &str, value: String| format!("--repo1-host{name}={value}");
    let mut command = Command::new("pgbackrest");
    command.args([
        option("", world.address(unit)),
        option("-type", "tls".to_owned()),
        option("-config", storage.join("etc/pgbackrest.conf").display().to_string()),
        option("-cert-file", file.display().to_string()),
        option("-key-file", file.display().to_string()),
        option("-ca-file", world.trusted(unit).display().to_string()),
        format!("--stanza={}", super::backups::STANZA),
        "--log-level-file=off".to_owned(),
        format!("--lock-path={}", world.shell.home.join("outsider").display()),
        "info".to_owned(),
    ]);
    said(&mut command)
}
