//! The processes of a unit in the simulation: its service (and hooks), and the action of the
//! unit that restores. Step by step as `src/actions/restore` and `src/service` do it; what is
//! decided is asked of the functions that they ask.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::world::World;
use crate::restore::{Event, Order, Part, Record, Task, Verdict, after_driver, task};

/// Looks at what is waited for, until it is given up.
pub const PATIENCE: u32 = 60;
/// Looks at a claim that is gone, until somebody takes over.
const GRACE: u32 = 3;

pub type Done<T = ()> = Result<T, String>;

#[derive(Clone)]
pub struct Process {
    pub world: Rc<RefCell<World>>,
    pub at: usize,
}

/// Anything may happen here, to this process too.
pub async fn tick() {
    let mut passed = false;
    poll_fn(move |_| if std::mem::replace(&mut passed, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Ends with its holder, however that ends.
pub struct Lock(Process);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.with(|world, at| world.units[at].locked = false);
    }
}

impl Process {
    pub fn with<T>(&self, look: impl FnOnce(&mut World, usize) -> T) -> T {
        look(&mut self.world.borrow_mut(), self.at)
    }

    pub fn name(&self) -> String {
        self.with(|world, at| world.units[at].name.clone())
    }

    pub fn lock(&self) -> Option<Lock> {
        let taken = self.with(|world, at| std::mem::replace(&mut world.units[at].locked, true));
        (!taken).then(|| Lock(self.clone()))
    }

    pub async fn until(&self, what: &str, mut holds: impl FnMut(&mut World) -> bool) -> Done {
        for _ in 0..PATIENCE {
            tick().await;
            if self.with(|world, _| holds(world)) {
                return Ok(());
            }
        }
        Err(format!("waiting: {what}"))
    }

    /// One request to the cluster store.
    pub async fn store<T>(&self, ask: impl FnOnce(&mut World) -> T) -> Done<T> {
        self.until("the cluster store", |world| world.has_quorum()).await?;
        Ok(self.with(|world, _| ask(world)))
    }

    pub fn journal(&self) -> Option<Record> {
        self.with(|world, at| world.units[at].disk.journal.clone())
    }

    pub async fn step(&self, event: Event) -> Done {
        tick().await;
        let record = self.journal().ok_or("no journal")?.after(event, chrono::DateTime::UNIX_EPOCH);
        let record = record.map_err(|error| error.to_string())?;
        self.with(|world, at| world.units[at].disk.journal = Some(record));
        Ok(())
    }

    /// The unit service, and the hook that starts what has died.
    pub async fn service(self) {
        let mut gone = 0;
        loop {
            tick().await;
            let _ = self.look(&mut gone).await;
        }
    }

    pub async fn look(&self, gone: &mut u32) -> Done {
        if self.journal().is_some_and(|record| !record.state.is_over() && !record.state.is_held()) {
            let Some(_lock) = self.lock() else { return Ok(()) };
            return self.settle().await;
        }
        let order = self.store(|world| world.store.order.clone()).await?;
        let part = self.with(|world, at| world.units[at].disk.part.clone());
        let answers: Vec<_> = self.with(|world, _| world.store.parts.values().cloned().collect());
        match task(&self.name(), order.as_ref(), part.as_ref(), &answers) {
            Task::Do => self.follow(order.clone()).await?,
            Task::Nothing => self.start_what_died(),
            Task::Stay | Task::Wait => {}
        }
        self.watch_driver(order, gone).await
    }

    pub fn start_what_died(&self) {
        let Some(_lock) = self.lock() else { return };
        self.with(|world, at| world.units[at].patroni = true);
    }

    pub async fn follow(&self, order: Option<Order>) -> Done {
        let Some(_lock) = self.lock() else { return Ok(()) };
        let Some(order) = order.filter(|order| !(order.driver == self.name() && order.stage.is_open())) else {
            return Ok(());
        };
        let part = self.perform(&order).await?;
        self.answer(part).await
    }

    pub async fn answer(&self, part: Part) -> Done {
        self.store(|world| world.store.parts.insert(part.unit.clone(), part)).await.map(drop)
    }

    pub async fn watch_driver(&self, order: Option<Order>, gone: &mut u32) -> Done {
        let own = self.name();
        let Some(order) = order.filter(|order| order.stage.is_open() && order.driver != own) else {
            *gone = 0;
            return Ok(());
        };
        if self.store(|world| world.store.driver.is_some()).await? {
            *gone = 0;
            return Ok(());
        }
        *gone += 1;
        if *gone < GRACE {
            return Ok(());
        }
        let Some(_lock) = self.lock() else { return Ok(()) };
        let leads = self.store(|world| world.store.leader.map(|at| world.units[at].name.clone())).await?;
        let revision = self.with(|world, _| world.store.revision);
        let mut orders = self.claim(order, Some(revision)).await?;
        let outcome = match after_driver(&orders.order, leads.as_deref()) {
            Verdict::Commit => self.commit(&mut orders).await,
            Verdict::PutBack => self.take_back(&mut orders).await,
        };
        self.end(&orders).await;
        outcome
    }
}
