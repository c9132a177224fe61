//! What three units stand on in the simulation: disks, the cluster store, PostgreSQL under
//! Patroni, power, and clients that write.

use std::collections::BTreeMap;

use crate::restore::{Move, Order, Part, PartRecord, Place, Places, Record};

pub const UNITS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// What the cluster had when the restore began, and what came to it since.
    Old,
    /// What the restore brings.
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    pub era: Era,
    /// The last row of it.
    pub row: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub data: Option<Data>,
    pub aside: Option<Data>,
    pub beside: Option<Data>,
    pub journal: Option<Record>,
    pub part: Option<PartRecord>,
}

impl Disk {
    fn at(&mut self, place: Place) -> &mut Option<Data> {
        match place {
            Place::Data => &mut self.data,
            Place::Aside => &mut self.aside,
            Place::Beside | Place::Undone => &mut self.beside,
        }
    }

    pub fn places(&self) -> Places {
        let (data, aside, beside) = (self.data.is_some(), self.aside.is_some(), self.beside.is_some());
        Places { data, aside, beside, undone: false }
    }

    /// `Err`: what a file system says then.
    pub fn carry_out(&mut self, step: Move) -> Result<(), String> {
        match step {
            Move::Remove(place) => {
                let held = self.at(place).take();
                assert!(held.is_none_or(|data| data.era == Era::New), "old data was removed");
            }
            Move::Rename { from, to } => {
                assert!(self.at(to).is_none(), "{from:?} on top of {to:?}");
                let held = self.at(from).take().ok_or("nothing lies there")?;
                *self.at(to) = Some(held);
            }
        }
        Ok(())
    }

    pub fn has_old_data(&self) -> bool {
        [self.data, self.aside, self.beside].into_iter().flatten().any(|data| data.era == Era::Old)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Down,
    Replica,
    Primary,
}

#[derive(Debug)]
pub struct Unit {
    pub name: String,
    pub power: bool,
    pub lost: bool,
    pub disk: Disk,
    pub patroni: bool,
    pub server: Server,
    /// It was shut down, and not killed.
    pub clean: bool,
    /// The unit's lock: an action, a hook and the service take turns.
    pub locked: bool,
}

#[derive(Debug, Default)]
pub struct Store {
    pub order: Option<Order>,
    pub revision: u32,
    pub parts: BTreeMap<String, Part>,
    /// The claim of the driver; the number tells one claim from the next.
    pub driver: Option<(usize, u32)>,
    pub claims: u32,
    /// Claims that no process keeps.
    pub unattended: Vec<u32>,
    /// Patroni's lock.
    pub leader: Option<usize>,
}

#[derive(Debug)]
pub struct World {
    pub units: Vec<Unit>,
    pub store: Store,
    /// Acknowledged to clients.
    pub old_rows: u32,
    pub new_rows: u32,
    /// A machine that served was cut off from power: what it alone had may be gone with it.
    pub forgiven: bool,
}

impl World {
    pub fn new() -> Self {
        let unit = |number: usize| Unit {
            name: format!("postgresql/{number}"),
            power: true,
            lost: false,
            disk: Disk { data: Some(Data { era: Era::Old, row: 10 }), ..Disk::default() },
            patroni: true,
            server: if number == 0 { Server::Primary } else { Server::Replica },
            clean: false,
            locked: false,
        };
        let store = Store { leader: Some(0), ..Store::default() };
        let units = (0..UNITS).map(unit).collect();
        Self { units, store, old_rows: 10, new_rows: 0, forgiven: false }
    }

    pub fn number(&self, name: &str) -> usize {
        self.units.iter().position(|unit| unit.name == name).expect("a unit")
    }

    pub fn has_quorum(&self) -> bool {
        self.units.iter().filter(|unit| unit.power).count() > UNITS / 2
    }

    pub fn listens(&self, name: &str) -> bool {
        self.units[self.number(name)].power
    }

    pub fn primaries(&self) -> Vec<usize> {
        (0..UNITS).filter(|at| self.units[*at].server == Server::Primary).collect()
    }

    /// As its Patroni says, with the lock.
    pub fn leads(&self, at: usize) -> bool {
        self.units[at].server == Server::Primary && self.store.leader == Some(at)
    }

    /// The same, after a turn: it has them while it is waited for.
    pub fn has_led(&mut self, at: usize) -> bool {
        self.patroni_turns(at);
        self.leads(at)
    }

    /// A client writes; replicas that run have it a moment later, or not yet.
    pub fn write(&mut self, is_streamed: bool) {
        let Some(at) = self.primaries().first().copied() else { return };
        let Some(data) = &mut self.units[at].disk.data else { return };
        data.row += 1;
        match data.era {
            Era::Old => self.old_rows = data.row,
            Era::New => self.new_rows = data.row,
        }
        if is_streamed {
            self.stream();
        }
    }

    pub fn stream(&mut self) {
        let Some(at) = self.primaries().first().copied() else { return };
        let Some(sent) = self.units[at].disk.data else { return };
        for unit in self.units.iter_mut().filter(|unit| unit.server == Server::Replica) {
            if let Some(data) = unit.disk.data.as_mut().filter(|data| data.era == sent.era && data.row < sent.row) {
                data.row = sent.row;
            }
        }
    }

    pub fn stop_server(&mut self, at: usize) {
        self.units[at].clean |= self.units[at].server != Server::Down;
        self.units[at].server = Server::Down;
    }

    /// With nothing to start from, nothing starts.
    fn starts(&mut self, at: usize, server: Server) {
        let unit = &mut self.units[at];
        if unit.disk.data.is_some() {
            (unit.server, unit.clean) = (server, false);
        }
    }

    /// Gracefully: its lock is given back.
    pub fn stop_patroni(&mut self, at: usize) {
        self.units[at].patroni = false;
        self.stop_server(at);
        if self.store.leader == Some(at) {
            self.store.leader = None;
        }
    }

    /// A turn of Patroni's loop.
    pub fn patroni_turns(&mut self, at: usize) {
        if !self.units[at].patroni || !self.has_quorum() {
            return;
        }
        match self.store.leader {
            Some(leader) if leader == at => self.starts(at, Server::Primary),
            Some(leader) => self.follow(at, leader),
            None if self.may_lead(at) => {
                // Of an asynchronous cluster: rows that only the primary before had are gone.
                let data = self.units[at].disk.data.expect("data");
                if data.era == Era::Old && data.row < self.old_rows && self.forgiven {
                    self.old_rows = data.row;
                }
                self.store.leader = Some(at);
                self.starts(at, Server::Primary);
            }
            None if self.units[at].server == Server::Primary => self.stop_server(at),
            None => {}
        }
    }

    /// One that lags behind another that is there leaves the lock to it.
    fn may_lead(&self, at: usize) -> bool {
        let Some(own) = self.units[at].disk.data else { return false };
        let others = self.units.iter().filter(|unit| unit.power && unit.patroni);
        others.filter_map(|unit| unit.disk.data).all(|data| data.era != own.era || data.row <= own.row)
    }

    /// Streams, copies where there is nothing, and is rewound where it has something else.
    fn follow(&mut self, at: usize, leader: usize) {
        if self.units[at].server == Server::Primary {
            self.stop_server(at);
        }
        let unit = &self.units[leader];
        let Some(sent) = unit.disk.data.filter(|_| unit.power && unit.server == Server::Primary) else { return };
        self.units[at].disk.data = Some(sent);
        self.starts(at, Server::Replica);
    }

    /// Leases of those that are gone run out.
    pub fn time_passes(&mut self) {
        let is_gone = |at: usize| !self.units[at].power || !self.units[at].patroni;
        if self.has_quorum() && self.store.leader.is_some_and(is_gone) {
            self.store.leader = None;
        }
        if self.has_quorum() && self.store.driver.is_some_and(|(_, claim)| self.store.unattended.contains(&claim)) {
            self.store.driver = None;
        }
    }

    pub fn power_off(&mut self, at: usize) {
        if self.units[at].server == Server::Primary {
            self.forgiven = true;
        }
        let unit = &mut self.units[at];
        unit.clean &= unit.server == Server::Down;
        (unit.power, unit.patroni, unit.server) = (false, false, Server::Down);
    }
}
