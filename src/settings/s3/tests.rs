//! Tables of what is good and what is refused.

use super::*;
use crate::secrets::ExposeSecret;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

fn bag(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let healthy = [
        ("bucket", "backups"),
        ("access-key", "AKHEALTHY"),
        ("secret-key", "canary-secret-key"),
        ("endpoint", "https://s3.example.com:9000"),
        ("region", "eu-west-1"),
        ("path", "/postgres/one"),
        ("s3-uri-style", "path"),
    ];
    healthy.iter().chain(changes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn read(changes: &[(&str, &str)]) -> Result<S3Settings, BadRepository> {
    S3Settings::from_relation(&bag(changes), None, None)
}

#[test]
fn a_plain_provider_is_read_whole() {
    let s3 = read(&[("tls-ca-chain", &serde_json::to_string(&[PEM, PEM]).unwrap()), ("data", "\0junk")]).unwrap();
    assert_eq!((s3.bucket.as_str(), s3.path.as_str()), ("backups", "/postgres/one"));
    assert_eq!(s3.endpoint.to_string(), "https://s3.example.com:9000");
    assert_eq!((s3.region.as_deref(), s3.uri_style), (Some("eu-west-1"), UriStyle::Path));
    assert_eq!(s3.access_key.expose_secret(), "AKHEALTHY");
    assert_eq!(s3.ca_chain, Some(format!("{PEM}{PEM}")));
    assert_eq!((s3.storage_class, s3.retention_days, s3.session_token.is_none()), (None, None, true));
}

#[test]
fn a_secret_wins_over_plain_keys() {
    let secret = BTreeMap::from([
        ("access-key".to_owned(), "AKSECRET".to_owned()),
        ("secret-key".to_owned(), " from-the-secret\n".to_owned()),
        ("session-token".to_owned(), "token".to_owned()),
    ]);
    let mut plain = bag(&[("secret-extra", "secret:9m4e2mr0ui3e8a215n4g"), ("secret-key", "")]);
    plain.remove("access-key");
    let s3 = S3Settings::from_relation(&plain, Some(&secret), None).unwrap();
    assert_eq!(s3.access_key.expose_secret(), "AKSECRET");
    assert_eq!(s3.secret_key.expose_secret(), "from-the-secret");
    assert_eq!(s3.session_token.unwrap().expose_secret(), "token");
    let unread = S3Settings::from_relation(&plain, None, None).unwrap_err();
    assert_eq!(unread.to_string(), "Missing S3 parameters: ['access-key', 'secret-key']");
}

#[test]
fn the_bucket_may_be_the_one_we_asked_for() {
    let mut nameless = bag(&[]);
    nameless.remove("bucket");
    let missing = S3Settings::from_relation(&nameless, None, None).unwrap_err();
    assert_eq!(missing, BadRepository::Missing { fields: vec!["bucket"] });
    let s3 = S3Settings::from_relation(&nameless, None, Some("relation-7")).unwrap();
    assert_eq!(s3.bucket, "relation-7");
    let s3 = S3Settings::from_relation(&bag(&[]), None, Some("relation-7")).unwrap();
    assert_eq!(s3.bucket, "backups");
}

#[test]
fn typed_becomes_meant() {
    #[rustfmt::skip]
    let paths = [
        ("", ""), ("/", ""), ("///", ""), ("a", "/a"), ("a/b/", "/a/b"), ("//a///b", "/a/b"), (" /a ", "/a"),
        ("/a..b/.c", "/a..b/.c"), ("/juju@model:1+x=y,z~", "/juju@model:1+x=y,z~"),
    ];
    for (typed, meant) in paths {
        assert_eq!(read(&[("path", typed)]).unwrap().path, meant, "{typed:?}");
    }
    #[rustfmt::skip]
    let places = [
        // endpoint                   region        style    meant endpoint                        meant style
        ("",                          "",           "",      "https://s3.amazonaws.com",           UriStyle::Host),
        ("",                          "eu-west-1",  "host",  "https://s3.eu-west-1.amazonaws.com", UriStyle::Host),
        ("https://s3.example.com//",  "",           "path",  "https://s3.example.com",             UriStyle::Path),
        ("https://10.1.2.3:9000",     "",           "host",  "https://10.1.2.3:9000",              UriStyle::Path),
        ("https://[::1]",             "",           "",      "https://[::1]",                      UriStyle::Path),
    ];
    for (endpoint, region, style, meant, meant_style) in places {
        let s3 = read(&[("endpoint", endpoint), ("region", region), ("s3-uri-style", style)]).unwrap();
        assert_eq!((s3.endpoint.to_string().as_str(), s3.uri_style), (meant, meant_style));
    }
    assert_eq!(read(&[("delete-older-than-days", " 30 ")]).unwrap().retention_days, Some(30));
    assert_eq!(read(&[("storage-class", "STANDARD_IA")]).unwrap().storage_class.as_deref(), Some("STANDARD_IA"));
}

#[test]
fn hostile_text_is_refused_by_the_name_of_its_field() {
    let long = "x".repeat(1 << 20);
    let long_endpoint = format!("https://{long}");
    #[rustfmt::skip]
    let table = [
        ("bucket",                 "a\nrepo1-path=/"),
        ("bucket",                 "$(id)"),
        ("bucket",                 ".."),
        ("bucket",                 "a/b"),
        ("bucket",                 "a\0b"),
        ("bucket",                 &long),
        ("region",                 "eu west"),
        ("region",                 "eu\"west"),
        ("region",                 &long),
        ("endpoint",               "http://s3.example.com"),
        ("endpoint",               "https://host/path"),
        ("endpoint",               "file:///etc/passwd"),
        ("endpoint",               &long_endpoint),
        ("path",                   "/a/../b"),
        ("path",                   "../etc"),
        ("path",                   "/a/./b"),
        ("path",                   "/a\nb"),
        ("path",                   "/a;rm -rf b"),
        ("path",                   "/`id`"),
        ("path",                   "/a#b"),
        ("path",                   "/a%2e%2e"),
        ("path",                   &long),
        ("s3-uri-style",           "virtual"),
        ("access-key",             "a b"),
        ("access-key",             "a\nb"),
        ("secret-key",             "clé"),
        ("secret-key",             &long),
        ("session-token",          "a\x07b"),
        ("tls-ca-chain",           "[1]"),
        ("tls-ca-chain",           &long),
        ("storage-class",          "A\nB"),
        ("delete-older-than-days", "0"),
        ("delete-older-than-days", "-1"),
        ("delete-older-than-days", "10000000"),
        ("delete-older-than-days", "1 day"),
    ];
    for (field, value) in table {
        let error = read(&[(field, value)]).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, BadRepository::Bad { field: named, .. } if named == field), "{field}: {text}");
        assert!(text.len() < 400 && !text.contains(char::is_control), "{text}");
    }
}

#[test]
fn refusals_read_well() {
    #[rustfmt::skip]
    let table = [
        ("bucket",   "a b",              "s3-parameters: `bucket` must be 1 to 255 letters, digits, `.`, `-` or `_`, not `a b`"),
        ("path",     "../x",             "s3-parameters: `path` must be folders of letters, digits and ._-~+=@:, of which none is `.` or `..`, not `../x`"),
        ("endpoint", "http://10.0.0.1",  "s3-parameters: `endpoint` must be https://… (pgBackRest speaks to S3 over TLS only; a private CA goes into tls-ca-chain), not `http://10.0.0.1`"),
        ("secret-key", "canary secret",  "s3-parameters: `secret-key` must be printable ASCII without blanks, 8 KiB at most, not the 13 bytes that came"),
    ];
    for (field, value, want) in table {
        assert_eq!(read(&[(field, value)]).unwrap_err().to_string(), want);
    }
}

#[test]
fn equal_settings_are_equal_and_any_other_field_is_not() {
    let healthy = read(&[]).unwrap();
    assert!(healthy == read(&[("data", "other")]).unwrap());
    #[rustfmt::skip]
    let table = [
        ("bucket", "other"), ("endpoint", "https://other"), ("region", "other"), ("path", "/other"),
        ("s3-uri-style", "host"), ("access-key", "other"), ("secret-key", "other"), ("session-token", "other"),
        ("tls-ca-chain", PEM), ("storage-class", "OTHER"), ("delete-older-than-days", "3"),
    ];
    for change in table {
        assert!(healthy != read(&[change]).unwrap(), "{change:?}");
    }
}

#[test]
fn keys_are_never_printed() {
    let s3 = read(&[("session-token", "canary-token")]).unwrap();
    let bad = read(&[("secret-key", "canary secret")]).unwrap_err();
    let text = format!("{s3:?} {bad:?} {bad}");
    assert!(!text.contains("canary") && !text.contains("AKHEALTHY"), "{text}");
}
