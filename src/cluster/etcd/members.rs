//! Members of the cluster store (etcd documentation, "Cluster" of the API).

use serde_json::{Value, json};

use super::client::{Etcd, EtcdError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdMember {
    /// 64 bits as decimal text, as the gateway writes and reads them.
    pub id: String,
    /// Empty until its first start.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    /// It follows, and has no vote yet.
    pub learner: bool,
}

impl EtcdMember {
    fn read(value: &Value) -> Option<Self> {
        let texts =
            |key: &str| value[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Some(Self {
            id: value["ID"].as_str()?.to_owned(),
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            peer_urls: texts("peerURLs").collect(),
            client_urls: texts("clientURLs").collect(),
            learner: value["isLearner"] == true,
        })
    }
}

fn members_of(answer: &Value) -> Vec<EtcdMember> {
    answer["members"].as_array().into_iter().flatten().filter_map(EtcdMember::read).collect()
}

impl Etcd {
    /// As the first member that answers knows them; also without a quorum.
    pub async fn members(&self) -> Result<Vec<EtcdMember>, EtcdError> {
        Ok(members_of(&self.call("cluster/member/list", None, json!({})).await?))
    }

    /// As the quorum knows them: a read through it shows that this member is up to date.
    pub async fn members_for_sure(&self) -> Result<Vec<EtcdMember>, EtcdError> {
        let mut last = EtcdError::Nobody;
        for one in self.one_by_one() {
            match one.get("/").await {
                Ok(_) => return one.members().await,
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A member without a vote: a voter that never starts would cost the quorum.
    pub async fn add_learner(&self, peer_url: &str) -> Result<Vec<EtcdMember>, EtcdError> {
        let body = json!({"peerURLs": [peer_url], "isLearner": true});
        Ok(members_of(&self.authorised("cluster/member/add", body).await?))
    }

    /// Gives it its vote; refused until it has caught up.
    pub async fn promote(&self, id: &str) -> Result<(), EtcdError> {
        self.authorised("cluster/member/promote", json!({"ID": id})).await.map(|_| ())
    }

    pub async fn remove(&self, id: &str) -> Result<(), EtcdError> {
        self.authorised("cluster/member/remove", json!({"ID": id})).await.map(|_| ())
    }

    /// The others reach it there from now on.
    pub async fn set_peer_url(&self, id: &str, peer_url: &str) -> Result<(), EtcdError> {
        let body = json!({"ID": id, "peerURLs": [peer_url]});
        self.authorised("cluster/member/update", body).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_etcd_3_4_writes_them() {
        let answer = serde_json::from_str(
            r#"{"header":{"cluster_id":"1"},"members":[
              {"ID":"12345678901234567890","name":"a","peerURLs":["http://p:2380"],"clientURLs":["http://c:2379"]},
              {"ID":"2","peerURLs":["http://q:2380"],"isLearner":true}]}"#,
        )
        .unwrap();
        let got = members_of(&answer);
        assert_eq!((got[0].id.as_str(), got[0].name.as_str(), got[0].learner), ("12345678901234567890", "a", false));
        assert_eq!((got[1].name.as_str(), got[1].learner, got[1].client_urls.len()), ("", true, 0));
    }
}
