//! What every hook does: see what is asked for, answer it, say how it is.

use anyhow::{Context, Result};

use super::options::Options;
use super::tools::{self, Bag};
use super::{home, now, our_app, variable};
use crate::answer::{Anew, Answer, Asked, Entry, answer};
use crate::authority::Authority;
use crate::issue::{Terms, issue};

const ENDPOINT: &str = "certificates";
const REQUESTS: &str = "certificate_signing_requests";
const CERTIFICATES: &str = "certificates";
pub(super) const AWAY: &str = "away: signs nothing";

/// A relation, as it is.
pub(super) struct Related {
    id: String,
    pub(super) asked: Vec<Asked>,
    published: Vec<Entry>,
    /// What is to be published. The same at first.
    pub(super) entries: Vec<Entry>,
}

pub(super) fn run() -> Result<()> {
    let Some(home) = home()? else {
        return tools::status("waiting", "for the storage `authority`");
    };
    tools::version(env!("CARGO_PKG_VERSION"))?;
    let options = match Options::read(tools::config()?) {
        Ok(options) => options,
        Err(err) => return tools::status("blocked", &format!("{err:#}")),
    };
    if !tools::is_leader()? {
        return tools::status("active", "stands by: the leader signs");
    }
    let authority = home.ensure(&our_app(), now())?;
    if options.away {
        return tools::status("active", AWAY);
    }
    sign(related()?, &authority, &options, Anew::Lacking).map(drop)
}

/// Answers all relations and says so in the status; how many certificates are new.
pub(super) fn sign(all: Vec<Related>, authority: &Authority, options: &Options, anew: Anew) -> Result<usize> {
    let terms = Terms { now: now(), validity: options.validity };
    let mut sum = Answer::default();
    for mut related in all {
        let how = (authority.certificate.as_str(), anew);
        let answer = answer(&related.asked, &related.entries, how, |request| issue(request, authority, terms));
        related.entries = answer.entries;
        related.publish()?;
        sum.signed += answer.signed;
        sum.units += answer.units;
        sum.skipped.extend(answer.skipped);
    }
    tools::status("active", &status(&authority.name, &sum))?;
    Ok(sum.signed)
}

/// All relations but the one that is breaking.
pub(super) fn related() -> Result<Vec<Related>> {
    let broken = variable("JUJU_DISPATCH_PATH").ends_with("-relation-broken");
    let broken = broken.then(|| variable("JUJU_RELATION_ID"));
    let ids = tools::relation_ids(ENDPOINT)?;
    ids.into_iter().filter(|id| Some(id) != broken.as_ref()).map(Related::read).collect()
}

impl Related {
    fn read(id: String) -> Result<Self> {
        let ours = tools::relation_bag(&id, &our_app())?;
        let published: Vec<Entry> = match ours.get(CERTIFICATES).map(|text| serde_json::from_str(text)) {
            None => Vec::new(),
            Some(read) => read.with_context(|| format!("reading what we have published in {id}"))?,
        };
        let mut asked = Vec::new();
        for unit in tools::relation_units(&id)? {
            let bag = tools::unit_bag(&id, &unit)?;
            asked.push(Asked::read(&unit, bag.get(REQUESTS).map(String::as_str)));
        }
        Ok(Self { id, asked, entries: published.clone(), published })
    }

    /// Only what differs is written: a change is a hook on the other side.
    fn publish(&self) -> Result<()> {
        if self.entries == self.published {
            return Ok(());
        }
        let text = if self.entries.is_empty() { String::new() } else { serde_json::to_string(&self.entries)? };
        tools::relation_set(&self.id, &Bag::from([(CERTIFICATES.to_owned(), text)]))
    }
}

fn status(ca: &str, all: &Answer) -> String {
    let units = if all.units == 1 { "1 unit".to_owned() } else { format!("{} units", all.units) };
    let skipped = if all.skipped.is_empty() { String::new() } else { format!("; skips {}", all.skipped.join(", ")) };
    format!("signs for {units}, CA {ca}{skipped}")
}
