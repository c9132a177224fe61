//! ssh and scp: units live on this machine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::client::ask;
use super::print::{self, out};
use super::{Failure, Outcome, run};
use crate::api::{Call, ModelRef, Targets};

pub(super) fn ssh(model: ModelRef, target: &str, words: &[String]) -> Outcome {
    let target = target.rsplit_once('@').map_or(target, |(_, target)| target);
    let commands = words.join(" ");
    let numeric = target.parse::<u32>().is_ok();
    let targets = Targets {
        units: if numeric { Vec::new() } else { vec![target.to_owned()] },
        machines: if numeric { vec![target.to_owned()] } else { Vec::new() },
        ..Targets::default()
    };
    if commands.is_empty() {
        return Err(Failure {
            code: 2,
            text: "a command is needed: there is no other machine to log in to".to_owned(),
        });
    }
    let scheduled = ask(&Call::Exec { model: model.clone(), targets, commands })?;
    let id = scheduled.pointer("/tasks/0/id").and_then(Value::as_u64).context("nothing was scheduled")?;
    let task = run::wait(&model, id, Instant::now() + Duration::from_secs(3600), false)?.context("timed out")?;
    out(print::text(&task, "/results/stdout"));
    eprint!("{}", print::text(&task, "/results/stderr"));
    match task.pointer("/results/return-code").and_then(Value::as_i64).unwrap_or(-1) {
        0 => Ok(()),
        code => Err(Failure { code: u8::try_from(code & 0xff).unwrap_or(1), text: format!("exit status {code}") }),
    }
}

pub(super) fn scp(words: &[String]) -> Result<()> {
    let local = |word: &str| word.split_once(':').map_or(word.to_owned(), |(_, path)| path.to_owned());
    let paths: Vec<String> = words.iter().filter(|word| !word.starts_with('-')).map(|word| local(word)).collect();
    let status = std::process::Command::new("cp").arg("-r").arg("--").args(&paths).status().context("starting cp")?;
    if status.success() { Ok(()) } else { bail!("exit status {}", status.code().unwrap_or(1)) }
}
