//! The relation `tls-certificates`: what we ask of an authority, and what its bag answers. When to ask, and when to use an
//! answer, is for policy. Source: the library tls_certificates_interface v4; every field may be hostile.

use serde::Deserialize;

use crate::certificate::{Bundle, Certificate, Chain, Issued, UnitKey, missing_names, same_request};

use super::shortened;

/// Bytes of the longest bag that is read.
const LONGEST: usize = 1 << 20;

/// What the authority says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Not yet answered.
    Nothing,
    Revoked,
    /// Answered with what cannot serve; `why` is one line.
    Unusable {
        why: String,
    },
    Issued(Box<Issued>),
}

/// The value of `certificate_signing_requests` in our own unit's bag.
pub fn requests(csr: &str) -> String {
    // The v4 library refuses an entry without `ca`.
    serde_json::json!([{ "certificate_signing_request": csr.trim(), "ca": false }]).to_string()
}

/// Reads the provider's application bag, key `certificates`. An answer counts
/// when it is to our request, for our key, and holds every name we asked for.
/// Of several the youngest that is not revoked; else the revocation; else why none serves.
pub fn answer(bag: &str, our_csr: &str, key: &UnitKey) -> Answer {
    let read = match Entry::read_all(bag) {
        Ok(read) => read,
        Err(why) => return Answer::Unusable { why },
    };
    let ours: Vec<_> = read.entries.into_iter().filter(|entry| same_request(&entry.request, our_csr)).collect();
    let (revoked, standing): (Vec<_>, Vec<_>) = ours.into_iter().partition(|entry| entry.revoked);
    let dropped: Vec<_> = revoked.iter().filter_map(Entry::leaf).collect();
    let judged: Vec<_> = standing.iter().filter_map(|entry| entry.judge(our_csr, key)).collect();
    let usable = judged.iter().flatten().filter(|issued| !dropped.contains(&issued.certificate));
    match usable.max_by_key(|issued| issued.certificate.not_before) {
        Some(issued) => Answer::Issued(Box::new(issued.clone())),
        None if !revoked.is_empty() => Answer::Revoked,
        None => match judged.into_iter().find_map(Result::err) {
            Some(why) => Answer::Unusable { why },
            None => Answer::Nothing,
        },
    }
}

/// The CAs of all entries, ours or not, so that a unit can trust its peers before
/// it has a certificate itself. A broken entry adds nothing.
pub fn authorities(bag: &str) -> Bundle {
    let entries = Entry::read_all(bag).map(|read| read.entries).unwrap_or_default();
    entries.iter().filter_map(Entry::cas).fold(Bundle::default(), |all, cas| all.union(&cas))
}

/// How many entries are no entries, for the log.
pub fn broken_entries(bag: &str) -> usize {
    Entry::read_all(bag).map_or(0, |read| read.broken)
}

struct Entries {
    entries: Vec<Entry>,
    broken: usize,
}

/// Fields we do not know are left alone.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "certificate_signing_request")]
    request: String,
    certificate: Option<String>,
    ca: Option<String>,
    chain: Option<Vec<String>>,
    #[serde(default, deserialize_with = "truth")]
    revoked: bool,
}

/// `null` is what a library writes for "not set".
fn truth<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(from).map(Option::unwrap_or_default)
}

impl Entry {
    fn read_all(bag: &str) -> Result<Entries, String> {
        if bag.len() > LONGEST {
            return Err(format!("`certificates` is longer than {LONGEST} bytes"));
        }
        if bag.trim().is_empty() {
            return Ok(Entries { entries: Vec::new(), broken: 0 });
        }
        let elements = elements(bag).ok_or("`certificates` is not a JSON list")?;
        let all = elements.len();
        let entries: Vec<_> = elements.into_iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Ok(Entries { broken: all - entries.len(), entries })
    }

    /// The text of the certificate, when there is one.
    fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref().filter(|text| !text.trim().is_empty())
    }

    fn leaf(&self) -> Option<Certificate> {
        Certificate::parse(self.certificate()?).ok()
    }

    fn chain(&self) -> impl Iterator<Item = &str> {
        self.chain.iter().flatten().map(String::as_str)
    }

    fn cas(&self) -> Option<Bundle> {
        let texts = self.ca.as_deref().into_iter().chain(self.chain());
        let bundles: Result<Vec<_>, _> = texts.map(Bundle::from_pem).collect();
        Some(bundles.ok()?.iter().fold(Bundle::default(), Bundle::union))
    }

    /// `None`: not yet answered.
    fn judge(&self, our_csr: &str, key: &UnitKey) -> Option<Result<Issued, String>> {
        let text = self.certificate()?;
        let chain = Chain::order(text, self.ca.as_deref(), self.chain());
        let issued = match chain.and_then(Chain::complete) {
            Ok(issued) => issued,
            Err(error) => return Some(Err(shortened(&error.to_string()))),
        };
        if !issued.certificate.belongs_to(key) {
            return Some(Err("the certificate is for another key".to_owned()));
        }
        Some(match missing_names(our_csr, &issued.certificate) {
            Ok(missing) if missing.is_empty() => Ok(issued),
            Ok(missing) => Err(shortened(&format!("the certificate lacks {}", missing.join(", ")))),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// The texts of a JSON list's elements. One that is nested too deep for a parser
/// must not hide the others, so each is skipped over before any is read.
fn elements(text: &str) -> Option<Vec<&str>> {
    let mut rest = text.trim().strip_prefix('[')?.trim_start();
    let mut found = Vec::new();
    if rest == "]" {
        return Some(found);
    }
    loop {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
        values.next()?.ok()?;
        let (element, after) = rest.split_at(values.byte_offset());
        found.push(element);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return (after == "]").then_some(found),
        }
    }
}

#[cfg(test)]
mod tests;
