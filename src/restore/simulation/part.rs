//! A unit's part, whoever drives. As `part.rs` of the action.

use super::unit::{Done, Process, tick};
use super::world::{self, Server, World};
use crate::restore::{Order, Part, PartRecord, Stage, places};

impl Process {
    pub async fn perform(&self, order: &Order) -> Done<Part> {
        let known = self.with(|world, at| world.units[at].disk.part.clone()).filter(|record| record.id == order.id);
        let mut record = known.unwrap_or_else(|| PartRecord::begin(order));
        (record.stage, record.done) = (order.stage.name(), false);
        self.write_part(&record).await;
        let outcome = self.do_it(order, &mut record).await;
        if outcome.is_ok() {
            record.done = true;
            record.ended = (!order.stage.is_open()).then_some(chrono::DateTime::UNIX_EPOCH);
            self.write_part(&record).await;
        }
        let (shut_down_at, failed) = match outcome {
            Ok(end) => (end, None),
            Err(why) => (None, Some(why)),
        };
        let (id, stage, timeline) = (order.id.clone(), record.stage, None);
        let (was_primary, was_down, whole) = (record.was_primary, record.was_down, record.whole);
        Ok(Part { id, unit: self.name(), stage, was_primary, was_down, shut_down_at, timeline, whole, failed })
    }

    pub async fn write_part(&self, record: &PartRecord) {
        tick().await;
        self.with(|world, at| world.units[at].disk.part = Some(record.clone()));
    }

    pub async fn do_it(&self, order: &Order, record: &mut PartRecord) -> Done<Option<String>> {
        tick().await;
        match &order.stage {
            Stage::Seal => {
                record.was_primary =
                    self.with(|world, at| world.units[at].patroni && world.units[at].server == Server::Primary);
            }
            Stage::Hold => {
                if record.was_primary {
                    self.others_hold(order).await?;
                }
                match (self.with(|world, at| world.units[at].server), record.was_primary) {
                    (Server::Primary, false) | (Server::Replica, true) => return Err("it has changed".to_owned()),
                    _ => self.with(|world, at| world.units[at].patroni = false),
                }
            }
            Stage::StopPrimary if record.was_primary => {
                // Replicas that run receive what it sends last.
                let end = self.with(|world, at| {
                    world.stream();
                    world.units[at].patroni = false;
                    world.stop_server(at);
                    let unit = &world.units[at];
                    unit.clean.then_some(unit.disk.data).flatten().map(|data| data.row)
                });
                record.whole = end.is_some();
                return end.map(|row| Some(row.to_string())).ok_or_else(|| "it was not clean".to_owned());
            }
            Stage::StopReplicas { shut_down_at } if !record.was_primary => {
                let end: u32 = shut_down_at.parse().map_err(|_| "a number")?;
                record.whole |= self.with(|world, at| {
                    let runs = world.units[at].server == Server::Replica;
                    runs && world.units[at].disk.data.is_some_and(|data| data.row >= end)
                });
                self.stop_server();
            }
            Stage::StopPrimary | Stage::StopReplicas { .. } => {}
            Stage::Aside => self.aside().await?,
            Stage::Join => self.join(order).await?,
            Stage::PutBack { first, .. } => self.put_back(order, first).await?,
        }
        Ok(None)
    }

    /// A lock that nobody keeps any more is taken by whoever has a Patroni.
    async fn others_hold(&self, order: &Order) -> Done {
        let (order, own) = (order.clone(), self.name());
        self.until("the others hold", move |world| {
            let parts = &world.store.parts;
            let has = |unit: &&world::Unit| unit.name != own && (unit.power || unit.patroni);
            let holds = |name: &str| parts.get(name).is_some_and(|part| part.answers(&order) && part.failed.is_none());
            world.units.iter().filter(has).all(|unit| holds(&unit.name))
        })
        .await
    }

    pub fn stop_server(&self) {
        self.with(|world, at| {
            world.units[at].patroni = false;
            world.stop_server(at);
        });
    }

    pub async fn aside(&self) -> Done {
        self.stop_server();
        self.move_all(places::aside).await
    }

    pub async fn join(&self, order: &Order) -> Done {
        if order.driver == self.name() {
            return Ok(());
        }
        if !self.with(|world, at| world.units[at].disk.places().aside) {
            self.aside().await?;
        }
        tick().await;
        self.with(|world, at| world.units[at].patroni = true);
        Ok(())
    }

    pub async fn put_back(&self, order: &Order, first: &str) -> Done {
        if self.with(|world, at| world.units[at].disk.places().aside) {
            self.with(|world, at| world.stop_patroni(at));
        }
        self.move_all(|places| places::back(places, false)).await?;
        tick().await;
        if self.with(|world, at| world.units[at].patroni) {
            return Ok(());
        }
        if first == self.name() { self.start_first(order).await } else { self.start_after(order, first).await }
    }

    pub async fn start_first(&self, order: &Order) -> Done {
        let at = self.at;
        let (driver, of) = (self.with(|world, _| world.number(&order.driver)), order.clone());
        // Old data that follows the restored cluster would be rewound to it.
        let is_out = move |world: &World| {
            let is_back = |part: &Part| part.unit == of.driver && part.answers(&of) && part.failed.is_none();
            !of.adopts || driver == at || !world.units[driver].patroni || world.store.parts.values().any(is_back)
        };
        let out = is_out.clone();
        let is_free = move |world: &mut World| out(world) && world.store.leader.is_none_or(|leader| leader == at);
        let free = self.until("the leader", is_free).await;
        if free.is_err() {
            if !self.store(|world| is_out(world)).await? {
                return free;
            }
            self.with(|world, at| world.units[at].patroni = true);
            return Ok(());
        }
        self.store(|world| world.store.leader = None).await?;
        tick().await;
        self.with(|world, at| world.units[at].patroni = true);
        self.until("a primary", move |world| {
            world.has_led(at) || world.units[at].server == Server::Replica && world.store.leader != Some(at)
        })
        .await
    }

    pub async fn start_after(&self, order: &Order, first: &str) -> Done {
        let (first, order) = (first.to_owned(), order.clone());
        let is_up = move |part: &Part| part.unit == first && part.answers(&order) && part.failed.is_none();
        self.until("the first", move |world| world.store.parts.values().any(&is_up)).await?;
        self.with(|world, at| world.units[at].patroni = true);
        Ok(())
    }
}
