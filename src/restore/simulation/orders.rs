//! The driver's side: what it tells all units, and what it waits for. As `orders.rs` of the action.

use std::collections::BTreeSet;

use super::unit::{Done, PATIENCE, Process};
use crate::restore::{Order, Part, Stage, first_back};

/// The driver's side: what it told last, and the claim.
pub struct Orders {
    pub order: Order,
    pub revision: u32,
    pub claim: u32,
    awaited: BTreeSet<String>,
    process: Process,
}

impl Drop for Orders {
    /// Nobody keeps the claim: it runs out.
    fn drop(&mut self) {
        self.process.with(|world, _| world.store.unattended.push(self.claim));
    }
}

impl Process {
    pub async fn claim(&self, order: Order, revision: Option<u32>) -> Done<Orders> {
        let at = self.at;
        let claim = self.store(|world| {
            if world.store.driver.is_some_and(|(holder, _)| holder != at) {
                return Err("somebody else drives".to_owned());
            }
            world.store.claims += 1;
            world.store.driver = Some((at, world.store.claims));
            Ok(world.store.claims)
        });
        let claim = claim.await??;
        let revision = revision.unwrap_or_else(|| self.with(|world, _| world.store.revision));
        let mut orders = Orders { order, revision, claim, awaited: BTreeSet::new(), process: self.clone() };
        self.muster(&mut orders).await?;
        Ok(orders)
    }

    pub async fn muster(&self, orders: &mut Orders) -> Done {
        let own = self.name();
        let units = orders.order.units.clone();
        orders.awaited =
            self.store(|world| units.into_iter().filter(|unit| *unit != own && world.listens(unit)).collect()).await?;
        Ok(())
    }

    pub async fn end(&self, orders: &Orders) {
        let (at, claim) = (self.at, orders.claim);
        let _ = self.store(|world| world.store.driver = world.store.driver.filter(|held| *held != (at, claim))).await;
    }

    /// Unless another unit has told something since.
    pub async fn tell(&self, orders: &mut Orders, stage: Stage) -> Done {
        orders.order.stage = stage;
        let (order, seen) = (orders.order.clone(), orders.revision);
        let told = self.store(|world| {
            if world.store.revision != seen {
                return Err("another unit has taken over".to_owned());
            }
            world.store.revision += 1;
            world.store.order = Some(order);
            Ok(world.store.revision)
        });
        orders.revision = told.await??;
        Ok(())
    }

    pub async fn own_part(&self, orders: &Orders) -> Done<Part> {
        let own = self.perform(&orders.order).await?;
        self.answer(own.clone()).await?;
        Ok(own)
    }

    pub async fn stage(&self, orders: &mut Orders, stage: Stage) -> Done<Vec<Part>> {
        self.tell(orders, stage).await?;
        let own = self.own_part(orders).await?;
        for _ in 0..PATIENCE {
            let order = orders.order.clone();
            let all = self.store(|world| world.store.parts.values().cloned().collect::<Vec<_>>()).await?;
            let mut parts: Vec<_> = all.into_iter().filter(|part| part.answers(&order)).collect();
            parts.retain(|part| part.unit != own.unit);
            parts.push(own.clone());
            if let Some(part) = parts.iter().find(|part| part.failed.is_some()) {
                return Err(format!("{part:?}"));
            }
            let missing: Vec<_> =
                orders.awaited.iter().filter(|unit| parts.iter().all(|part| part.unit != **unit)).collect();
            if missing.is_empty() {
                return Ok(parts);
            }
            if self.with(|world, _| missing.iter().any(|unit| !world.listens(unit))) {
                return Err("gone".to_owned());
            }
        }
        Err("did not answer".to_owned())
    }

    pub async fn commit(&self, orders: &mut Orders) -> Done {
        self.tell(orders, Stage::Join).await?;
        self.own_part(orders).await.map(drop)
    }

    pub async fn take_back(&self, orders: &mut Orders) -> Done {
        let own = self.name();
        let told = match orders.order.stage.clone() {
            Stage::Join => return Err("a restore that is committed is not taken back".to_owned()),
            Stage::PutBack { first, .. } if first == own || self.store(|world| world.listens(&first)).await? => {
                Some(first)
            }
            _ => None,
        };
        let first = match told {
            Some(first) => first,
            None => {
                let first = self.choose_first(orders).await?;
                let stage = Stage::PutBack { why: "x".to_owned(), first: first.clone() };
                if orders.order.stage != stage {
                    self.tell(orders, stage).await?;
                }
                first
            }
        };
        let part = self.own_part(orders).await?;
        if let Some(why) = part.failed {
            return Err(why);
        }
        let order = orders.order.clone();
        self.until("the first", move |world| {
            first == own
                || world.store.parts.get(&first).is_some_and(|part| part.answers(&order) && part.failed.is_none())
        })
        .await
    }

    pub async fn choose_first(&self, orders: &Orders) -> Done<String> {
        let own = self.name();
        let Some(primary) = orders.order.primary.clone() else { return Ok(own) };
        let mut chosen = None;
        for _ in 0..PATIENCE {
            let order = orders.order.clone();
            chosen = self
                .store(|world| {
                    let parts: Vec<_> = world.store.parts.values().cloned().collect();
                    first_back(&order, &parts, |unit| unit == own || world.listens(unit))
                })
                .await?;
            if chosen.as_ref() == Some(&primary) {
                break;
            }
        }
        chosen.ok_or_else(|| format!("{primary} does not answer"))
    }
}
