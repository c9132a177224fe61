//! The same actions for people and timers on the unit: no Juju, no hook tools,
//! only the unit's folder that the last reconcile filled.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::actions::{self, ListFormat, Progress, Results};
use crate::agent::{Agent, UnitFile, take_lock};
use crate::cluster::Layout;
use crate::model::{AgentError, BackupKind};
use crate::service;
use crate::sys::environment::Vars;

/// Backup and restore of a PostgreSQL unit. Started by Juju it needs no argument;
/// the commands below are for people and timers on the unit.
#[derive(Parser)]
#[command(name = "pg-backup-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take a backup from this unit
    CreateBackup {
        /// The unit's storage folder (storage-get location)
        #[arg(long)]
        unit_dir: PathBuf,
        #[arg(long, value_enum, default_value = "full")]
        r#type: Kind,
    },
    /// List finished, failed and running backups
    ListBackups {
        /// The unit's storage folder (storage-get location)
        #[arg(long)]
        unit_dir: PathBuf,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Listen for what other units need of this one; the charm starts it
    #[command(hide = true)]
    UnitService {
        /// The unit's storage folder (storage-get location)
        #[arg(long)]
        unit_dir: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Full,
    Differential,
    Incremental,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub async fn run(vars: &Vars, args: Vec<String>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own text; a closed terminal is nobody's fault.
            let _ = error.print();
            return error.exit_code() as u8;
        }
    };
    match perform(vars, cli.command).await {
        Ok(results) => {
            results.iter().for_each(|(key, value)| show(key, value));
            0
        }
        Err(error) => {
            eprintln!("{}", error.explain());
            1
        }
    }
}

fn show(key: &str, value: &str) {
    match key {
        "backups" => println!("{value}"),
        key if value.contains('\n') => println!("{key}:\n{value}"),
        key => println!("{key}: {value}"),
    }
}

async fn perform(vars: &Vars, command: Command) -> Result<Results, AgentError> {
    match command {
        Command::CreateBackup { unit_dir, r#type } => {
            let kind = match r#type {
                Kind::Full => BackupKind::Full,
                Kind::Differential => BackupKind::Differential,
                Kind::Incremental => BackupKind::Incremental,
            };
            // First whether it is a unit at all, then once more when nobody else writes.
            load(vars, unit_dir.clone())?;
            let _lock = take_lock(&Layout::below(&unit_dir))?;
            actions::create_backup(&mut load(vars, unit_dir)?, &Progress::Terminal, kind).await
        }
        Command::ListBackups { unit_dir, format } => {
            let format = match format {
                Format::Table => ListFormat::Table,
                Format::Json => ListFormat::Json,
            };
            let mut results = actions::list_backups(&load(vars, unit_dir)?, format).await?;
            // One document and nothing else.
            results.retain(|(key, _)| format == ListFormat::Table || key == "backups");
            Ok(results)
        }
        Command::UnitService { unit_dir } => {
            service::run(vars, unit_dir).await;
            Ok(Vec::new())
        }
    }
}

fn load(vars: &Vars, unit_dir: PathBuf) -> Result<Agent, AgentError> {
    let file = UnitFile::load(&Layout::below(&unit_dir).state())?.ok_or_else(|| {
        AgentError::refused(
            format!("{} is not the folder of a unit", unit_dir.display()),
            "Find it with: juju exec --unit <unit> -- storage-get -s pgdata/0 location",
        )
    })?;
    Agent::new(vars.get("PATH").map(String::as_str).unwrap_or_default(), unit_dir, file)
}
