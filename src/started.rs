//! Why were we started? Decided once, into an enum. Pure: the environment is an argument.

use crate::sys::environment::Vars;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// `actions/<name>`
    Action(String),
    /// `hooks/<name>`
    Hook(String),
    /// By a person, a timer or a script: argv counts.
    Cli,
}

/// `JUJU_DISPATCH_PATH` is the only thing Juju promises to set for both.
pub fn started(vars: &Vars) -> Started {
    match vars.get("JUJU_DISPATCH_PATH").map(String::as_str).unwrap_or_default().split_once('/') {
        Some(("actions", name)) => Started::Action(name.to_owned()),
        Some(("hooks", name)) => Started::Hook(name.to_owned()),
        _ => Started::Cli,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dispatch_path_decides() {
        #[rustfmt::skip]
        let table = [
            (Some("actions/create-backup"),                Started::Action("create-backup".into())),
            (Some("hooks/s3-parameters-relation-changed"), Started::Hook("s3-parameters-relation-changed".into())),
            (Some(""),                                     Started::Cli),
            (None,                                         Started::Cli),
        ];
        for (path, want) in table {
            let vars = path.map(|path| ("JUJU_DISPATCH_PATH".to_owned(), path.to_owned())).into_iter().collect();
            assert_eq!(started(&vars), want);
        }
    }
}
