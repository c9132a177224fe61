//! The running server: one process, one listener, TLS always; ends on SIGTERM.

mod auth;
pub mod faults;
mod front;
mod listen;
mod throttle;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::service::S3ServiceBuilder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::home::{Home, ServerConfig, replace};
use crate::s3::Api;
use crate::store::Store;
use crate::{keys, pki};

/// Whether the server lives on when the process that started it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    Yes,
    No,
}

pub fn run(config_file: &Path, attached: Attached) -> Result<()> {
    if attached == Attached::No {
        nix::unistd::setsid().context("leaving the session")?;
    }
    let config_file = fs::canonicalize(config_file).with_context(|| format!("finding {}", config_file.display()))?;
    let home = Home::new(config_file.parent().context("a file has a directory")?);
    let config = fs::read(&config_file).context("reading the configuration")?;
    let config: ServerConfig = serde_json::from_slice(&config).context("reading the configuration")?;
    let _alone = only_one(&home)?;
    pki::ensure(&home, config.address, &config.hostname)?;
    keys::Keys::ensure(&home).context("making the keys")?;
    // Two threads: on a small machine the clients need the cores too.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(serve(&home, config));
    // Do not wait for clients that are being read from or written to.
    runtime.shutdown_background();
    served
}

async fn serve(home: &Home, config: ServerConfig) -> Result<()> {
    let store = Store::serve(home.dir(), config.fsync).context("reading the objects")?;
    let control = faults::watch(home).await.context("reading the controls")?;
    let mut builder = S3ServiceBuilder::new(Api::new(Arc::new(store), config.region.clone()));
    builder.set_auth(auth::LiveKeys(control.keys.clone()));
    builder.set_host(auth::Domain(config.host()));
    let front = front::Front {
        service: builder.build(),
        region: config.region.clone(),
        fault: control.fault.clone(),
        log: config.log_requests,
    };
    let tls = TlsAcceptor::from(Arc::new(tls(home).context("reading the certificates")?));
    let mut end = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        ended = listen::forever(home, config.address, tls, Arc::new(front), control.fault) => ended,
        _ = end.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn tls(home: &Home) -> Result<rustls::ServerConfig> {
    let certs = CertificateDer::pem_file_iter(home.file("tls/server.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(home.file("tls/server.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(certs, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The pid file, locked as long as this process lives: who holds it is the server, whatever its pid is.
fn only_one(home: &Home) -> Result<File> {
    let path = home.file("server.pid");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
    // Somebody who only looks holds the lock for a moment.
    let deadline = Instant::now() + Duration::from_secs(2);
    while let Err(err) = file.try_lock() {
        if Instant::now() > deadline {
            bail!("another server runs on {}: {err}", home.dir().display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Says that the server is up, to the one that started it.
fn ready(home: &Home) -> io::Result<()> {
    replace(&home.file("ready"), std::process::id().to_string().as_bytes(), 0o644)
}
