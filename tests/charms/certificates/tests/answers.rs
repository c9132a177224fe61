//! Who is signed, who keeps what there is, who is skipped.
#![allow(clippy::unwrap_used, reason = "a test")]

use certificates::answer::{Anew, Answer, Asked, Entry, answer, revoke};

fn entry(request: &str, certificate: &str, ca: &str, revoked: bool) -> Entry {
    let chain = vec![certificate.to_owned(), ca.to_owned()];
    let [request, certificate, ca] = [request, certificate, ca].map(str::to_owned);
    Entry { certificate_signing_request: request, certificate, ca, chain, revoked }
}

fn asked(unit: &str, requests: &[&str]) -> Asked {
    let requests = requests.iter().map(|one| (*one).to_owned()).collect();
    Asked { unit: unit.to_owned(), requests, odd: Vec::new() }
}

/// By the CA `new`; `bad` is refused.
fn answered(asks: &[Asked], before: &[Entry], anew: Anew) -> Answer {
    answer(asks, before, ("new", anew), |request| match request {
        "bad" => Err("not a request"),
        good => Ok(format!("{good} signed")),
    })
}

#[test]
fn what_becomes_of_one_request() {
    let (lacking, all) = (Anew::Lacking, Anew::All);
    #[rustfmt::skip]
    let table = [
        // published before                       who      published now                             signed holds
        (None,                                    lacking, entry("r", "r signed", "new", false),     1,     1),
        (Some(entry("r", "kept", "new", false)),  lacking, entry("r", "kept",     "new", false),     0,     1),
        (Some(entry("r", "kept", "old", false)),  lacking, entry("r", "r signed", "new", false),     1,     1),
        (Some(entry("r", "kept", "new", true)),   lacking, entry("r", "kept",     "new", true),      0,     0),
        (Some(entry("r", "kept", "old", true)),   lacking, entry("r", "kept",     "old", true),      0,     0),
        (Some(entry("r", "kept", "new", false)),  all,     entry("r", "r signed", "new", false),     1,     1),
        (Some(entry("r", "kept", "old", true)),   all,     entry("r", "kept",     "old", true),      0,     0),
    ];
    for (before, anew, now, signed, units) in table {
        let got = answered(&[asked("pg/0", &["r"])], before.as_slice(), anew);
        assert_eq!(got, Answer { entries: vec![now], signed, units, skipped: vec![] }, "{before:?} {anew:?}");
    }
}

#[test]
fn units_in_order_and_what_nobody_asks_for_goes() {
    let before = [entry("gone", "x", "new", false), entry("b", "kept", "new", false)];
    let asks = [asked("pg/0", &["a", "bad"]), asked("pg/1", &["b"]), asked("pg/2", &["b"]), asked("pg/3", &[])];
    let got = answered(&asks, &before, Anew::Lacking);
    assert_eq!(got.entries, [entry("a", "a signed", "new", false), entry("b", "kept", "new", false)]);
    assert_eq!((got.signed, got.units, got.skipped), (1, 3, vec!["pg/0 (not a request)".to_owned()]));
    assert_eq!(answered(&[], &before, Anew::Lacking), Answer::default());
}

#[test]
fn what_a_unit_writes() {
    #[rustfmt::skip]
    let table: [(Option<&str>, &[&str], &[&str]); 7] = [
        (None,                                                              &[],    &[]),
        (Some(""),                                                          &[],    &[]),
        (Some("[]"),                                                        &[],    &[]),
        (Some(r#"[{"certificate_signing_request": " r\n", "ca": false}]"#), &["r"], &[]),
        (Some(r#"[{"certificate_signing_request": "r"}]"#),                 &["r"], &[]),
        (Some(r#"[{"certificate_signing_request": "r", "ca": true}]"#),     &[],    &["asks to be a CA"]),
        (Some("hello"),                                                     &[],    &["not a list of requests"]),
    ];
    for (written, requests, odd) in table {
        let got = Asked::read("pg/0", written);
        assert_eq!((got.requests, got.odd), (asked("", requests).requests, asked("", odd).requests), "{written:?}");
    }
}

#[test]
fn revoking_marks_what_one_unit_has_and_tells_what_is_new() {
    let mut entries = [entry("a", "1", "new", false), entry("b", "2", "new", true), entry("c", "3", "new", false)];
    let marked = revoke(&asked("pg/0", &["a", "b"]), &mut entries);
    assert_eq!(marked, [entry("a", "1", "new", true)]);
    assert_eq!(entries.map(|entry| entry.revoked), [true, true, false]);
}

#[test]
fn an_entry_as_it_is_written() {
    let text = |revoked| serde_json::to_string(&entry("r", "c", "ca", revoked)).unwrap();
    let plain = r#"{"certificate_signing_request":"r","certificate":"c","ca":"ca","chain":["c","ca"]}"#;
    assert_eq!(text(false), plain);
    assert_eq!(text(true), plain.replace('}', r#","revoked":true}"#));
}
