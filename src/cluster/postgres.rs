//! PostgreSQL over its unix socket, as `operator` by peer authentication: no
//! password is needed, none can lock the agent out.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use super::layout::PG_PORT;
use crate::model::{Lsn, Role, Timeline, WalSegmentSize};

/// Every statement of the agent is short; a lock held by a user must not hang a hook.
const SESSION: &str = "-c statement_timeout=60s -c lock_timeout=10s -c idle_session_timeout=0";

#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    #[error("connecting to PostgreSQL")]
    Connect(#[source] tokio_postgres::Error),
    #[error("PostgreSQL did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
    #[error("PostgreSQL, while {doing}: {message}")]
    Query { doing: &'static str, message: String },
}

impl SqlError {
    /// The server's own words; a statement is never quoted, it may hold a verifier.
    pub(super) fn query(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| Self::Query {
            doing,
            message: error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()),
        }
    }
}

/// A session. It ends when dropped.
pub struct Postgres {
    pub(super) client: Client,
}

/// `pg_stat_archiver`: is WAL reaching the repository?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archiver {
    /// The newest attempt failed.
    pub failing: bool,
    pub last_failed_wal: Option<String>,
    /// Segments that wait to be archived.
    pub waiting: i64,
    /// When the last one was, in seconds since 1970.
    pub last_archived: Option<i64>,
}

impl Postgres {
    pub async fn connect(socket_dir: &Path, database: &str) -> Result<Self, SqlError> {
        let patience = Duration::from_secs(10);
        let mut config = Config::new();
        config.host_path(socket_dir).port(PG_PORT).user("operator").dbname(database);
        config.application_name("pg-backup-agent").options(SESSION).connect_timeout(patience);
        let connecting = tokio::time::timeout(patience, config.connect(NoTls)).await;
        let (client, connection) = connecting.map_err(|_| SqlError::Deadline(patience))?.map_err(SqlError::Connect)?;
        tokio::spawn(async move {
            // Its error reaches the caller through the client.
            let _ = connection.await;
        });
        Ok(Self { client })
    }

    pub async fn role(&self) -> Result<Role, SqlError> {
        let row = self.client.query_one("SELECT pg_is_in_recovery()", &[]).await;
        let standby: bool = row.map_err(SqlError::query("asking for the role"))?.get(0);
        Ok(if standby { Role::Replica } else { Role::Primary })
    }

    /// `15.18`
    pub async fn version(&self) -> Result<String, SqlError> {
        let text = "SELECT split_part(current_setting('server_version'), ' ', 1)";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking for the version"))?;
        Ok(row.get(0))
    }

    /// Of the primary, or the one that a replica follows.
    pub async fn timeline(&self) -> Result<Timeline, SqlError> {
        // The control file is a checkpoint behind; names of WAL files are not, but a standby has none to name.
        let text = "SELECT CASE WHEN pg_is_in_recovery() \
                    THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT max(received_tli) FROM pg_stat_wal_receiver)) \
                    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking for the timeline"))?;
        Ok(Timeline(row.get::<_, i32>(0).max(0) as u32))
    }

    /// Does this standby receive WAL from the primary right now?
    pub async fn is_streaming(&self) -> Result<bool, SqlError> {
        let text = "SELECT EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming')";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking for replication"))?;
        Ok(row.get(0))
    }

    /// Of a standby: bytes of WAL that it has received and not replayed.
    pub async fn unreplayed(&self) -> Result<u64, SqlError> {
        let text = "SELECT coalesce(greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0), 0)::int8";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking how far replay is"))?;
        Ok(row.get::<_, i64>(0).max(0) as u64)
    }

    /// Of a standby: how far WAL has come to it, by whichever way.
    pub async fn received(&self) -> Result<Lsn, SqlError> {
        let doing = "asking how far WAL has come";
        let text = "SELECT coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::text";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query(doing))?;
        let lsn = row.get::<_, String>(0).parse();
        lsn.map_err(|_| SqlError::Query { doing, message: "not an LSN".to_owned() })
    }

    /// Names of the standbys that stream from this server and keep up.
    pub async fn streaming_members(&self) -> Result<Vec<String>, SqlError> {
        let text = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'";
        let rows = self.client.query(text, &[]).await.map_err(SqlError::query("asking for the replicas"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Bytes of all databases.
    pub async fn size(&self) -> Result<u64, SqlError> {
        let text = "SELECT coalesce(sum(pg_database_size(oid)), 0)::int8 FROM pg_database";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking for the size"))?;
        Ok(row.get::<_, i64>(0).max(0) as u64)
    }

    pub async fn wal_segment_size(&self) -> Result<WalSegmentSize, SqlError> {
        let doing = "asking for the WAL segment size";
        let text = "SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size'";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query(doing))?;
        WalSegmentSize::from_bytes(row.get::<_, i64>(0).max(0) as u64)
            .ok_or(SqlError::Query { doing, message: "not a size that WAL segments have".to_owned() })
    }

    /// Tablespaces of the users' own.
    pub async fn tablespaces(&self) -> Result<Vec<String>, SqlError> {
        let text =
            "SELECT spcname FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY spcname";
        let rows = self.client.query(text, &[]).await.map_err(SqlError::query("listing tablespaces"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Databases that take connections.
    pub async fn databases(&self) -> Result<Vec<String>, SqlError> {
        let text = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname";
        let rows = self.client.query(text, &[]).await.map_err(SqlError::query("listing databases"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Reads the whole relation catalog of the connected database.
    pub async fn relations(&self) -> Result<i64, SqlError> {
        let text = "SELECT count(*), count(oid::regclass::text) FROM pg_class";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("reading the catalog"))?;
        Ok(row.get(0))
    }

    /// Of the primary: how far WAL is written.
    pub async fn wal_lsn(&self) -> Result<Lsn, SqlError> {
        let doing = "asking how far WAL is";
        let text = "SELECT pg_current_wal_lsn()::text";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query(doing))?;
        let lsn = row.get::<_, String>(0).parse();
        lsn.map_err(|_| SqlError::Query { doing, message: "not an LSN".to_owned() })
    }

    pub async fn archiver(&self) -> Result<Archiver, SqlError> {
        let text = "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false), last_failed_wal, \
                    (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'), \
                    extract(epoch FROM last_archived_time)::int8 FROM pg_stat_archiver";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking the archiver"))?;
        Ok(Archiver {
            failing: row.get(0),
            last_failed_wal: row.get(1),
            waiting: row.get(2),
            last_archived: row.get(3),
        })
    }

    /// A transaction that has a number commits.
    pub async fn prove_writable(&self) -> Result<(), SqlError> {
        self.run("proving that it takes writes", "BEGIN; SELECT pg_current_xact_id(); COMMIT").await
    }

    pub async fn listen_addresses(&self) -> Result<String, SqlError> {
        let text = "SELECT setting FROM pg_settings WHERE name = 'listen_addresses'";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking for listen_addresses"))?;
        Ok(row.get(0))
    }

    /// Of a standby: how far it has replayed.
    pub async fn replayed(&self) -> Result<Option<String>, SqlError> {
        let text = "SELECT pg_last_wal_replay_lsn()::text";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking how far replay is"))?;
        Ok(row.get(0))
    }

    pub async fn archive_command(&self) -> Result<String, SqlError> {
        let text = "SELECT setting FROM pg_settings WHERE name = 'archive_command'";
        let row = self.client.query_one(text, &[]).await.map_err(SqlError::query("asking for archive_command"))?;
        Ok(row.get(0))
    }

    /// Settings and certificates are read again.
    pub async fn reload(&self) -> Result<(), SqlError> {
        self.run("reading settings again", "SELECT pg_reload_conf()").await
    }

    /// Of a standby: it leaves recovery, on a timeline of its own.
    pub async fn promote(&self) -> Result<(), SqlError> {
        self.run("promoting", "SELECT pg_promote(false)").await
    }

    pub async fn checkpoint(&self) -> Result<(), SqlError> {
        self.run("a checkpoint", "SET statement_timeout = 0; CHECKPOINT").await
    }

    pub(super) async fn run(&self, doing: &'static str, sql: &str) -> Result<(), SqlError> {
        self.client.batch_execute(sql).await.map_err(SqlError::query(doing))
    }
}
