//! What a hook is: kind, name and the facts its environment carries. Pure.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hook {
    Install,
    Start,
    Stop,
    Remove,
    ConfigChanged,
    UpgradeCharm,
    UpdateStatus,
    LeaderElected,
    LeaderSettingsChanged,
    Relation(RelationHook),
    StorageAttached(String),
    StorageDetaching(String),
    SecretChanged(String),
    SecretRotate(String),
    SecretExpired(String, u32),
    SecretRemove(String, u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelationHook {
    pub(crate) kind: RelationKind,
    pub(crate) id: u32,
    pub(crate) endpoint: String,
    pub(crate) app: String,
    pub(crate) unit: Option<String>,
    pub(crate) departing: Option<String>,
    /// The version of the data that this hook announces.
    pub(crate) version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RelationKind {
    Created,
    Joined,
    Changed,
    Departed,
    Broken,
}

impl RelationKind {
    fn text(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Joined => "joined",
            Self::Changed => "changed",
            Self::Departed => "departed",
            Self::Broken => "broken",
        }
    }
}

impl Hook {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Install => "install".to_owned(),
            Self::Start => "start".to_owned(),
            Self::Stop => "stop".to_owned(),
            Self::Remove => "remove".to_owned(),
            Self::ConfigChanged => "config-changed".to_owned(),
            Self::UpgradeCharm => "upgrade-charm".to_owned(),
            Self::UpdateStatus => "update-status".to_owned(),
            Self::LeaderElected => "leader-elected".to_owned(),
            Self::LeaderSettingsChanged => "leader-settings-changed".to_owned(),
            Self::Relation(hook) => format!("{}-relation-{}", hook.endpoint, hook.kind.text()),
            Self::StorageAttached(id) => format!("{}-storage-attached", storage_name(id)),
            Self::StorageDetaching(id) => format!("{}-storage-detaching", storage_name(id)),
            Self::SecretChanged(_) => "secret-changed".to_owned(),
            Self::SecretRotate(_) => "secret-rotate".to_owned(),
            Self::SecretExpired(..) => "secret-expired".to_owned(),
            Self::SecretRemove(..) => "secret-remove".to_owned(),
        }
    }

    pub(crate) fn relation(&self) -> Option<&RelationHook> {
        match self {
            Self::Relation(hook) => Some(hook),
            _ => None,
        }
    }

    pub(crate) fn storage(&self) -> Option<&str> {
        match self {
            Self::StorageAttached(id) | Self::StorageDetaching(id) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn secret(&self) -> Option<(&str, Option<u32>)> {
        match self {
            Self::SecretChanged(id) | Self::SecretRotate(id) => Some((id, None)),
            Self::SecretExpired(id, revision) | Self::SecretRemove(id, revision) => Some((id, Some(*revision))),
            _ => None,
        }
    }
}

fn storage_name(id: &str) -> &str {
    id.split_once('/').map_or(id, |(name, _)| name)
}
