//! Whose signature counts, and which part of a host name is a bucket.

use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::{S3Result, s3_error};
use tokio::sync::watch;

use crate::keys::Keys;

/// The keys as they are now: rotated ones hold from the next request on, the old ones are refused.
pub(super) struct LiveKeys(pub(super) watch::Receiver<Keys>);

#[async_trait::async_trait]
impl S3Auth for LiveKeys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let keys = self.0.borrow();
        match keys.access_key == access_key {
            true => Ok(SecretKey::from(keys.secret_key.clone())),
            false => Err(s3_error!(InvalidAccessKeyId, "The access key ID you provided does not exist here.")),
        }
    }
}

/// `bucket.<domain>` is virtual-host style; any other name (and a bare address) is path style.
pub(super) struct Domain(pub(super) String);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        match name.strip_suffix(self.0.as_str()).and_then(|rest| rest.strip_suffix('.')) {
            Some(bucket) if !bucket.is_empty() => Ok(VirtualHost::new(&self.0).with_bucket(bucket)),
            _ => Ok(VirtualHost::new(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_domain_carry_a_bucket() {
        #[rustfmt::skip]
        let table = [
            ("s3.test",            "s3.test:4443",             None),
            ("s3.test",            "backups.s3.test:4443",     Some("backups")),
            ("s3.test",            "a.b.s3.test",              Some("a.b")),
            ("s3.test",            "nots3.test",               None),
            ("s3.test",            "localhost:4443",           None),
            ("127.23.4.1",         "backups.127.23.4.1:4443",  Some("backups")),
        ];
        for (domain, host, bucket) in table {
            let domain = Domain(domain.to_owned());
            let parsed = domain.parse_host_header(host).map(|host| host.bucket().map(str::to_owned));
            assert_eq!(parsed.ok().flatten().as_deref(), bucket, "{host}");
        }
    }
}
