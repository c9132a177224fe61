//! Carries out what an operation's end has made due: units that are gone lose their processes and files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::Result;

use super::{Daemon, Shared, agent, files, network, now, remove};
use crate::model::{Link, Model, Storage};
use crate::uniter::commit;

impl Daemon {
    /// Makes a storage instance of the charm's declaration and attaches it to the unit.
    pub(crate) fn make_storage(&self, model: &mut Model, unit: &str, name: &str) -> Result<String> {
        let id = format!("{name}/{}", model.next_storage);
        model.next_storage += 1;
        let location = files::storage_location(&self.home, &model.name, &id);
        files::make_directory(&location)?;
        let app = model.apps.get(crate::model::names::app_of(unit));
        let kind = app.and_then(|app| app.charm.storage.get(name)).map_or("filesystem", |def| &def.kind).to_owned();
        let storage = Storage {
            id: id.clone(),
            name: name.to_owned(),
            unit: Some(unit.to_owned()),
            location: location.display().to_string(),
            kind,
            since: now(),
            destroy: false,
        };
        model.storage.insert(id.clone(), storage);
        Ok(id)
    }

    /// To be called after every change that may bring something to its end.
    pub(crate) fn settle(&self, shared: &mut Shared) {
        for model in shared.world.models.values_mut() {
            let used: BTreeMap<String, BTreeSet<String>> =
                model.units.values().map(|unit| (unit.name.clone(), unit.local.used.clone())).collect();
            let links: Vec<(u32, Link)> =
                model.machines.keys().filter_map(|id| Some((*id, model.link(*id)?))).collect();
            let homes: BTreeMap<String, u32> =
                model.units.values().map(|unit| (unit.name.clone(), unit.machine)).collect();
            let (units, storage) = commit::sweep(model, now());
            let links: BTreeMap<u32, Link> =
                links.into_iter().filter(|(id, _)| !model.machines.contains_key(id)).collect();
            if units.is_empty() && storage.is_empty() && links.is_empty() {
                continue;
            }
            let locations: Vec<PathBuf> =
                storage.iter().map(|id| files::storage_location(&self.home, &model.name, id)).collect();
            let traces: Vec<remove::Traces> = units
                .iter()
                .map(|unit| {
                    let places = files::places(&self.home, &model.name, unit);
                    let agent = places.charm.parent().map(PathBuf::from).unwrap_or(places.charm.clone());
                    // Storage that another unit has by now is that unit's.
                    let free = |id: &&String| model.storage.get(*id).is_none_or(|storage| storage.unit.is_none());
                    let own = used.get(unit).into_iter().flatten().filter(free);
                    let own = own.map(|id| files::storage_location(&self.home, &model.name, id));
                    let link = homes.get(unit).and_then(|machine| links.get(machine));
                    remove::Traces {
                        directories: [agent, places.tools].into_iter().chain(own).collect(),
                        variables: vec![vec![
                            format!("JUJU_MODEL_UUID={}", model.uuid),
                            format!("JUJU_UNIT_NAME={unit}"),
                        ]],
                        networks: link.and_then(|link| network::inode(&link.namespace)).into_iter().collect(),
                    }
                })
                .collect();
            let (home, name) = (self.home.clone(), model.name.clone());
            // Ending processes takes its time: the other units go on meanwhile.
            thread::spawn(move || {
                let protected = remove::protected(None);
                for (unit, traces) in units.iter().zip(&traces) {
                    remove::end_processes(traces, &protected);
                    files::remove_unit(&home, &name, unit);
                }
                links.values().for_each(network::remove_link);
                for location in locations {
                    let _ = std::fs::remove_dir_all(location);
                }
            });
        }
    }

    /// Settles, starts new units, saves.
    pub(crate) fn apply(self: &Arc<Self>, shared: &mut Shared) {
        self.settle(shared);
        agent::start_missing(self, shared);
        self.commit(shared);
    }
}
