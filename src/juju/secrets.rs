//! Juju secrets. Content never stands in argv: the agent process reads it from
//! a private file that lives as long as the call.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Juju, JujuError};
use crate::sys::files::{self, Access};

/// What came of asking for a secret: both refusals are for a person to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretAnswer {
    Content(BTreeMap<String, String>),
    /// It is there, but was not granted to this application.
    Denied,
    NotFound,
}

impl Juju {
    /// The newest revision, which we track from now on.
    pub async fn secret(&self, uri: &str) -> Result<SecretAnswer, JujuError> {
        self.ask(&["--refresh", "--", uri]).await
    }

    async fn ask(&self, args: &[&str]) -> Result<SecretAnswer, JujuError> {
        let tool = "secret-get";
        let invocation = self.tool(tool).args(["--format=json"]).args(args.iter().copied());
        match self.answer(tool, &invocation).await {
            Ok(output) => serde_json::from_str(output.stdout.trim())
                .map(SecretAnswer::Content)
                .map_err(|_| JujuError::Shape { tool }),
            Err(JujuError::Refused { message, .. }) if message.contains("permission denied") => {
                Ok(SecretAnswer::Denied)
            }
            Err(JujuError::Refused { message, .. }) if message.contains("not found") => Ok(SecretAnswer::NotFound),
            Err(error) => Err(error),
        }
    }

    /// Adds a secret that the application owns (leader only); answers its URI.
    /// `scratch` is a private folder for the hand-over.
    pub async fn add_secret(
        &self,
        label: &str,
        description: &str,
        content: &BTreeMap<String, String>,
        scratch: &Path,
    ) -> Result<String, JujuError> {
        let tool = "secret-add";
        let document = serde_json::to_vec(content).map_err(|_| JujuError::Shape { tool })?;
        let file = scratch.join(".secret-content.json");
        let handed_over = |source| JujuError::Refused { tool, message: format!("writing its content: {source}") };
        files::write(&file, &document, &Access::Private).map_err(handed_over)?;
        let invocation = self
            .tool(tool)
            .args(["--label", label, "--description", description, "--file"])
            .args([file.display().to_string()]);
        let answer = self.answer(tool, &invocation).await;
        files::remove_file(&file).map_err(handed_over)?;
        Ok(answer?.stdout.trim().to_owned())
    }

    pub async fn remove_secret_revision(&self, uri: &str, revision: &str) -> Result<(), JujuError> {
        self.answer("secret-remove", &self.tool("secret-remove").args([uri, "--revision", revision])).await.map(|_| ())
    }
}
