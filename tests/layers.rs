//! The walls of ARCHITECTURE.md, held by reading every file of `src/`: arrows point down, only `sys` touches the operating
//! system, some crates live in one place, no file grows too long. It decides nothing else, and compiles nothing of the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Every room listed before this row.
const LOWER: &str = "(the rooms listed above)";
/// Every room.
const ALL: &str = "(all rooms)";

/// Bottom to top: a room, and the rooms it may import. To let an arrow through, change this table and say why in the commit.
#[rustfmt::skip]
const ROOMS: &[(&str, &[&str])] = &[
    // pure
    ("secrets",  &[]),
    ("model",    &[]),
    ("certificate", &["secrets"]),
    ("settings", &["certificate", "model", "secrets"]),
    ("policy",   &["certificate", "model"]),
    ("restore",  &["model", "policy"]),
    ("report",   &["model", "policy"]),
    // the edge: `sys` knows nothing of the field but its error and how secrets are kept, its four neighbours never import each other
    ("sys",      &["model", "secrets"]),
    ("started",  &["model", "sys"]),
    ("store",    &["model", "secrets", "settings", "sys"]),
    ("engine",   &["model", "secrets", "settings", "sys"]),
    ("cluster",  &["model", "secrets", "settings", "sys"]),
    ("juju",     &["model", "secrets", "settings", "sys"]),
    // what puts them together
    ("agent",    &[LOWER]),
    ("observe",  &[LOWER]),
    ("repository", &[LOWER]),
    ("actions",  &[LOWER]),
    ("service",  &[LOWER]),
    ("hooks",    &[LOWER]),
    ("cli",      &[LOWER]),
    ("dispatch", &[LOWER]),
    ("main",     &[LOWER]),
    ("lib",      &[]),
];

/// Effects, and where alone they may stand (outside tests): below any of these paths.
#[rustfmt::skip]
const EFFECTS: &[(&str, &[&str])] = &[
    ("Command::new",     &["src/sys/"]),
    ("File::create",     &["src/sys/"]),
    ("File::options",    &["src/sys/"]),
    ("OpenOptions",      &["src/sys/"]),
    ("fs::write",        &["src/sys/"]),
    ("std::env",         &["src/sys/"]),
    ("Utc::now",         &["src/sys/"]),
    ("SystemTime::now",  &["src/sys/"]),
    ("rusoto_",          &["src/store/s3.rs", "src/store/s3/"]),
];

/// Crates that one file alone may name: each is to be replaced there.
const ONE_FILE_EACH: &[&str] = &["serde_yaml"];

const LONGEST: usize = 500;

#[test]
fn arrows_point_down() {
    let mut wrong = String::new();
    for file in sources() {
        let allowed = may_import(&file.room);
        for (line, target) in file.imports() {
            if target != file.room && !allowed.contains(target.as_str()) {
                let allowed = allowed.iter().copied().collect::<Vec<_>>().join(", ");
                let _ = writeln!(
                    wrong,
                    "{}:{line}: `{}` may not import `{target}` (it may: {allowed})",
                    file.path, file.room
                );
            }
        }
    }
    assert!(wrong.is_empty(), "these arrows point up:\n{wrong}the table is ROOMS in tests/layers.rs");
}

#[test]
fn the_table_names_the_rooms_that_exist() {
    let listed: BTreeSet<_> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let existing: BTreeSet<_> = sources().into_iter().map(|file| file.room).collect();
    assert_eq!(listed, existing, "left: rooms in tests/layers.rs, right: rooms in src/");
}

#[test]
fn effects_stand_at_the_edge() {
    let mut wrong = String::new();
    for file in sources() {
        for (number, line) in file.code_without_tests().lines().enumerate() {
            for (effect, places) in EFFECTS {
                if line.contains(effect) && !places.iter().any(|place| file.path.starts_with(place)) {
                    let _ =
                        writeln!(wrong, "{}:{}: `{effect}` belongs below {}", file.path, number + 1, places.join(", "));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "effects away from the edge:\n{wrong}the table is EFFECTS in tests/layers.rs");
}

#[test]
fn a_replaceable_crate_is_named_in_one_file() {
    for name in ONE_FILE_EACH {
        let users: Vec<_> =
            sources().into_iter().filter(|file| file.code.contains(name)).map(|file| file.path).collect();
        assert!(users.len() <= 1, "`{name}` belongs in one file, it is named in {}", users.join(", "));
    }
}

#[test]
fn every_file_says_what_it_decides_and_is_short() {
    let mut wrong = String::new();
    for file in sources() {
        let lines = file.text.lines().count();
        // A stub of one line has nothing to say yet.
        if lines > 1 && !file.text.starts_with("//!") {
            let _ = writeln!(wrong, "{}: its first line should be `//!` and say what it decides", file.path);
        }
        if lines > LONGEST {
            let _ = writeln!(wrong, "{}: {lines} lines, split it by concern (at most {LONGEST})", file.path);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn may_import(room: &str) -> BTreeSet<&'static str> {
    let Some(row) = ROOMS.iter().position(|(name, _)| *name == room) else { return BTreeSet::new() };
    let names = |rows: &[(&'static str, _)]| rows.iter().map(|(name, _)| *name).collect();
    match ROOMS[row].1 {
        [one] if *one == LOWER => names(&ROOMS[..row]),
        [one] if *one == ALL => names(ROOMS),
        listed => listed.iter().copied().collect(),
    }
}

/// One file of `src/`.
struct Source {
    path: String,
    room: String,
    /// `sys`, `services`, `systemd` for `src/sys/services/systemd.rs`.
    module: Vec<String>,
    text: String,
    /// The text with comments and the contents of strings blanked.
    code: String,
}

impl Source {
    fn read(top: &Path, path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a source file is readable text");
        let relative = path.strip_prefix(top).expect("below the top").with_extension("");
        let names = relative.iter().skip(1).map(|name| name.to_string_lossy().into_owned());
        let module: Vec<_> = names.filter(|name| name != "mod").collect();
        Self {
            path: path.strip_prefix(top).expect("below the top").display().to_string(),
            room: module[0].clone(),
            code: code_only(&text),
            module,
            text,
        }
    }

    /// Line and room of every path from the crate's root, and of every `super::` that climbs out of the room.
    fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for root in ["crate::", "pg_backup_agent::"] {
            for at in words(&self.code, root) {
                let heads = heads(&self.code[at + root.len()..]);
                found.extend(heads.into_iter().map(|head| (line_of(&self.code, at), head)));
            }
        }
        for at in words(&self.code, "super::") {
            let mut rest = &self.code[at..];
            let mut climbed = 0;
            while let Some(after) = rest.strip_prefix("super::") {
                (rest, climbed) = (after, climbed + 1);
            }
            // A module inside the file climbs less far than it looks: there only the name of a room counts.
            if climbed >= self.module.len() {
                let rooms = heads(rest).into_iter().filter(|head| ROOMS.iter().any(|(room, _)| room == head));
                found.extend(rooms.map(|head| (line_of(&self.code, at), head)));
            }
        }
        found
    }

    /// Tests stand at the end of a file, or in a file of their own.
    fn code_without_tests(&self) -> &str {
        if self.module.last().is_some_and(|name| name == "tests") {
            return "";
        }
        self.code.split("#[cfg(test)]").next().unwrap_or_default()
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("src/ is readable") {
            let path = entry.expect("src/ is readable").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&top.join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 10, "src/ was not found");
    paths.iter().map(|path| Source::read(top, path)).collect()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Where `word` stands on its own and is not a later part of a path or name.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| !code[..*at].ends_with(part_of_a_name))
}

/// The first names of a path after its root: `model::Lsn` -> model, `{model::Lsn, sys}` -> model, sys.
fn heads(path: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut heads = vec![name(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// Blanks comments and the contents of strings, and keeps every line where it is.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let blanked = skipped(rest, code.chars().next_back());
        if blanked == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..blanked].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[blanked..];
        }
    }
    code
}

/// How many bytes of a comment, string or character start here.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until("*/", 2);
    }
    if rest.starts_with('r') && !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        if rest[1 + hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
        }
    }
    let quote = match rest.chars().next() {
        Some('"') => '"',
        // A lifetime has no closing quote after its first letter.
        Some('\'') if rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'') => '\'',
        _ => return 0,
    };
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn the_reader_sees_code_only() {
    let table: BTreeMap<&str, &str> = BTreeMap::from([
        ("a // crate::sys\nb", "a              \nb"),
        ("a /* x\ny */ b", "a     \n     b"),
        (r#"f("crate::sys\"", 1)"#, "f(              , 1)"),
        (r###"r#"a"b"# x"###, "         x"),
        ("'\"' <'a> '\\'' c", "    <'a>      c"),
    ]);
    for (text, code) in table {
        assert_eq!(code_only(text), code, "{text}");
    }
}

#[test]
fn the_reader_takes_groups_apart() {
    let source = |path: &str, code: &str| Source {
        path: path.to_owned(),
        room: "juju".to_owned(),
        module: vec!["juju".to_owned(), "tools".to_owned()],
        text: String::new(),
        code: code.to_owned(),
    };
    #[rustfmt::skip]
    let table = [
        ("use crate::model::Lsn;",                              vec!["model"]),
        ("use crate::{model::{Lsn, Stanza}, sys::files,\n};",   vec!["model", "sys"]),
        ("pub(crate) fn f(x: pg_backup_agent::policy::Facts)",  vec!["policy"]),
        ("use other_crate::model; use my::crate::x;",           vec![]),
        ("use super::error;",                                   vec![]),
        ("use super::super::cluster::etcd;",                    vec!["cluster"]),
    ];
    for (code, expected) in table {
        let found: Vec<_> = source("src/juju/tools.rs", code).imports().into_iter().map(|(_, room)| room).collect();
        assert_eq!(found, expected, "{code}");
    }
}
