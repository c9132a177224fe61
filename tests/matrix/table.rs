//! What came of the cells: printed, and in target/restore-matrix.json.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::cells::{CANNOT_BE, FAULTS, Fault, STATES, State};

pub struct Row {
    state: &'static str,
    fault: &'static str,
    outcome: String,
    lost: usize,
    seconds: f32,
    said: String,
}

impl Row {
    pub fn new(state: State, fault: Fault, outcome: &str, lost: usize, seconds: f32, said: String) -> Self {
        let said = said.lines().next().unwrap_or_default().to_owned();
        Self { state: state.name(), fault: fault.name(), outcome: outcome.to_owned(), lost, seconds, said }
    }
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// Written at once: what comes later may break off.
pub fn add(row: Row) {
    let mut rows = ROWS.lock().expect("rows");
    rows.push(row);
    write(&rows);
}

fn file() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_pg-backup-agent")).ancestors().nth(2).expect("target");
    target.join("restore-matrix.json")
}

/// Cells of runs before stay until they are tried again: groups of the matrix may be run one by one.
fn write(rows: &[Row]) {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let mut cells: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    for row in rows {
        cells.retain(|cell| !(cell["state"] == row.state && cell["fault"] == row.fault));
        cells.push(json!({"state": row.state, "fault": row.fault, "outcome": row.outcome, "rows_lost": row.lost}));
    }
    let place = |cell: &Value| {
        let state = STATES.iter().position(|state| cell["state"] == state.name());
        (state, FAULTS.iter().position(|fault| cell["fault"] == fault.name()))
    };
    cells.retain(|cell| place(cell).0.is_some() && place(cell).1.is_some());
    cells.sort_by_key(place);
    let text = cells.iter().map(|cell| format!("  {cell}")).collect::<Vec<_>>().join(",\n");
    std::fs::write(file(), format!("[\n{text}\n]\n")).expect("target/restore-matrix.json");
}

pub fn print() {
    let rows = ROWS.lock().expect("rows");
    if rows.is_empty() {
        return;
    }
    println!("\n{:<20} {:<32} {:<12} {:>9} {:>5}  the action said", "state", "fault", "outcome", "rows lost", "s");
    for Row { state, fault, outcome, lost, seconds, said } in rows.iter() {
        println!("{state:<20} {fault:<32} {outcome:<12} {lost:>9} {seconds:>5.0}  {said}");
    }
    println!("\nleft out:");
    for (state, fault, why) in CANNOT_BE {
        println!("{:<20} {:<32} {why}", state.name(), fault.name());
    }
    println!("\n{} cells, also in {}", rows.len(), file().display());
}
