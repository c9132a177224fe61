//! Which names Juju accepts, and how names turn into tags. Pure.

use regex_lite::Regex;

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|rule| rule.is_match(text))
}

pub(crate) fn is_application(name: &str) -> bool {
    name.len() <= 63 && matches("^[a-z](-?[a-z0-9]+)*$", name) && !matches("-[0-9]+$", name)
}

pub(crate) fn is_model(name: &str) -> bool {
    name.len() <= 63 && matches("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", name)
}

pub(crate) fn is_unit(name: &str) -> bool {
    name.split_once('/').is_some_and(|(app, number)| is_application(app) && number.parse::<u32>().is_ok())
}

/// A name that may become part of a path below a charm directory.
pub(crate) fn is_plain(name: &str) -> bool {
    matches("^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", name)
}

/// Action names and the segments of action parameter keys.
pub(crate) fn is_action_word(name: &str) -> bool {
    matches("^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$", name)
}

pub(crate) fn is_secret_key(name: &str) -> bool {
    matches("^([a-z](?:-?[a-z0-9]){2,})$", name)
}

/// `app/3` -> `app`.
pub(crate) fn app_of(unit: &str) -> &str {
    unit.split_once('/').map_or(unit, |(app, _)| app)
}

pub(crate) fn number_of(unit: &str) -> u32 {
    unit.split_once('/').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// `app/3` -> `unit-app-3`.
pub(crate) fn unit_tag(unit: &str) -> String {
    format!("unit-{}", unit.replace('/', "-"))
}

/// Orders `app/2` before `app/10`.
pub(crate) fn natural(unit: &str) -> (String, u32) {
    (app_of(unit).to_owned(), number_of(unit))
}
