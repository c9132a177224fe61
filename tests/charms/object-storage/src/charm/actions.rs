//! The actions: they work on the files directly, so also while the server refuses or is stopped.

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::tools::{self, Bag};
use super::{home, reconcile};
use crate::home::{Home, ServerConfig};
use crate::keys::Keys;
use crate::pki;
use crate::store::{Attributes, Condition, Damage, Query, Refused, Store, hex};

/// One argument of `action-set` takes 128 KiB.
const RESULT_MAX: usize = 100_000;

pub(super) fn run(name: &str) -> Result<Bag> {
    let home = home()?.context("the storage `data` is not attached")?;
    let params = tools::action_params()?;
    match name {
        "fault" => fault(&home, &params),
        "list-objects" => list(&home, &params),
        "get-object" => get(&home, &params),
        "put-object" => put(&home, &params),
        "corrupt-object" => corrupt(&home, &params),
        "get-s3-connection-info" => connection(&home),
        other => bail!("there is no action `{other}`"),
    }
}

fn results<const N: usize>(pairs: [(&str, String); N]) -> Bag {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn text<'a>(params: &'a Value, name: &str) -> Result<&'a str> {
    params[name].as_str().with_context(|| format!("the parameter `{name}` is missing"))
}

fn fault(home: &Home, params: &Value) -> Result<Bag> {
    let mode = text(params, "mode")?.parse()?;
    let fault = reconcile::play(home, mode, params["rate"].as_u64().unwrap_or(0))?;
    Ok(results([("mode", fault.mode.to_string()), ("rate", fault.rate.to_string())]))
}

/// The store, and the bucket that is meant.
fn open(home: &Home, params: &Value) -> Result<(Store, String)> {
    let store = Store::visit(home.dir()).context("reading the objects")?;
    let names: Vec<_> = store.buckets().into_iter().map(|(name, _)| name).collect();
    let bucket = match (params["bucket"].as_str(), names.as_slice()) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.clone(),
        (None, []) => bail!("there is no bucket yet"),
        (None, several) => bail!("say which bucket: {}", several.join(", ")),
    };
    Ok((store, bucket))
}

fn said(refused: Refused, bucket: &str, key: &str) -> anyhow::Error {
    match refused {
        Refused::NoSuchBucket => anyhow::anyhow!("there is no bucket `{bucket}`"),
        Refused::NoSuchKey => anyhow::anyhow!("there is no object `{key}` in `{bucket}`"),
        Refused::Io(err) => err.into(),
        other => anyhow::anyhow!("{other:?}"),
    }
}

fn list(home: &Home, params: &Value) -> Result<Bag> {
    let (store, bucket) = open(home, params)?;
    let prefix = params["prefix"].as_str().unwrap_or_default().to_owned();
    let query = Query { prefix, max: usize::MAX, ..Query::default() };
    let page = store.list(&bucket, &query).map_err(|err| said(err, &bucket, ""))?;
    let bytes: u64 = page.contents.iter().map(|(_, entry)| entry.size).sum();
    let keys: Vec<_> = page.contents.into_iter().map(|(key, _)| key).collect();
    let mut answer = results([("bucket", bucket), ("count", keys.len().to_string()), ("bytes", bytes.to_string())]);
    match json!(keys).to_string() {
        short if short.len() <= RESULT_MAX => drop(answer.insert("keys".to_owned(), short)),
        _ => keys.iter().for_each(|key| println!("{key}")),
    }
    Ok(answer)
}

fn get(home: &Home, params: &Value) -> Result<Bag> {
    let (store, bucket) = open(home, params)?;
    let key = text(params, "key")?;
    let (meta, file) = store.open_object(&bucket, key).map_err(|err| said(err, &bucket, key))?;
    if meta.size > RESULT_MAX as u64 / 2 {
        bail!("`{key}` has {} bytes: too many for an action's result", meta.size);
    }
    let mut data = vec![0; usize::try_from(meta.size)?];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut data, 0)?;
    let (name, value) = match String::from_utf8(data) {
        Ok(text) if !text.contains('\0') => ("value", text),
        Ok(text) => ("value-base64", STANDARD.encode(text)),
        Err(binary) => ("value-base64", STANDARD.encode(binary.as_bytes())),
    };
    Ok(results([("bucket", bucket), ("size", meta.size.to_string()), ("etag", meta.etag), (name, value)]))
}

fn put(home: &Home, params: &Value) -> Result<Bag> {
    let (store, bucket) = open(home, params)?;
    let key = text(params, "key")?;
    let mut writer = store.writer()?;
    writer.write(&text(params, "value")?.to_owned().into())?;
    let etag = hex(&writer.md5());
    let put = store.commit(&bucket, key, writer, etag, Attributes::default(), &Condition::Always);
    let meta = put.map_err(|err| said(err, &bucket, key))?;
    Ok(results([("bucket", bucket), ("size", meta.size.to_string()), ("etag", meta.etag)]))
}

fn corrupt(home: &Home, params: &Value) -> Result<Bag> {
    let (store, bucket) = open(home, params)?;
    let key = text(params, "key")?;
    let (how, damage) = match params["how"].as_str() {
        None | Some("flip") => ("flip", Damage::Flip),
        Some("truncate") => ("truncate", Damage::Truncate),
        Some("delete") => ("delete", Damage::Delete),
        Some(other) => bail!("`how` is flip, truncate or delete, not `{other}`"),
    };
    store.damage(&bucket, key, damage).map_err(|err| said(err, &bucket, key))?;
    Ok(results([("bucket", bucket), ("key", key.to_owned()), ("how", how.to_owned())]))
}

fn connection(home: &Home) -> Result<Bag> {
    let config: ServerConfig = home.read_json("server.json")?.context("the server was not set up yet")?;
    let port = home.port().context("the server has chosen no port yet")?;
    let keys = Keys::read(home)?.context("there are no keys yet")?;
    Ok(results([
        ("endpoint", reconcile::endpoint(&config, port)),
        ("region", config.region.clone()),
        ("access-key", keys.access_key),
        ("secret-key", keys.secret_key),
        ("tls-ca-chain", json!([pki::ca_pem(home)?.trim()]).to_string()),
    ]))
}
