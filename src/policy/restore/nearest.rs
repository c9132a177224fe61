//! The instants near a target that cannot be restored to, as commands to type.

use chrono::TimeDelta;

use super::chain::Chain;
use super::no_way::{Nearest, NoWay};
use super::question::{Question, is_behind};
use super::rights::fault;
use super::search::marks;
use super::world::Open;
use crate::model::{Backup, Moment, RestoreTarget, Stop, Timeline, TimelinePath, WalSegment};

/// Segments that are read to find the last commit before a gap or an end.
const LOOK_BACK: usize = 8;

impl Question<'_> {
    pub(super) fn no_base_backup(&self, path: &TimelinePath) -> NoWay {
        let newest = self.catalog.backups.iter().rev().find(|set| fault(self.catalog, set).is_none());
        let command = newest.map(|set| self.command(&format!("backup-id={}", set.id()), None));
        NoWay::NoBaseBackup { timeline: path.timeline, nearest: Nearest(command.into_iter().collect()) }
    }

    /// The refusal of a target behind a gap: what stands before it, and the next set behind it.
    pub(super) fn gap(
        &self,
        missing: WalSegment,
        path: &TimelinePath,
        set: &Backup,
        chain: &Chain,
    ) -> Result<Open, Open> {
        let size = self.world.timelines.segment_size;
        let mut nearest = self.before(path, set, chain)?;
        let starts_behind = |set: &&&Backup| set.wal_start.is_some_and(|wal| wal.number(size) > missing.number(size));
        let behind = self.sets(path).unwrap_or_default();
        let behind =
            behind.iter().rev().find(starts_behind).map(|set| self.command(&format!("backup-id={}", set.id()), None));
        nearest.0.extend(behind);
        Ok(NoWay::Gap { target: self.asked.target.to_string(), missing, nearest }.into())
    }

    /// The last instants of a chain: just before its last commit, with it, or the backup alone.
    pub(super) fn before(&self, path: &TimelinePath, set: &Backup, chain: &Chain) -> Result<Nearest, Open> {
        let timeline = Some(path.timeline).filter(|_| !self.is_present(path));
        // Said where it would not be taken by itself.
        let for_time = |time| Some(path.timeline).filter(|own| self.world.timelines.current_at(time) != Some(*own));
        let mut commands = Vec::new();
        for segment in chain.segments.iter().rev().take(LOOK_BACK) {
            let commit = marks(self.world, segment)?.commits.last().copied();
            let Some(commit) = commit.filter(|commit| is_behind(set, commit.lsn)) else { continue };
            let just_before = commit.at - TimeDelta::microseconds(1);
            if just_before >= set.finished {
                commands.push(self.command(&format!("restore-to-time={}", Moment(just_before)), for_time(just_before)));
            }
            commands.push(self.command(&format!("restore-to-lsn={}", commit.lsn), timeline));
            break;
        }
        commands.push(self.command(&format!("backup-id={}", set.id()), None));
        Ok(Nearest(commands))
    }

    pub(super) fn oldest_of(&self, path: &TimelinePath) -> Nearest {
        let sets = self.sets(path).unwrap_or_default();
        Nearest(sets.last().map(|set| self.command(&format!("backup-id={}", set.id()), None)).into_iter().collect())
    }

    /// Another set, of which all is there.
    pub(super) fn others(&self, but: &Backup) -> Nearest {
        let is_good = |set: &&Backup| {
            set.label != but.label
                && set.archive_id == self.world.archive_id
                && fault(self.catalog, set).is_none()
                && self.is_whole(set)
        };
        let newest = self.catalog.backups.iter().rev().find(is_good);
        Nearest(newest.map(|set| self.command(&format!("backup-id={}", set.id()), None)).into_iter().collect())
    }

    /// The target as it was asked for.
    pub(super) fn parameters(&self) -> String {
        let target = match &self.asked.target {
            RestoreTarget::BackupEnd => String::new(),
            RestoreTarget::Latest => "restore-to-time=latest".to_owned(),
            RestoreTarget::Time(time) => format!("restore-to-time={}", Moment(*time)),
            RestoreTarget::Lsn(lsn) => format!("restore-to-lsn={lsn}"),
            RestoreTarget::Xid(xid) => format!("restore-to-xid={xid}"),
            RestoreTarget::Name(name) => format!("restore-to-name='{name}'"),
        };
        match self.asked.stop {
            Stop::After => target,
            Stop::Before => format!("{target} exclusive=true"),
        }
    }

    pub(super) fn command(&self, parameters: &str, timeline: Option<Timeline>) -> String {
        let timeline = timeline.map(|timeline| format!(" timeline={}", timeline.0)).unwrap_or_default();
        format!("juju run {}/leader restore {parameters}{timeline}", self.world.unit.application)
    }
}
