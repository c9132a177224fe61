//! A store's "no": status, code and message read from its answer, cleaned for a
//! status line. Pure. Format: Amazon S3 API reference, "REST error responses".

use std::fmt;

use crate::settings::shortened_to;

/// What the store answered instead of doing it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// HTTP status, e.g. 403.
    pub status: u16,
    /// S3's word, e.g. `NoSuchBucket`; empty when the answer has none, as to a HEAD.
    pub code: String,
    /// S3's sentence; may be empty.
    pub message: String,
    /// The region the store would have us use.
    pub region: Option<String>,
}

/// Characters of a store's sentence that are shown.
const SHOWN: usize = 300;

impl Refusal {
    /// `region` is the answer's header `x-amz-bucket-region`. `secrets` are taken
    /// out of the texts: a store may quote what it was sent.
    pub(super) fn read(status: u16, region: Option<&str>, body: &[u8], secrets: &[&str]) -> Self {
        let body = String::from_utf8_lossy(&body[..body.len().min(64 << 10)]);
        let text = |name| element(&body, name).map(|text| clean(&text, secrets));
        Self {
            status,
            code: text("Code").unwrap_or_default(),
            message: text("Message").unwrap_or_default(),
            region: region.map(ToOwned::to_owned).or_else(|| element(&body, "Region")).filter(|name| is_region(name)),
        }
    }

    /// The object is not there (the bucket is).
    pub(super) fn is_no_such_key(&self) -> bool {
        self.status == 404 && self.code != "NoSuchBucket"
    }

    pub fn is_no_such_bucket(&self) -> bool {
        self.status == 404 && matches!(self.code.as_str(), "" | "NoSuchBucket")
    }

    /// The store does not know a header we sent.
    pub(super) fn is_not_implemented(&self) -> bool {
        self.status == 501 || self.code == "NotImplemented"
    }

    pub(super) fn is_transient(&self) -> bool {
        let again = ["ConditionalRequestConflict", "OperationAborted", "RequestTimeout"];
        (self.status >= 500 && !self.is_not_implemented()) || self.status == 429 || again.contains(&self.code.as_str())
    }
}

impl fmt::Display for Refusal {
    /// `access denied (403)`, `no such bucket (404)`, `SlowDown: Reduce your rate (503)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        match (self.code.as_str(), self.message.as_str()) {
            ("", _) if status == 403 => write!(f, "access denied (403)"),
            ("", _) if status == 404 => write!(f, "no such bucket (404)"),
            ("", _) => write!(f, "{} ({status})", reason(status)),
            ("NoSuchBucket", _) => write!(f, "no such bucket ({status})"),
            ("AccessDenied", "" | "Access Denied" | "Access Denied.") => write!(f, "access denied ({status})"),
            ("AccessDenied", message) => write!(f, "access denied: {message} ({status})"),
            (code, "") => write!(f, "{code} ({status})"),
            (code, message) => write!(f, "{code}: {message} ({status})"),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        300..400 => "the store is elsewhere",
        400 => "bad request",
        412 => "precondition failed",
        429 => "too many requests",
        501 => "not implemented",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        500.. => "server error",
        _ => "refused",
    }
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    let plain = entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain));
    Some(plain.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Secrets go first: one that is cut would not be found any more.
fn clean(text: &str, secrets: &[&str]) -> String {
    let found = secrets.iter().filter(|secret| secret.len() >= 4);
    let text = found.fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"));
    shortened_to(SHOWN, &text)
}

fn is_region(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    matches!(name.len(), 1..=64) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(inside: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<Error>{inside}<RequestId>1</RequestId></Error>")
    }

    #[test]
    fn refusals_are_told_in_the_stores_own_words() {
        #[rustfmt::skip]
        let table = [
            (403, "",                                                                 "access denied (403)"),
            (403, "<Code>AccessDenied</Code><Message>Access Denied</Message>",        "access denied (403)"),
            (403, "<Code>AccessDenied</Code><Message>no s3:PutObject</Message>",      "access denied: no s3:PutObject (403)"),
            (403, "<Code>InvalidAccessKeyId</Code><Message>The key AKCANARY does not exist.</Message>",
                                                                                      "InvalidAccessKeyId: The key [redacted] does not exist. (403)"),
            (404, "<Code>NoSuchBucket</Code><Message>The specified bucket</Message>", "no such bucket (404)"),
            (404, "",                                                                 "no such bucket (404)"),
            (400, "<Code>X</Code><Message>a &lt;b&gt; &amp;amp; &quot;c&quot;</Message>", "X: a <b> &amp; \"c\" (400)"),
            (400, "<Code>X</Code><Message>a\nb\u{1b}[31m</Message>",                  "X: a\\nb\\u{1b}[31m (400)"),
            (503, "<Code>SlowDown</Code>",                                            "SlowDown (503)"),
            (502, "<html>Bad Gateway</html>",                                         "bad gateway (502)"),
            (418, "",                                                                 "refused (418)"),
        ];
        for (status, inside, want) in table {
            let refusal = Refusal::read(status, None, xml(inside).as_bytes(), &["AKCANARY", ""]);
            assert_eq!(refusal.to_string(), want);
        }
    }

    #[test]
    fn a_secret_is_taken_out_before_the_text_is_cut() {
        let secret = "s".repeat(2 * SHOWN);
        let body = xml(&format!("<Code>X</Code><Message>you sent {secret}</Message>"));
        assert_eq!(Refusal::read(400, None, body.as_bytes(), &[&secret]).message, "you sent [redacted]");
        let long = xml(&format!("<Code>{0}</Code><Message>{0}</Message>", "x".repeat(20_000)));
        assert!(Refusal::read(400, None, long.as_bytes(), &[]).to_string().len() < 700);
    }

    #[test]
    fn the_region_to_use_is_read_from_the_header_or_the_body() {
        let body = xml("<Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>");
        #[rustfmt::skip]
        let table = [
            (None,             body.as_str(), Some("eu-west-1")),
            (Some("us-west-2"), "",           Some("us-west-2")),
            (Some("a\nb"),      "",           None),
            (None,              "",           None),
        ];
        for (header, body, want) in table {
            assert_eq!(Refusal::read(400, header, body.as_bytes(), &[]).region.as_deref(), want);
        }
    }

    #[test]
    fn only_what_may_heal_is_transient() {
        let of = |status, code: &str| Refusal { status, code: code.to_owned(), ..Refusal::default() }.is_transient();
        #[rustfmt::skip]
        let table = [
            (500, "", true), (503, "SlowDown", true), (429, "", true), (400, "RequestTimeout", true), (409, "OperationAborted", true),
            (501, "", false), (403, "", false), (404, "", false), (400, "", false), (412, "", false), (301, "", false),
        ];
        for (status, code, want) in table {
            assert_eq!(of(status, code), want, "{status} {code}");
        }
    }
}
