//! Where the services of a unit listen, and how they are spoken to. Ports are
//! the usual ones, every unit has an address of its own; etcd with TLS has ports
//! beside them, because on the way there both are open.

use crate::model::TlsStage;

const CLIENT_PLAIN: u16 = 2379;
const PEER_PLAIN: u16 = 2380;
const PEER_TLS: u16 = 2381;
/// etcd 3.4 takes both on one port, but then answers plain requests to its JSON
/// gateway by the TLS server ("first record does not look like a TLS handshake").
const CLIENT_TLS: u16 = 2382;
const REST: u16 = 8008;

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// Brackets around IPv6.
pub(crate) fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn client(address: &str, tls: bool) -> String {
    format!("{}://{}", scheme(tls), etcd_host(address, tls))
}

/// etcd's client port as we speak to it.
pub(crate) fn etcd_client(address: &str, ours: TlsStage) -> String {
    client(address, ours.dials_tls())
}

pub(super) fn etcd_host(address: &str, tls: bool) -> String {
    format!("{}:{}", host(address), if tls { CLIENT_TLS } else { CLIENT_PLAIN })
}

pub(super) fn etcd_client_listeners(address: &str, stage: TlsStage) -> String {
    let tls = stage.accepts_tls().then(|| client(address, true));
    let plain = stage.accepts_plain().then(|| client(address, false));
    joined([plain, tls])
}

/// Where etcd's other members are told to reach this one.
pub(crate) fn etcd_peer(address: &str, stage: TlsStage) -> String {
    let port = if stage.dials_tls() { PEER_TLS } else { PEER_PLAIN };
    format!("{}://{}:{port}", scheme(stage.dials_tls()), host(address))
}

/// In whatever stage it was left.
pub(crate) fn etcd_peer_any(address: &str) -> [String; 2] {
    [etcd_peer(address, TlsStage::Plain), etcd_peer(address, TlsStage::Only)]
}

pub(super) fn etcd_peer_listeners(address: &str, stage: TlsStage) -> String {
    let tls = stage.accepts_tls().then(|| etcd_peer(address, TlsStage::Only));
    let plain = stage.accepts_plain().then(|| etcd_peer(address, TlsStage::Plain));
    joined([plain, tls])
}

/// Patroni's REST API has one listener: TLS as soon as all can speak it.
pub(crate) fn rest(address: &str, stage: TlsStage) -> String {
    format!("{}://{}", scheme(stage.dials_tls()), rest_host(address))
}

pub(super) fn rest_host(address: &str) -> String {
    format!("{}:{REST}", host(address))
}

fn joined(urls: [Option<String>; 2]) -> String {
    urls.into_iter().flatten().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_plain_to_tls_step_by_step() {
        use TlsStage::{Accept, Dial, Only, Plain};
        #[rustfmt::skip]
        let table = [
            (Plain,  "http://a:2379",                "http://a:2380",                "http://a:2379",  "http://a:2380"),
            (Accept, "http://a:2379,https://a:2382", "http://a:2380,https://a:2381", "http://a:2379",  "http://a:2380"),
            (Dial,   "http://a:2379,https://a:2382", "http://a:2380,https://a:2381", "https://a:2382", "https://a:2381"),
            (Only,   "https://a:2382",               "https://a:2381",               "https://a:2382", "https://a:2381"),
        ];
        for (stage, clients, peers, client, peer) in table {
            let got = (
                etcd_client_listeners("a", stage),
                etcd_peer_listeners("a", stage),
                etcd_client("a", stage),
                etcd_peer("a", stage),
            );
            assert_eq!(got, (clients.into(), peers.into(), client.into(), peer.into()), "{stage}");
        }
        assert_eq!(rest("fd00::1", Only), "https://[fd00::1]:8008");
    }
}
