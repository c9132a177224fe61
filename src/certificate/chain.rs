//! Puts what an authority sent in order, leaf to root, whatever order it came in.

use super::{Bundle, Certificate, CertificateError};

/// Intermediates that are followed: real authorities have one or two.
const DEEPEST: usize = 8;

/// Certificates of one answer: bounds the signatures a hostile one makes us verify.
const MOST: usize = 32;

/// A certificate with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub certificate: Certificate,
    /// The intermediates, the leaf's issuer first; neither leaf nor root.
    pub chain: Vec<Certificate>,
    /// The root (or roots) it ends in.
    pub ca: Bundle,
}

impl Issued {
    /// Leaf and intermediates, as servers and clients send them.
    pub fn chain_pem(&self) -> String {
        std::iter::once(&self.certificate).chain(&self.chain).map(Certificate::to_pem).collect()
    }
}

/// An ordered chain. It may lack its root: see [`Chain::complete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub leaf: Certificate,
    /// The leaf's issuer first.
    pub intermediates: Vec<Certificate>,
    /// Self-signed CAs that sign the last of the above: one, or several with one
    /// name and key (a root that was renewed with its old key).
    pub roots: Vec<Certificate>,
}

impl Chain {
    /// From the provider's `certificate`, `ca` and `chain`: PEM texts of one or
    /// more certificates, in any order, with or without the leaf. What does not
    /// lead from the leaf upwards is left out.
    pub fn order<'a>(
        certificate: &str,
        ca: Option<&'a str>,
        chain: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, CertificateError> {
        let mut sent = Certificate::parse_all(certificate)?;
        for text in ca.into_iter().chain(chain).filter(|text| !text.trim().is_empty()) {
            sent.extend(Certificate::parse_all(text)?);
        }
        if sent.len() > MOST {
            return Err(CertificateError::TooMany { most: MOST });
        }
        let leaf = sent[0].clone();
        let pool: Vec<_> = sent.into_iter().filter(|sent| sent.is_ca && *sent != leaf).collect();
        Ok(follow(leaf, &pool))
    }

    /// The chain with a root; an authority that sends none is of no use to OpenSSL.
    pub fn complete(self) -> Result<Issued, CertificateError> {
        match self.intermediates.last() {
            _ if !self.roots.is_empty() => {
                Ok(Issued { certificate: self.leaf, chain: self.intermediates, ca: self.roots.into_iter().collect() })
            }
            None => Err(CertificateError::NoIssuer),
            Some(top) => Err(CertificateError::NoRoot { top: top.subject.clone() }),
        }
    }
}

fn follow(leaf: Certificate, pool: &[Certificate]) -> Chain {
    let mut intermediates: Vec<Certificate> = Vec::new();
    loop {
        let top = intermediates.last().unwrap_or(&leaf);
        let issuers: Vec<_> = pool.iter().filter(|ca| *ca != top && top.is_signed_by(ca)).collect();
        let mut roots: Vec<Certificate> = Vec::new();
        for root in issuers.iter().filter(|ca| ca.is_self_signed()) {
            if !roots.contains(root) {
                roots.push((*root).clone());
            }
        }
        let next = issuers.into_iter().find(|ca| !intermediates.contains(ca));
        match next {
            Some(next) if roots.is_empty() && intermediates.len() < DEEPEST => intermediates.push(next.clone()),
            _ => return Chain { leaf, intermediates, roots },
        }
    }
}
