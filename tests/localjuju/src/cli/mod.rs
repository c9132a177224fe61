//! The command line: juju's words in, the daemon's answers out.

mod args;
mod change;
mod client;
mod fault;
mod host;
mod input;
mod log;
mod print;
mod run;
mod table;
mod talk;
mod waitfor;

use std::process::ExitCode;

use clap::Parser as _;

use args::Cli;

/// How a command fails: told on stderr as `ERROR …`, with this exit code.
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl From<anyhow::Error> for Failure {
    fn from(fault: anyhow::Error) -> Self {
        Self { code: 1, text: format!("{fault:#}") }
    }
}

pub(crate) type Outcome = Result<(), Failure>;

pub(crate) fn run(args: Vec<String>) -> ExitCode {
    // Without SIGPIPE's default, `localjuju debug-log | head` would panic; a closed pipe is a quiet end here.
    let words = std::iter::once("juju".to_owned()).chain(args);
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(fault) => {
            use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
            if matches!(fault.kind(), DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand) {
                let _ = fault.print();
                return ExitCode::SUCCESS;
            }
            let text = fault.render().to_string();
            eprint!("ERROR {}", text.trim_start_matches("error: "));
            return ExitCode::from(2);
        }
    };
    match talk::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ERROR {}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

/// Words as one line for a shell.
pub(crate) fn shell_line(words: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_@%+=:,./-".contains(letter))
    };
    let quoted = words
        .iter()
        .map(|word| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', "'\"'\"'")) });
    quoted.collect::<Vec<_>>().join(" ")
}
