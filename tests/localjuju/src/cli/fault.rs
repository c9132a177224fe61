//! Faults of hosts, which Juju does not have: their words, and what they ask of the daemon.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use super::client::ask;
use super::print::{self, out};
use crate::api::{Call, ModelRef};

#[derive(Debug, Subcommand)]
pub(super) enum Fault {
    /// Not in Juju: the unit's machine loses its power.
    PowerOff { unit: String },
    /// Not in Juju: the unit's machine boots.
    PowerOn { unit: String },
    /// Not in Juju: the unit's machine gets another address.
    SetAddress { unit: String, address: Option<String> },
    /// Not in Juju: cut or heal the unit's link (`localjuju-network=namespaces`).
    Network { unit: String, what: Link },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Link {
    Cut,
    Heal,
}

pub(super) fn run(model: ModelRef, fault: Fault) -> Result<()> {
    match fault {
        Fault::PowerOff { unit } => ask(&Call::PowerOff { model, unit })?,
        Fault::PowerOn { unit } => ask(&Call::PowerOn { model, unit })?,
        Fault::Network { unit, what } => ask(&Call::Network { model, unit, cut: what == Link::Cut })?,
        Fault::SetAddress { unit, address } => {
            let set = ask(&Call::SetAddress { model, unit, address })?;
            out(&format!("{}\n", print::text(&set, "/address")));
            set
        }
    };
    Ok(())
}
