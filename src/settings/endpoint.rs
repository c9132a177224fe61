//! Where an S3 store listens, parsed strictly. Whether anybody answers there is
//! for the store; what belongs to a bucket is in s3.rs.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::hostile::only;

/// Scheme, host and port of a store: `https://s3.example.com:9000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub https: bool,
    /// A name or an address, an IPv6 address without its brackets.
    pub host: String,
    /// `None`: 443, or 80 without TLS.
    pub port: Option<u16>,
}

/// What an endpoint must look like; also the text of the refusal.
pub(super) const WANT: &str = "https://HOST or https://HOST:PORT without a path";

/// The one mistake that has its own reason.
pub(super) const WANT_TLS: &str =
    "https://… (pgBackRest speaks to S3 over TLS only; a private CA goes into tls-ca-chain)";

impl Endpoint {
    /// Reads `https://host[:port][/]`; a bare `host[:port]` means https.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let lower = text.to_ascii_lowercase();
        let rest = match lower.split_once("://") {
            Some(("https", rest)) => rest,
            Some(("http", _)) => return Err(WANT_TLS),
            Some(_) => return Err(WANT),
            None => &lower,
        };
        let (host, port) = split(rest.trim_end_matches('/')).ok_or(WANT)?;
        let port = port.map(number).transpose()?.filter(|port| *port != 443);
        if is_host(host) { Ok(Self { https: true, host: host.to_owned(), port }) } else { Err(WANT) }
    }

    /// Amazon's own store, when the relation names none.
    pub(super) fn amazon() -> Self {
        Self { https: true, host: AMAZON.to_owned(), port: None }
    }

    /// Amazon's global name redirects to the region's own one: with a region
    /// known, the second is used from the start. Others stay as they are.
    pub fn in_region(&self, region: &str) -> Self {
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        match self.host.as_str() {
            AMAZON => Self { host: format!("s3.{region}.amazonaws.com{suffix}"), ..self.clone() },
            _ => self.clone(),
        }
    }

    /// An address cannot be given the bucket's name in front.
    pub fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// `host` or `host:port`, as an HTTP `Host` header and a URL have it.
    pub fn authority(&self) -> String {
        self.authority_of(&self.host)
    }

    /// The same port on another host (`bucket.host`).
    pub fn authority_of(&self, host: &str) -> String {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}

const AMAZON: &str = "s3.amazonaws.com";

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

fn number(port: &str) -> Result<u16, &'static str> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0).ok_or(WANT)
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| matches!(label.len(), 1..=63) && only(label, "-_") && !label.starts_with('-');
    host.parse::<Ipv6Addr>().is_ok() || (host.len() <= 253 && host.split('.').all(is_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_printed() {
        #[rustfmt::skip]
        let table = [
            ("https://s3.amazonaws.com",      Ok("https://s3.amazonaws.com")),
            ("https://s3.example.com/",       Ok("https://s3.example.com")),
            ("HTTPS://S3.Example.com:9000//", Ok("https://s3.example.com:9000")),
            ("s3.example.com",                Ok("https://s3.example.com")),
            ("https://127.0.0.1:443",         Ok("https://127.0.0.1")),
            ("https://[::1]:9000",            Ok("https://[::1]:9000")),
            ("http://s3.example.com",         Err(WANT_TLS)),
            ("ftp://s3.example.com",          Err(WANT)),
            ("https://",                      Err(WANT)),
            ("https://a..b",                  Err(WANT)),
            ("https://-x.example.com",        Err(WANT)),
            ("https://host:0",                Err(WANT)),
            ("https://host:70000",            Err(WANT)),
            ("https://host:+1",               Err(WANT)),
            ("https://host:",                 Err(WANT)),
            ("https://host/path",             Err(WANT)),
            ("https://host?x=1",              Err(WANT)),
            ("https://host#x",                Err(WANT)),
            ("https://user:pass@host",        Err(WANT)),
            ("https://host\nrepo1-path=/",    Err(WANT)),
            ("https://$(id)",                 Err(WANT)),
            ("https://[::1",                  Err(WANT)),
            ("https://[::1]x",                Err(WANT)),
            ("https://[host]",                Err(WANT)),
        ];
        for (text, want) in table {
            let got = Endpoint::parse(text).map(|endpoint| endpoint.to_string());
            assert_eq!(got, want.map(ToOwned::to_owned), "{text:?}");
        }
    }

    #[test]
    fn amazons_global_name_gives_way_to_the_regions() {
        #[rustfmt::skip]
        let table = [
            ("https://s3.amazonaws.com",   "eu-west-1",  "https://s3.eu-west-1.amazonaws.com"),
            ("https://s3.amazonaws.com",   "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
            ("https://s3.example.com:444", "eu-west-1",  "https://s3.example.com:444"),
        ];
        for (endpoint, region, want) in table {
            assert_eq!(Endpoint::parse(endpoint).unwrap().in_region(region).to_string(), want);
        }
    }
}
