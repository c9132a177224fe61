//! Relation data: string maps, read whole, written through standard input.

use std::collections::BTreeMap;

use super::{Juju, JujuError};

pub type Bag = BTreeMap<String, String>;

impl Juju {
    pub async fn relation_ids(&self, endpoint: &str) -> Result<Vec<String>, JujuError> {
        let ids: Option<Vec<String>> = self.json("relation-ids", &[endpoint]).await?;
        let mut ids = ids.unwrap_or_default();
        ids.retain(|id| self.broken.as_ref() != Some(id));
        Ok(ids)
    }

    /// The application at the other end.
    pub async fn relation_app(&self, id: &str) -> Result<Option<String>, JujuError> {
        let app: Option<String> = self.json("relation-list", &["-r", id, "--app"]).await?;
        Ok(app.filter(|app| !app.is_empty()))
    }

    pub async fn relation_units(&self, id: &str) -> Result<Vec<String>, JujuError> {
        let units: Option<Vec<String>> = self.json("relation-list", &["-r", id]).await?;
        Ok(units.unwrap_or_default())
    }

    /// An application's bag; our own is readable by the leader only, except in
    /// peer relations.
    pub async fn app_bag(&self, id: &str, app: &str) -> Result<Bag, JujuError> {
        let bag: Option<Bag> = self.json("relation-get", &["-r", id, "--app", "-", app]).await?;
        Ok(bag.unwrap_or_default())
    }

    pub async fn unit_bag(&self, id: &str, unit: &str) -> Result<Bag, JujuError> {
        let bag: Option<Bag> = self.json("relation-get", &["-r", id, "-", unit]).await?;
        Ok(bag.unwrap_or_default())
    }

    /// Keys not named stay; an empty value deletes its key.
    pub async fn set_app_bag(&self, id: &str, bag: &Bag) -> Result<(), JujuError> {
        self.set_bag(&["-r", id, "--app"], bag).await
    }

    pub async fn set_unit_bag(&self, id: &str, bag: &Bag) -> Result<(), JujuError> {
        self.set_bag(&["-r", id], bag).await
    }

    async fn set_bag(&self, args: &[&str], bag: &Bag) -> Result<(), JujuError> {
        let tool = "relation-set";
        let document = serde_json::to_vec(bag).map_err(|_| JujuError::Shape { tool })?;
        let invocation = self.tool(tool).args(args.iter().copied()).args(["--file", "-"]).stdin(document);
        self.answer(tool, &invocation).await.map(|_| ())
    }
}
