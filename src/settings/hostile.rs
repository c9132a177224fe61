//! How hostile text is shown back: short and on one line. Which text is refused
//! is for the types that read it.

/// Characters of a refused text that are shown.
const SHOWN: usize = 80;

/// Cut to 80 characters, control characters and quotes escaped.
pub(crate) fn shortened(text: &str) -> String {
    let clean: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() { format!("{clean}…") } else { clean }
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
