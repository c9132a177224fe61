//! States and events of a restore. The old data is touched in one state only,
//! [`State::Switching`], and by nothing but renames.

use serde::{Deserialize, Serialize};

use crate::model::Timeline;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// The backup is copied beside the running cluster.
    Fetching,
    /// A server that nobody can reach recovers the copy and is verified.
    Recovering,
    /// The copy is proven and shut down; the cluster still runs.
    Proven { timeline: Timeline },
    /// The copy is open for reading, and waits for a person; the cluster still runs.
    Held { timeline: Timeline },
    /// The cluster's last WAL is archived and it is stopped.
    Stopping { timeline: Timeline },
    /// Old data goes aside, the copy takes its place.
    Switching,
    /// Patroni takes the restored data over; nothing is archived yet.
    Adopting,
    /// The restored cluster is the primary and takes writes.
    Committed,
    /// The old data is being put back.
    RollingBack { why: String },
    /// The cluster is as it was.
    RolledBack { why: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Fetched,
    Recovered {
        timeline: Timeline,
    },
    /// A person wants to look at the copy first.
    Held,
    /// It goes on, on this timeline.
    Resumed {
        timeline: Timeline,
    },
    StopOrdered,
    Stopped,
    Switched,
    Adopted,
    Failed {
        why: String,
    },
    PutBack,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a restore that is {state:?} cannot have {event:?}")]
pub struct IllegalStep {
    pub state: State,
    pub event: Event,
}

/// What a process that finds this state in the journal, and nobody at work, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCrash {
    /// Throw the copy away; the cluster was never stopped.
    DropCopy,
    /// Put the old data back (fine if it never moved) and start the cluster.
    PutBack,
    /// It is over, or waits for a person.
    Nothing,
}

impl State {
    pub fn next(self, event: Event) -> Result<Self, IllegalStep> {
        match (self, event) {
            (Self::Fetching, Event::Fetched) => Ok(Self::Recovering),
            (Self::Recovering, Event::Recovered { timeline }) => Ok(Self::Proven { timeline }),
            (Self::Proven { timeline }, Event::Held) => Ok(Self::Held { timeline }),
            (Self::Held { .. }, Event::Resumed { timeline }) => Ok(Self::Proven { timeline }),
            (Self::Proven { timeline }, Event::StopOrdered) => Ok(Self::Stopping { timeline }),
            (Self::Stopping { .. }, Event::Stopped) => Ok(Self::Switching),
            (Self::Switching, Event::Switched) => Ok(Self::Adopting),
            (Self::Adopting, Event::Adopted) => Ok(Self::Committed),
            (Self::RollingBack { why }, Event::PutBack) => Ok(Self::RolledBack { why }),
            (state, Event::Failed { why }) if !state.is_over() => Ok(Self::RollingBack { why }),
            (state, event) => Err(IllegalStep { state, event }),
        }
    }

    /// Nothing will happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Committed | Self::RolledBack { .. })
    }

    /// It waits for a person, and no process is missed.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    pub fn after_crash(&self) -> AfterCrash {
        match self {
            Self::Held { .. } => AfterCrash::Nothing,
            Self::Fetching | Self::Recovering | Self::Proven { .. } => AfterCrash::DropCopy,
            Self::Stopping { .. } | Self::Switching | Self::Adopting | Self::RollingBack { .. } => AfterCrash::PutBack,
            Self::Committed | Self::RolledBack { .. } => AfterCrash::Nothing,
        }
    }

    /// For statuses and refusals.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Fetching => "fetching the backup beside the running cluster",
            Self::Recovering => "recovering and verifying the copy",
            Self::Proven { .. } => "ready to switch",
            Self::Held { .. } => "held, its copy is open for reading",
            Self::Stopping { .. } => "stopping the cluster",
            Self::Switching => "changing places",
            Self::Adopting => "starting the restored cluster",
            Self::Committed => "done",
            Self::RollingBack { .. } => "putting the old data back",
            Self::RolledBack { .. } => "rolled back",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward() -> Vec<Event> {
        let timeline = Timeline(3);
        vec![
            Event::Fetched,
            Event::Recovered { timeline },
            Event::StopOrdered,
            Event::Stopped,
            Event::Switched,
            Event::Adopted,
        ]
    }

    fn walk(events: &[Event]) -> State {
        events.iter().cloned().fold(State::Fetching, |state, event| state.next(event).unwrap())
    }

    #[test]
    fn the_way_forward_ends_committed() {
        assert_eq!(walk(&forward()), State::Committed);
    }

    #[test]
    fn a_failure_anywhere_before_the_commit_rolls_back() {
        for steps in 0..forward().len() {
            let state = walk(&forward()[..steps]).next(Event::Failed { why: "x".into() }).unwrap();
            assert_eq!(state.next(Event::PutBack), Ok(State::RolledBack { why: "x".into() }), "after {steps} steps");
        }
    }

    #[test]
    fn one_that_is_held_goes_on_or_is_cancelled_and_never_by_itself() {
        let timeline = Timeline(3);
        let held = walk(&forward()[..2]).next(Event::Held).unwrap();
        assert_eq!((held.is_held(), held.is_over(), held.after_crash()), (true, false, AfterCrash::Nothing));
        // Another timeline than before: the cluster may have taken the copy's number meanwhile.
        let on = held.clone().next(Event::Resumed { timeline: Timeline(5) }).unwrap();
        assert_eq!(on, State::Proven { timeline: Timeline(5) });
        assert!(held.clone().next(Event::StopOrdered).is_err());
        assert!(matches!(held.next(Event::Failed { why: "cancelled".into() }), Ok(State::RollingBack { .. })));
        assert!(walk(&forward()[..1]).next(Event::Resumed { timeline }).is_err());
    }

    #[test]
    fn what_is_over_stays_over() {
        for over in [State::Committed, State::RolledBack { why: "x".into() }] {
            for event in forward().into_iter().chain([Event::Failed { why: "y".into() }, Event::PutBack]) {
                assert!(over.clone().next(event).is_err());
            }
        }
    }

    #[test]
    fn no_step_can_be_left_out() {
        for (at, event) in forward().iter().enumerate() {
            for (wrong, other) in forward().iter().enumerate() {
                let result = walk(&forward()[..at]).next(other.clone());
                assert_eq!(result.is_ok(), at == wrong, "{event:?} / {other:?}");
            }
        }
    }

    #[test]
    fn a_crash_is_answered_by_what_may_have_moved() {
        #[rustfmt::skip]
        let table = [
            (0, AfterCrash::DropCopy),
            (1, AfterCrash::DropCopy),
            (2, AfterCrash::DropCopy),
            (3, AfterCrash::PutBack),
            (4, AfterCrash::PutBack),
            (5, AfterCrash::PutBack),
            (6, AfterCrash::Nothing),
        ];
        for (steps, want) in table {
            assert_eq!(walk(&forward()[..steps]).after_crash(), want, "after {steps} steps");
        }
    }

    proptest::proptest! {
        /// Whatever happens in whatever order, data is renamed only after the
        /// copy was proven, and the end is one of two.
        #[test]
        fn the_switch_comes_only_after_the_proof(picks in proptest::collection::vec(0usize..8, 0..40)) {
            let mut events = forward();
            events.extend([Event::Failed { why: "x".into() }, Event::PutBack]);
            let (mut state, mut proven) = (State::Fetching, false);
            for pick in picks {
                if let Ok(next) = state.clone().next(events[pick].clone()) {
                    proven |= matches!(next, State::Proven { .. });
                    if matches!(next, State::Switching | State::Adopting | State::Committed) {
                        proptest::prop_assert!(proven);
                    }
                    state = next;
                }
            }
        }
    }
}
