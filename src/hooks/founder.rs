//! Which unit holds the cluster: the leader writes it into the peer relation
//! once. Members that join it come with clusters of several units.

use std::collections::BTreeMap;

use crate::agent::{Agent, UnitFile};
use crate::juju::{Context, Juju, JujuError};
use crate::policy::status::{Condition, blocked, waiting};
use crate::sys::files;

/// Key of the peer relation's application bag.
const KEY: &str = "founder";

/// Reads who it is. The leader names itself when nobody was named, or when the
/// one who was is gone with its data.
pub(super) async fn gather(
    juju: &Juju,
    context: &Context,
    peers: &str,
    units: &[String],
    file: &mut UnitFile,
) -> Result<(), JujuError> {
    let own = context.unit.to_string();
    let bag = juju.app_bag(peers, &context.unit.application).await?;
    let named = bag.get(KEY).cloned();
    // Goal state, not the relation's list: a unit that is away has not joined it yet.
    let there = named.as_ref().is_some_and(|unit| *unit == own || units.contains(unit));
    file.founder = match named {
        Some(unit) if there => unit,
        _ if juju.is_leader().await? => {
            juju.set_app_bag(peers, &BTreeMap::from([(KEY.to_owned(), own.clone())])).await?;
            own
        }
        _ => String::new(),
    };
    Ok(())
}

/// Data aside or being proven is data too.
fn has_data(agent: &Agent) -> bool {
    files::names_in(&agent.layout().databases()).map_or(true, |names| !names.is_empty())
}

/// What a unit says that does not hold the cluster. One that has data is never
/// told to go.
pub(super) fn not_ours(agent: &Agent) -> Option<Condition> {
    if agent.file.founder == agent.unit.to_string() || has_data(agent) {
        return None;
    }
    Some(match agent.file.founder.as_str() {
        "" => waiting("waiting for the leader to say which unit holds the cluster"),
        founder => {
            blocked(format!("this release runs one unit, and that is {founder}; juju remove-unit {}", agent.unit))
        }
    })
}
