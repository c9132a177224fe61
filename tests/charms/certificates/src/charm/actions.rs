//! The actions. Who is away only shows; and only the leader has a CA and may read what it has published.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::options::Options;
use super::reconcile::{self, AWAY};
use super::tools::{self, Bag};
use super::{home, now, our_app, variable};
use crate::answer::{Anew, Entry, revoke as mark};
use crate::authority::{Authority, Home};
use crate::issue::look;

pub(super) fn run(name: &str) -> Result<Bag> {
    let home = home()?.context("the storage `authority` is not attached")?;
    if !tools::is_leader()? {
        bail!("{} is not the leader: run it on {}/leader", variable("JUJU_UNIT_NAME"), our_app());
    }
    match name {
        "get-ca" => Ok(results([("ca", home.ensure(&our_app(), now())?.certificate)])),
        "list" => list(),
        "revoke" => revoke(&home, &tools::action_params()?),
        "rotate-ca" => rotate(&home),
        "reissue" => reissue(&home),
        other => bail!("there is no action `{other}`"),
    }
}

fn results<const N: usize>(pairs: [(&str, String); N]) -> Bag {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn present() -> Result<Options> {
    let options = Options::read(tools::config()?)?;
    if options.away {
        bail!("{AWAY}");
    }
    Ok(options)
}

fn list() -> Result<Bag> {
    let mut lines = Vec::new();
    for related in reconcile::related()? {
        for asked in &related.asked {
            for request in &asked.requests {
                let theirs = |entry: &&Entry| entry.certificate_signing_request.trim() == request;
                lines.extend(related.entries.iter().find(theirs).map(|entry| line(&asked.unit, entry)));
            }
        }
    }
    Ok(results([("certificates", json!(lines).to_string())]))
}

fn line(unit: &str, entry: &Entry) -> Value {
    let seen = look(&entry.certificate);
    let (serial, not_after) = seen.map(|seen| (seen.serial, seen.not_after)).unzip();
    json!({"unit": unit, "serial": serial, "not-after": not_after, "revoked": entry.revoked})
}

fn revoke(home: &Home, params: &Value) -> Result<Bag> {
    let options = present()?;
    let unit = params["unit"].as_str().context("the parameter `unit` is missing")?;
    let (mut known, mut marked) = (false, Vec::new());
    let mut all = reconcile::related()?;
    for related in &mut all {
        let Some(asked) = related.asked.iter().find(|asked| asked.unit == unit) else { continue };
        marked.extend(mark(asked, &mut related.entries));
        known = true;
    }
    match (known, marked.as_slice()) {
        (false, _) => bail!("no unit `{unit}` is related"),
        (true, []) => bail!("{unit} has no certificate that is not revoked already"),
        (true, _) => {}
    }
    reconcile::sign(all, &home.ensure(&our_app(), now())?, &options, Anew::Lacking)?;
    let serials: Vec<_> = marked.iter().filter_map(|entry| look(&entry.certificate)).map(|seen| seen.serial).collect();
    Ok(results([("unit", unit.to_owned()), ("serials", json!(serials).to_string())]))
}

fn rotate(home: &Home) -> Result<Bag> {
    let options = present()?;
    sign_all(&home.renew(&our_app(), now())?, &options)
}

fn reissue(home: &Home) -> Result<Bag> {
    let options = present()?;
    sign_all(&home.ensure(&our_app(), now())?, &options)
}

fn sign_all(authority: &Authority, options: &Options) -> Result<Bag> {
    let signed = reconcile::sign(reconcile::related()?, authority, options, Anew::All)?;
    Ok(results([("ca", authority.certificate.clone()), ("signed", signed.to_string())]))
}
