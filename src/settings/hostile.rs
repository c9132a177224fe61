//! How hostile text is shown back: short and on one line. Which text is refused
//! is for the types that read it.

/// Characters of a refused text that are shown.
const SHOWN: usize = 80;

/// Cut to 80 characters, on one line: see [`shortened_to`].
pub(crate) fn shortened(text: &str) -> String {
    shortened_to(SHOWN, text)
}

/// Cut to `most` characters; what a terminal or a log would not print is escaped.
pub(crate) fn shortened_to(most: usize, text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars().take(most) {
        match c {
            '\'' | '"' | '\\' => clean.push(c),
            _ => clean.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(most).is_some() { clean + "…" } else { clean }
}

/// Are all characters ASCII letters, digits or one of `others`?
pub(super) fn only(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mebibyte_of_terminal_codes_becomes_one_short_line() {
        let got = shortened(&format!("a\nb\x1b[31m{}", "x".repeat(1 << 20)));
        assert!(got.starts_with("a\\nb\\u{1b}[31m") && got.ends_with('…') && got.len() < 200, "{got}");
        assert_eq!(shortened("plain"), "plain");
    }
}
