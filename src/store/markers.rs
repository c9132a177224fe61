//! Whose repository is it? Reads and writes the marker object and finds the
//! stanzas, compatible with Charmed PostgreSQL. Judging them is for policy.

use super::{Store, StoreError};
use crate::settings::shortened;

/// Holds the UUID of the Juju model, nothing else, no line break: Charmed
/// PostgreSQL compares it as it is.
const MODEL: &str = "model-uuid.txt";

/// What the repository says of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Markers {
    pub model_uuid: Option<String>,
    /// Folders below `backup/` and `archive/`, sorted.
    pub stanzas: Vec<String>,
}

pub async fn read_markers(store: &Store) -> Result<Markers, StoreError> {
    let model_uuid = read_model(store).await?;
    let mut stanzas = store.list_folders("backup/").await?;
    stanzas.extend(store.list_folders("archive/").await?);
    stanzas.sort();
    stanzas.dedup();
    Ok(Markers { model_uuid, stanzas })
}

/// Marks the repository as this model's. One that is marked as another's stays
/// so: of two clusters that come at once, one gets it.
pub async fn claim(store: &Store, model_uuid: &str) -> Result<(), StoreError> {
    if store.put_if_absent(MODEL, model_uuid.into()).await? {
        return Ok(());
    }
    match read_model(store).await? {
        Some(owner) if owner != model_uuid => Err(StoreError::Claimed { bucket: store.bucket().to_owned(), owner }),
        _ => Ok(()),
    }
}

/// Marks the repository as this model's, whoever's it was: the user said so.
pub async fn adopt(store: &Store, model_uuid: &str) -> Result<(), StoreError> {
    store.put(MODEL, model_uuid.into()).await
}

async fn read_model(store: &Store) -> Result<Option<String>, StoreError> {
    let bytes = store.get(MODEL).await?;
    Ok(bytes.map(|bytes| shortened(String::from_utf8_lossy(&bytes).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::server::{Server, memory};

    const OURS: &str = "6a5bcb1e-26a4-4a28-8ae7-5e2ad1ab1fd0";

    #[tokio::test]
    async fn the_owner_and_all_stanzas_are_found() {
        let server = Server::start(memory(&[
            ("/backups/pg/model-uuid.txt", OURS),
            ("/backups/pg/backup/m.db/backup.info", "x"),
            ("/backups/pg/backup/m.db/latest", "x"),
            ("/backups/pg/archive/m.db/archive.info", "x"),
            ("/backups/pg/archive/m.old/archive.info", "x"),
            ("/backups/other/backup/m.other/backup.info", "x"),
        ]));
        let markers = read_markers(&server.store()).await.unwrap();
        let stanzas = vec!["m.db".to_owned(), "m.old".to_owned()];
        assert_eq!(markers, Markers { model_uuid: Some(OURS.to_owned()), stanzas });
    }

    #[tokio::test]
    async fn an_empty_repository_is_nobodys_until_it_is_claimed() {
        let server = Server::start(memory(&[]));
        let store = server.store();
        assert_eq!(read_markers(&store).await.unwrap(), Markers::default());
        claim(&store, OURS).await.unwrap();
        claim(&store, OURS).await.unwrap();
        assert_eq!(read_markers(&store).await.unwrap().model_uuid.as_deref(), Some(OURS));
        let error = claim(&store, "another").await.unwrap_err();
        assert_eq!(error.to_string(), format!("bucket backups: the repository belongs to the model {OURS}"));
        adopt(&store, "another").await.unwrap();
        assert_eq!(read_markers(&store).await.unwrap().model_uuid.as_deref(), Some("another"));
    }
}
