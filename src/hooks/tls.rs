//! TLS of this unit: asks the related authority for a certificate, takes it,
//! renews it, bridges where the authority is away, and goes with the other
//! units, one step a hook, from plain connections to TLS and back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::peers::PeerRelation;
use crate::agent::{Agent, Held, Request, TlsFile};
use crate::certificate::{Bundle, Subject, UnitKey, bridge, csr_covers, request};
use crate::juju::{Juju, JujuError};
use crate::model::{AgentError, Peer, TlsStage};
use crate::policy::status::{Condition, waiting};
use crate::policy::tls::{
    self, AnswerSeen, BRIDGE_VALIDITY, CertificateFacts, CertificateStep, Names, PeerCas, PeerTrusts, Present,
    Published, Readiness, Requested, Validity, Wish,
};
use crate::settings::certificates::{self, Answer};
use crate::sys::{clock, files, network};

const ENDPOINT: &str = "certificates";
/// Key of our unit's bag.
const REQUESTS: &str = "certificate_signing_requests";
/// Key of the authority's bag.
const CERTIFICATES: &str = "certificates";

/// The relation with the authority.
struct Authority {
    relation: String,
    application: String,
    bag: String,
}

/// What follows in this hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Services,
    /// Our certificate has expired: no service is reached until the others know
    /// whom to trust, and they are told when this hook ends.
    TellTheOthers,
}

/// Before the services are looked after: the stage and the certificates that
/// they are to have from now on.
pub(super) async fn prepare(
    agent: &mut Agent,
    juju: &Juju,
    peers: Option<&PeerRelation>,
) -> Result<(Vec<Condition>, Next), AgentError> {
    let authority = authority(juju).await.map_err(|error| AgentError::fault("asking Juju", error))?;
    let told = peers.and_then(PeerRelation::told).unwrap_or_default();
    let mut file = TlsFile::load(agent)?;
    agent.file.wants_tls = authority.is_some();
    let mut conditions = Vec::new();
    if let Some(authority) = &authority {
        conditions.extend(certificate(agent, juju, authority, &mut file).await?);
    }
    use_pending(agent, &told, &mut file);
    let bag = authority.as_ref().map(|authority| authority.bag.as_str()).unwrap_or_default();
    let trusted = trusted(agent, &file, bag);
    file.save(agent)?;
    file.install(agent, &trusted)?;
    agent.file.ca_in_use = file.ca_in_use().to_pem();
    agent.file.ca_pending = file.ca_pending().to_pem();
    agent.file.will_trust = trusted.fingerprints();
    if !agent.file.joined || agent.file.reached == TlsStage::Plain {
        // Nothing runs that would have to read it first.
        agent.file.trusts = agent.file.will_trust.clone();
    }
    move_on(agent, &told, &file, &trusted)?;
    conditions.extend(on_the_way(agent, &file));
    let next = match file.pending.is_some() && present(&file) == Present::Refused && agent.member.stage.dials_tls() {
        true => Next::TellTheOthers,
        false => Next::Services,
    };
    Ok((conditions, next))
}

fn present(file: &TlsFile) -> Present {
    let in_use = file.in_use.as_ref().and_then(Held::certificate);
    match in_use.is_some_and(|certificate| certificate.not_after <= clock::now()) {
        true => Present::Refused,
        false => Present::Taken,
    }
}

/// After the services were looked after: those that read certificates when they
/// are told to are told, and the other units may rely on whom we trust. Not all
/// of the member need be up for that: others may wait for our trust.
pub(super) async fn told_services(agent: &mut Agent) -> Result<(), AgentError> {
    let read = |path: std::path::PathBuf| files::read(&path).ok().flatten().unwrap_or_default();
    let layout = agent.layout();
    let present = agent.digest(&[&read(layout.unit_pem()), &read(layout.trusted())]);
    if agent.file.certificates_told != present {
        agent.member.reload_patroni().await.map_err(|error| AgentError::fault("reloading Patroni", error))?;
        // Patroni hands a signal on only when a setting has changed. What is down reads at its start.
        if let Ok(session) = agent.postgres().await {
            session.reload().await.map_err(|error| AgentError::fault("reloading PostgreSQL", error))?;
        }
        agent.file.certificates_told = present;
    }
    agent.file.trusts = agent.file.will_trust.clone();
    tidy(agent)
}

/// Keys and authorities that nobody reads any more.
fn tidy(agent: &Agent) -> Result<(), AgentError> {
    let off = !agent.file.wants_tls && agent.file.reached == TlsStage::Plain;
    let tidied = match off {
        true => TlsFile::forget(agent.layout()),
        false => TlsFile::forget_trusted_but(agent.layout(), &agent.member.trust),
    };
    tidied.map_err(|error| AgentError::fault("removing old certificates", error))
}

/// The same for a unit whose database is not up, as far as its etcd is.
pub(super) async fn told_etcd(agent: &mut Agent) {
    if !agent.member.etcd_runs_as(&agent.etcd_start()).await {
        return;
    }
    if let Err(error) = told_services(agent).await {
        tracing::info!("certificates: {}", error.explain());
    }
}

async fn authority(juju: &Juju) -> Result<Option<Authority>, JujuError> {
    let Some(relation) = juju.relation_ids(ENDPOINT).await?.into_iter().next() else { return Ok(None) };
    let Some(application) = juju.relation_app(&relation).await? else { return Ok(None) };
    let bag = juju.app_bag(&relation, &application).await?.remove(CERTIFICATES).unwrap_or_default();
    Ok(Some(Authority { relation, application, bag }))
}

/// Every address by which this unit is known: its own, and the one that its
/// connections leave from, which is what etcd compares.
fn subject(agent: &Agent) -> Subject {
    let known = std::iter::once(&agent.file.address).chain(agent.file.peers.values().map(|peer| &peer.address));
    let sources = known.filter_map(|address| network::source_towards(address.parse().ok()?).ok());
    let own = agent.file.address.parse::<IpAddr>().ok();
    Subject {
        member: agent.member.name.clone(),
        addresses: own.into_iter().chain(sources).collect(),
        names: BTreeSet::new(),
    }
}

async fn certificate(
    agent: &Agent,
    juju: &Juju,
    authority: &Authority,
    file: &mut TlsFile,
) -> Result<Option<Condition>, AgentError> {
    let subject = subject(agent);
    let facts = facts(file, &subject, &authority.bag)?;
    for step in tls::what_to_do(&facts) {
        take_step(agent, &subject, &authority.bag, file, step)?;
    }
    publish(agent, juju, authority, file).await?;
    let names = Names { authority: &authority.application, unit: &agent.unit.to_string() };
    Ok(tls::certificate_condition(&facts, names).filter(|_| file.pending.is_none()))
}

fn facts(file: &TlsFile, subject: &Subject, bag: &str) -> Result<CertificateFacts, AgentError> {
    let (mut requested, mut answer) = (None, AnswerSeen::Nothing);
    if let Some(request) = &file.request {
        let key = request.key()?;
        let for_present_subject = csr_covers(&request.csr, &key, subject);
        requested = Some(Requested { published_at: request.published_at, for_present_subject });
        answer = match certificates::answer(bag, &request.csr, &key) {
            Answer::Nothing => AnswerSeen::Nothing,
            Answer::Revoked => AnswerSeen::Revoked,
            Answer::Unusable { why } => AnswerSeen::Unusable { why },
            Answer::Issued(issued) => {
                let held = [&file.in_use, &file.pending].into_iter().flatten();
                match held.into_iter().any(|held| held.certificate().as_ref() == Some(&issued.certificate)) {
                    true => AnswerSeen::InUse,
                    false => AnswerSeen::New(Validity {
                        not_before: issued.certificate.not_before,
                        not_after: issued.certificate.not_after,
                    }),
                }
            }
        };
    }
    Ok(CertificateFacts {
        now: clock::now(),
        in_use: file.in_use.as_ref().filter(|_| !file.revoked).and_then(|held| held.facts(subject)),
        pending: file.pending.as_ref().and_then(|held| held.facts(subject)),
        request: requested,
        answer,
    })
}

fn take_step(
    agent: &Agent,
    subject: &Subject,
    bag: &str,
    file: &mut TlsFile,
    step: CertificateStep,
) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("making a certificate", error);
    tracing::info!(?step, "certificate");
    match step {
        // The services show it until there is another that all units trust.
        CertificateStep::StopUsing => file.revoked = true,
        CertificateStep::Request => {
            let key = UnitKey::generate().map_err(failed)?;
            let csr = request(&key, subject).map_err(failed)?;
            file.request = Some(Request::new(&key, csr, clock::now()));
            // On disk before anybody is told of it.
            file.save(agent)?;
        }
        CertificateStep::Take => {
            let Some(request) = &file.request else { return Ok(()) };
            if let Answer::Issued(issued) = certificates::answer(bag, &request.csr, &request.key()?) {
                file.pending = Some(request.held(&issued, false));
            }
        }
        CertificateStep::Bridge => {
            let Some(request) = &file.request else { return Ok(()) };
            let issued = bridge(&request.key()?, subject, clock::now(), BRIDGE_VALIDITY).map_err(failed)?;
            file.pending = Some(request.held(&issued, true));
        }
    }
    Ok(())
}

/// Only what is new is written: an authority signs every request that changes.
async fn publish(agent: &Agent, juju: &Juju, authority: &Authority, file: &TlsFile) -> Result<(), AgentError> {
    let failed = |error: JujuError| AgentError::fault("asking the authority for a certificate", error);
    let Some(request) = &file.request else { return Ok(()) };
    let own = juju.unit_bag(&authority.relation, &agent.unit.to_string()).await.map_err(failed)?;
    let wanted = certificates::requests(&request.csr);
    if own.get(REQUESTS) == Some(&wanted) {
        return Ok(());
    }
    let bag = BTreeMap::from([(REQUESTS.to_owned(), wanted)]);
    juju.set_unit_bag(&authority.relation, &bag).await.map_err(failed)
}

/// Units that take part in what is agreed on; new ones speak to nobody yet.
fn spoken(agent: &Agent) -> impl Iterator<Item = &Peer> {
    agent.file.peers.values().filter(|peer| peer.stage.is_some())
}

fn bundle(pem: &str) -> Bundle {
    Bundle::from_pem(pem).unwrap_or_default()
}

fn use_pending(agent: &Agent, told: &Peer, file: &mut TlsFile) {
    let Some(pending) = &file.pending else { return };
    let peers: Vec<_> = spoken(agent).map(|peer| Some(PeerTrusts { trusts: peer.trusts.clone() })).collect();
    let wanted = pending.authority().fingerprints();
    // Alone there is nobody to tell first.
    let published = match is_alone(agent) {
        true => wanted.clone(),
        false => bundle(&told.ca_pending).union(&bundle(&told.ca_in_use)).fingerprints(),
    };
    if tls::may_use(&wanted, &published, &peers, present(file)) {
        file.in_use = file.pending.take();
        file.revoked = false;
    }
}

fn trusted(agent: &Agent, file: &TlsFile, bag: &str) -> Bundle {
    let own = PeerCas { in_use: file.ca_in_use(), pending: file.ca_pending() };
    let peers: Vec<_> = agent
        .file
        .peers
        .values()
        .map(|peer| PeerCas { in_use: bundle(&peer.ca_in_use), pending: bundle(&peer.ca_pending) })
        .collect();
    tls::trusted(&own, &certificates::authorities(bag), &peers)
}

/// Is there no other unit, nor one on its way?
fn is_alone(agent: &Agent) -> bool {
    agent.file.known_units.len() <= 1
}

/// One step towards what is wished, if all units are ready for it.
fn move_on(agent: &mut Agent, told: &Peer, file: &TlsFile, trusted: &Bundle) -> Result<(), AgentError> {
    let wish = wish(agent.file.wants_tls);
    let digest = agent.digest(&[&trusted.to_pem()]);
    let readiness = readiness(agent, file);
    let present = agent.member.stage;
    let next = match () {
        () if is_alone(agent) => all_the_way(wish, readiness, present),
        () if !agent.file.joined => {
            let first = first_stage(agent, told, wish, readiness)?;
            agent.file.reached = first;
            first
        }
        // The copy comes first: a Patroni that makes one is not replaced.
        () if agent.file.system_id.is_none() => present,
        // The last step has not been told yet.
        () if told.stage != Some(present) => present,
        () => tls::next_stage(published(told, present), wish, readiness, &said(agent)),
    };
    if next != present {
        tracing::info!(%present, %next, "TLS");
    }
    agent.enter_stage(next, digest)
}

/// Alone there is nobody to wait for.
fn all_the_way(wish: Wish, readiness: Readiness, present: TlsStage) -> TlsStage {
    match (wish, readiness) {
        (Wish::On, Readiness::Trusted) => TlsStage::Only,
        (Wish::On, _) => present,
        (Wish::Off, _) => TlsStage::Plain,
    }
}

fn published(told: &Peer, stage: TlsStage) -> Published {
    Published { stage, wish: wish(told.wants_tls) }
}

fn said(agent: &Agent) -> Vec<Option<Published>> {
    let peers = agent.file.peers.values();
    peers.map(|peer| Some(Published { stage: peer.stage?, wish: wish(peer.wants_tls) })).collect()
}

/// A unit that has not started yet tells the others first how it will speak, and
/// starts in a later hook: meanwhile none of them may go on without it.
fn first_stage(agent: &mut Agent, told: &Peer, wish: Wish, readiness: Readiness) -> Result<TlsStage, AgentError> {
    let peers = said(agent);
    let own = told.stage.map(|stage| published(told, stage));
    let announced = tls::announce(own, wish, readiness, &peers);
    agent.file.announced = announced.map(|announced| announced.stage);
    let waits = |why: &str| AgentError::fault("waiting to join the cluster", why.to_owned());
    match (announced, own) {
        (None, _) => Err(waits("the other units speak TLS, and this one has no certificate yet")),
        (Some(announced), Some(own)) if announced == own && tls::may_start(own, wish, &peers) => Ok(own.stage),
        (Some(announced), Some(own)) if announced == own => Err(waits("the other units are changing over")),
        (Some(_), _) => Err(waits("the other units are told first how this one speaks")),
    }
}

fn wish(wanted: bool) -> Wish {
    if wanted { Wish::On } else { Wish::Off }
}

fn readiness(agent: &Agent, file: &TlsFile) -> Readiness {
    let Some(in_use) = &file.in_use else { return Readiness::NoCertificate };
    let ours = in_use.authority().fingerprints();
    match spoken(agent).all(|peer| ours.is_subset(&peer.trusts)) {
        true => Readiness::Trusted,
        false => Readiness::NotTrusted,
    }
}

/// The change of a whole cluster takes a few hooks of each unit.
fn on_the_way(agent: &Agent, file: &TlsFile) -> Option<Condition> {
    let stage = agent.member.stage;
    match agent.file.wants_tls {
        true if stage != TlsStage::Only && file.in_use.is_some() => {
            Some(waiting(format!("turning TLS on: this unit is at `{stage}`, and goes on with the others")))
        }
        false if stage != TlsStage::Plain => {
            Some(waiting(format!("turning TLS off: this unit is at `{stage}`, and goes on with the others")))
        }
        _ => None,
    }
}
