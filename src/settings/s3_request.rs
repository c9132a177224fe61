//! What the leader of this application asks of an S3 provider, so that both
//! dialects of the interface answer. Reading the answer: s3.rs.

use std::collections::BTreeMap;

/// The requirer's application data. `provider` is the other application's data
/// (empty at first), `relation_id` is Juju's `s3-parameters:7`.
///
/// A provider of dialect 1 (`lib-version` in its data) puts the keys into a
/// secret when it is asked to, and creates a bucket that is asked for: so none
/// is. One of dialect 0 answers only when it sees a `bucket`. (charm-relation-
/// interfaces: s3/v0, s3/v1.)
pub fn s3_request(provider: &BTreeMap<String, String>, relation_id: &str) -> BTreeMap<String, String> {
    let mut request = BTreeMap::from([
        ("requested-secrets".to_owned(), r#"["access-key", "secret-key"]"#.to_owned()),
        ("lib-version".to_owned(), "1.0".to_owned()),
    ]);
    if !provider.is_empty() && !provider.contains_key("lib-version") {
        let number = relation_id.rsplit(':').next().unwrap_or(relation_id);
        request.insert("bucket".to_owned(), format!("relation-{number}"));
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(provider: &[(&str, &str)]) -> Vec<String> {
        let provider = provider.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let request = s3_request(&provider, "s3-parameters:7");
        request.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn a_bucket_is_asked_of_an_old_provider_only() {
        let always = [r#"lib-version=1.0"#, r#"requested-secrets=["access-key", "secret-key"]"#];
        assert_eq!(asked(&[]), always);
        assert_eq!(asked(&[("lib-version", "1.3")]), always);
        assert_eq!(asked(&[("lib-version", "1.3"), ("bucket", "b")]), always);
        assert_eq!(asked(&[("data", "{}")]), ["bucket=relation-7", always[0], always[1]]);
    }
}
