//! The units' ports, tried from outside: who answers plain, who shows which
//! certificate, who lets whom in.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::world::World;

pub const ETCD_CLIENT: u16 = 2382;
pub const ETCD_PEER: u16 = 2381;
pub const REST: u16 = 8008;
pub const ENGINE: u16 = 8432;
pub const POSTGRESQL: u16 = 5432;
/// Plain, and etcd's only.
pub const ETCD_PLAIN: [u16; 2] = [2379, 2380];

/// Who one is towards a port.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Key and certificate in one file.
    pub pem: Option<&'a Path>,
    pub trusts: &'a Path,
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The serial number of the certificate that a port shows, if it is verified by
/// the CA and has the address in it.
pub fn shown(address: &str, port: u16, identity: Identity<'_>) -> Result<String, String> {
    let mut command = Command::new("timeout");
    command.args(["10", "openssl", "s_client", "-connect", &format!("{address}:{port}"), "-verify_ip", address]);
    command.arg("-CAfile").arg(identity.trusts);
    if port == POSTGRESQL {
        command.args(["-starttls", "postgres"]);
    }
    if let Some(pem) = identity.pem {
        command.arg("-cert").arg(pem).arg("-key").arg(pem);
    }
    let said = text(&run(&mut command));
    if !said.contains("Verify return code: 0 (ok)") {
        return Err(said);
    }
    let begin = said.find("-----BEGIN CERTIFICATE").ok_or("no certificate")?;
    serial(&said[begin..])
}

fn serial(pem: &str) -> Result<String, String> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(["x509", "-noout", "-serial"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    child.stdin.take().ok_or("no stdin")?.write_all(pem.as_bytes()).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(text(&output).trim().to_owned()) } else { Err(text(&output)) }
}

/// What a port answers to an HTTP request: the status and the body, or why there is none.
pub fn http(url: &str, identity: Option<Identity<'_>>, more: &[&str]) -> Result<(u16, String), String> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "5", "-w", "\n%{http_code}"]).args(more).arg(url);
    if let Some(identity) = identity {
        command.arg("--cacert").arg(identity.trusts);
        if let Some(pem) = identity.pem {
            command.arg("--cert").arg(pem);
        }
    }
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.rsplit_once('\n') {
        Some((body, code)) if output.status.success() => Ok((code.trim().parse().unwrap_or(0), body.to_owned())),
        _ => Err(text(&output)),
    }
}

impl World {
    /// The unit's own identity, as its services have it.
    pub fn own_serial(&self, unit: &str) -> String {
        let pem = std::fs::read_to_string(self.pem(unit)).expect("the unit's certificate");
        serial(&pem[pem.find("-----BEGIN CERTIFICATE").expect("a certificate")..]).expect("its serial number")
    }

    /// Every port of a unit shows its certificate, which `ca` verifies, and none speaks plain.
    #[track_caller]
    pub fn speaks_tls_alone(&self, unit: &str, ca: &Path) {
        let (address, pem) = (self.address(unit), self.pem(unit));
        let own = self.own_serial(unit);
        // Alone there is nobody to serve files to.
        let engine = (self.units().len() > 1).then_some(ENGINE);
        for port in [ETCD_CLIENT, ETCD_PEER, REST, POSTGRESQL].into_iter().chain(engine) {
            let shown = shown(&address, port, Identity { pem: Some(&pem), trusts: ca });
            assert_eq!(shown.as_deref(), Ok(own.as_str()), "{unit}, port {port}");
        }
        for port in ETCD_PLAIN.into_iter().chain([ETCD_CLIENT, ETCD_PEER, REST]) {
            let plain = http(&format!("http://{address}:{port}/health"), None, &[]);
            // Go's server says with 400 that it was spoken to in plain.
            let refused = plain.as_ref().map_or(true, |(code, _)| *code == 400);
            assert!(refused, "{unit}, port {port} speaks plain: {plain:?}");
        }
    }

    #[track_caller]
    pub fn speaks_plain(&self, unit: &str) {
        let address = self.address(unit);
        for url in [format!("http://{address}:2379/health"), format!("http://{address}:{REST}/health")] {
            assert_eq!(http(&url, None, &[]).map(|(code, _)| code), Ok(200), "{unit}: {url}");
        }
        for port in [ETCD_CLIENT, ETCD_PEER, ENGINE] {
            assert!(
                std::net::TcpStream::connect((address.as_str(), port)).is_err(),
                "{unit}, port {port} is still open"
            );
        }
        assert_eq!(self.sql(unit, "SHOW ssl"), "off", "{unit}");
    }
}
