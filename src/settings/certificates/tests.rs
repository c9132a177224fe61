//! What the authority's bag answers, as tables.

use std::time::Duration;

use super::*;
use crate::certificate::{Subject, bridge, request};

const DAY: Duration = Duration::from_secs(86400);

fn subject(names: &[&str]) -> Subject {
    Subject {
        member: "postgresql-0".to_owned(),
        addresses: ["10.0.0.7".parse().unwrap()].into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A key, its request, and what an authority issued for it: a bridge will do.
struct Ours {
    key: UnitKey,
    csr: String,
    issued: Issued,
}

fn ours() -> Ours {
    let key = UnitKey::generate().unwrap();
    let subject = subject(&["postgresql-0"]);
    let csr = request(&key, &subject).unwrap();
    Ours { issued: issue(&key, &subject, 0), key, csr }
}

fn issue(key: &UnitKey, subject: &Subject, days_later: u32) -> Issued {
    let now: chrono::DateTime<chrono::Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
    bridge(key, subject, now + DAY * days_later, DAY).unwrap()
}

fn entry(csr: &str, issued: &Issued) -> serde_json::Value {
    serde_json::json!({
        "certificate_signing_request": csr,
        "certificate": issued.certificate.to_pem(),
        "ca": issued.ca.to_pem(),
        "chain": [issued.certificate.to_pem(), issued.ca.to_pem()],
        "recommended_expiry_notification_time": 7,
    })
}

fn with(mut entry: serde_json::Value, field: &str, value: serde_json::Value) -> serde_json::Value {
    entry[field] = value;
    entry
}

fn bag<const N: usize>(entries: [serde_json::Value; N]) -> String {
    serde_json::Value::from(entries.to_vec()).to_string()
}

#[test]
fn our_request_goes_out_as_a_list_of_one() {
    let want = r#"[{"ca":false,"certificate_signing_request":"-----BEGIN"}]"#;
    let got: serde_json::Value = serde_json::from_str(&requests(" -----BEGIN\n")).unwrap();
    assert_eq!(got, serde_json::from_str::<serde_json::Value>(want).unwrap());
}

#[test]
fn the_answer_is_the_one_to_our_request() {
    let Ours { key, csr, issued } = ours();
    let mine = entry(&csr, &issued);
    let wrapped =
        with(mine.clone(), "certificate_signing_request", format!("\n{}\n", csr.replace('\n', "\r\n")).into());
    let other = ours();
    let theirs = entry(&other.csr, &other.issued);
    let bare = with(with(mine.clone(), "chain", serde_json::Value::Null), "revoked", serde_json::Value::Null);
    let open = with(mine.clone(), "certificate", "".into());
    let revoked = with(mine.clone(), "revoked", true.into());
    let junk = serde_json::json!({"certificate_signing_request": 7});
    let young = issue(&key, &subject(&["postgresql-0"]), 1);
    let yes = || Answer::Issued(issued.clone().into());
    #[rustfmt::skip]
    let table = [
        ("it alone",           bag([mine.clone()]),                        yes()),
        ("wrapped",            bag([wrapped]),                             yes()),
        ("among others",       bag([theirs.clone(), mine.clone()]),        yes()),
        ("among junk",         bag([junk, 1.into(), mine.clone()]),        yes()),
        ("without a chain",    bag([bare]),                                yes()),
        ("the younger",        bag([entry(&csr, &young), mine.clone()]),   Answer::Issued(young.clone().into())),
        ("another after that", bag([revoked.clone(), entry(&csr, &young)]), Answer::Issued(young.clone().into())),
        ("revoked",            bag([revoked.clone()]),                     Answer::Revoked),
        ("revoked and listed", bag([mine.clone(), revoked]),               Answer::Revoked),
        ("of another unit",    bag([theirs]),                              Answer::Nothing),
        ("not yet",            bag([open]),                                Answer::Nothing),
        ("empty list",         " [ ] ".to_owned(),                          Answer::Nothing),
        ("empty",              String::new(),                               Answer::Nothing),
    ];
    for (what, bag, want) in table {
        assert_eq!(answer(&bag, &csr, &key), want, "{what}");
    }
}

#[test]
fn an_answer_that_cannot_serve_says_why() {
    let Ours { key, csr, issued } = ours();
    let mine = entry(&csr, &issued);
    let another = entry(&csr, &issue(&UnitKey::generate().unwrap(), &subject(&["postgresql-0"]), 0));
    let nameless = entry(&csr, &issue(&key, &subject(&[]), 0));
    let alone = with(with(mine.clone(), "chain", serde_json::json!([])), "ca", "".into());
    let text = with(mine, "certificate", "certificate".into());
    #[rustfmt::skip]
    let table = [
        (bag([another]),             "the certificate is for another key"),
        (bag([nameless]),            "the certificate lacks DNS:postgresql-0"),
        (bag([alone]),               "the certificate is not signed by a CA that came with it"),
        (bag([text]),                "not a PEM certificate: no PEM block CERTIFICATE in it"),
        ("{}".to_owned(),             "`certificates` is not a JSON list"),
        ("[{}".to_owned(),            "`certificates` is not a JSON list"),
        ("[1,]".to_owned(),           "`certificates` is not a JSON list"),
        ("x".repeat(LONGEST + 1),     "`certificates` is longer than 1048576 bytes"),
    ];
    for (bag, why) in table {
        assert_eq!(answer(&bag, &csr, &key), Answer::Unusable { why: why.to_owned() });
    }
}

#[test]
fn an_entry_nested_too_deep_hides_nothing() {
    let Ours { key, csr, issued } = ours();
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    let bag = format!("[{deep}, {}, \"a]\"]", entry(&csr, &issued));
    assert_eq!(answer(&bag, &csr, &key), Answer::Issued(issued.into()));
    assert_eq!(broken_entries(&bag), 2);
}

#[test]
fn the_authorities_of_all_entries_are_known_before_our_own_answer() {
    let (a, b) = (ours(), ours());
    let broken =
        with(entry(&a.csr, &a.issued), "ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".into());
    let both = a.issued.ca.clone().union(&b.issued.ca);
    assert_eq!(authorities(&bag([entry(&a.csr, &a.issued), entry(&b.csr, &b.issued)])), both);
    assert_eq!(authorities(&bag([broken, entry(&b.csr, &b.issued)])), b.issued.ca);
    assert!(authorities("[").is_empty());
}
