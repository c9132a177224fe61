//! open-port, close-port, opened-ports.

use serde_json::Value;

use super::args::{self, FORMAT, Flag, OUTPUT};
use super::{Answer, Call, Fail};
use crate::model::Port;

fn parse_port(text: &str) -> Option<(u16, u16, String)> {
    if text == "icmp" {
        return Some((0, 0, "icmp".to_owned()));
    }
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !matches!(protocol, "tcp" | "udp") {
        return None;
    }
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from > 0 && from <= to).then(|| (from, to, protocol.to_owned()))
}

fn ports(call: &Call<'_>) -> Result<Vec<Port>, Fail> {
    let parsed = args::parse(&call.args, &[FORMAT, Flag::Value(&["endpoints"])])?;
    let Some(text) = parsed.rest.first() else { return Err(Fail::usage("no port or range specified")) };
    parsed.no_more(1)?;
    let (from, to, protocol) = parse_port(text).ok_or_else(|| {
        Fail::usage(format!("expected <port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp; got {text:?}"))
    })?;
    let endpoints = parsed.value("endpoints").unwrap_or_default();
    let charm = &call.app()?.charm;
    let unknown = |endpoint: &&str| {
        !endpoint.is_empty()
            && !charm.relations.contains_key(*endpoint)
            && !charm.bindings.iter().any(|known| known == endpoint)
    };
    if let Some(endpoint) = endpoints.split(',').map(str::trim).find(unknown) {
        return Err(Fail::run(format!("endpoint {endpoint:?} not found")));
    }
    let endpoints = endpoints.split(',').map(|endpoint| endpoint.trim().to_owned());
    Ok(endpoints.map(|endpoint| Port { from, to, protocol: protocol.clone(), endpoint }).collect())
}

pub(super) fn open(call: &mut Call<'_>) -> Answer {
    let new = ports(call)?;
    let own = call.context.unit.clone();
    let machine = call.unit()?.machine;
    for port in &new {
        // Units on one machine may not open the same port.
        let taken = call.model.units.values().find(|unit| {
            unit.name != own && unit.machine == machine && unit.ports.iter().any(|open| overlaps(open, port))
        });
        if let Some(other) = taken {
            return Err(Fail::run(format!(
                "cannot open {} (unit {own:?}): port range conflicts with {:?}",
                port.range(),
                other.name
            )));
        }
        call.context.buffer.close.remove(port);
        call.context.buffer.open.insert(port.clone());
    }
    Ok(String::new())
}

fn overlaps(one: &Port, other: &Port) -> bool {
    one.protocol == other.protocol && one.from <= other.to && other.from <= one.to
}

pub(super) fn close(call: &mut Call<'_>) -> Answer {
    for port in ports(call)? {
        call.context.buffer.open.remove(&port);
        call.context.buffer.close.insert(port);
    }
    Ok(String::new())
}

/// Answers what is committed: ports opened in this run are not in it yet.
pub(super) fn opened(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, Flag::Switch(&["endpoints"])])?;
    parsed.no_more(0)?;
    let mut lines: Vec<Value> = Vec::new();
    for port in &call.unit()?.ports {
        let text = match (parsed.is_set("endpoints"), port.endpoint.as_str()) {
            (false, _) => port.range(),
            (true, "") => format!("{} (*)", port.range()),
            (true, endpoint) => format!("{} ({endpoint})", port.range()),
        };
        let line = Value::from(text);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    call.answer(&parsed, "smart", &Value::Array(lines))
}
