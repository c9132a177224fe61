//! Who may use etcd: nobody reads or writes the cluster's keys without a
//! password. Every password has a user of its own, named after it: while a
//! change is under way the old and the new one both work. Every step may be
//! repeated; a crash between any two is healed by the next run.

use serde_json::{Value, json};

use super::client::{Etcd, EtcdError};
use crate::secrets::{ExposeSecret, SecretString};
use crate::sys::environment;

/// etcd's own first user: there must be one by this name, nobody works as it.
const ROOT: &str = "root";
const PREFIX: &str = "member-";

#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: String,
    pub password: SecretString,
}

impl Credentials {
    /// `tag` tells passwords apart without telling them.
    pub fn of(tag: &str, password: SecretString) -> Self {
        Self { user: format!("{PREFIX}{tag}"), password }
    }

    /// How releases before clusters of several units entered.
    pub fn root(password: SecretString) -> Self {
        Self { user: ROOT.to_owned(), password }
    }
}

impl Etcd {
    /// Makes our user and turns authentication on. `old`: who may have been let
    /// in before.
    pub async fn ensure_access(&self, old: &[Credentials]) -> Result<(), EtcdError> {
        match self.authenticate().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.enable().await,
            Err(error) if error.says("invalid user ID or password") => self.enter_by(old, error).await,
            Err(error) => Err(error),
        }
    }

    async fn enable(&self) -> Result<(), EtcdError> {
        let password = self.credentials.password.expose_secret();
        self.make_user(None, ROOT, password).await?;
        self.make_user(None, &self.credentials.user, password).await?;
        self.call("auth/enable", None, json!({})).await.map(|_| ())
    }

    async fn enter_by(&self, old: &[Credentials], refused: EtcdError) -> Result<(), EtcdError> {
        for credentials in old {
            let Ok(Some(token)) = self.with_credentials(credentials.clone()).authenticate().await else { continue };
            let password = self.credentials.password.expose_secret();
            return self.make_user(Some(&token), &self.credentials.user, password).await;
        }
        Err(refused)
    }

    /// A user that may do everything. It may be left from a run that broke off,
    /// with another password.
    async fn make_user(&self, token: Option<&str>, user: &str, password: &str) -> Result<(), EtcdError> {
        // The password comes last: whoever can enter by it may do everything.
        let nobodys = environment::random_hex(32).map_err(|_| EtcdError::Shape)?;
        let steps = [
            ("auth/user/add", json!({"name": user, "password": nobodys}), "user name already exists"),
            ("auth/role/add", json!({"name": ROOT}), "role name already exists"),
            ("auth/user/grant", json!({"user": user, "role": ROOT}), "role is already granted"),
            ("auth/user/changepw", json!({"name": user, "password": password}), ""),
        ];
        for (path, body, harmless) in steps {
            match self.call(path, token, body).await {
                Err(error) if !harmless.is_empty() && error.says(harmless) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// Old passwords end: their users go, and `root` has ours. For when every
    /// unit has changed over.
    pub async fn drop_other_users(&self) -> Result<(), EtcdError> {
        let answer = self.authorised("auth/user/list", json!({})).await?;
        let users = answer["users"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for user in users.filter(|user| user.starts_with(PREFIX) && **user != self.credentials.user) {
            self.authorised("auth/user/delete", json!({"name": user})).await?;
        }
        let body = json!({"name": ROOT, "password": self.credentials.password.expose_secret()});
        self.authorised("auth/user/changepw", body).await.map(|_| ())
    }
}
