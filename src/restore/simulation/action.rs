//! The action of the unit that restores, and what is done about one that was broken off. As
//! `mod.rs`, `adopt.rs` and `rollback.rs` of the action.

use super::orders::Orders;
use super::unit::{Done, Process, tick};
use super::world::{Data, Era};
use crate::model::Timeline;
use crate::restore::{AfterCrash, Event, Found, Order, Record, Stage, State, found, places, the_primary};

impl Process {
    /// A restore, begun by a person.
    pub async fn restore(self) {
        let Some(_lock) = self.lock() else { return };
        if self.settle().await.is_err() {
            return;
        }
        let label = "20261122-020000F".parse().expect("a label");
        let record = Record::begin(&label, chrono::DateTime::UNIX_EPOCH, "sim");
        let Ok(mut orders) = self.claim(self.order_of(&record), None).await else { return };
        self.with(|world, at| world.units[at].disk.journal = Some(record));
        if self.forward(&mut orders).await.is_err() {
            let _ = self.roll_back().await;
        }
        self.end(&orders).await;
    }

    pub fn order_of(&self, record: &Record) -> Order {
        let units = self.with(|world, _| world.units.iter().map(|unit| unit.name.clone()).collect());
        let (id, label) = (record.id.clone(), record.label.clone());
        Order {
            version: 1,
            id,
            label,
            undoes: None,
            driver: self.name(),
            units,
            primary: None,
            adopts: false,
            stage: Stage::Seal,
        }
    }

    pub async fn forward(&self, orders: &mut Orders) -> Done {
        tick().await;
        self.with(|world, at| world.units[at].disk.beside = Some(Data { era: Era::New, row: 5 }));
        self.step(Event::Fetched).await?;
        self.step(Event::Recovered { timeline: Timeline(2) }).await?;
        self.muster(orders).await?;
        self.step(Event::StopOrdered).await?;
        let parts = self.stage(orders, Stage::Seal).await?;
        orders.order.primary = Some(the_primary(&parts).ok_or("no primary, or two")?.unit.clone());
        self.stage(orders, Stage::Hold).await?;
        let parts = self.stage(orders, Stage::StopPrimary).await?;
        let end = parts.into_iter().find_map(|part| part.shut_down_at).ok_or("it did not say where it ended")?;
        self.stage(orders, Stage::StopReplicas { shut_down_at: end }).await?;
        self.step(Event::Stopped).await?;
        self.stage(orders, Stage::Aside).await?;
        self.move_all(places::take_place).await?;
        self.step(Event::Switched).await?;
        let (order, held) = (orders.order.clone(), (self.at, orders.claim));
        if !self.store(|world| world.store.order == Some(order) && world.store.driver == Some(held)).await? {
            return Err("another unit has taken over".to_owned());
        }
        self.store(|world| world.store.leader = None).await?;
        orders.order.adopts = true;
        self.tell(orders, Stage::Aside).await?;
        self.adopt().await?;
        self.commit(orders).await?;
        self.step(Event::Adopted).await
    }

    pub async fn move_all(&self, plan: impl FnOnce(places::Places) -> Vec<places::Move>) -> Done {
        for step in plan(self.with(|world, at| world.units[at].disk.places())) {
            tick().await;
            self.with(|world, at| world.units[at].disk.carry_out(step))?;
        }
        Ok(())
    }

    pub async fn adopt(&self) -> Done {
        tick().await;
        self.with(|world, at| world.units[at].patroni = true);
        let at = self.at;
        self.until("it leads", move |world| world.has_led(at)).await?;
        self.with(|world, _| world.write(false));
        Ok(())
    }

    pub async fn settle(&self) -> Done {
        let Some(record) = self.journal().filter(|record| !record.state.is_over()) else { return Ok(()) };
        let told = self.told(&record).await?;
        match found(&record.state, told.as_ref().map(|(order, _)| order)) {
            Found::Commit => self.step(Event::Adopted).await,
            Found::CommitIfItServes => {
                let at = self.at;
                let serves = self.until("it serves", move |world| world.has_led(at)).await;
                if serves.is_err() {
                    return self.roll_back().await;
                }
                let (order, revision) = told.ok_or("no order")?;
                let mut orders = self.claim(order, Some(revision)).await?;
                let committed = self.commit(&mut orders).await;
                self.end(&orders).await;
                committed?;
                self.step(Event::Adopted).await
            }
            Found::TakeBack => self.roll_back().await,
        }
    }

    pub async fn told(&self, record: &Record) -> Done<Option<(Order, u32)>> {
        let told = self.store(|world| world.store.order.clone().map(|order| (order, world.store.revision))).await?;
        Ok(told.filter(|(order, _)| order.id == record.id))
    }

    pub async fn roll_back(&self) -> Done {
        let record = self.journal().ok_or("no journal")?;
        match record.state.after_crash() {
            AfterCrash::Nothing => Ok(()),
            AfterCrash::DropCopy => {
                self.move_all(|places| places::drop_brought(places, false)).await?;
                let now = chrono::DateTime::UNIX_EPOCH;
                let over = record.after(Event::Failed { why: "x".to_owned() }, now);
                let over =
                    over.and_then(|record| record.after(Event::PutBack, now)).map_err(|error| error.to_string())?;
                self.with(|world, at| world.units[at].disk.journal = Some(over));
                Ok(())
            }
            AfterCrash::PutBack => {
                // Claimed first: from then on nobody else commits it.
                let mut orders = self.claim(self.order_of(&record), None).await?;
                let told = self.told(&record).await?;
                if found(&record.state, told.as_ref().map(|(order, _)| order)) == Found::Commit {
                    self.end(&orders).await;
                    return self.step(Event::Adopted).await;
                }
                if let Some((order, revision)) = told {
                    (orders.order, orders.revision) = (order, revision);
                }
                if !matches!(record.state, State::RollingBack { .. }) {
                    self.step(Event::Failed { why: "x".to_owned() }).await?;
                }
                let outcome = self.take_back(&mut orders).await;
                self.end(&orders).await;
                outcome?;
                self.move_all(|places| places::drop_brought(places, false)).await?;
                self.step(Event::PutBack).await
            }
        }
    }
}
