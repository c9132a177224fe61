//! The environment of one run of the charm, built from scratch. Pure.

use std::path::Path;

use super::context::{Context, Run};
use crate::model::{Model, names};

/// The Juju whose behaviour is followed.
pub(crate) const JUJU_VERSION: &str = "3.6.9";

/// Places of one unit.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) charm: std::path::PathBuf,
    pub(crate) socket: std::path::PathBuf,
    pub(crate) tools: std::path::PathBuf,
}

/// Returns none when the unit is gone.
pub(crate) fn variables(
    model: &Model,
    context: &Context,
    places: &Places,
    agent_path: &str,
) -> Option<Vec<(String, String)>> {
    let unit = model.units.get(&context.unit)?;
    let show = |path: &Path| path.display().to_string();
    let option = |key: &str| model.config.get(key).cloned().unwrap_or_default();
    let hook_name = context.hook().map(|hook| hook.name()).unwrap_or_default();
    let mut vars: Vec<(String, String)> = [
        ("CHARM_DIR", show(&places.charm)),
        ("JUJU_CHARM_DIR", show(&places.charm)),
        ("JUJU_CONTEXT_ID", context.id.clone()),
        ("JUJU_HOOK_NAME", hook_name),
        ("JUJU_AGENT_SOCKET_ADDRESS", show(&places.socket)),
        ("JUJU_AGENT_SOCKET_NETWORK", "unix".to_owned()),
        ("JUJU_UNIT_NAME", unit.name.clone()),
        ("JUJU_MODEL_UUID", model.uuid.clone()),
        ("JUJU_MODEL_NAME", model.name.clone()),
        ("JUJU_API_ADDRESSES", "127.0.0.1:17070".to_owned()),
        ("JUJU_MACHINE_ID", unit.machine.to_string()),
        ("JUJU_PRINCIPAL_UNIT", unit.principal.clone().unwrap_or_default()),
        ("JUJU_AVAILABILITY_ZONE", String::new()),
        ("JUJU_VERSION", JUJU_VERSION.to_owned()),
        ("CLOUD_API_VERSION", String::new()),
        ("JUJU_CHARM_HTTP_PROXY", option("juju-http-proxy")),
        ("JUJU_CHARM_HTTPS_PROXY", option("juju-https-proxy")),
        ("JUJU_CHARM_FTP_PROXY", option("juju-ftp-proxy")),
        ("JUJU_CHARM_NO_PROXY", option("juju-no-proxy")),
        ("PATH", format!("{}:{agent_path}", show(&places.tools))),
        ("LANG", "C.UTF-8".to_owned()),
        ("TERM", "tmux-256color".to_owned()),
        ("APT_LISTCHANGES_FRONTEND", "none".to_owned()),
        ("DEBIAN_FRONTEND", "noninteractive".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    let mut set = |key: &str, value: String| vars.push((key.to_owned(), value));
    match &context.run {
        Run::Action { task, name, .. } => {
            set("JUJU_ACTION_NAME", name.clone());
            set("JUJU_ACTION_UUID", task.to_string());
            set("JUJU_ACTION_TAG", format!("action-{task}"));
            if name != "juju-exec" {
                set("JUJU_DISPATCH_PATH", format!("actions/{name}"));
            }
        }
        Run::Commands { relation, remote } => {
            if let Some(relation) = relation.and_then(|id| model.relations.get(&id)) {
                let endpoint = relation.of(&unit.app).map(|own| own.name.clone()).unwrap_or_default();
                set("JUJU_RELATION", endpoint);
                set("JUJU_RELATION_ID", relation.reference(&unit.app));
                set("JUJU_REMOTE_UNIT", remote.clone().unwrap_or_default());
                let far = relation.remote(&unit.app).map(|far| far.app.clone());
                let app = remote.as_deref().map(|name| names::app_of(name).to_owned());
                set("JUJU_REMOTE_APP", app.or(far).unwrap_or_default());
            }
        }
        Run::Hook(hook) => {
            if let Some(relation) = hook.relation() {
                set("JUJU_RELATION", relation.endpoint.clone());
                set("JUJU_RELATION_ID", format!("{}:{}", relation.endpoint, relation.id));
                set("JUJU_REMOTE_UNIT", relation.unit.clone().unwrap_or_default());
                set("JUJU_REMOTE_APP", relation.app.clone());
                if let Some(departing) = &relation.departing {
                    set("JUJU_DEPARTING_UNIT", departing.clone());
                }
            }
            if let Some((id, revision)) = hook.secret() {
                let label = model.secrets.get(id).map(|secret| {
                    let own = secret.owned_by(&unit.name).then(|| secret.label.clone());
                    own.or_else(|| secret.consumers.get(&unit.name).map(|consumer| consumer.label.clone()))
                });
                set("JUJU_SECRET_ID", format!("secret:{id}"));
                set("JUJU_SECRET_LABEL", label.flatten().unwrap_or_default());
                if let Some(revision) = revision {
                    set("JUJU_SECRET_REVISION", revision.to_string());
                }
            }
            if let Some(storage) = hook.storage().and_then(|id| model.storage.get(id)) {
                set("JUJU_STORAGE_ID", storage.id.clone());
                set("JUJU_STORAGE_LOCATION", storage.location.clone());
                set("JUJU_STORAGE_KIND", storage.kind.clone());
            }
            set("JUJU_DISPATCH_PATH", format!("hooks/{}", hook.name()));
        }
    }
    Some(vars)
}
