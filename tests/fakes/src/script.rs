//! The script, its wire form (read by the `fake` binary), and which expectation a call meets. Pure.

use serde::{Deserialize, Serialize};

/// Raised when the wire form changes: a `fake` built from older sources then refuses by name.
pub const FORMAT: u32 = 1;
/// Exit code of a call that the script does not know.
pub const UNEXPECTED: i32 = 97;
pub const SCRIPT_FILE: &str = ".script.json";
pub const CALLS_FILE: &str = ".calls.jsonl";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Script {
    pub format: u32,
    pub any_order: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Step {
    pub program: String,
    pub args: Vec<String>,
    pub stdin: Option<String>,
    pub stdout: String,
    pub stderr: String,
    pub exit: i32,
    pub writes: Vec<(String, String)>,
    pub repeat: bool,
}

/// One call that was made. `step` is what it met: `None` means that it was unexpected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub program: String,
    pub args: Vec<String>,
    pub stdin: Option<String>,
    pub step: Option<usize>,
}

impl Script {
    #[must_use]
    pub fn new() -> Self {
        Self { format: FORMAT, ..Self::default() }
    }

    /// A call to expect. The methods after it describe the answer to this call.
    #[must_use]
    pub fn expect<A: Into<String>>(mut self, program: &str, args: impl IntoIterator<Item = A>) -> Self {
        self.steps.push(Step {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            ..Step::default()
        });
        self
    }

    /// Calls may come in any order; the first unmet expectation that fits is taken.
    #[must_use]
    pub fn any_order(mut self) -> Self {
        self.any_order = true;
        self
    }

    #[must_use]
    pub fn stdout(self, text: impl Into<String>) -> Self {
        self.last(|step| step.stdout = text.into())
    }

    #[must_use]
    pub fn stderr(self, text: impl Into<String>) -> Self {
        self.last(|step| step.stderr = text.into())
    }

    #[must_use]
    pub fn exit(self, code: i32) -> Self {
        self.last(|step| step.exit = code)
    }

    /// Standard input must be this (`*` stands for any text, as in arguments). Without it standard input is not read at all,
    /// so that a caller that leaves it open does not hang.
    #[must_use]
    pub fn stdin(self, text: impl Into<String>) -> Self {
        self.last(|step| step.stdin = Some(text.into()))
    }

    /// The call leaves this file behind (absolute, or relative to where it was run).
    #[must_use]
    pub fn writes(self, path: impl Into<String>, contents: impl Into<String>) -> Self {
        self.last(|step| step.writes.push((path.into(), contents.into())))
    }

    /// The call is made once or more often.
    #[must_use]
    pub fn repeat(self) -> Self {
        self.last(|step| step.repeat = true)
    }

    fn last(mut self, change: impl FnOnce(&mut Step)) -> Self {
        change(self.steps.last_mut().expect("call `expect` first"));
        self
    }

    /// The steps that this call could meet, best first; standard input is compared later.
    #[must_use]
    pub fn candidates(&self, made: &[Call], program: &str, args: &[String]) -> Vec<usize> {
        let met = |index: usize| made.iter().any(|call| call.step == Some(index));
        let fits = |index: &usize| self.steps[*index].fits(program, args);
        let unmet = (0..self.steps.len()).filter(|index| !met(*index));
        let repeats = |index: &usize| self.steps[*index].repeat;
        let again: Vec<_> = match self.any_order {
            true => (0..self.steps.len()).filter(|index| met(*index)).filter(repeats).collect(),
            false => made.iter().rev().find_map(|call| call.step).filter(repeats).into_iter().collect(),
        };
        let open = if self.any_order { self.steps.len() } else { 1 };
        unmet.take(open).chain(again).filter(fits).collect()
    }

    #[must_use]
    pub fn never_made(&self, made: &[Call]) -> Vec<String> {
        let met = |index: usize| made.iter().any(|call| call.step == Some(index));
        let unmet = self.steps.iter().enumerate().filter(|(index, _)| !met(*index));
        unmet.map(|(_, step)| shown(&step.program, &step.args)).collect()
    }
}

impl Step {
    fn fits(&self, program: &str, args: &[String]) -> bool {
        self.program == program && list_fits(&self.args, args)
    }

    #[must_use]
    pub fn hears(&self, stdin: Option<&str>) -> bool {
        self.stdin.as_deref().is_none_or(|wanted| stdin.is_some_and(|stdin| text_fits(wanted, stdin)))
    }
}

/// The words of a call as one would type them.
#[must_use]
pub fn shown(program: &str, args: &[String]) -> String {
    let words = args.iter().map(|arg| match arg.contains([' ', '\n', '"']) || arg.is_empty() {
        true => format!(" {arg:?}"),
        false => format!(" {arg}"),
    });
    words.fold(program.to_owned(), |line, word| line + &word)
}

fn list_fits(wanted: &[String], got: &[String]) -> bool {
    match (wanted, got) {
        ([], rest) => rest.is_empty(),
        ([any, wanted @ ..], got) if any == "**" => (0..=got.len()).any(|skipped| list_fits(wanted, &got[skipped..])),
        (_, []) => false,
        ([first, wanted @ ..], [arg, got @ ..]) => text_fits(first, arg) && list_fits(wanted, got),
    }
}

fn text_fits(wanted: &str, got: &str) -> bool {
    match wanted.split_once('*') {
        None => wanted == got,
        Some((head, tail)) => got.strip_prefix(head).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| text_fits(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{list_fits, text_fits};

    #[test]
    fn stars_stand_for_text_and_double_stars_for_arguments() {
        #[rustfmt::skip]
        let table: [(&[&str], &[&str], bool); 8] = [
            (&["info"],               &["info"],                   true),
            (&["info"],               &["info", "more"],           false),
            (&["--set=*", "restore"], &["--set=2026F", "restore"], true),
            (&["--set=*", "restore"], &["restore"],                false),
            (&["*"],                  &[""],                       true),
            (&["**"],                 &[],                         true),
            (&["**", "restore"],      &["a", "b", "restore"],      true),
            (&["**", "restore"],      &["restore", "a"],           false),
        ];
        for (wanted, got, expected) in table {
            let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
            assert_eq!(list_fits(&owned(wanted), &owned(got)), expected, "{wanted:?} {got:?}");
        }
        assert!(text_fits("a*b*c", "a1b2bc"));
        assert!(!text_fits("a*b*c", "a1c"));
    }
}
