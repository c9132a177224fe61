//! Relations: who sees whom, and what a unit has been told so far. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Life, Model, names};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Provider,
    Requirer,
    Peer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) app: String,
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// One databag; the version counts its changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Bag {
    pub(crate) version: u64,
    pub(crate) data: BTreeMap<String, String>,
}

impl Bag {
    /// An empty value deletes its key. No change, no new version.
    pub(crate) fn change(&mut self, changes: &BTreeMap<String, String>) {
        let before = self.data.clone();
        for (key, value) in changes {
            if value.is_empty() {
                self.data.remove(key);
            } else {
                self.data.insert(key.clone(), value.clone());
            }
        }
        if self.data != before {
            self.version += 1;
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Relation {
    pub(crate) id: u32,
    pub(crate) interface: String,
    /// Container scope: a subordinate sees only its principal.
    pub(crate) container: bool,
    pub(crate) life: Life,
    /// One for a peer relation, else two.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) app_data: BTreeMap<String, Bag>,
    /// Data stays when a unit leaves the scope, until the relation is gone.
    pub(crate) unit_data: BTreeMap<String, Bag>,
    pub(crate) in_scope: BTreeSet<String>,
}

impl Relation {
    pub(crate) fn is_peer(&self) -> bool {
        self.endpoints.len() == 1
    }

    pub(crate) fn of(&self, app: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.app == app)
    }

    /// The other side; for a peer relation the application itself.
    pub(crate) fn remote(&self, app: &str) -> Option<&Endpoint> {
        if self.is_peer() {
            return self.endpoints.first();
        }
        self.of(app)?;
        self.endpoints.iter().find(|endpoint| endpoint.app != app)
    }

    /// `endpoint:7` as this application calls it.
    pub(crate) fn reference(&self, app: &str) -> String {
        format!("{}:{}", self.of(app).map_or("", |endpoint| &endpoint.name), self.id)
    }

    pub(crate) fn involves(&self, app: &str) -> bool {
        self.of(app).is_some()
    }
}

/// What one unit's agent has told its charm about a relation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LocalRelation {
    pub(crate) created: bool,
    /// A joined hook is always followed by a changed hook of the same unit.
    pub(crate) changed_pending: Option<String>,
    pub(crate) members: BTreeMap<String, u64>,
    pub(crate) apps: BTreeMap<String, u64>,
}

impl Model {
    /// The units that `unit` should see in the relation now, with the versions of their data.
    pub(crate) fn visible_members(&self, relation: &Relation, unit: &str) -> BTreeMap<String, u64> {
        let own = names::app_of(unit);
        let group = |name: &str| {
            self.units.get(name).and_then(|found| found.principal.clone()).unwrap_or_else(|| name.to_owned())
        };
        relation
            .in_scope
            .iter()
            .filter(|member| *member != unit)
            .filter(|member| relation.is_peer() || names::app_of(member) != own)
            .filter(|member| !relation.container || group(member) == group(unit))
            // A dying unit is departing for the others at once, before it has left the scope.
            .filter(|member| self.units.get(*member).is_some_and(|found| found.life == Life::Alive))
            .map(|member| (member.clone(), relation.unit_data.get(member).map_or(0, |bag| bag.version)))
            .collect()
    }

    pub(crate) fn relations_of<'a>(&'a self, app: &'a str) -> impl Iterator<Item = &'a Relation> {
        self.relations.values().filter(move |relation| relation.involves(app))
    }
}
