//! The hook tools, by name. Each is a function over the model and the run's context: it starts nothing, waits for nothing.

mod action;
pub(crate) mod args;
mod config;
mod network;
pub(crate) mod output;
mod ports;
mod relation;
mod secret_read;
mod secret_write;
mod state;
mod status;
mod storage;

use std::path::PathBuf;

pub(crate) use action::nest;
pub(crate) use secret_write::content as secret_content;

use crate::model::{App, Model, Time, Unit};
use crate::uniter::context::Context;

/// What one call of a tool may look at and change.
pub(crate) struct Call<'a> {
    pub(crate) model: &'a mut Model,
    pub(crate) context: &'a mut Context,
    pub(crate) args: Vec<String>,
    pub(crate) stdin: Option<String>,
    pub(crate) directory: PathBuf,
    pub(crate) now: Time,
    /// Lines for debug-log: level, message.
    pub(crate) log: Vec<(String, String)>,
    /// Whether something was changed at once (not buffered) and must be saved.
    pub(crate) changed: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// Wrong flags or arguments: exit code 2.
    Usage(String),
    /// Exit code 1.
    Run(String),
    /// The tool reads its standard input, which was not sent: call again with it.
    NeedsStdin,
    /// `--help`: exit code 0.
    Help,
}

impl Fail {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn run(text: impl Into<String>) -> Self {
        Self::Run(text.into())
    }
}

/// Standard output, to be printed as it is.
pub(crate) type Answer = Result<String, Fail>;

type Tool = fn(&mut Call<'_>) -> Answer;

#[rustfmt::skip]
const TOOLS: &[(&str, Tool)] = &[
    ("action-fail", action::fail),
    ("action-get", action::get),
    ("action-log", action::log),
    ("action-set", action::set),
    ("application-version-set", status::application_version_set),
    ("close-port", ports::close),
    ("config-get", config::get),
    ("credential-get", network::credential_get),
    ("goal-state", network::goal_state),
    ("is-leader", config::is_leader),
    ("juju-log", status::juju_log),
    ("juju-reboot", status::reboot),
    ("leader-get", config::leader_get),
    ("leader-set", config::leader_set),
    ("network-get", network::get),
    ("open-port", ports::open),
    ("opened-ports", ports::opened),
    ("relation-get", relation::get),
    ("relation-ids", relation::ids),
    ("relation-list", relation::list),
    ("relation-model-get", relation::model_get),
    ("relation-set", relation::set),
    ("resource-get", network::resource_get),
    ("secret-add", secret_write::add),
    ("secret-get", secret_read::get),
    ("secret-grant", secret_write::grant),
    ("secret-ids", secret_read::ids),
    ("secret-info-get", secret_read::info),
    ("secret-remove", secret_write::remove),
    ("secret-revoke", secret_write::revoke),
    ("secret-set", secret_write::set),
    ("state-delete", state::delete),
    ("state-get", state::get),
    ("state-set", state::set),
    ("status-get", status::get),
    ("status-set", status::set),
    ("storage-add", storage::add),
    ("storage-get", storage::get),
    ("storage-list", storage::list),
    ("unit-get", network::unit_get),
];

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, _)| *name)
}

pub(crate) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    let Some((_, tool)) = TOOLS.iter().find(|(known, _)| *known == name) else {
        return Err(Fail::run(format!("bad request: unknown command {name:?}")));
    };
    tool(call)
}

impl Call<'_> {
    fn unit(&self) -> Result<&Unit, Fail> {
        self.model.units.get(&self.context.unit).ok_or_else(|| Fail::run("unit not found"))
    }

    fn unit_mut(&mut self) -> Result<&mut Unit, Fail> {
        self.model.units.get_mut(&self.context.unit).ok_or_else(|| Fail::run("unit not found"))
    }

    fn app_name(&self) -> String {
        crate::model::names::app_of(&self.context.unit).to_owned()
    }

    fn app(&self) -> Result<&App, Fail> {
        self.model.apps.get(&self.app_name()).ok_or_else(|| Fail::run("application not found"))
    }

    fn leads(&self) -> bool {
        self.app().is_ok_and(|app| app.leader.as_deref() == Some(&self.context.unit))
    }

    /// A file named by the charm; `-` is standard input.
    fn read_file(&self, name: &str) -> Result<String, Fail> {
        if name == "-" {
            return self.stdin.clone().ok_or(Fail::NeedsStdin);
        }
        let path = self.directory.join(name);
        std::fs::read_to_string(&path)
            .map_err(|fault| Fail::run(format!("open {}: {}", path.display(), args::plain(&fault))))
    }
}
