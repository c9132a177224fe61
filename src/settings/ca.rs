//! `tls-ca-chain`: the certificates a store's own may be signed by, as one PEM
//! text. Whether TLS can use them is for the one who connects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of the longest chain that is read.
pub(super) const LONGEST: usize = 256 << 10;

pub(super) const WANT: &str = "a JSON list of PEM certificates, 256 KiB at most";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A JSON list of PEM texts; an entry, or the whole, may also be base64 of PEM
/// (the interface's README says so, its code writes PEM). `None`: an empty list.
pub(super) fn joined(text: &str) -> Result<Option<String>, &'static str> {
    if text.len() > LONGEST {
        return Err(WANT);
    }
    let entries = if text.starts_with('[') {
        serde_json::from_str::<Vec<String>>(text).map_err(|_| WANT)?
    } else {
        vec![text.to_owned()]
    };
    let mut chain = String::new();
    for entry in entries.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
        chain.push_str(&certificates(&plain(entry)?)?);
    }
    Ok(Some(chain).filter(|chain| !chain.is_empty()))
}

fn plain(entry: &str) -> Result<String, &'static str> {
    if entry.starts_with("-----") {
        return Ok(entry.to_owned());
    }
    let compact: String = entry.split_whitespace().collect();
    let bytes = STANDARD.decode(compact).map_err(|_| WANT)?;
    String::from_utf8(bytes).map_err(|_| WANT)
}

/// Takes certificates and nothing else: no key, no text between them.
fn certificates(pem: &str) -> Result<String, &'static str> {
    let mut chain = String::new();
    let mut rest = pem.trim();
    while !rest.is_empty() {
        let (body, after) = rest.strip_prefix(BEGIN).and_then(|rest| rest.split_once(END)).ok_or(WANT)?;
        let lines: Vec<&str> = body.split_whitespace().collect();
        STANDARD.decode(lines.concat()).ok().filter(|der| !der.is_empty()).ok_or(WANT)?;
        chain.push_str(&format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")));
        rest = after.trim_start();
    }
    if chain.is_empty() { Err(WANT) } else { Ok(chain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrapping_gives_the_same_chain() {
        let one = format!("{BEGIN}\nAAAA\n{END}\n");
        let two = format!("{BEGIN}\nBBBB\nCCCC\n{END}\n");
        let json = |entries: &[&str]| serde_json::to_string(entries).unwrap();
        let both = format!("{one}{two}");
        #[rustfmt::skip]
        let table = [
            (json(&[&one, &two]),                             Some(&both)),
            (json(&[one.trim(), &two.replace('\n', "\r\n")]), Some(&both)),
            (json(&[&both]),                                  Some(&both)),
            (json(&[&STANDARD.encode(&one), &two]),           Some(&both)),
            (STANDARD.encode(&both),                          Some(&both)),
            (both.clone(),                                    Some(&both)),
            (json(&[]),                                       None),
            (json(&[""]),                                     None),
        ];
        for (text, want) in table {
            assert_eq!(joined(&text).unwrap().as_ref(), want, "{text}");
        }
    }

    #[test]
    fn anything_but_certificates_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        let after = format!("{BEGIN}\nAAAA\n{END}\nrepo1-path=/");
        let cut = format!("{BEGIN}\nAAAA");
        let odd = format!("{BEGIN}\n$(id)\n{END}");
        let empty = format!("{BEGIN}{END}");
        let long = "A".repeat(LONGEST + 1);
        for text in [key, &after, &cut, &odd, &empty, &long, "[1]", "[", "{}", "null", "no certificate"] {
            assert_eq!(joined(text), Err(WANT), "{}", &text[..text.len().min(60)]);
        }
    }
}
