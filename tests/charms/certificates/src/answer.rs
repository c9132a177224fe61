//! What is published for what was asked: who is signed, who keeps what there is, who is skipped. Signing is an argument.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// One element of the provider's `certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub certificate_signing_request: String,
    pub certificate: String,
    pub ca: String,
    #[serde(default)]
    pub chain: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

/// One element of a requirer's `certificate_signing_requests`.
#[derive(Debug, Clone, Deserialize)]
struct Request {
    certificate_signing_request: String,
    #[serde(default)]
    ca: bool,
}

/// The requests of one unit, without white space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub unit: String,
    pub requests: Vec<String>,
    /// What it wrote and cannot be signed, in words.
    pub odd: Vec<String>,
}

impl Asked {
    /// From the value of `certificate_signing_requests`.
    #[must_use]
    pub fn read(unit: &str, written: Option<&str>) -> Self {
        let mut asked = Self { unit: unit.to_owned(), requests: Vec::new(), odd: Vec::new() };
        let Some(written) = written.filter(|text| !text.trim().is_empty()) else { return asked };
        let Ok(requests) = serde_json::from_str::<Vec<Request>>(written) else {
            asked.odd.push("not a list of requests".to_owned());
            return asked;
        };
        for request in requests {
            match request.ca {
                true => asked.odd.push("asks to be a CA".to_owned()),
                false => asked.requests.push(request.certificate_signing_request.trim().to_owned()),
            }
        }
        asked
    }
}

/// Who gets a new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// Those without one of this CA.
    Lacking,
    All,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub entries: Vec<Entry>,
    pub signed: usize,
    /// Units with a certificate that holds.
    pub units: usize,
    /// `unit (why)`.
    pub skipped: Vec<String>,
}

/// In the order of the units. What is revoked stays as it is for as long as its request is there.
pub fn answer<E: Display>(
    asked: &[Asked],
    before: &[Entry],
    (ca, anew): (&str, Anew),
    mut sign: impl FnMut(&str) -> Result<String, E>,
) -> Answer {
    let mut answer = Answer::default();
    for Asked { unit, requests, odd } in asked {
        answer.skipped.extend(odd.iter().map(|why| format!("{unit} ({why})")));
        let mut holds = false;
        for request in requests {
            let same = |entry: &&Entry| entry.certificate_signing_request.trim() == request;
            // Two units may ask with one request: one entry is the answer to both.
            let kept = match before.iter().find(same) {
                Some(entry) if entry.revoked || (anew == Anew::Lacking && entry.ca == ca) => Some(entry),
                _ => answer.entries.iter().find(same),
            };
            let entry = match kept.cloned().map_or_else(|| sign(request).map(|new| entry(request, new, ca)), Ok) {
                Ok(entry) => entry,
                Err(why) => {
                    answer.skipped.push(format!("{unit} ({why})"));
                    continue;
                }
            };
            holds |= !entry.revoked;
            if !answer.entries.iter().any(|there| same(&there)) {
                answer.signed += usize::from(!before.contains(&entry));
                answer.entries.push(entry);
            }
        }
        answer.units += usize::from(holds);
    }
    answer
}

fn entry(request: &str, certificate: String, ca: &str) -> Entry {
    Entry {
        certificate_signing_request: request.to_owned(),
        chain: vec![certificate.clone(), ca.to_owned()],
        certificate,
        ca: ca.to_owned(),
        revoked: false,
    }
}

/// Marks what the unit has; gives back what was marked now.
pub fn revoke(asked: &Asked, entries: &mut [Entry]) -> Vec<Entry> {
    let theirs = |entry: &&mut Entry| asked.requests.iter().any(|one| one == entry.certificate_signing_request.trim());
    let marked = entries.iter_mut().filter(theirs).filter(|entry| !entry.revoked);
    marked
        .map(|entry| {
            entry.revoked = true;
            entry.clone()
        })
        .collect()
}
