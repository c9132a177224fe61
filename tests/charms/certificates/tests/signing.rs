//! What a certificate says, read by x509-parser, and believed by openssl.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use certificates::authority::{Authority, Home};
use certificates::issue::{Refused, Terms, issue, look};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData};
use time::OffsetDateTime;
use x509_parser::pem::{Pem, parse_x509_pem};
use x509_parser::prelude::GeneralName;

const DAY: Duration = Duration::from_secs(86400);

fn now() -> OffsetDateTime {
    SystemTime::now().into()
}

fn wish() -> CertificateParams {
    let mut params = CertificateParams::new(["db.example".to_owned(), "127.23.4.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "postgresql/0");
    params.distinguished_name.push(DnType::OrganizationName, "a model");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

fn request(params: &CertificateParams, key: &KeyPair) -> String {
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn signed(request: &str, authority: &Authority, validity: Duration) -> Result<Pem, Refused> {
    let certificate = issue(request, authority, Terms { now: now(), validity })?;
    Ok(parse_x509_pem(certificate.as_bytes()).unwrap().1)
}

#[test]
fn a_leaf_has_the_requests_subject_and_names_and_our_uses() {
    let authority = Authority::make("certificates", now()).unwrap();
    let key = KeyPair::generate().unwrap();
    let pem = signed(&request(&wish(), &key), &authority, DAY).unwrap();
    let leaf = pem.parse_x509().unwrap();
    assert_eq!(leaf.subject().to_string(), "CN=postgresql/0, O=a model");
    assert_eq!(leaf.issuer().to_string(), format!("CN={}", authority.name));
    assert_eq!(leaf.public_key().raw, key.subject_public_key_info());
    let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(names, [GeneralName::DNSName("db.example"), GeneralName::IPAddress(&[127, 23, 4, 1])]);
    let uses = leaf.extended_key_usage().unwrap().unwrap().value;
    assert_eq!((uses.server_auth, uses.client_auth, uses.code_signing), (true, true, false));
    assert_eq!(leaf.key_usage().unwrap().unwrap().value.flags, 1, "digitalSignature and nothing else");
    assert!(!leaf.is_ca());

    let (_, ca) = parse_x509_pem(authority.certificate.as_bytes()).unwrap();
    let ca = ca.parse_x509().unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert!(ca.key_usage().unwrap().unwrap().value.key_cert_sign());
    leaf.verify_signature(Some(ca.public_key())).unwrap();
    assert!(ca.validity().not_after > leaf.validity().not_after);
}

#[test]
fn from_a_minute_ago_or_a_tenth_of_the_validity() {
    let authority = Authority::make("certificates", now()).unwrap();
    let request = request(&wish(), &KeyPair::generate().unwrap());
    for (validity, before) in [(86400, 60), (600, 60), (90, 9), (10, 1)] {
        let at = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let terms = Terms { now: at, validity: Duration::from_secs(validity) };
        let certificate = issue(&request, &authority, terms).unwrap();
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).unwrap();
        let dates = pem.parse_x509().unwrap().validity().clone();
        let around = (1_800_000_000 - dates.not_before.timestamp(), dates.not_after.timestamp() - 1_800_000_000);
        assert_eq!(around, (before, i64::try_from(validity).unwrap()));
    }
    let terms = Terms { now: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(), validity: DAY };
    let seen = [issue(&request, &authority, terms), issue(&request, &authority, terms)].map(|one| look(&one.unwrap()));
    let [Some(one), Some(other)] = seen else { panic!("certificates") };
    assert_eq!(one.not_after, "2027-01-16T08:00:00Z");
    assert_ne!(one.serial, other.serial);
    assert_eq!(look("none"), None);
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    let authority = Authority::make("certificates", now()).unwrap();
    let key = KeyPair::generate().unwrap();
    let good = request(&wish(), &key);
    let mut wants_ca = wish();
    wants_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // The subject is signed too.
    let mut der = wish().serialize_request(&key).unwrap().der().to_vec();
    let at = der.windows(7).position(|bytes| bytes == b"a model").unwrap();
    der[at] = b'A';
    let spoilt = pem("CERTIFICATE REQUEST", &der);
    let (_, whole) = parse_x509_pem(good.as_bytes()).unwrap();
    #[rustfmt::skip]
    let table = [
        ("".to_owned(),                                             "not a request"),
        ("hello".to_owned(),                                        "not a request"),
        (authority.certificate.clone(),                             "not a request"),
        (pem("CERTIFICATE REQUEST", &whole.contents[..90]),         "not a request"),
        (spoilt,                                                    "its signature is bad"),
        (request(&wants_ca, &key),                                  "asks to be a CA"),
    ];
    for (request, why) in table {
        assert_eq!(signed(&request, &authority, DAY).unwrap_err().to_string(), why, "{request}");
    }
}

/// As the `pem` crate writes it, by openssl's own encoder.
fn pem(label: &str, der: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("der"), der).unwrap();
    let text = openssl(dir.path(), &["base64", "-in", "der"]);
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.trim())
}

fn openssl(dir: &std::path::Path, args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl is installed");
    assert!(out.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn openssl_makes_the_requests_and_verifies_the_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::make("certificates", now()).unwrap();
    fs::write(dir.path().join("ca.pem"), &authority.certificate).unwrap();
    // The digest of a request's signature need not be that of its curve.
    #[rustfmt::skip]
    let kinds: [&[&str]; 4] = [
        &["-newkey", "rsa:2048"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha256"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha384"],
        &["-newkey", "ed25519"],
    ];
    for kind in kinds {
        let rest = ["-nodes", "-keyout", "key.pem", "-subj", "/CN=db", "-addext", "subjectAltName=DNS:db.example"];
        let request = openssl(dir.path(), &[&["req", "-new"], kind, &rest].concat());
        let leaf = issue(&request, &authority, Terms { now: now(), validity: DAY }).unwrap();
        fs::write(dir.path().join("leaf.pem"), &leaf).unwrap();
        for purpose in ["sslserver", "sslclient"] {
            let verify = ["verify", "-x509_strict", "-purpose", purpose, "-verify_hostname", "db.example"];
            let said = openssl(dir.path(), &[&verify[..], &["-CAfile", "ca.pem", "leaf.pem"]].concat());
            assert_eq!(said, "leaf.pem: OK\n", "{kind:?}");
        }
        let keys = (["x509", "-in", "leaf.pem", "-noout", "-pubkey"], ["pkey", "-in", "key.pem", "-pubout"]);
        assert_eq!(openssl(dir.path(), &keys.0), openssl(dir.path(), &keys.1), "{kind:?}");
        let serial = openssl(dir.path(), &["x509", "-in", "leaf.pem", "-noout", "-serial"]);
        assert_eq!(serial.trim(), format!("serial={}", look(&leaf).unwrap().serial));
    }
}

#[test]
fn a_ca_is_kept_for_us_alone_until_it_is_renewed_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let first = home.ensure("certificates", now()).unwrap();
    let again = home.ensure("certificates", now()).unwrap();
    assert_eq!((&first.name, &first.certificate), (&again.name, &again.certificate));
    assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let second = home.renew("certificates", now()).unwrap();
    assert_ne!(first.name, second.name);
    assert_eq!(home.ensure("certificates", now()).unwrap().certificate, second.certificate);

    let request = request(&wish(), &KeyPair::generate().unwrap());
    let of_first = signed(&request, &first, DAY).unwrap();
    let (_, ca) = parse_x509_pem(second.certificate.as_bytes()).unwrap();
    let verified = of_first.parse_x509().unwrap().verify_signature(Some(ca.parse_x509().unwrap().public_key()));
    assert!(verified.is_err(), "the old CA's are not the new one's");
}
