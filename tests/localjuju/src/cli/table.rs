//! `juju status` as text. Pure: takes the JSON, gives the tables.

use serde_json::Value;

use super::print::{columns, entries, text};

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn list(value: Option<&Value>) -> String {
    let items = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    items.collect::<Vec<_>>().join(" ")
}

pub(super) fn status(value: &Value, relations: bool, storage: bool) -> String {
    let model = value.get("model").unwrap_or(&Value::Null);
    let mut parts = vec![columns(&[
        row(["Model", "Controller", "Cloud/Region", "Version", "SLA", "Timestamp"]),
        row([
            text(model, "/name"),
            text(model, "/controller"),
            "localhost/localhost",
            text(model, "/version"),
            text(model, "/sla"),
            text(value, "/controller/timestamp"),
        ]),
    ])];
    let apps = value.get("applications").unwrap_or(&Value::Null);
    if apps.as_object().is_none_or(serde_json::Map::is_empty) {
        parts.push(format!("Model \"admin/{}\" is empty.\n", text(model, "/name")));
        return parts.join("\n");
    }
    parts.push(applications(apps));
    let mut units = vec![row(["Unit", "Workload", "Agent", "Machine", "Public address", "Ports", "Message"])];
    for (_, app) in entries(apps) {
        for (name, unit) in entries(app.get("units").unwrap_or(&Value::Null)) {
            unit_rows(name, unit, "", &mut units);
        }
    }
    if units.len() > 1 {
        parts.push(columns(&units));
    }
    let mut machines = vec![row(["Machine", "State", "Address", "Inst id", "Base", "AZ", "Message"])];
    for (id, machine) in entries(value.get("machines").unwrap_or(&Value::Null)) {
        let base = format!("{}@{}", text(machine, "/base/name"), text(machine, "/base/channel"));
        machines.push(row([
            id,
            text(machine, "/juju-status/current"),
            text(machine, "/dns-name"),
            text(machine, "/instance-id"),
            &base,
            "",
            text(machine, "/machine-status/message"),
        ]));
    }
    if machines.len() > 1 {
        parts.push(columns(&machines));
    }
    if relations {
        parts.extend(integrations(apps));
    }
    if storage {
        parts.push(storage_rows(value));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn applications(apps: &Value) -> String {
    let mut rows = vec![row(["App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Exposed", "Message"])];
    for (name, app) in entries(apps) {
        let units = app.get("units").and_then(Value::as_object);
        let scale = units.map_or(0, serde_json::Map::len).to_string();
        let exposed = if app.get("exposed") == Some(&Value::Bool(true)) { "yes" } else { "no" };
        let revision = app.get("charm-rev").map(Value::to_string).unwrap_or_default();
        rows.push(row([
            name,
            text(app, "/version"),
            text(app, "/application-status/current"),
            &scale,
            text(app, "/charm-name"),
            "",
            &revision,
            exposed,
            text(app, "/application-status/message"),
        ]));
    }
    columns(&rows)
}

fn unit_rows(name: &str, unit: &Value, indent: &str, rows: &mut Vec<Vec<String>>) {
    let leader = if unit.get("leader") == Some(&Value::Bool(true)) { "*" } else { "" };
    let mut message = text(unit, "/workload-status/message").to_owned();
    let doing = text(unit, "/juju-status/message");
    if text(unit, "/juju-status/current") == "executing" && !doing.is_empty() {
        // Juju shows what the agent does in front of what the charm says.
        message = format!("({}) {message}", doing.trim_start_matches("running ").trim_end_matches(" hook"));
    }
    let ports = list(unit.get("open-ports"));
    rows.push(row([
        &format!("{indent}{name}{leader}"),
        text(unit, "/workload-status/current"),
        text(unit, "/juju-status/current"),
        text(unit, "/machine"),
        text(unit, "/public-address"),
        &ports,
        message.trim_end(),
    ]));
    for (name, unit) in entries(unit.get("subordinates").unwrap_or(&Value::Null)) {
        unit_rows(name, unit, "  ", rows);
    }
}

fn integrations(apps: &Value) -> Option<String> {
    let mut rows = vec![row(["Integration provider", "Requirer", "Interface", "Type", "Message"])];
    for (name, app) in entries(apps) {
        for (endpoint, related) in entries(app.get("relations").unwrap_or(&Value::Null)) {
            for other in related.as_array().into_iter().flatten() {
                let far = text(other, "/related-application");
                let near = format!("{name}:{endpoint}");
                let interface = text(other, "/interface");
                if far == name {
                    rows.push(row([&near, &near, interface, "peer", ""]));
                } else if name.as_str() < far {
                    let end = entries(apps.get(far).and_then(|app| app.get("relations")).unwrap_or(&Value::Null))
                        .find(|(_, list)| {
                            list.as_array().into_iter().flatten().any(|back| {
                                text(back, "/related-application") == name && text(back, "/interface") == interface
                            })
                        })
                        .map_or(String::new(), |(endpoint, _)| format!("{far}:{endpoint}"));
                    let kind = if text(other, "/scope") == "container" { "subordinate" } else { "regular" };
                    rows.push(row([&near, &end, interface, kind, ""]));
                }
            }
        }
    }
    (rows.len() > 1).then(|| columns(&rows))
}

fn storage_rows(value: &Value) -> String {
    let mut rows = vec![row(["Storage Unit", "Storage ID", "Type", "Mountpoint", "Status"])];
    for (id, storage) in entries(value.pointer("/storage/storage").unwrap_or(&Value::Null)) {
        let attached =
            storage.pointer("/attachments/units").and_then(Value::as_object).and_then(|units| units.iter().next());
        let (unit, location) = attached.map_or(("", ""), |(unit, found)| (unit.as_str(), text(found, "/location")));
        rows.push(row([unit, id, text(storage, "/kind"), location, text(storage, "/status/current")]));
    }
    if rows.len() == 1 { String::new() } else { columns(&rows) }
}
