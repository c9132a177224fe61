//! Mutual TLS against a real server on loopback that answers one request.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const DEADLINE: Duration = Duration::from_secs(5);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

impl Authority {
    /// The address as a DNS name stands first, as in our certificates: it must not get in the way.
    fn identity(&self, address: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![
            SanType::DnsName(address.try_into().unwrap()),
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress(address.parse().unwrap()),
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { pem: (key.serialize_pem() + &certificate.pem()).into() }
    }
}

/// Serves one request as `identity` to clients that `trust` signed; answers its port.
async fn server(identity: &Identity, trust: &Authority) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    add_pem(&mut roots, &trust.pem).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let (chain, key) = identity.parts().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    port
}

async fn answer(client: &HttpClient, host: &str, port: u16) -> Result<StatusCode, HttpError> {
    let request = Request::get(format!("https://{host}:{port}/")).body(Full::default()).unwrap();
    client.send(request).await.map(|answer| answer.status)
}

#[tokio::test]
async fn both_sides_show_a_certificate_and_an_address_is_looked_for_among_the_ip_names() {
    let (ca, other) = (authority("ca"), authority("other"));
    let here = ca.identity("127.0.0.1");
    #[rustfmt::skip]
    let table = [
        ("by address",             "127.0.0.1", ca.identity("127.0.0.1"), &ca,    &here,                        true),
        ("by name",                "localhost", ca.identity("127.0.0.1"), &ca,    &here,                        true),
        ("another address",        "127.0.0.1", ca.identity("127.0.0.2"), &ca,    &here,                        false),
        ("a server of another CA", "127.0.0.1", ca.identity("127.0.0.1"), &other, &here,                        false),
        ("a client of another CA", "127.0.0.1", ca.identity("127.0.0.1"), &ca,    &other.identity("127.0.0.1"), false),
    ];
    for (what, host, serves, trusted, identity, want) in table {
        let port = server(&serves, &ca).await;
        let client = HttpClient::mutual(&trusted.pem, identity, DEADLINE).unwrap();
        let got = answer(&client, host, port).await;
        assert_eq!(got.is_ok(), want, "{what}: {got:?}");
    }
    let port = server(&here, &ca).await;
    let nobody = HttpClient::new(&Trust::Only(ca.pem.clone()), DEADLINE).unwrap();
    assert!(answer(&nobody, "127.0.0.1", port).await.is_err(), "a client that shows none");
}

#[test]
fn what_is_no_key_certificate_or_ca_is_refused_and_never_printed() {
    let ca = authority("ca");
    let good = ca.identity("127.0.0.1");
    let pem = |text: &str| Identity { pem: text.to_owned().into() };
    let foreign_key = KeyPair::generate().unwrap().serialize_pem();
    let alone = good.pem.expose_secret().split("-----BEGIN CERTIFICATE").next().unwrap().to_owned();
    let swapped = good.pem.expose_secret().replace(&alone, &foreign_key);
    for bad in [pem(""), pem("garbage"), pem(&ca.pem), pem(&alone), pem(&swapped)] {
        let refused = HttpClient::mutual(&ca.pem, &bad, DEADLINE).map(|_| ());
        assert!(matches!(refused, Err(HttpError::BadIdentity { .. })), "{refused:?}");
    }
    for bad in ["", "garbage"] {
        let refused = HttpClient::mutual(bad, &good, DEADLINE).map(|_| ());
        assert!(matches!(refused, Err(HttpError::BadTrust { .. })), "{refused:?}");
    }
    assert!(!format!("{good:?}").contains("PRIVATE"));
}
