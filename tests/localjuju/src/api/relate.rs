//! integrate and remove-relation: which endpoints are meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{ModelRef, deploy, model, no_app};
use crate::daemon::Daemon;
use crate::model::{App, Endpoint, Life, Model, Relation, Role};

/// `app` or `app:endpoint`.
fn parse(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(app, endpoint)| (app, Some(endpoint)))
}

struct Match {
    one: Endpoint,
    other: Endpoint,
    interface: String,
    container: bool,
}

fn app<'a>(model: &'a Model, name: &str) -> Result<&'a App> {
    model.apps.get(name).ok_or_else(|| no_app(name))
}

fn matches(model: &Model, one: (&str, Option<&str>), other: (&str, Option<&str>)) -> Result<Vec<Match>> {
    let (left, right) = (app(model, one.0)?, app(model, other.0)?);
    for (side, wanted) in [(left, one.1), (right, other.1)] {
        if let Some(endpoint) = wanted
            && !side.charm.relations.contains_key(endpoint)
        {
            bail!("application {:?} has no {endpoint:?} relation", side.name);
        }
    }
    let mut found = Vec::new();
    for (near, def) in left.charm.relations.iter().filter(|(name, _)| one.1.is_none_or(|wanted| wanted == *name)) {
        for (far, other_def) in
            right.charm.relations.iter().filter(|(name, _)| other.1.is_none_or(|wanted| wanted == *name))
        {
            let roles = matches!(
                (def.role, other_def.role),
                (Role::Provider, Role::Requirer) | (Role::Requirer, Role::Provider)
            );
            if roles && def.interface == other_def.interface && left.name != right.name {
                found.push(Match {
                    one: Endpoint { app: left.name.clone(), name: near.clone(), role: def.role },
                    other: Endpoint { app: right.name.clone(), name: far.clone(), role: other_def.role },
                    interface: def.interface.clone(),
                    container: def.container || other_def.container,
                });
            }
        }
    }
    // The implicit endpoint is taken only when nothing else fits.
    if found.len() > 1 {
        found.retain(|pair| pair.one.name != "juju-info" && pair.other.name != "juju-info");
    }
    Ok(found)
}

fn key(one: &Endpoint, other: &Endpoint) -> String {
    format!("{}:{} {}:{}", one.app, one.name, other.app, other.name)
}

pub(super) fn integrate(daemon: &Arc<Daemon>, name: &ModelRef, one: &str, other: &str) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let mut found = matches(model, parse(one), parse(other))?;
    if found.len() > 1 {
        let refs: Vec<String> = found.iter().map(|pair| format!("{:?}", key(&pair.one, &pair.other))).collect();
        bail!("ambiguous relation: \"{one} {other}\" could refer to {}", refs.join("; "));
    }
    let Some(pair) = found.pop() else { bail!("no relations found") };
    let text = key(&pair.one, &pair.other);
    for endpoint in [&pair.one, &pair.other] {
        let own = app(model, &endpoint.app)?;
        if own.life == Life::Dying {
            bail!("cannot add relation {text:?}: application {:?} is not alive", own.name);
        }
        let limit = own.charm.relations.get(&endpoint.name).and_then(|def| def.limit);
        let count = model.relations.values().filter(|relation| relation.endpoints.contains(endpoint)).count();
        if limit.is_some_and(|limit| count >= limit as usize) {
            bail!(
                "cannot add relation {text:?}: establishing a new relation for {}:{} would exceed its maximum relation limit of {} (quota limit exceeded)",
                endpoint.app,
                endpoint.name,
                limit.unwrap_or(0)
            );
        }
    }
    if model
        .relations
        .values()
        .any(|relation| relation.endpoints.contains(&pair.one) && relation.endpoints.contains(&pair.other))
    {
        bail!("cannot add relation {text:?}: relation {text} already exists (already exists)");
    }
    let id = model.next_relation;
    model.next_relation += 1;
    model.relations.insert(
        id,
        Relation {
            id,
            interface: pair.interface,
            container: pair.container,
            life: Life::Alive,
            endpoints: vec![pair.one, pair.other],
            app_data: BTreeMap::new(),
            unit_data: BTreeMap::new(),
            in_scope: Default::default(),
        },
    );
    make_subordinates(daemon, model)?;
    crate::uniter::commit::elect(model, crate::daemon::now());
    daemon.apply(&mut shared);
    Ok(json!({ "id": id }))
}

/// Every unit of a principal gets a unit of each related subordinate.
pub(super) fn make_subordinates(daemon: &Daemon, model: &mut Model) -> Result<()> {
    let is_subordinate = |end: &Endpoint| model.apps.get(&end.app).is_some_and(|app| app.charm.subordinate);
    let mut missing = Vec::new();
    for relation in model.relations.values().filter(|relation| relation.container && relation.life == Life::Alive) {
        let (below, above): (Vec<&Endpoint>, Vec<&Endpoint>) =
            relation.endpoints.iter().partition(|end| is_subordinate(end));
        let ([below], [above]) = (below.as_slice(), above.as_slice()) else { continue };
        for host in model.units.values().filter(|unit| unit.app == above.app && unit.life == Life::Alive) {
            let mut own = model.units.values().filter(|unit| unit.app == below.app);
            if !own.any(|unit| unit.principal.as_ref() == Some(&host.name)) {
                missing.push((below.app.clone(), host.machine, host.name.clone()));
            }
        }
    }
    for (app, machine, host) in missing {
        deploy::make_unit(daemon, model, &app, machine, Some(host), &[])?;
    }
    Ok(())
}

pub(super) fn remove(daemon: &Arc<Daemon>, name: &ModelRef, ends: &[String], force: bool) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let id = match ends {
        [id] => id.parse::<u32>().map_err(|_| anyhow!("relation ID {id:?} not valid"))?,
        [one, other] => {
            let ((one_app, one_end), (other_app, other_end)) = (parse(one), parse(other));
            app(model, one_app)?;
            app(model, other_app)?;
            let fits = |relation: &&Relation| {
                let has = |app: &str, end: Option<&str>| {
                    relation.endpoints.iter().any(|own| own.app == app && end.is_none_or(|end| own.name == end))
                };
                !relation.is_peer() && has(one_app, one_end) && has(other_app, other_end)
            };
            let found: Vec<u32> = model.relations.values().filter(fits).map(|relation| relation.id).collect();
            match found.as_slice() {
                [] => bail!("relation \"{one} {other}\" not found"),
                [id] => *id,
                _ => bail!("ambiguous relation: \"{one} {other}\" is more than one; name the endpoints"),
            }
        }
        _ => bail!("a relation must involve two applications"),
    };
    let relation = model.relations.get_mut(&id).ok_or_else(|| anyhow!("relation {id} not found"))?;
    if relation.is_peer() {
        bail!("cannot destroy relation {id}: is a peer relation");
    }
    relation.life = Life::Dying;
    if force {
        relation.in_scope.clear();
        for unit in model.units.values_mut() {
            unit.local.relations.remove(&id);
        }
    }
    let container = model.relations.get(&id).filter(|relation| relation.container);
    let apps: Vec<String> =
        container.into_iter().flat_map(|relation| relation.endpoints.iter().map(|end| end.app.clone())).collect();
    for unit in model.units.values_mut() {
        // A subordinate lives as long as the relation that brought it.
        if unit.principal.is_some() && apps.contains(&unit.app) {
            unit.life = Life::Dying;
        }
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}
