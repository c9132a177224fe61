//! `list-backups` for people: the table of Charmed PostgreSQL to the character,
//! and two columns of sizes after its last one.

use super::listing::{Listing, Row};
use crate::model::{Backup, BackupId, Bytes};

/// Header and width of Charmed PostgreSQL's columns.
const COLUMNS: [(&str, usize); 9] = [
    ("backup-id", 20),
    ("action", 19),
    ("status", 8),
    ("reference-backup-id", 20),
    ("LSN start/stop", 23),
    ("start-time", 20),
    ("finish-time", 20),
    ("timeline", 8),
    // As wide as its widest path: Charmed PostgreSQL's lines end with it.
    ("backup-path", 0),
];
const NONE: &str = "None";
const NOT_APPLICABLE: &str = "n/a";

/// Characters of a failure's reason: the whole of it is in the JSON form and in its log object.
const REASON: usize = 100;

pub fn backups(listing: &Listing) -> String {
    let rows: Vec<_> = listing.rows().into_iter().map(|row| cells(listing, &row)).collect();
    let widest = rows.iter().map(|row| row.compatible[8].chars().count()).max().unwrap_or_default();
    let path_width = widest.max(COLUMNS[8].0.len());
    let header = Cells {
        compatible: COLUMNS.map(|(name, _)| name.to_owned()),
        sizes: ["size".to_owned(), "repository-size".to_owned()],
    };
    let header = line(&header, path_width);
    let dashes = "-".repeat(header.chars().count());
    let mut lines = vec![
        format!("Storage bucket name: {}", listing.bucket),
        format!("Backups base path: {}/backup/", listing.path.trim_end_matches('/')),
        String::new(),
        header,
        dashes,
    ];
    lines.extend(rows.iter().map(|row| line(row, path_width)));
    lines.join("\n")
}

/// The texts of one line.
struct Cells {
    compatible: [String; 9],
    sizes: [String; 2],
}

fn line(cells: &Cells, path_width: usize) -> String {
    let mut line = String::new();
    for (text, (_, width)) in cells.compatible.iter().zip(COLUMNS) {
        let width = if width == 0 { path_width } else { width };
        line.push_str(&format!("{text:<width$} | "));
    }
    let [size, repository_size] = &cells.sizes;
    format!("{line}{size:<10} | {repository_size}")
}

fn cells(listing: &Listing, row: &Row<'_>) -> Cells {
    match row {
        Row::Finished(backup) => finished(listing, backup),
        Row::Failed(run) => Short {
            action: format!("{} backup", run.kind),
            status: format!("failed: {}", cut(&run.reason)),
            finish: BackupId::at(run.finished).to_string(),
            timeline: NOT_APPLICABLE.to_owned(),
        }
        .cells(run.id()),
        Row::Running(running) => Short {
            action: format!("{} backup", running.kind),
            status: running.percent_hundredths.map_or("in progress".to_owned(), in_progress),
            finish: NOT_APPLICABLE.to_owned(),
            timeline: NOT_APPLICABLE.to_owned(),
        }
        .cells(row.id()),
        Row::Restore(history) => Short {
            action: "restore".to_owned(),
            status: "finished".to_owned(),
            finish: NOT_APPLICABLE.to_owned(),
            timeline: history.timeline.to_string(),
        }
        .cells(history.id()),
    }
}

fn finished(listing: &Listing, backup: &Backup) -> Cells {
    let status = if backup.page_errors { "failed: page checksum errors" } else { "finished" };
    Cells {
        compatible: [
            backup.id().to_string(),
            format!("{} backup", backup.kind()),
            status.to_owned(),
            listing.reference(backup).map_or(NONE.to_owned(), |id| id.to_string()),
            lsns(backup),
            BackupId::at(backup.started).to_string(),
            BackupId::at(backup.finished).to_string(),
            backup.timeline().map_or(NOT_APPLICABLE.to_owned(), |timeline| timeline.to_string()),
            format!("/{}/{}", listing.stanza, backup.label),
        ],
        sizes: [Bytes(backup.size).to_string(), Bytes(backup.repository_size).to_string()],
    }
}

/// A row of what is no backup set: it has no reference, positions, path and sizes.
struct Short {
    action: String,
    status: String,
    finish: String,
    timeline: String,
}

impl Short {
    fn cells(self, id: BackupId) -> Cells {
        let no = || NOT_APPLICABLE.to_owned();
        let Self { action, status, finish, timeline } = self;
        let (id, start) = (id.to_string(), id.to_string());
        Cells {
            compatible: [id, action, status, NONE.to_owned(), no(), start, finish, timeline, no()],
            sizes: [no(), no()],
        }
    }
}

fn in_progress(hundredths: u32) -> String {
    format!("in progress: {}.{}%", hundredths / 100, hundredths / 10 % 10)
}

fn cut(reason: &str) -> String {
    match reason.chars().count() > REASON {
        true => reason.chars().take(REASON - 1).chain(['…']).collect(),
        false => reason.to_owned(),
    }
}

fn lsns(backup: &Backup) -> String {
    match (backup.lsn_start, backup.lsn_stop) {
        (Some(start), Some(stop)) => format!("{start} / {stop}"),
        _ => NOT_APPLICABLE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::tests::{everything, one_backup};
    use super::*;

    #[test]
    fn one_backup_is_six_lines() {
        assert_eq!(backups(&one_backup()).lines().count(), 6);
        insta::assert_snapshot!(backups(&one_backup()), @r#"
        Storage bucket name: backups
        Backups base path: /production/backup/

        backup-id            | action              | status   | reference-backup-id  | LSN start/stop          | start-time           | finish-time          | timeline | backup-path                       | size       | repository-size
        ----------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------
        2026-11-22T03:00:00Z | full backup         | finished | None                 | 0/13000028 / 0/14000100 | 2026-11-22T03:00:00Z | 2026-11-22T03:00:10Z | 1        | /prod.postgresql/20261122-030000F | 1.6 GiB    | 380 MiB
        "#);
    }

    #[test]
    fn every_kind_of_row_in_the_order_of_ids() {
        insta::assert_snapshot!(backups(&everything()), @r#"
        Storage bucket name: backups
        Backups base path: /production/backup/

        backup-id            | action              | status   | reference-backup-id  | LSN start/stop          | start-time           | finish-time          | timeline | backup-path                                        | size       | repository-size
        ---------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------
        2026-11-22T03:00:00Z | full backup         | finished | None                 | 0/13000028 / 0/14000100 | 2026-11-22T03:00:00Z | 2026-11-22T03:00:10Z | 1        | /prod.postgresql/20261122-030000F                  | 1.6 GiB    | 380 MiB
        2026-11-22T04:00:00Z | differential backup | failed: [082]: WAL segment was not archived | None                 | n/a                     | 2026-11-22T04:00:00Z | 2026-11-22T04:01:00Z | n/a      | n/a                                                | n/a        | n/a
        2026-11-22T04:30:00Z | restore             | finished | None                 | n/a                     | 2026-11-22T04:30:00Z | n/a                  | A        | n/a                                                | n/a        | n/a
        2026-11-22T05:00:00Z | incremental backup  | failed: page checksum errors | 2026-11-22T03:00:00Z | 0/17000028 / 0/17000138 | 2026-11-22T05:00:00Z | 2026-11-22T05:00:02Z | A        | /prod.postgresql/20261122-030000F_20261122-050000I | 1.6 GiB    | 11 MiB
        2026-11-22T06:00:00Z | full backup         | in progress: 42.1% | None                 | n/a                     | 2026-11-22T06:00:00Z | n/a                  | n/a      | n/a                                                | n/a        | n/a
        "#);
    }

    #[test]
    fn an_empty_repository_has_an_empty_table() {
        let empty = Listing { path: "/".into(), backups: Vec::new(), ..one_backup() };
        insta::assert_snapshot!(backups(&empty), @r#"
        Storage bucket name: backups
        Backups base path: /backup/

        backup-id            | action              | status   | reference-backup-id  | LSN start/stop          | start-time           | finish-time          | timeline | backup-path | size       | repository-size
        ------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------------
        "#);
    }

    #[test]
    fn the_compatible_part_of_a_line_is_charmed_postgresqls_to_the_character() {
        let compatible = "2026-11-22T03:00:00Z | full backup         | finished | None                 | \
                          0/13000028 / 0/14000100 | 2026-11-22T03:00:00Z | 2026-11-22T03:00:10Z | 1        | \
                          /prod.postgresql/20261122-030000F";
        let table = backups(&one_backup());
        let row = table.lines().last().unwrap();
        assert_eq!(row.strip_prefix(compatible), Some(" | 1.6 GiB    | 380 MiB"));
    }

    #[test]
    fn a_long_reason_is_cut_here() {
        let mut listing = everything();
        listing.failed[0].reason = "x".repeat(5000);
        let status = format!(" | failed: {}… | ", "x".repeat(REASON - 1));
        assert_eq!(backups(&listing).matches(&status).count(), 1);
    }
}
