//! Sealing: everything committed so far is in the repository.

use std::time::Duration;

use tokio::time::Instant;

use super::postgres::{Postgres, SqlError};

const POLL: Duration = Duration::from_millis(100);

impl Postgres {
    /// Closes the current WAL segment and waits until it is archived.
    /// The restore point makes a record: a bare switch on an idle server does
    /// nothing, and the wait would never end.
    pub async fn seal(&self, name: &str, patience: Duration) -> Result<String, SqlError> {
        let doing = "closing the WAL segment";
        let text = "SELECT pg_walfile_name(pg_create_restore_point($1))";
        let row = self.client.query_one(text, &[&name]).await.map_err(SqlError::query(doing))?;
        let segment: String = row.get(0);
        self.run(doing, "SELECT pg_switch_wal()").await?;
        let deadline = Instant::now() + patience;
        let failures = self.archiver_failures().await?;
        while !self.archived(&segment).await? {
            // PostgreSQL tries three times, then rests for a minute.
            if self.archiver_failures().await? >= failures + 3 {
                let message = format!("the archiver cannot store {segment}");
                return Err(SqlError::Query { doing: "waiting for the archive", message });
            }
            if Instant::now() >= deadline {
                let message = format!("{segment} was not archived within {} s", patience.as_secs());
                return Err(SqlError::Query { doing: "waiting for the archive", message });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(segment)
    }

    async fn archiver_failures(&self) -> Result<i64, SqlError> {
        let text = "SELECT failed_count FROM pg_stat_archiver";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking the archiver"))?;
        Ok(row.get(0))
    }

    /// Histories and partial segments are archived too: only names of whole
    /// segments compare.
    async fn archived(&self, segment: &str) -> Result<bool, SqlError> {
        let text = "SELECT coalesce(last_archived_wal ~ '^[0-9A-F]{24}$' AND last_archived_wal >= $1, false) FROM pg_stat_archiver";
        let row = self.client.query_one(text, &[&segment]).await.map_err(SqlError::query("asking the archiver"))?;
        Ok(row.get(0))
    }
}
