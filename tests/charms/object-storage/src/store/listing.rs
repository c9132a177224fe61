//! One page of a list, exact in order and in what belongs to the next page. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub prefix: String,
    pub delimiter: String,
    /// Only what sorts after this. A common prefix given here skips all that is below it.
    pub after: String,
    pub max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub contents: Vec<(String, T)>,
    pub prefixes: Vec<String>,
    /// Where to go on: the last key or common prefix of this page, when there is more.
    pub next: Option<String>,
}

impl Query {
    /// The common prefix that stands for this key in the list, if one does.
    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let at = key.get(self.prefix.len()..)?.find(&self.delimiter)?;
        key.get(..self.prefix.len() + at + self.delimiter.len())
    }

    pub fn run<T: Clone>(&self, keys: &BTreeMap<String, T>) -> Page<T> {
        let mut page = Page { contents: Vec::new(), prefixes: Vec::new(), next: None };
        let mut last = None;
        let mut from = self.start();
        'pages: while let Some(start) = from.take() {
            let range = (start.as_ref().map(String::as_str), Bound::Unbounded);
            for (key, value) in keys.range::<str, _>(range) {
                if !key.starts_with(&self.prefix) {
                    break 'pages;
                }
                if page.contents.len() + page.prefixes.len() == self.max {
                    page.next = last;
                    break 'pages;
                }
                match self.common_prefix(key) {
                    Some(common) => {
                        page.prefixes.push(common.to_owned());
                        last = Some(common.to_owned());
                        from = successor(common).map(Bound::Included);
                        continue 'pages;
                    }
                    None => {
                        page.contents.push((key.clone(), value.clone()));
                        last = Some(key.clone());
                    }
                }
            }
        }
        page
    }

    fn start(&self) -> Option<Bound<String>> {
        if self.max == 0 {
            return None;
        }
        if self.after.as_str() < self.prefix.as_str() {
            return Some(Bound::Included(self.prefix.clone()));
        }
        match self.after.starts_with(&self.prefix) && self.common_prefix(&self.after) == Some(&self.after) {
            true => successor(&self.after).map(Bound::Included),
            false => Some(Bound::Excluded(self.after.clone())),
        }
    }
}

/// The least text that sorts after every text that starts with this one. UTF-8 sorts as its characters do.
fn successor(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    while let Some(last) = text.pop() {
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(list: &[&str]) -> BTreeMap<String, ()> {
        list.iter().map(|&key| (key.to_owned(), ())).collect()
    }

    fn names(page: &Page<()>) -> Vec<&str> {
        page.contents.iter().map(|(key, ())| key.as_str()).collect()
    }

    type Names = &'static [&'static str];
    type Row = (&'static str, &'static str, &'static str, Names, Names);

    #[test]
    fn prefix_and_delimiter() {
        let keys = keys(&["a", "a-b", "a/b", "a/c/d", "a/c/e", "a0", "b/", "é/ü"]);
        #[rustfmt::skip]
        let table: [Row; 8] = [
            // prefix delimiter after   keys                            common prefixes
            ("",      "/",      "",     &["a", "a-b", "a0"],            &["a/", "b/", "é/"]),
            ("a",     "/",      "",     &["a", "a-b", "a0"],            &["a/"]),
            ("a/",    "/",      "",     &["a/b"],                       &["a/c/"]),
            ("a/c/",  "/",      "",     &["a/c/d", "a/c/e"],            &[]),
            ("",      "/",      "a/",   &["a0"],                        &["b/", "é/"]),
            ("",      "",       "a/c/d",&["a/c/e", "a0", "b/", "é/ü"],  &[]),
            ("x",     "/",      "",     &[],                            &[]),
            ("",      "",       "é/ü",  &[],                            &[]),
        ];
        for (prefix, delimiter, after, contents, prefixes) in table {
            let query = Query { prefix: prefix.into(), delimiter: delimiter.into(), after: after.into(), max: 1000 };
            let page = query.run(&keys);
            assert_eq!(
                (names(&page), page.prefixes.iter().map(String::as_str).collect::<Vec<_>>()),
                (contents.to_vec(), prefixes.to_vec()),
                "{query:?}"
            );
        }
    }

    #[test]
    fn pages_of_any_size_say_the_same_as_one_page() {
        let keys = keys(&["a", "a-b", "a/b", "a/c/d", "a/c/e", "a0", "b/", "b/x", "c", "é/ü", "é/v"]);
        for (prefix, delimiter) in [("", ""), ("", "/"), ("a", "/"), ("a/", "/"), ("é", "/")] {
            let query = Query { prefix: prefix.into(), delimiter: delimiter.into(), after: String::new(), max: 1000 };
            let whole = query.run(&keys);
            for max in 1..6 {
                let (mut got, mut common) = (Vec::new(), Vec::new());
                let mut query = Query { max, ..query.clone() };
                loop {
                    let page = query.run(&keys);
                    assert!(page.contents.len() + page.prefixes.len() <= max);
                    got.extend(page.contents);
                    common.extend(page.prefixes);
                    match page.next {
                        Some(next) => query.after = next,
                        None => break,
                    }
                }
                assert_eq!((got, common), (whole.contents.clone(), whole.prefixes.clone()));
            }
        }
    }

    #[test]
    fn a_page_that_ends_with_the_last_key_is_not_truncated() {
        let query = Query { max: 2, ..Query::default() };
        assert_eq!(query.run(&keys(&["a", "b"])).next, None);
        assert_eq!(query.run(&keys(&["a", "b", "c"])).next, Some("b".to_owned()));
        assert_eq!(Query { max: 0, ..Query::default() }.run(&keys(&["a"])).next, None);
    }

    #[test]
    fn the_successor_of_a_text_passes_all_that_is_below_it() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(successor("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
