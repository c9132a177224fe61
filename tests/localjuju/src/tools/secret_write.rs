//! secret-add, secret-set, secret-remove, secret-grant, secret-revoke: checked now, done when the run ends well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::args::{self, Flag, Parsed, RELATION};
use super::{Answer, Call, Fail};
use crate::ids::secret_id;
use crate::model::secrets::{Content, parse_uri, rotation};
use crate::model::{Owner, Time, names};
use crate::uniter::commit::duration;
use crate::uniter::context::{GrantChange, NewSecret, SecretChange, Secretly};

/// Most bytes of base64, of one value and of all.
const LIMIT: usize = 1_000_000;

const FLAGS: [Flag; 6] = [
    Flag::Value(&["owner"]),
    Flag::Value(&["label"]),
    Flag::Value(&["description"]),
    Flag::Value(&["rotate"]),
    Flag::Value(&["expire"]),
    Flag::Value(&["file"]),
];

fn leader_only(call: &Call<'_>) -> Result<(), Fail> {
    if call.leads() { Ok(()) } else { Err(Fail::run("this unit is not the leader")) }
}

/// `k=v`, `k#base64=…`, `k#file=path` -> base64 content. The reader answers files.
pub(crate) fn content(
    pairs: impl IntoIterator<Item = (String, String)>,
    read: impl Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Content, String> {
    let mut found = Content::new();
    let mut total = 0;
    for (key, value) in pairs {
        let (name, value) = match key.split_once('#') {
            None => (key.as_str(), BASE64.encode(value)),
            Some((name, "base64")) => (name, value),
            Some((name, "file")) => (name, BASE64.encode(read(&value)?)),
            Some(_) => return Err(format!("key {key:?} not valid")),
        };
        if !names::is_secret_key(name) {
            return Err(format!("key {name:?} not valid"));
        }
        if BASE64.decode(&value).is_err() {
            return Err(format!("secret value for key {name:?} is not valid base64"));
        }
        total += value.len();
        if value.len() > LIMIT || total > LIMIT {
            return Err(format!("base64 encoded secret content too large: {total} bytes"));
        }
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

fn change(call: &Call<'_>, parsed: &Parsed, from: usize) -> Result<SecretChange, Fail> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(file) = parsed.value("file") {
        pairs.extend(args::string_map(&call.read_file(file)?).map_err(Fail::run)?);
    }
    for arg in parsed.rest.get(from..).unwrap_or_default() {
        match arg.split_once('=') {
            Some((key, value)) if !key.is_empty() => pairs.push((key.to_owned(), value.to_owned())),
            _ => return Err(Fail::usage(format!("key value {arg:?} not valid"))),
        }
    }
    let read = |name: &str| {
        std::fs::read(call.directory.join(name)).map_err(|fault| format!("open {name}: {}", args::plain(&fault)))
    };
    let content = content(pairs, read).map_err(Fail::usage)?;
    let rotate = parsed.value("rotate").map(str::to_owned);
    if let Some(policy) = rotate.as_deref().filter(|policy| *policy != "never" && rotation(policy).is_none()) {
        return Err(Fail::usage(format!("rotate policy {policy:?} not valid")));
    }
    let expires = parsed.value("expire").map(|text| expiry(text, call.now)).transpose()?;
    Ok(SecretChange {
        content: (!content.is_empty()).then_some(Secretly(content)),
        label: parsed.value("label").map(str::to_owned),
        description: parsed.value("description").map(str::to_owned),
        rotate,
        expires,
    })
}

fn expiry(text: &str, now: Time) -> Result<Time, Fail> {
    let wrong = || Fail::usage(format!("expire time or duration {text:?} not valid"));
    if let Some(span) = duration(text) {
        if span <= chrono::Duration::zero() {
            return Err(Fail::usage(format!("negative expire duration {text:?} not valid")));
        }
        return Ok(now + span);
    }
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").map(|time| time.and_utc()))
        .map_err(|_| wrong())
}

pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &FLAGS)?;
    let change = change(call, &parsed, 0)?;
    if change.content.is_none() {
        return Err(Fail::usage("missing secret value or filename"));
    }
    let owner = match parsed.value("owner").unwrap_or("application") {
        "application" => {
            leader_only(call)?;
            Owner::Application(call.app_name())
        }
        "unit" => Owner::Unit(call.context.unit.clone()),
        other => return Err(Fail::usage(format!("secret owner {other:?} not valid"))),
    };
    if let Some(label) = change.label.as_deref().filter(|label| !label.is_empty())
        && super::secret_read::own_label(call, label).is_some()
    {
        return Err(Fail::run(format!("secret with label {label:?} already exists")));
    }
    let id = secret_id(call.now);
    call.context.buffer.add.insert(id.clone(), NewSecret { owner, change });
    Ok(format!("secret:{id}\n"))
}

/// The id of a secret that this unit manages, of this run or stored.
fn managed(call: &Call<'_>, uri: Option<&String>) -> Result<String, Fail> {
    let Some(uri) = uri else { return Err(Fail::usage("missing secret URI")) };
    let id = parse_uri(uri).ok_or_else(|| Fail::usage(format!("secret URI {uri:?} not valid")))?;
    let stored = call.model.secrets.get(&id).map(|secret| &secret.owner);
    let pending = call.context.buffer.add.get(&id).map(|new| &new.owner);
    match stored.or(pending) {
        Some(Owner::Unit(unit)) if unit == &call.context.unit => Ok(id),
        Some(Owner::Application(app)) if app == &call.app_name() => leader_only(call).map(|()| id),
        _ => Err(Fail::run(format!("secret {id:?} not found"))),
    }
}

pub(super) fn set(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &FLAGS)?;
    let id = managed(call, parsed.rest.first())?;
    let new = change(call, &parsed, 1)?;
    let pending = match call.context.buffer.add.get_mut(&id) {
        Some(added) => &mut added.change,
        None => call.context.buffer.set.entry(id).or_default(),
    };
    pending.content = new.content.or(pending.content.take());
    pending.label = new.label.or(pending.label.take());
    pending.description = new.description.or(pending.description.take());
    pending.rotate = new.rotate.or(pending.rotate.take());
    pending.expires = new.expires.or(pending.expires);
    Ok(String::new())
}

pub(super) fn remove(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[Flag::Value(&["revision"])])?;
    let id = managed(call, parsed.rest.first())?;
    parsed.no_more(1)?;
    let revision = parsed
        .value("revision")
        .map(|text| {
            text.parse::<u32>().map_err(|_| Fail::usage(format!("invalid value {text:?} for option --revision")))
        })
        .transpose()?;
    let buffer = &mut call.context.buffer;
    if buffer.add.remove(&id).is_some() {
        return Ok(String::new());
    }
    match (revision, buffer.remove.entry(id).or_insert_with(|| revision.map(|_| Default::default()))) {
        (Some(revision), Some(revisions)) => {
            revisions.insert(revision);
        }
        (None, all) => *all = None,
        _ => {}
    }
    Ok(String::new())
}

pub(super) fn grant(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[RELATION, Flag::Value(&["unit"])])?;
    let id = managed(call, parsed.rest.first())?;
    parsed.no_more(1)?;
    let relation = super::relation::chosen(call, &parsed)?;
    let own = call.app_name();
    let far = call.model.relations.get(&relation).and_then(|found| found.remote(&own)).map(|far| far.app.clone());
    let target = match parsed.value("unit") {
        Some(unit) if far.as_deref() == Some(names::app_of(unit)) => Some(unit.to_owned()),
        Some(unit) => return Err(Fail::run(format!("unit {unit:?} is not a member of the relation"))),
        None => far,
    };
    call.context.buffer.grants.push(GrantChange { id, target, relation: Some(relation), grant: true });
    Ok(String::new())
}

pub(super) fn revoke(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[RELATION, Flag::Value(&["app", "application"]), Flag::Value(&["unit"])])?;
    let id = managed(call, parsed.rest.first())?;
    parsed.no_more(1)?;
    let target = parsed.value("unit").or(parsed.value("app")).map(str::to_owned);
    let relation = match (&target, parsed.value("r")) {
        (Some(_), _) => None,
        (None, _) => Some(super::relation::chosen(call, &parsed)?),
    };
    call.context.buffer.grants.push(GrantChange { id, target, relation, grant: false });
    Ok(String::new())
}
