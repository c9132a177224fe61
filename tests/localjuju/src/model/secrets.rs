//! Secrets: revisions, grants, who reads which revision. Pure; content is base64, never logged.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Life, Model, Time, names};

pub(crate) type Content = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Owner {
    Model,
    Application(String),
    Unit(String),
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Revision {
    pub(crate) content: Content,
    pub(crate) created: Time,
    pub(crate) expires: Option<Time>,
}

impl fmt::Debug for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Revision({})", self.created)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// An application or a unit.
    pub(crate) target: String,
    /// The relation that carries it; none for a user's grant.
    pub(crate) relation: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Consumer {
    pub(crate) label: String,
    pub(crate) revision: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) id: String,
    pub(crate) owner: Owner,
    /// The owner's label; for a user's secret its name.
    pub(crate) label: String,
    pub(crate) description: String,
    pub(crate) rotate: Option<String>,
    pub(crate) next_rotate: Option<Time>,
    pub(crate) auto_prune: bool,
    pub(crate) latest: u32,
    pub(crate) revisions: BTreeMap<u32, Revision>,
    pub(crate) created: Time,
    pub(crate) updated: Time,
    pub(crate) grants: Vec<Grant>,
    /// By unit.
    pub(crate) consumers: BTreeMap<String, Consumer>,
}

impl Secret {
    pub(crate) fn owned_by(&self, unit: &str) -> bool {
        match &self.owner {
            Owner::Model => false,
            Owner::Application(app) => app == names::app_of(unit),
            Owner::Unit(owner) => owner == unit,
        }
    }

    /// Units of the owning application read an application's secret like an owner.
    pub(crate) fn read_as_owner(&self, unit: &str) -> bool {
        self.owned_by(unit)
    }

    /// Identical content makes no new revision.
    pub(crate) fn update(&mut self, content: Content, expires: Option<Time>, now: Time) {
        self.updated = now;
        if self.revisions.get(&self.latest).is_some_and(|revision| revision.content == content) {
            return;
        }
        self.latest += 1;
        self.revisions.insert(self.latest, Revision { content, created: now, expires });
        self.prune();
    }

    /// Old revisions that nobody reads any more.
    pub(crate) fn obsolete(&self) -> Vec<u32> {
        self.revisions
            .keys()
            .copied()
            .filter(|revision| *revision != self.latest)
            .filter(|revision| !self.consumers.values().any(|consumer| consumer.revision == *revision))
            .collect()
    }

    pub(crate) fn prune(&mut self) {
        if self.auto_prune {
            for revision in self.obsolete() {
                self.revisions.remove(&revision);
            }
        }
    }
}

/// `secret:<id>`, `<id>`, `secret://<uuid>/<id>`, `<uuid>/<id>` -> the id.
pub(crate) fn parse_uri(text: &str) -> Option<String> {
    let rest = text.strip_prefix("secret:").unwrap_or(text);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let id = rest.rsplit('/').next().unwrap_or(rest);
    let good = id.len() == 20 && id.chars().all(|letter| letter.is_ascii_digit() || letter.is_ascii_lowercase());
    good.then(|| id.to_owned())
}

pub(crate) fn rotation(policy: &str) -> Option<chrono::Duration> {
    Some(match policy {
        "hourly" => chrono::Duration::hours(1),
        "daily" => chrono::Duration::days(1),
        "weekly" => chrono::Duration::days(7),
        "monthly" => chrono::Duration::days(30),
        "quarterly" => chrono::Duration::days(91),
        "yearly" => chrono::Duration::days(365),
        _ => return None,
    })
}

impl Model {
    pub(crate) fn may_read(&self, secret: &Secret, unit: &str) -> bool {
        let app = names::app_of(unit);
        secret.read_as_owner(unit)
            || secret.grants.iter().any(|grant| {
                (grant.target == app || grant.target == unit)
                    && grant.relation.is_none_or(|id| {
                        // A grant lives as long as its relation.
                        self.relations
                            .get(&id)
                            .is_some_and(|relation| relation.life == Life::Alive || relation.in_scope.contains(unit))
                    })
            })
    }

    pub(crate) fn secret_by_name(&self, name: &str) -> Option<&Secret> {
        parse_uri(name)
            .and_then(|id| self.secrets.get(&id))
            .or_else(|| self.secrets.values().find(|secret| secret.owner == Owner::Model && secret.label == name))
    }
}
