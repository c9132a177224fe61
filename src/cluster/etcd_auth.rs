//! etcd's password: nobody on the network reads or writes the cluster's keys
//! without it. Every step may be repeated; a crash between any two is healed
//! by the next run.

use serde_json::json;

use super::etcd::{Etcd, EtcdError};
use crate::secrets::{ExposeSecret, SecretString};

impl Etcd {
    /// Makes `root` with our password and turns authentication on. `old` is
    /// the password that may still be in force.
    pub async fn ensure_password(&self, old: Option<&SecretString>) -> Result<(), EtcdError> {
        match self.token().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.enable().await,
            Err(error) if error.says("invalid user ID or password") => self.change(old, error).await,
            Err(error) => Err(error),
        }
    }

    async fn enable(&self) -> Result<(), EtcdError> {
        let password = self.password().expose_secret();
        let steps = [
            ("auth/user/add", json!({"name": "root", "password": password}), "user name already exists"),
            // The user may be left from a run that broke off with another password.
            ("auth/user/changepw", json!({"name": "root", "password": password}), ""),
            ("auth/role/add", json!({"name": "root"}), "role name already exists"),
            ("auth/user/grant", json!({"user": "root", "role": "root"}), "role is already granted"),
            ("auth/enable", json!({}), ""),
        ];
        for (path, body, harmless) in steps {
            match self.call(path, None, body).await {
                Err(error) if !harmless.is_empty() && error.says(harmless) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    async fn change(&self, old: Option<&SecretString>, refused: EtcdError) -> Result<(), EtcdError> {
        let Some(old) = old else { return Err(refused) };
        let token = self.with_password(old.clone()).token().await?;
        let body = json!({"name": "root", "password": self.password().expose_secret()});
        self.call("auth/user/changepw", token.as_deref(), body).await.map(|_| ())
    }
}
