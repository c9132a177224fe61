//! What the units of the cluster tell each other through the peer relation:
//! which unit begins the cluster, and each unit's word about itself.

use std::collections::BTreeMap;

use crate::agent::{Agent, UnitFile};
use crate::juju::{Bag, Context, Juju, JujuError};
use crate::model::{AgentError, Peer};

pub(super) const PEERS: &str = "database-peers";
/// Key of the application's bag.
const FOUNDER: &str = "founder";
/// Key of each unit's bag.
const WORD: &str = "member";

/// The peer relation as this hook found it.
pub(super) struct PeerRelation {
    pub id: String,
    /// The application's bag.
    pub application: Bag,
    /// What our own bag says.
    told: Bag,
}

impl PeerRelation {
    /// What the others have been told by an earlier hook.
    pub fn told(&self) -> Option<Peer> {
        self.told.get(WORD).and_then(|text| Peer::read(text))
    }
}

/// Fills the unit's file; `None` before the relation is there.
pub(super) async fn gather(
    juju: &Juju,
    context: &Context,
    is_leader: bool,
    file: &mut UnitFile,
) -> Result<Option<PeerRelation>, JujuError> {
    let units = juju.units().await?;
    let own = context.unit.to_string();
    file.leaving |= units.iter().any(|(unit, stays)| *unit == own && !stays);
    if file.leaving {
        // Juju shows us no peers any more; those we knew are still there.
        return Ok(None);
    }
    file.planned_units = units.iter().filter(|(_, stays)| *stays).count().max(1) as u32;
    let Some(id) = juju.relation_ids(PEERS).await?.into_iter().next() else { return Ok(None) };
    let mut peers = BTreeMap::new();
    for unit in juju.relation_units(&id).await? {
        let word = word_of(&juju.unit_bag(&id, &unit).await?);
        peers.insert(unit, word);
    }
    let told = juju.unit_bag(&id, &own).await?;
    let before = told.get(WORD).and_then(|text| Peer::read(text));
    file.known_units = units.into_iter().map(|(name, _)| name).chain(peers.keys().cloned()).collect();
    file.peers = peers;
    if file.system_id.is_none() {
        // Juju remembers us where our storage does not.
        file.formed_before = before.is_some_and(|word| word.system_id.is_some());
    }
    let application = juju.app_bag(&id, &context.unit.application).await?;
    let relation = PeerRelation { id, application, told };
    name_founder(juju, is_leader, &relation, file).await?;
    Ok(Some(relation))
}

/// A unit that has not said a word yet is known by its address.
fn word_of(bag: &Bag) -> Peer {
    let word = bag.get(WORD).and_then(|text| Peer::read(text)).unwrap_or_default();
    let address = bag.get("ingress-address").cloned().unwrap_or_default();
    // Juju knows first when a machine comes back with another one.
    Peer { address: if address.is_empty() { word.address } else { address }, ..word }
}

/// The leader names itself when nobody was named, or when the one who was is
/// gone, and no other unit has or may have a cluster: one that has not said a
/// word yet may. Once there is a cluster it means nothing any more.
async fn name_founder(
    juju: &Juju,
    is_leader: bool,
    relation: &PeerRelation,
    file: &mut UnitFile,
) -> Result<(), JujuError> {
    let own = file.unit.clone();
    let named = relation.application.get(FOUNDER).cloned();
    // Goal state, not the relation's list: a unit that is away has not joined it yet.
    let there = named.as_ref().is_some_and(|unit| *unit == own || file.known_units.contains(unit));
    let others = file.known_units.iter().filter(|unit| **unit != own);
    let silent =
        others.map(|unit| file.peers.get(unit)).any(|peer| peer.is_none_or(|peer| *peer == spoken_nothing(peer)));
    let begun = file.peers.values().any(|peer| peer.joined || peer.system_id.is_some());
    file.founder = match named {
        Some(unit) if there => unit,
        Some(_) if silent || begun => String::new(),
        _ if is_leader => {
            juju.set_app_bag(&relation.id, &BTreeMap::from([(FOUNDER.to_owned(), own.clone())])).await?;
            own
        }
        _ => String::new(),
    };
    Ok(())
}

/// All that is known of a unit that has not said a word.
fn spoken_nothing(peer: &Peer) -> Peer {
    Peer { address: peer.address.clone(), ..Peer::default() }
}

/// Tells the others how we are now, if that is news.
pub(super) async fn tell(juju: &Juju, relation: &PeerRelation, agent: &Agent) -> Result<(), AgentError> {
    let word = agent.word().write();
    if relation.told.get(WORD) == Some(&word) {
        return Ok(());
    }
    let told = juju.set_unit_bag(&relation.id, &BTreeMap::from([(WORD.to_owned(), word)])).await;
    told.map_err(|error| AgentError::fault("telling the other units", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn juju_knows_a_units_address_best_and_the_unit_all_else() {
        let said = Peer { address: "10.0.0.9".into(), joined: true, system_id: Some(7), ..Peer::default() };
        let at = |address: &str| Peer { address: address.into(), ..said.clone() };
        let unknown = |address: &str| Peer { address: address.into(), ..Peer::default() };
        let word = said.write();
        #[rustfmt::skip]
        let table: [(&str, &[(&str, &str)], Peer); 7] = [
            ("it came back elsewhere",          &[("ingress-address", "10.0.0.2"), (WORD, &word)], at("10.0.0.2")),
            ("Juju does not say where",         &[(WORD, &word)],                                  said.clone()),
            ("Juju says nothing of it",         &[("ingress-address", ""), (WORD, &word)],         said.clone()),
            ("it has not said a word yet",      &[("ingress-address", "10.0.0.2")],                unknown("10.0.0.2")),
            ("it said something else",          &[("ingress-address", "10.0.0.2"), (WORD, "{")],   unknown("10.0.0.2")),
            ("a key of an older release",       &[("state", &word)],                               unknown("")),
            ("an empty bag",                    &[],                                               unknown("")),
        ];
        for (case, bag, want) in table {
            let bag = bag.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(word_of(&bag), want, "{case}");
        }
    }
}
