//! Which folder of a unit's databases goes where, in each stage and on the way
//! back. Pure: what lies there in, renames out; each list can be broken off
//! anywhere and asked for again.
//!
//! Old data is renamed and never removed here: what may be removed is a copy of
//! what the repository or another unit has.

/// Folders of one restore, and of the one that it undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The running cluster's.
    Data,
    /// What the restore replaces: `data.before-<id>`.
    Aside,
    /// What it brings: `data.restore-<id>`.
    Beside,
    /// What the restore that is undone had replaced: `data.before-<undone>`.
    Undone,
}

/// What lies there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    pub data: bool,
    pub aside: bool,
    pub beside: bool,
    pub undone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Rename { from: Place, to: Place },
    Remove(Place),
}

use Place::{Aside, Beside, Data, Undone};

fn rename(from: Place, to: Place) -> Move {
    Move::Rename { from, to }
}

/// The old data goes aside.
pub fn aside(places: Places) -> Vec<Move> {
    if places.aside || !places.data { Vec::new() } else { vec![rename(Data, Aside)] }
}

/// What was brought takes its place; of the unit that restores.
pub fn take_place(_: Places) -> Vec<Move> {
    vec![rename(Beside, Data)]
}

/// An undo on another unit: its own old data, if it has all rows, spares it a copy.
pub fn old_data_again(places: Places, was_whole: bool) -> Vec<Move> {
    if places.data || !places.undone || !was_whole { Vec::new() } else { vec![rename(Undone, Data)] }
}

/// The way back. Old data stands aside exactly when `data` is what was brought, a copy of
/// it, or missing. What an undo brought is old data as well: it is kept.
pub fn back(places: Places, is_undo: bool) -> Vec<Move> {
    let mut moves = Vec::new();
    if places.aside {
        if places.data {
            if places.beside && !is_undo {
                moves.push(Move::Remove(Beside));
            }
            moves.push(rename(Data, Beside));
        }
        moves.push(rename(Aside, Data));
    }
    if !is_undo && (places.beside || places.aside && places.data) {
        moves.push(Move::Remove(Beside));
    }
    moves
}

/// An undo begins: old data lies where a restore has its copy.
pub fn take_old(_: Places) -> Vec<Move> {
    vec![rename(Undone, Beside)]
}

/// What was brought was not needed.
pub fn drop_brought(places: Places, is_undo: bool) -> Vec<Move> {
    match (places.beside, is_undo) {
        (false, _) => Vec::new(),
        (true, true) => vec![rename(Beside, Undone)],
        (true, false) => vec![Move::Remove(Beside)],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a folder holds.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Holds {
        /// The data that the cluster had when the restore began.
        Old,
        /// From before the restore that is undone.
        Older,
        /// Fetched from the repository.
        Copy,
        /// Copied from the restored primary.
        Clone,
    }

    /// One unit's disk.
    #[derive(Debug, Clone, Default)]
    struct Disk {
        data: Option<Holds>,
        aside: Option<Holds>,
        beside: Option<Holds>,
        undone: Option<Holds>,
    }

    impl Disk {
        fn at(&mut self, place: Place) -> &mut Option<Holds> {
            match place {
                Data => &mut self.data,
                Aside => &mut self.aside,
                Beside => &mut self.beside,
                Undone => &mut self.undone,
            }
        }

        fn places(&self) -> Places {
            Places {
                data: self.data.is_some(),
                aside: self.aside.is_some(),
                beside: self.beside.is_some(),
                undone: self.undone.is_some(),
            }
        }

        fn has(&self, wanted: Holds) -> bool {
            [self.data, self.aside, self.beside, self.undone].contains(&Some(wanted))
        }

        /// Does the first of them; the rest is cut off by a crash.
        fn apply(&mut self, moves: &[Move], until: usize) {
            for step in &moves[..moves.len().min(until)] {
                match *step {
                    Move::Remove(place) => {
                        let held = self.at(place).take();
                        assert!(!matches!(held, Some(Holds::Old | Holds::Older)), "{held:?} was removed");
                    }
                    Move::Rename { from, to } => {
                        let held = self.at(from).take();
                        assert!(held.is_some(), "nothing lies in {from:?}");
                        assert!(self.at(to).is_none(), "{from:?} on top of {to:?}");
                        *self.at(to) = held;
                    }
                }
            }
        }
    }

    /// The machine as its journal and order let it go: what comes after what, with a crash anywhere.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum At {
        Begun,
        Brought,
        Aside,
        Placed,
        Committed,
        Back,
    }

    struct Unit {
        disk: Disk,
        at: At,
        drives: bool,
        is_undo: bool,
        was_whole: bool,
    }

    impl Unit {
        fn new(drives: bool, is_undo: bool, was_whole: bool) -> Self {
            let undone = is_undo.then_some(Holds::Older);
            let disk = Disk { data: Some(Holds::Old), undone, ..Disk::default() };
            Self { disk, at: At::Begun, drives, is_undo, was_whole }
        }

        fn brings(&self) -> Holds {
            if self.is_undo { Holds::Older } else { Holds::Copy }
        }

        /// One step forward, broken off after `until` of its moves. Done steps count.
        fn forward(&mut self, until: usize) {
            let places = self.disk.places();
            let (moves, next) = match self.at {
                At::Begun if self.drives && self.is_undo && !places.beside => (take_old(places), At::Brought),
                At::Begun => {
                    if self.drives && !self.is_undo {
                        self.disk.beside = Some(Holds::Copy);
                    }
                    (Vec::new(), At::Brought)
                }
                At::Brought => (aside(places), At::Aside),
                At::Aside if self.drives => (take_place(places), At::Placed),
                At::Aside => (Vec::new(), At::Placed),
                At::Placed if self.drives => (Vec::new(), At::Committed),
                At::Placed => {
                    let mut moves = aside(places);
                    if self.is_undo {
                        let after = Places { data: false, aside: true, ..places };
                        moves.extend(old_data_again(if moves.is_empty() { places } else { after }, self.was_whole));
                    }
                    (moves, At::Committed)
                }
                at => (Vec::new(), at),
            };
            self.disk.apply(&moves, until);
            if until < moves.len() {
                return;
            }
            self.at = next;
            if self.at == At::Committed && self.disk.data.is_none() {
                self.disk.data = Some(Holds::Clone);
            }
        }

        fn back(&mut self, until: usize) {
            let moves = back(self.disk.places(), self.is_undo);
            self.disk.apply(&moves, until);
            if until < moves.len() {
                return;
            }
            if self.drives {
                let moves = drop_brought(self.disk.places(), self.is_undo);
                self.disk.apply(&moves, moves.len());
            }
            self.at = At::Back;
        }

        fn nothing_is_lost(&self) {
            assert!(self.disk.has(Holds::Old), "{:?}", self.disk);
            assert!(!self.is_undo || self.disk.has(Holds::Older), "{:?}", self.disk);
        }
    }

    proptest! {
        /// From every state, with crashes between any two moves: all old data is somewhere, and the end is one of two.
        #[test]
        fn old_data_is_whole_whatever_breaks_off(
            drives: bool, is_undo: bool, was_whole: bool,
            steps in proptest::collection::vec(0usize..4, 0..12),
            backs in proptest::collection::vec(0usize..4, 0..6),
        ) {
            let mut unit = Unit::new(drives, is_undo, was_whole || drives);
            for until in steps {
                unit.forward(until);
                unit.nothing_is_lost();
            }
            if unit.at == At::Committed {
                let served = if drives { unit.brings() } else if is_undo && was_whole { Holds::Older } else { Holds::Clone };
                prop_assert_eq!(unit.disk.data, Some(served));
                prop_assert_eq!(unit.disk.aside, Some(Holds::Old));
                return Ok(());
            }
            for until in backs.into_iter().chain([usize::MAX]) {
                unit.back(until);
                unit.nothing_is_lost();
            }
            prop_assert_eq!(unit.disk.data, Some(Holds::Old));
            prop_assert_eq!(unit.disk.undone, is_undo.then_some(Holds::Older));
            prop_assert_eq!((unit.disk.aside, unit.disk.beside), (None, None), "nothing half-done is left");
        }
    }

    #[test]
    fn the_way_back_from_every_place() {
        let places = |data, aside, beside| Places { data, aside, beside, undone: false };
        #[rustfmt::skip]
        let table = [
            // data, aside, beside        a restore
            (places(true, false, false),  vec![]),
            (places(true, false, true),   vec![Move::Remove(Beside)]),
            (places(false, true, true),   vec![rename(Aside, Data), Move::Remove(Beside)]),
            (places(false, true, false),  vec![rename(Aside, Data)]),
            (places(true, true, false),   vec![rename(Data, Beside), rename(Aside, Data), Move::Remove(Beside)]),
            (places(true, true, true),    vec![Move::Remove(Beside), rename(Data, Beside), rename(Aside, Data), Move::Remove(Beside)]),
        ];
        for (places, want) in table {
            assert_eq!(back(places, false), want, "{places:?}");
        }
        // Of an undo nothing is removed.
        assert_eq!(back(places(true, true, false), true), [rename(Data, Beside), rename(Aside, Data)]);
        assert_eq!(back(places(true, false, true), true), []);
    }
}
