//! Where a request for the bucket goes: host and path in either URI style. Pure.

use crate::settings::{Endpoint, S3Settings, UriStyle};

#[derive(Debug, Clone)]
pub(super) struct Address {
    endpoint: Endpoint,
    pub bucket: String,
    style: UriStyle,
}

impl Address {
    pub fn of(settings: &S3Settings) -> Self {
        Self { endpoint: settings.endpoint.clone(), bucket: settings.bucket.clone(), style: settings.uri_style }
    }

    pub fn endpoint(&self, region: &str) -> Endpoint {
        self.endpoint.in_region(region)
    }

    /// The `Host` of a request, with the port if it is not the usual one.
    pub fn host(&self, region: &str) -> String {
        let endpoint = self.endpoint(region);
        match self.style {
            UriStyle::Path => endpoint.authority(),
            UriStyle::Host => endpoint.authority_of(&format!("{}.{}", self.bucket, endpoint.host)),
        }
    }

    /// The path to ask for, given the path-style one (`/bucket/key`), which is
    /// the only one rusoto builds.
    pub fn path(&self, path_style: &str) -> String {
        let own = match self.style {
            UriStyle::Path => path_style,
            UriStyle::Host => {
                let rest = path_style.strip_prefix('/').unwrap_or(path_style);
                rest.strip_prefix(&self.bucket).unwrap_or(rest)
            }
        };
        if own.is_empty() { "/".to_owned() } else { own.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_stands_in_the_host_or_in_the_path() {
        let at = |host: &str, port| Endpoint { https: true, host: host.to_owned(), port };
        #[rustfmt::skip]
        let table = [
            (UriStyle::Path, at("s3.example.com", Some(9000)), "s3.example.com:9000",               "/backups/a/b", "/backups"),
            (UriStyle::Host, at("s3.example.com", Some(9000)), "backups.s3.example.com:9000",       "/a/b",         "/"),
            (UriStyle::Host, at("s3.amazonaws.com", None),     "backups.s3.us-east-1.amazonaws.com","/a/b",         "/"),
            (UriStyle::Path, at("::1", Some(9000)),            "[::1]:9000",                        "/backups/a/b", "/backups"),
        ];
        for (style, endpoint, host, key, bucket) in table {
            let address = Address { endpoint, bucket: "backups".to_owned(), style };
            assert_eq!(address.host("us-east-1"), host);
            assert_eq!((address.path("/backups/a/b"), address.path("/backups")), (key.to_owned(), bucket.to_owned()));
        }
    }
}
