//! Whose repository it is. Decided before anything is written to it, because
//! two clusters in one repository overwrite and expire each other's backups.

use crate::model::Stanza;

/// What we are, and what the repository says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence<'a> {
    pub model_uuid: &'a str,
    pub stanza: &'a Stanza,
    /// PostgreSQL's system identifier; `None` while the database is not there yet.
    pub system_id: Option<u64>,
    /// The model that marked the repository (`model-uuid.txt`).
    pub marker_uuid: Option<&'a str>,
    /// Stanza folders found below `backup/` and `archive/`.
    pub stanzas: &'a [String],
    /// The system identifier in the catalog of our stanza, if there is one.
    pub catalog_system_id: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Nobody's yet.
    Free,
    Ours,
    /// `why` is the sentence for the user, which one it is and what to do.
    Foreign {
        why: String,
    },
}

pub fn decide(evidence: &Evidence<'_>) -> Ownership {
    let own_stanza = evidence.stanzas.iter().any(|name| name == evidence.stanza.as_str());
    let other_stanza = evidence.stanzas.iter().find(|name| *name != evidence.stanza.as_str());
    match (own_stanza, evidence.system_id, evidence.catalog_system_id) {
        // The database itself is the proof, whoever left a marker or a folder beside it.
        (true, Some(ours), Some(theirs)) if ours == theirs => return Ownership::Ours,
        (true, Some(ours), Some(theirs)) => return foreign(&other_database(evidence, ours, theirs)),
        _ => {}
    }
    if let Some(name) = other_stanza {
        return foreign(&format!("stanza `{name}`, this cluster is `{}`", evidence.stanza));
    }
    match evidence.marker_uuid {
        Some(uuid) if uuid.trim() != evidence.model_uuid => {
            foreign(&format!("it is marked by juju model {}, this is {}", uuid.trim(), evidence.model_uuid))
        }
        Some(_) => Ownership::Ours,
        None if evidence.catalog_system_id.is_some() => foreign(&format!(
            "stanza `{}`, and whether it is of this database is not known before that runs",
            evidence.stanza
        )),
        None => Ownership::Free,
    }
}

fn other_database(evidence: &Evidence<'_>, ours: u64, theirs: u64) -> String {
    format!("stanza `{}` of the database {theirs}, this one is {ours}", evidence.stanza)
}

fn foreign(which: &str) -> Ownership {
    let why = format!(
        "the S3 repository has backups from another cluster: {which}; \
         use another path or bucket: juju config s3-integrator path=<path>"
    );
    Ownership::Foreign { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Our system identifier, the marker, the stanzas, the catalog's system identifier; the verdict.
    type Row<'a> = (Option<u64>, Option<&'a str>, &'a [&'a str], Option<u64>, Ownership);

    #[test]
    fn a_repository_is_ours_by_its_database_then_by_its_stanza_then_by_its_marker() {
        use Ownership::{Free, Ours};
        let stanza = Stanza::parse("prod.postgresql").unwrap();
        let unknown =
            foreign("stanza `prod.postgresql`, and whether it is of this database is not known before that runs");
        let (own, other) = ("prod.postgresql", "test.postgresql");
        let other_stanza = || foreign("stanza `test.postgresql`, this cluster is `prod.postgresql`");
        #[rustfmt::skip]
        let table: [Row<'_>; 13] = [
            // our id  marker          stanzas         catalog   verdict
            (Some(7),  None,           &[],            None,     Free),
            (None,     None,           &[],            None,     Free),
            (Some(7),  Some("uuid-1"), &[],            None,     Ours),
            (Some(7),  Some("uuid-1\n"), &[own],       None,     Ours),
            (Some(7),  Some("uuid-1"), &[own],         Some(7),  Ours),
            (Some(7),  None,           &[own],         Some(7),  Ours),
            (Some(7),  Some("uuid-2"), &[own, other],  Some(7),  Ours),
            (None,     Some("uuid-1"), &[own],         Some(7),  Ours),
            (None,     None,           &[own],         Some(7),  unknown),
            (Some(7),  Some("uuid-1"), &[own],         Some(8),  foreign("stanza `prod.postgresql` of the database 8, this one is 7")),
            (Some(7),  Some("uuid-1"), &[other],       None,     other_stanza()),
            (Some(7),  None,           &[own, other],  None,     other_stanza()),
            (Some(7),  Some("uuid-2"), &[],            None,     foreign("it is marked by juju model uuid-2, this is uuid-1")),
        ];
        for (system_id, marker_uuid, stanzas, catalog_system_id, want) in table {
            let stanzas: Vec<_> = stanzas.iter().map(|&name| name.to_owned()).collect();
            let evidence = Evidence {
                model_uuid: "uuid-1",
                stanza: &stanza,
                system_id,
                marker_uuid,
                stanzas: &stanzas,
                catalog_system_id,
            };
            assert_eq!(decide(&evidence), want, "{evidence:?}");
        }
    }

    #[test]
    fn the_sentence_begins_as_charmed_postgresqls_does_and_goes_on() {
        let stanza = Stanza::parse("prod.postgresql").unwrap();
        let stanzas = ["test.postgresql".to_owned()];
        let evidence = Evidence {
            model_uuid: "uuid-1",
            stanza: &stanza,
            system_id: Some(7),
            marker_uuid: None,
            stanzas: &stanzas,
            catalog_system_id: None,
        };
        assert_eq!(
            decide(&evidence),
            Ownership::Foreign {
                why: "the S3 repository has backups from another cluster: stanza `test.postgresql`, this cluster is \
                      `prod.postgresql`; use another path or bucket: juju config s3-integrator path=<path>"
                    .to_owned()
            }
        );
    }
}
