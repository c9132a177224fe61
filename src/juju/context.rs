//! What the environment says about unit, model and the hook at hand. Pure.

use std::path::PathBuf;

use crate::model::{NotAUnitName, UnitName};
use crate::sys::environment::Vars;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub unit: UnitName,
    pub model: String,
    pub model_uuid: String,
    pub juju_version: String,
    pub charm_dir: PathBuf,
    /// Task number of the action at hand, e.g. `4`.
    pub task: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum NoContext {
    #[error("{0} is not set: this is started by Juju, or by a person with a subcommand (try --help)")]
    Missing(&'static str),
    #[error(transparent)]
    Unit(#[from] NotAUnitName),
}

impl Context {
    pub fn from_vars(vars: &Vars) -> Result<Self, NoContext> {
        let want = |name: &'static str| vars.get(name).cloned().ok_or(NoContext::Missing(name));
        Ok(Self {
            unit: want("JUJU_UNIT_NAME")?.parse()?,
            model: want("JUJU_MODEL_NAME")?,
            model_uuid: want("JUJU_MODEL_UUID")?,
            juju_version: vars.get("JUJU_VERSION").cloned().unwrap_or_default(),
            charm_dir: PathBuf::from(want("JUJU_CHARM_DIR")?),
            task: vars.get("JUJU_ACTION_UUID").cloned(),
        })
    }
}
