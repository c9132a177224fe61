//! Keys, requests, certificates, chains and bundles, as sentences.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm};

use super::subject::named;
use super::*;
use crate::secrets::{ExposeSecret, SecretString};

fn subject() -> Subject {
    Subject {
        member: "postgresql-0".to_owned(),
        addresses: ["10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap()].into(),
        names: ["Postgresql-0.endpoints".to_owned()].into(),
    }
}

fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

const DAY: Duration = Duration::from_secs(86400);

type Authority = Issuer<'static, KeyPair>;

fn authority(name: &str, algorithm: &'static SignatureAlgorithm, above: Option<&Authority>) -> (Authority, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name.to_owned());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = match above {
        Some(above) => params.signed_by(&key, above).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (Issuer::new(params, key), certificate.pem())
}

fn signed(key: &UnitKey, by: &Authority) -> String {
    subject().params().unwrap().signed_by(&key.pair().unwrap(), by).unwrap().pem()
}

#[test]
fn a_key_survives_its_pem_and_is_never_printed() {
    let key = UnitKey::generate().unwrap();
    let again = UnitKey::from_pem(key.pem()).unwrap();
    assert_eq!(key.public(), again.public());
    assert!(key.pem().expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(format!("{key:?}"), "UnitKey(…)");
    let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    for text in ["", "no key", other.as_str()] {
        assert!(UnitKey::from_pem(&SecretString::from(text.to_owned())).is_err(), "{}", text.len());
    }
}

#[test]
fn a_request_stays_as_long_as_key_and_names_are_in_it() {
    let key = UnitKey::generate().unwrap();
    let csr = request(&key, &subject()).unwrap();
    assert_eq!(csr, csr.trim());
    let fewer = Subject { names: Default::default(), ..subject() };
    let more = Subject { addresses: ["10.0.0.8".parse().unwrap()].into(), ..subject() };
    let renamed = Subject { member: "postgresql-1".to_owned(), ..subject() };
    let cut = csr.replace("-----END", "AAAA\n-----END");
    let other = UnitKey::generate().unwrap();
    #[rustfmt::skip]
    let table = [
        (csr.as_str(), &key,   subject(), true),
        (&csr,         &key,   fewer,     true),
        (&csr,         &key,   more,      false),
        (&csr,         &key,   renamed,   false),
        (&csr,         &other, subject(), false),
        (&cut,         &key,   subject(), false),
        ("",           &key,   subject(), false),
    ];
    for (csr, key, subject, want) in table {
        assert_eq!(csr_covers(csr, key, &subject), want, "{subject:?}");
    }
}

#[test]
fn requests_are_the_same_however_their_pem_is_wrapped() {
    let key = UnitKey::generate().unwrap();
    let csr = request(&key, &subject()).unwrap();
    let other = request(&UnitKey::generate().unwrap(), &subject()).unwrap();
    assert!(same_request(&csr, &format!("\n{}\n", csr.replace('\n', "\r\n"))));
    assert!(!same_request(&csr, &other));
    assert!(same_request(" odd", "odd "));
}

#[test]
fn a_long_member_is_cut_and_an_odd_name_is_refused() {
    let key = UnitKey::generate().unwrap();
    let long = Subject { member: "é".repeat(70), ..subject() };
    let issued = bridge(&key, &long, now(), DAY).unwrap();
    assert_eq!(issued.certificate.common_name, "é".repeat(64));
    let odd = Subject { names: ["é".to_owned()].into(), ..subject() };
    assert_eq!(request(&key, &odd), Err(CertificateError::BadName { name: "é".to_owned() }));
}

#[test]
fn a_bridge_is_a_leaf_for_the_key_under_a_ca_of_its_own() {
    let key = UnitKey::generate().unwrap();
    let issued = bridge(&key, &subject(), now(), DAY).unwrap();
    let leaf = &issued.certificate;
    assert!(leaf.belongs_to(&key) && leaf.covers(&subject()) && !leaf.is_ca);
    assert_eq!(leaf.not_after, now() + DAY);
    assert!(leaf.not_before < now());
    assert_eq!(leaf.common_name, "postgresql-0");
    assert!(leaf.dns_names.contains("10.0.0.7") && leaf.dns_names.contains("fd00::7"));
    assert!(issued.ca.issued(leaf));
    let again = bridge(&key, &subject(), now(), DAY).unwrap();
    assert!(!again.ca.issued(leaf), "every bridge has a CA of its own");
    assert_ne!(again.certificate.issuer, leaf.issuer);
}

#[test]
fn a_certificate_survives_its_pem() {
    let issued = bridge(&UnitKey::generate().unwrap(), &subject(), now(), DAY).unwrap();
    let text = issued.chain_pem() + &issued.ca.to_pem();
    assert_eq!(Certificate::parse(&text).unwrap(), issued.certificate);
    assert_eq!(Bundle::from_pem(&text).unwrap(), issued.ca, "the leaf is no CA");
    assert_eq!(Certificate::parse_all(&text).unwrap().len(), 2);
    assert_eq!(issued.certificate.fingerprint().len(), 64);
    assert!(!issued.certificate.covers(&Subject { names: ["other".to_owned()].into(), ..subject() }));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let whole = bridge(&UnitKey::generate().unwrap(), &subject(), now(), DAY).unwrap().chain_pem();
    let lines: Vec<_> = whole.lines().collect();
    let cut = [&lines[..2], &lines[lines.len() - 1..]].concat().join("\n");
    for text in ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", cut.as_str()] {
        assert!(Certificate::parse(text).is_err(), "{text}");
    }
    assert!(Bundle::from_pem(&cut).is_err());
    assert!(Bundle::from_pem("").unwrap().is_empty());
}

#[test]
fn a_union_has_every_ca_once_in_one_order() {
    let ca = |name| Bundle::from_pem(&authority(name, &rcgen::PKCS_ECDSA_P256_SHA256, None).1).unwrap();
    let (a, b) = (ca("a"), ca("b"));
    let both = a.clone().union(&b);
    assert_eq!(both, b.clone().union(&a).union(&a));
    assert_eq!(both.fingerprints().len(), 2);
    assert_eq!(Bundle::from_pem(&both.to_pem()).unwrap(), both);
}

#[test]
fn authorities_of_every_usual_kind_are_verified() {
    let key = UnitKey::generate().unwrap();
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let (ca, pem) = authority("root", algorithm, None);
        let leaf = Certificate::parse(&signed(&key, &ca)).unwrap();
        assert!(Bundle::from_pem(&pem).unwrap().issued(&leaf), "{algorithm:?}");
        let (_, impostor) = authority("root", algorithm, None);
        assert!(!Bundle::from_pem(&impostor).unwrap().issued(&leaf), "{algorithm:?}: the same name, another key");
    }
}

#[test]
fn a_chain_is_put_in_order_whatever_order_it_came_in() {
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let (top, root) = authority("root", p256, None);
    let (middle, upper) = authority("upper", p256, Some(&top));
    let (last, lower) = authority("lower", p256, Some(&middle));
    let leaf = signed(&UnitKey::generate().unwrap(), &last);
    let (_, stranger) = authority("stranger", p256, None);
    let all = format!("{leaf}{lower}{upper}{root}");
    let (root, upper, lower, leaf) = (root.as_str(), upper.as_str(), lower.as_str(), leaf.as_str());
    #[rustfmt::skip]
    let table: [(&str, Option<&str>, Vec<&str>); 6] = [
        (leaf, Some(root),  vec![leaf, lower, upper, root]),
        (leaf, Some(root),  vec![upper, lower]),
        (leaf, Some(lower), vec![root, upper, leaf, leaf]),
        (leaf, None,        vec![&all]),
        (&all, None,        vec![]),
        (leaf, Some(root),  vec![&stranger, upper, "", lower, lower]),
    ];
    let parsed = |pem| Certificate::parse(pem).unwrap();
    for (certificate, ca, chain) in table {
        let got = Chain::order(certificate, ca, chain).unwrap();
        let want =
            Chain { leaf: parsed(leaf), intermediates: vec![parsed(lower), parsed(upper)], roots: vec![parsed(root)] };
        assert_eq!(got, want);
    }
    let no_root = Chain::order(leaf, Some(lower), [upper]).unwrap().complete();
    assert_eq!(no_root, Err(CertificateError::NoRoot { top: "CN=upper".to_owned() }));
    let no_issuer = Chain::order(leaf, Some(root), []).unwrap().complete();
    assert_eq!(no_issuer, Err(CertificateError::NoIssuer));
    let many = root.repeat(40);
    assert_eq!(Chain::order(leaf, Some(&many), []), Err(CertificateError::TooMany { most: 32 }));
}

/// ring makes no RSA keys: `openssl req -x509 -newkey rsa:2048 -subj "/O=test/CN=rsa root"`.
const RSA_ROOT: &str = "\
-----BEGIN CERTIFICATE-----
MIIDJTCCAg2gAwIBAgIUWzhUidRWdYh5QxSRoA5oCG2jq1cwDQYJKoZIhvcNAQEL
BQAwIjENMAsGA1UECgwEdGVzdDERMA8GA1UEAwwIcnNhIHJvb3QwHhcNMjYxMTMw
MTExOTUyWhcNMzYxMTI3MTExOTUyWjAiMQ0wCwYDVQQKDAR0ZXN0MREwDwYDVQQD
DAhyc2Egcm9vdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBALaJj4lT
5JdtmwJZsiwehoDBAOE9lEYRJDOhN6RnPSqmr/owOSIkg60FTSyyFZqkymsWf+T+
7e2f6UvpaHcZNwk59Dbk97BwzchWZ9U9F1amWm1lbYWlTV+vod3cLDFa0BsfQRd4
jbC227m+Pb58MRr7kNdl2V3Qa6Akne4IV40dHxxFXdoc3MVxV4Ce8tVYocq95kJ2
xyinbQTyYdnz8J7WdjyXFu5KtVx5/l60G1olgrOvwqGizMDVwugsBFQc9Ge65i33
5xF5GtmOKQccWPhSWoE+xFyFsaLNtw4FXNe6G16uuiW1UqVqzmNF87Eeaz9gvzt7
5S0S/mryM6zekP0CAwEAAaNTMFEwHQYDVR0OBBYEFFCAXBVgRIf1NQb40uYG+viG
mLzlMB8GA1UdIwQYMBaAFFCAXBVgRIf1NQb40uYG+viGmLzlMA8GA1UdEwEB/wQF
MAMBAf8wDQYJKoZIhvcNAQELBQADggEBADuj1YVh/l4eIs4+t8RQgwXEbSc69OdL
qEoVY6Jw0WEpBhybRiPV62hUIQd+CKRzvGVfv84KZ5lJ/HT9HV7htk8KTt5D/r+2
GzS5Tv0aXM1FP5rgnlasXSJR3EmWDzk9QTlB7oDaJuSEETzK6n6lA7t89Cq0fBgM
f5T9mllVhVtJPKQ8FfErdctqklXxT201Na95jM6CZV+uzx9hEIx9edMwqiw/L8/z
G5eKpyEhmEYgyQMg4uzYWPHwpo+pCn0S/T2SVOUmOdA/yFicIwgiu7EkOES2zAZb
sDHEcsPjnGIvZjBzQ5ez9W1YvKOZ3TDaljchTIolBcsx9QVBSknILPI=
-----END CERTIFICATE-----
";

#[test]
fn an_rsa_authority_is_verified() {
    let root = Certificate::parse(RSA_ROOT).unwrap();
    assert!(root.is_ca && root.is_self_signed());
    assert_eq!((root.common_name.as_str(), root.subject.as_str()), ("rsa root", "O=test, CN=rsa root"));
}
