//! Machines: their addresses, their networks, and whether they have power. Data and pure rules.

use serde::{Deserialize, Serialize};

use super::{Model, Time};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) address: String,
    pub(crate) since: Time,
    /// Since when it has no power.
    #[serde(default)]
    pub(crate) off: Option<Time>,
    /// Its link leads nowhere.
    #[serde(default)]
    pub(crate) cut: bool,
    /// Its network namespace, named after its first unit. None on loopback.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
}

/// The model's own network `198.18.SUBNET.0/24`: a bridge that joins the namespaces of its machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) subnet: u8,
}

/// All that is needed to lay one machine's link, or to take it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) bridge: String,
    /// The end that stays on the host.
    pub(crate) host_end: String,
    pub(crate) namespace: String,
    pub(crate) address: String,
    pub(crate) cut: bool,
}

/// Follows from the address: a neighbour that remembers an address is never wrong about it.
pub(crate) fn hardware_address(address: &str) -> String {
    let parts: Vec<u8> = address.split('.').filter_map(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [198, b, c, d] => format!("02:6c:6a:{b:02x}:{c:02x}:{d:02x}"),
        _ => "00:00:00:00:00:00".to_owned(),
    }
}

impl Model {
    /// The first three numbers of all its addresses.
    pub(crate) fn network(&self) -> String {
        let (a, b) = self.subnet;
        self.bridge.as_ref().map_or(format!("127.{a}.{b}"), |bridge| format!("198.18.{}", bridge.subnet))
    }

    pub(crate) fn interface(&self) -> &'static str {
        if self.bridge.is_some() { "eth0" } else { "lo" }
    }

    /// The next address that no machine has. Going round, so that one is not used again while its last user may
    /// still be at its end.
    pub(crate) fn next_address(&self, after: u8) -> Option<(String, u8)> {
        let network = self.network();
        // The host itself has .254 of a network of namespaces.
        let most = if self.bridge.is_some() { 253 } else { 254 };
        let numbers = (after.saturating_add(1)..=most).chain(1..=after.min(most));
        numbers
            .map(|last| (format!("{network}.{last}"), last))
            .find(|(address, _)| !self.machines.values().any(|machine| &machine.address == address))
    }

    pub(crate) fn is_off(&self, unit: &str) -> bool {
        self.off_since(unit).is_some()
    }

    pub(crate) fn off_since(&self, unit: &str) -> Option<Time> {
        self.units.get(unit).and_then(|unit| self.machines.get(&unit.machine)?.off)
    }

    pub(crate) fn namespace(&self, unit: &str) -> Option<&str> {
        self.units.get(unit).and_then(|unit| self.machines.get(&unit.machine)?.namespace.as_deref())
    }

    pub(crate) fn units_on(&self, machine: u32) -> Vec<String> {
        self.units.values().filter(|unit| unit.machine == machine).map(|unit| unit.name.clone()).collect()
    }

    pub(crate) fn link(&self, id: u32) -> Option<Link> {
        let (bridge, machine) = (self.bridge.as_ref()?, self.machines.get(&id)?);
        Some(Link {
            bridge: bridge.name.clone(),
            // An interface's name has at most 15 bytes.
            host_end: format!("{}m{id}", bridge.name),
            namespace: machine.namespace.clone()?,
            address: machine.address.clone(),
            cut: machine.cut,
        })
    }
}
