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

/// Where etcd's leader takes requests; nothing when there is none.
fn urls_of_leader(status: &Value, members: &[EtcdMember]) -> Vec<String> {
    let leader = members.iter().find(|member| status["leader"].as_str() == Some(member.id.as_str()));
    leader.map(|member| member.client_urls.clone()).unwrap_or_default()
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

    /// Gives it its vote; refused until it has caught up. Asked of etcd's leader: the
    /// others of etcd 3.4 hand this one request on without saying who asks, and it
    /// is refused there ("auth: user name is empty") until the caller gives up.
    pub async fn promote(&self, id: &str) -> Result<(), EtcdError> {
        let body = json!({"ID": id});
        let leader = self.with_endpoints(self.leader_urls().await?);
        match leader.authorised("cluster/member/promote", body.clone()).await {
            // On the way to TLS it may be told of where we do not reach it yet.
            Err(EtcdError::Http(_) | EtcdError::Nobody) => {
                self.authorised("cluster/member/promote", body).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    async fn leader_urls(&self) -> Result<Vec<String>, EtcdError> {
        let status = self.call("maintenance/status", None, json!({})).await?;
        Ok(urls_of_leader(&status, &self.members().await?))
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

    #[test]
    fn the_leader_is_found_by_its_number() {
        let member = |id: &str, url: &str| EtcdMember {
            id: id.to_owned(),
            name: id.to_owned(),
            peer_urls: Vec::new(),
            client_urls: vec![url.to_owned()],
            learner: false,
        };
        let members = [member("12345678901234567890", "http://a:2379"), member("2", "http://b:2379")];
        let urls = |status: Value| urls_of_leader(&status, &members);
        assert_eq!(urls(json!({"leader": "12345678901234567890"})), ["http://a:2379"]);
        assert!(urls(json!({"leader": "0"})).is_empty() && urls(json!({})).is_empty());
    }
}
