//! The listener: always on the same port, gone while the fault `refuse` is played.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use super::faults::{self, Fault, Mode};
use super::front::{self, Front};
use super::ready;
use super::throttle::{Gate, Throttled};
use crate::home::Home;

pub(super) async fn forever(
    home: &Home,
    address: IpAddr,
    tls: TlsAcceptor,
    front: Arc<Front>,
    mut fault: watch::Receiver<Fault>,
) -> Result<()> {
    // Bound once even when it is to refuse: the first start chooses the port.
    let mut listener = Some(bind(home, address).await?);
    let gate = Gate::default();
    let mut said_ready = false;
    loop {
        let now = fault.borrow_and_update().clone();
        match (now.mode, &listener) {
            (Mode::Refuse, Some(_)) => listener = None,
            (mode, None) if mode != Mode::Refuse => listener = Some(bind(home, address).await?),
            _ => {}
        }
        faults::applied(home, &now).context("saying which fault is played")?;
        if !std::mem::replace(&mut said_ready, true) {
            ready(home).context("saying that the server is up")?;
        }
        while !fault.has_changed()? {
            let Some(listener) = &listener else {
                fault.changed().await?;
                break;
            };
            tokio::select! {
                changed = fault.changed() => {
                    // Not seen yet by the next turn of the outer loop.
                    fault.mark_changed();
                    changed?;
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (tls, front, fault, gate) = (tls.clone(), front.clone(), fault.clone(), gate.clone());
                        tokio::spawn(until_refused(connection(stream, tls, front, fault.clone(), gate), fault));
                    }
                    // Out of file descriptors, most likely: let connections end first.
                    Err(err) => {
                        eprintln!("object-storage: accepting: {err}");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

async fn until_refused(connection: impl Future<Output = ()>, mut fault: watch::Receiver<Fault>) {
    tokio::select! {
        () = connection => {}
        _ = fault.wait_for(|fault| fault.mode == Mode::Refuse) => {}
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, front: Arc<Front>, fault: watch::Receiver<Fault>, gate: Gate) {
    // Answers are small; waiting for more to send would cost 40 ms each.
    let _ = stream.set_nodelay(true);
    // A client that does not trust us or goes away is not our trouble.
    let Ok(stream) = tls.accept(Throttled::new(stream, fault, gate)).await else { return };
    let service = service_fn(move |request| front::answer(Arc::clone(&front), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn bind(home: &Home, address: IpAddr) -> Result<TcpListener> {
    match home.port() {
        Some(port) => bind_again(SocketAddr::new(address, port)).await,
        None => {
            let listener = bind_free(address)?;
            home.keep_port(listener.local_addr()?.port()).context("keeping the port")?;
            Ok(listener)
        }
    }
}

/// Below the range that the kernel gives to outgoing connections: one of those could otherwise hold our
/// port at the moment of a restart.
fn bind_free(address: IpAddr) -> Result<TcpListener> {
    for _ in 0..100 {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes).context("choosing a port")?;
        let port = 20_000 + u16::from_ne_bytes(bytes) % 12_000;
        if let Ok(listener) = listen(SocketAddr::new(address, port)) {
            return Ok(listener);
        }
    }
    bail!("no free port on {address}")
}

async fn bind_again(address: SocketAddr) -> Result<TcpListener> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match listen(address) {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
            bound => return bound.with_context(|| format!("listening on {address}")),
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the last run in TIME_WAIT must not keep us off our port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}
