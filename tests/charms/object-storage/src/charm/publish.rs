//! What the other side of a relation gets to read: decided by `answer` (pure), written by `publish`.

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use super::options::{Dialect, Options};
use super::tools::{self, Bag};
use crate::keys::Keys;

pub(super) const ENDPOINT: &str = "s3-credentials";
const LIB_VERSION: &str = "1.0";
/// All that is ours in the bag. What is not in an answer is taken away.
const OURS: [&str; 13] = [
    "access-key",
    "bucket",
    "data",
    "delete-older-than-days",
    "endpoint",
    "lib-version",
    "path",
    "region",
    "s3-uri-style",
    "secret-extra",
    "secret-key",
    "storage-class",
    "tls-ca-chain",
];

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) endpoint: String,
    pub(super) keys: Keys,
    pub(super) ca: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) bag: Bag,
    pub(super) keys: KeysGo,
}

/// How the keys travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysGo {
    Nowhere,
    Plainly,
    AsSecret,
}

/// What to answer to what the other side wrote.
pub(super) fn answer(options: &Options, served: &Served, theirs: &Bag) -> Answer {
    let asked = |key: &str| theirs.get(key).filter(|value| !value.is_empty());
    let keys = match (options.dialect, asked("bucket"), asked("requested-secrets")) {
        (Dialect::V0, None, _) => KeysGo::Nowhere,
        (Dialect::V0, Some(_), _) => KeysGo::Plainly,
        (Dialect::V1, _, Some(_)) => KeysGo::AsSecret,
        // A v1 provider takes one who does not ask for secrets for a v0 requirer.
        (Dialect::V1, Some(_), None) => KeysGo::Plainly,
        (Dialect::V1, None, None) => KeysGo::Nowhere,
    };
    let mut bag = Bag::new();
    match options.dialect {
        // The library's own memory of the other side's words. A requirer tells a v0 provider by it.
        Dialect::V0 => drop(bag.insert("data".to_owned(), memory(theirs))),
        Dialect::V1 => drop(bag.insert("lib-version".to_owned(), LIB_VERSION.to_owned())),
    }
    if keys != KeysGo::Nowhere {
        // A v1 provider does not hear the bucket of one it takes for v0.
        let heard = options.dialect == Dialect::V0 || keys == KeysGo::AsSecret;
        let theirs = |key: &str| asked(key).filter(|_| heard).cloned().unwrap_or_default();
        bag.extend(settings(options, served, &theirs("bucket"), &theirs("path")));
    }
    if keys == KeysGo::Plainly {
        bag.insert("access-key".to_owned(), served.keys.access_key.clone());
        bag.insert("secret-key".to_owned(), served.keys.secret_key.clone());
    }
    Answer { bag, keys }
}

fn settings(options: &Options, served: &Served, their_bucket: &str, their_path: &str) -> Bag {
    let raw = &options.raw;
    let first = |ours: &str, theirs: &str| if ours.is_empty() { theirs.to_owned() } else { ours.to_owned() };
    let days = if raw.delete_older_than_days == 0 { String::new() } else { raw.delete_older_than_days.to_string() };
    let ca = if raw.publish_ca { serde_json::json!([served.ca.trim()]).to_string() } else { String::new() };
    let all = [
        ("bucket", first(&raw.bucket, their_bucket)),
        ("endpoint", served.endpoint.clone()),
        ("region", raw.region.clone()),
        ("path", first(&raw.path, their_path)),
        ("s3-uri-style", raw.s3_uri_style.clone()),
        ("storage-class", raw.storage_class.clone()),
        ("delete-older-than-days", days),
        ("tls-ca-chain", ca),
    ];
    let set = all.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn memory(theirs: &Bag) -> String {
    let words: Bag = theirs.iter().filter(|(key, _)| *key != "data").map(|(k, v)| (k.clone(), v.clone())).collect();
    serde_json::json!(words).to_string()
}

/// Writes the answer to one relation, what differs only. Gives back the bucket that was published.
pub(super) fn publish(id: &str, our_app: &str, options: &Options, served: &Served) -> Result<Option<String>> {
    let Some(app) = tools::relation_app(id)? else { return Ok(None) };
    let theirs = tools::relation_bag(id, &app)?;
    let before = tools::relation_bag(id, our_app)?;
    let mut answer = answer(options, served, &theirs);
    if options.dialect == Dialect::V0 && tools::relation_units(id)?.is_empty() {
        // Nobody has spoken yet; the library would not have been called either.
        answer.bag.remove("data");
    }
    if answer.keys == KeysGo::AsSecret {
        let uri = secret(id, before.get("secret-extra"), &served.keys)?;
        answer.bag.insert("secret-extra".to_owned(), uri);
    } else if let Some(uri) = before.get("secret-extra") {
        tools::secret_remove(uri, None)?;
    }
    let gone = OURS.iter().filter(|key| before.contains_key(**key) && !answer.bag.contains_key(**key));
    let gone = gone.map(|key| ((*key).to_owned(), String::new()));
    let new = answer.bag.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changes: Bag = new.map(|(key, value)| (key.clone(), value.clone())).chain(gone).collect();
    if !changes.is_empty() {
        tools::relation_set(id, &changes)?;
    }
    Ok(answer.bag.remove("bucket"))
}

/// The URI of the relation's secret, with these keys in it.
fn secret(relation: &str, uri: Option<&String>, keys: &Keys) -> Result<String> {
    let file = NamedTempFile::new().context("making a file for the secret")?;
    serde_json::to_writer(&file, keys)?;
    let path = file.path().to_str().context("a temporary file with an odd name")?;
    if let Some(uri) = uri {
        // Not written again when it is the same: that would be a new revision for nothing.
        let same = Bag::from([
            ("access-key".to_owned(), keys.access_key.clone()),
            ("secret-key".to_owned(), keys.secret_key.clone()),
        ]);
        if tools::secret_get(uri)? != same {
            tools::secret_set(uri, path)?;
        }
        return Ok(uri.clone());
    }
    let uri = tools::secret_add(&format!("{ENDPOINT}.{}.extra.secret", number(relation)), path)?;
    tools::secret_grant(&uri, relation)?;
    Ok(uri)
}

fn number(relation: &str) -> &str {
    relation.rsplit(':').next().unwrap_or(relation)
}

/// The keys of a relation that is over.
pub(super) fn forget_relation(id: &str) -> Result<()> {
    if !tools::is_leader()? {
        return Ok(());
    }
    let bag = tools::relation_bag(id, &our_app())?;
    bag.get("secret-extra").map_or(Ok(()), |uri| tools::secret_remove(uri, None))
}

/// Nobody reads this revision any more.
pub(super) fn forget_revision(uri: &str, revision: &str) -> Result<()> {
    tools::secret_remove(uri, Some(revision))
}

pub(super) fn our_app() -> String {
    let unit = super::variable("JUJU_UNIT_NAME");
    unit.split_once('/').map_or(unit.clone(), |(app, _)| app.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(changes: serde_json::Value) -> Options {
        let mut config = serde_json::json!({"dialect": "v1", "fault": "none", "s3-uri-style": "path",
            "region": "us-east-1", "publish-ca": true});
        let changes = changes.as_object().expect("a map").clone();
        config.as_object_mut().expect("a map").extend(changes);
        Options::read(config).expect("good options")
    }

    fn served() -> Served {
        let keys = Keys { access_key: "AK".into(), secret_key: "SK".into() };
        Served { endpoint: "https://127.23.4.1:24000".into(), keys, ca: "-----BEGIN-----\n".into() }
    }

    fn bag(pairs: &[(&str, &str)]) -> Bag {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    type Row = (&'static str, &'static [(&'static str, &'static str)], KeysGo, Option<&'static str>);

    #[test]
    fn when_the_keys_go_and_how() {
        #[rustfmt::skip]
        let table: [Row; 7] = [
            // ours  theirs                                             keys              bucket
            ("v0",   &[],                                               KeysGo::Nowhere,  None),
            ("v0",   &[("requested-secrets", "[]")],                    KeysGo::Nowhere,  None),
            ("v0",   &[("bucket", "relation-7")],                       KeysGo::Plainly,  Some("relation-7")),
            ("v1",   &[],                                               KeysGo::Nowhere,  None),
            ("v1",   &[("requested-secrets", "[]")],                    KeysGo::AsSecret, None),
            ("v1",   &[("requested-secrets", "[]"), ("bucket", "b")],   KeysGo::AsSecret, Some("b")),
            ("v1",   &[("bucket", "relation-7")],                       KeysGo::Plainly,  None),
        ];
        for (dialect, theirs, keys, bucket) in table {
            let options = options(serde_json::json!({"dialect": dialect}));
            let answer = answer(&options, &served(), &bag(theirs));
            let plain = answer.bag.contains_key("secret-key");
            let got = (answer.keys, answer.bag.get("bucket").map(String::as_str), plain);
            assert_eq!(got, (keys, bucket, keys == KeysGo::Plainly), "{dialect} {theirs:?}");
            assert_eq!(answer.bag.contains_key("lib-version"), dialect == "v1");
            assert_eq!(answer.bag.contains_key("data"), dialect == "v0");
        }
    }

    #[test]
    fn a_whole_v0_answer() {
        let options = options(serde_json::json!({"dialect": "v0", "bucket": "ours", "path": "/p",
            "delete-older-than-days": 30, "storage-class": "COLD"}));
        let answer = answer(&options, &served(), &bag(&[("bucket", "relation-7"), ("data", "{}")]));
        let expected = bag(&[
            ("access-key", "AK"),
            ("bucket", "ours"),
            ("data", r#"{"bucket":"relation-7"}"#),
            ("delete-older-than-days", "30"),
            ("endpoint", "https://127.23.4.1:24000"),
            ("path", "/p"),
            ("region", "us-east-1"),
            ("s3-uri-style", "path"),
            ("secret-key", "SK"),
            ("storage-class", "COLD"),
            ("tls-ca-chain", r#"["-----BEGIN-----"]"#),
        ]);
        assert_eq!(answer.bag, expected);
    }

    #[test]
    fn a_v1_answer_has_no_keys_in_the_bag() {
        let options = options(serde_json::json!({"publish-ca": false, "region": ""}));
        let theirs = bag(&[("requested-secrets", r#"["access-key", "secret-key"]"#), ("lib-version", "1.0")]);
        let expected =
            bag(&[("endpoint", "https://127.23.4.1:24000"), ("lib-version", "1.0"), ("s3-uri-style", "path")]);
        assert_eq!(answer(&options, &served(), &theirs), Answer { bag: expected, keys: KeysGo::AsSecret });
    }
}
