//! The URI of a Juju secret, in every form Juju writes it. Reading the secret is
//! for the hook tools. Forms and alphabet: juju `core/secrets/secret.go`.

use std::fmt;
use std::str::FromStr;

use super::hostile::{only, shortened};

/// `secret:<id>`, `secret://<model-uuid>/<id>` or the bare id, where the id is
/// 20 lower-case letters and digits. Two are equal when their ids are.
#[derive(Debug, Clone)]
pub struct SecretUri {
    id: String,
    model: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a secret's URI like secret:9m4e2mr0ui3e8a215n4g: `{0}`")]
pub struct NotASecretUri(pub String);

impl SecretUri {
    /// The 20 characters that name the secret in its controller.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What `secret-get` needs: a secret of another model is found only when
    /// its model is named.
    pub fn to_read(&self) -> String {
        match &self.model {
            Some(model) => format!("secret://{model}/{}", self.id),
            None => self.to_string(),
        }
    }
}

impl PartialEq for SecretUri {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for SecretUri {}

impl fmt::Display for SecretUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret:{}", self.id)
    }
}

impl FromStr for SecretUri {
    type Err = NotASecretUri;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| NotASecretUri(shortened(text)))
    }
}

fn parse(text: &str) -> Option<SecretUri> {
    let rest = text.strip_prefix("secret:").unwrap_or(text);
    let (model, id) = match rest.strip_prefix("//").unwrap_or(rest).split_once('/') {
        Some((model, id)) => (Some(model.to_owned()), id),
        None => (None, rest),
    };
    let is_id = id.len() == 20 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'));
    let is_model = model.as_ref().is_none_or(|model| model.len() == 36 && only(model, "-"));
    (is_id && is_model).then(|| SecretUri { id: id.to_owned(), model })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "9m4e2mr0ui3e8a215n4g";
    const MODEL: &str = "6a5bcb1e-26a4-4a28-8ae7-5e2ad1ab1fd0";

    #[test]
    fn all_forms_of_one_secret_are_equal() {
        let bare: SecretUri = ID.parse().unwrap();
        for text in [format!("secret:{ID}"), format!("secret://{MODEL}/{ID}"), format!("secret:{MODEL}/{ID}")] {
            let uri: SecretUri = text.parse().unwrap();
            assert_eq!((&uri, uri.id(), uri.to_string()), (&bare, ID, format!("secret:{ID}")), "{text}");
        }
    }

    #[test]
    fn a_secret_of_another_model_is_read_with_its_model() {
        let uri: SecretUri = format!("secret://{MODEL}/{ID}").parse().unwrap();
        assert_eq!(uri.to_read(), format!("secret://{MODEL}/{ID}"));
        assert_eq!(ID.parse::<SecretUri>().unwrap().to_read(), format!("secret:{ID}"));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "a".repeat(1 << 20);
        for text in
            ["", "secret:", "secret://", "my-passwords", "secret:9M4E2MR0UI3E8A215N4G", "secret:--help", "../x", &long]
        {
            assert!(text.parse::<SecretUri>().is_err(), "{}", shortened(text));
        }
        assert!(format!("secret:{ID}\n").parse::<SecretUri>().is_err());
        assert!(format!("secret://../../etc/{ID}").parse::<SecretUri>().is_err());
    }
}
