//! The command line's grammar. Words and flags are juju's; what has no meaning on one machine is taken and ignored.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::fault::Fault;

/// A small Juju for one machine.
#[derive(Debug, Parser)]
#[command(name = "juju", disable_version_flag = true)]
pub(super) struct Cli {
    /// Model to work in: `[controller:]model`.
    #[arg(short = 'm', long, global = true)]
    pub(super) model: Option<String>,
    /// Answers of commands that change something are not printed.
    #[arg(long, global = true)]
    pub(super) quiet: bool,
    #[arg(long, global = true, hide = true)]
    pub(super) debug: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Format {
    #[arg(long, value_name = "json|yaml|…")]
    pub(super) format: Option<String>,
    #[arg(short = 'o', long)]
    pub(super) output: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(super) color: bool,
    #[arg(long, hide = true)]
    pub(super) no_color: bool,
    #[arg(long, hide = true)]
    pub(super) utc: bool,
}

#[derive(Debug, Args)]
pub(super) struct Waiting {
    /// Longest time to wait for a task to end.
    #[arg(long)]
    pub(super) wait: Option<String>,
    /// Do not wait for the task.
    #[arg(long)]
    pub(super) background: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    AddModel {
        name: String,
        cloud: Option<String>,
        #[arg(long)]
        no_switch: bool,
        #[arg(long)]
        config: Vec<String>,
        #[arg(short = 'c', long)]
        controller: Option<String>,
        #[arg(long)]
        credential: Option<String>,
    },
    /// Remove a model with everything in it.
    DestroyModel {
        name: String,
        #[arg(long, short = 'y', alias = "yes")]
        no_prompt: bool,
        #[arg(long)]
        force: bool,
        #[arg(long)]
        no_wait: bool,
        #[arg(long)]
        destroy_storage: bool,
        #[arg(long)]
        release_storage: bool,
        #[arg(short = 't', long)]
        timeout: Option<String>,
    },
    #[command(alias = "list-models")]
    Models {
        #[command(flatten)]
        format: Format,
    },
    Switch {
        name: Option<String>,
    },
    ShowModel {
        name: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    ModelConfig {
        words: Vec<String>,
        #[arg(long, value_delimiter = ',')]
        reset: Vec<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Deploy a charm from a directory or a `.charm` file.
    Deploy(Box<Deploy>),
    #[command(alias = "upgrade-charm")]
    Refresh {
        app: String,
        #[arg(long)]
        path: Option<PathBuf>,
        #[arg(long)]
        config: Vec<String>,
        #[arg(long)]
        force: bool,
        #[arg(long)]
        force_base: bool,
        #[arg(long)]
        force_units: bool,
        #[arg(long)]
        base: Option<String>,
        #[arg(long)]
        channel: Option<String>,
        #[arg(long)]
        revision: Option<u32>,
        #[arg(long)]
        resource: Vec<String>,
        #[arg(long)]
        storage: Vec<String>,
        #[arg(long)]
        trust: bool,
    },
    AddUnit {
        app: String,
        #[arg(short = 'n', long, default_value_t = 1)]
        num_units: u32,
        #[arg(long, value_delimiter = ',')]
        to: Vec<String>,
        #[arg(long, value_delimiter = ',')]
        attach_storage: Vec<String>,
    },
    RemoveUnit {
        #[arg(required = true)]
        names: Vec<String>,
        #[arg(long, default_value_t = 0)]
        num_units: u32,
        #[command(flatten)]
        removal: Removal,
    },
    RemoveApplication {
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        removal: Removal,
    },
    RemoveStorage {
        #[arg(required = true)]
        ids: Vec<String>,
        #[arg(long)]
        force: bool,
        #[arg(long)]
        no_destroy: bool,
    },
    /// List storage.
    #[command(alias = "list-storage")]
    Storage {
        #[command(flatten)]
        format: Format,
    },
    /// Relate two applications.
    #[command(aliases = ["relate", "add-relation"])]
    Integrate {
        one: String,
        other: String,
        #[arg(long)]
        via: Option<String>,
    },
    RemoveRelation {
        #[arg(required = true, num_args = 1..=2)]
        ends: Vec<String>,
        #[arg(long)]
        force: bool,
    },
    /// Show, set or reset an application's options.
    Config {
        app: String,
        words: Vec<String>,
        #[arg(long, value_delimiter = ',')]
        reset: Vec<String>,
        #[arg(long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        format: Format,
    },
    Trust {
        app: String,
        #[arg(long)]
        remove: bool,
        #[arg(long)]
        scope: Option<String>,
    },
    Expose {
        app: String,
    },
    Unexpose {
        app: String,
    },
    AddSecret {
        name: String,
        words: Vec<String>,
        #[arg(long)]
        file: Option<PathBuf>,
        #[arg(long)]
        info: Option<String>,
    },
    UpdateSecret {
        secret: String,
        words: Vec<String>,
        #[arg(long)]
        file: Option<PathBuf>,
        #[arg(long)]
        info: Option<String>,
        #[arg(long)]
        name: Option<String>,
        #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        auto_prune: Option<bool>,
    },
    GrantSecret {
        secret: String,
        #[arg(value_delimiter = ',', required = true)]
        apps: Vec<String>,
    },
    RevokeSecret {
        secret: String,
        #[arg(value_delimiter = ',', required = true)]
        apps: Vec<String>,
    },
    RemoveSecret {
        secret: String,
        #[arg(long)]
        revision: Option<u32>,
    },
    #[command(alias = "list-secrets")]
    Secrets {
        #[arg(long)]
        owner: Option<String>,
        #[arg(long)]
        revisions: bool,
        #[command(flatten)]
        format: Format,
    },
    ShowSecret {
        secret: String,
        #[arg(long)]
        reveal: bool,
        #[arg(short = 'r', long)]
        revision: Option<u32>,
        #[arg(long)]
        revisions: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Run an action.
    Run {
        #[arg(required = true)]
        words: Vec<String>,
        #[arg(long)]
        params: Option<PathBuf>,
        #[arg(long)]
        string_args: bool,
        #[command(flatten)]
        waiting: Waiting,
        #[command(flatten)]
        format: Format,
    },
    /// Run commands on units.
    Exec {
        #[arg(required = true, trailing_var_arg = true)]
        words: Vec<String>,
        #[arg(short = 'u', long, value_delimiter = ',')]
        unit: Vec<String>,
        #[arg(short = 'a', long, alias = "app", value_delimiter = ',')]
        application: Vec<String>,
        #[arg(long, value_delimiter = ',')]
        machine: Vec<String>,
        #[arg(long)]
        all: bool,
        #[arg(long, num_args = 0..=1, require_equals = true)]
        parallel: Option<Option<String>>,
        #[arg(long)]
        execution_group: Option<String>,
        #[command(flatten)]
        waiting: Waiting,
        #[command(flatten)]
        format: Format,
    },
    /// Run a command in a unit's charm directory (there is no other machine to log in to).
    Ssh {
        target: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
        #[arg(long)]
        container: Option<String>,
        #[arg(long)]
        no_host_key_checks: bool,
    },
    /// Copy files from or to units: `unit:path` is a path on this machine.
    Scp {
        #[arg(required = true)]
        words: Vec<String>,
        #[arg(long)]
        container: Option<String>,
        #[arg(long)]
        no_host_key_checks: bool,
    },
    ShowTask {
        id: u64,
        #[arg(long)]
        wait: Option<String>,
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        format: Format,
    },
    CancelTask {
        #[arg(required = true)]
        ids: Vec<u64>,
        #[command(flatten)]
        format: Format,
    },
    #[command(alias = "list-operations")]
    Operations {
        #[command(flatten)]
        format: Format,
    },
    ShowOperation {
        id: u64,
        #[arg(long)]
        wait: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    #[command(alias = "list-actions")]
    Actions {
        app: String,
        #[arg(long)]
        schema: bool,
        #[command(flatten)]
        format: Format,
    },
    #[command(alias = "show-status")]
    Status {
        names: Vec<String>,
        #[arg(long, alias = "integrations", num_args = 0..=1, require_equals = true)]
        relations: Option<Option<String>>,
        #[arg(long)]
        storage: bool,
        #[command(flatten)]
        format: Format,
    },
    ShowUnit {
        #[arg(required = true)]
        units: Vec<String>,
        #[command(flatten)]
        format: Format,
    },
    ShowApplication {
        #[arg(required = true)]
        apps: Vec<String>,
        #[command(flatten)]
        format: Format,
    },
    DebugLog(Box<DebugLog>),
    /// Wait until an application, unit, machine or model is as the query wants it.
    WaitFor {
        kind: String,
        name: String,
        #[arg(long)]
        query: Option<String>,
        #[arg(long, default_value = "10m")]
        timeout: String,
        #[arg(long)]
        summary: bool,
    },
    #[command(aliases = ["resolve"])]
    Resolved {
        units: Vec<String>,
        #[arg(long)]
        all: bool,
        #[arg(long)]
        no_retry: bool,
    },
    Version {
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Not in Juju: make this unit its application's leader (for tests).
    SetLeader {
        unit: String,
    },
    #[command(flatten)]
    Fault(Fault),
    /// Not in Juju: end the daemon; models and their processes stay.
    StopDaemon,
    #[command(hide = true)]
    Daemon,
}

#[derive(Debug, Args)]
pub(super) struct Removal {
    #[arg(long, alias = "yes", short = 'y')]
    pub(super) no_prompt: bool,
    #[arg(long)]
    pub(super) destroy_storage: bool,
    #[arg(long)]
    pub(super) force: bool,
    #[arg(long)]
    pub(super) no_wait: bool,
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Deploy {
    pub(super) charm: PathBuf,
    pub(super) name: Option<String>,
    #[arg(short = 'n', long, default_value_t = 1)]
    pub(super) num_units: u32,
    /// `key=value` or a YAML file.
    #[arg(long)]
    pub(super) config: Vec<String>,
    #[arg(long)]
    pub(super) storage: Vec<String>,
    #[arg(long, value_delimiter = ',')]
    pub(super) attach_storage: Vec<String>,
    #[arg(long, value_delimiter = ',')]
    pub(super) to: Vec<String>,
    #[arg(long)]
    pub(super) trust: bool,
    #[arg(long)]
    pub(super) force: bool,
    #[arg(long, alias = "series")]
    pub(super) base: Option<String>,
    #[arg(long)]
    pub(super) bind: Option<String>,
    #[arg(long)]
    pub(super) channel: Option<String>,
    #[arg(long)]
    pub(super) constraints: Vec<String>,
    #[arg(long)]
    pub(super) resource: Vec<String>,
    #[arg(long)]
    pub(super) revision: Option<u32>,
    #[arg(long)]
    pub(super) overlay: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct DebugLog {
    #[arg(long)]
    pub(super) replay: bool,
    /// Show at most this many of the newest lines, and end.
    #[arg(long, default_value_t = 0)]
    pub(super) limit: usize,
    /// Begin with this many old lines.
    #[arg(short = 'n', long, default_value_t = 10)]
    pub(super) lines: usize,
    #[arg(short = 'i', long)]
    pub(super) include: Vec<String>,
    #[arg(short = 'x', long)]
    pub(super) exclude: Vec<String>,
    #[arg(long)]
    pub(super) include_module: Vec<String>,
    #[arg(long)]
    pub(super) exclude_module: Vec<String>,
    #[arg(short = 'l', long)]
    pub(super) level: Option<String>,
    #[arg(long)]
    pub(super) no_tail: bool,
    #[arg(long)]
    pub(super) tail: bool,
    #[arg(long)]
    pub(super) ms: bool,
    #[arg(long)]
    pub(super) date: bool,
    #[arg(long)]
    pub(super) utc: bool,
    #[arg(long)]
    pub(super) color: bool,
    #[arg(long)]
    pub(super) location: bool,
}
