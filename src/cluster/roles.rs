//! The system users' roles. Only a SCRAM verifier reaches the server and its
//! log, never a password.

use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::scram_sha_256;

use super::postgres::{Postgres, SqlError};
use crate::secrets::{ExposeSecret, SecretString};
use crate::settings::SystemUsers;

impl Postgres {
    /// Makes the roles that are missing and sets all their passwords.
    pub async fn ensure_roles(&self, users: &SystemUsers) -> Result<(), SqlError> {
        let table = [
            ("operator", &users.operator, "SUPERUSER"),
            ("monitoring", &users.monitoring, ""),
            ("replication", &users.replication, "REPLICATION"),
            ("rewind", &users.rewind, ""),
        ];
        for (role, password, attributes) in table {
            self.ensure_role(role, password, attributes).await?;
        }
        self.run("granting to monitoring and rewind", GRANTS).await
    }

    async fn ensure_role(&self, role: &str, password: &SecretString, attributes: &str) -> Result<(), SqlError> {
        let doing = "setting the system users' passwords";
        let exists = self.client.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role]).await;
        let verb = if exists.map_err(SqlError::query(doing))?.is_some() { "ALTER" } else { "CREATE" };
        let verifier = scram_sha_256(password.expose_secret().as_bytes());
        let (role, verifier) = (escape_identifier(role), escape_literal(&verifier));
        self.run(doing, &format!("{verb} ROLE {role} LOGIN {attributes} PASSWORD {verifier}")).await
    }
}

/// What pg_rewind needs without being superuser (PostgreSQL documentation, "pg_rewind").
const GRANTS: &str = "GRANT pg_monitor TO monitoring;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO rewind;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO rewind;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO rewind;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO rewind;";
