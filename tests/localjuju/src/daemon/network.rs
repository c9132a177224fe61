//! Networks of machines: a namespace each, a bridge a model. Runs `ip` (iproute2) and knows nothing of models.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns};

use super::reap;
use crate::ids;
use crate::model::hosts::hardware_address;
use crate::model::{Bridge, Link};

const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Where `ip netns` keeps its names.
const NAMES: &str = "/run/netns";

fn ip(line: &str) -> Result<String> {
    let mut command = Command::new("ip");
    command.args(line.split_whitespace()).env_clear().env("PATH", SYSTEM_PATH);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = reap::spawn(&mut command).context("starting ip (package iproute2)")?;
    let pid = child.id();
    let output = child.wait_with_output();
    reap::forget(pid);
    let output = output.context("running ip")?;
    if !output.status.success() {
        bail!("ip {line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn exists(interface: &str) -> bool {
    Path::new("/sys/class/net").join(interface).exists()
}

fn path(namespace: &str) -> PathBuf {
    Path::new(NAMES).join(namespace)
}

/// Subnets of 198.18.0.0/16 in use on this machine, once for each interface: ours, other homes', and what runs that
/// were killed have left.
fn subnets() -> Result<Vec<u8>> {
    let text = ip("-4 -oneline address show")?;
    let words = text.lines().filter_map(|line| line.split_whitespace().nth(3));
    Ok(words.filter_map(|address| address.strip_prefix("198.18.")?.split('.').next()?.parse().ok()).collect())
}

/// A new bridge with a subnet that is free here. Also finds out whether namespaces are permitted.
pub(crate) fn make_bridge(reserved: &BTreeSet<u8>) -> Result<Bridge> {
    for _ in 0..50 {
        let taken = subnets()?;
        let [subnet] = ids::bytes::<1>();
        let bridge = Bridge { name: format!("lj{}", ids::hex(&ids::bytes::<3>())), subnet };
        if taken.contains(&subnet) || reserved.contains(&subnet) || exists(&bridge.name) {
            continue;
        }
        let made = lay_bridge(&bridge).and_then(|()| {
            let probe = format!("{}-probe", bridge.name);
            ip(&format!("netns add {probe}")).and_then(|_| ip(&format!("netns delete {probe}")))
        });
        if let Err(fault) = made {
            remove_bridge(&bridge);
            return Err(fault.context("network namespaces are not permitted on this machine"));
        }
        // Somebody else may have chosen the same at the same time: then both choose again.
        if subnets()?.iter().filter(|found| **found == subnet).count() == 1 {
            return Ok(bridge);
        }
        remove_bridge(&bridge);
    }
    bail!("no subnet of 198.18.0.0/16 is free on this machine")
}

fn lay_bridge(bridge: &Bridge) -> Result<()> {
    let Bridge { name, subnet } = bridge;
    let own = format!("198.18.{subnet}.254");
    // With a hardware address of its own, or it would change with every machine that comes and goes.
    ip(&format!("link add {name} address {} type bridge", hardware_address(&own)))?;
    ip(&format!("address add {own}/24 dev {name}"))?;
    ip(&format!("link set {name} up"))?;
    Ok(())
}

/// With every namespace and link that is still there.
pub(crate) fn remove_bridge(bridge: &Bridge) {
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let (ends, spaces) = (format!("{}m", bridge.name), format!("{}-", bridge.name));
    for interface in names("/sys/class/net").iter().filter(|name| name.starts_with(&ends)) {
        tell(ip(&format!("link delete {interface}")));
    }
    for namespace in names(NAMES).iter().filter(|name| name.starts_with(&spaces)) {
        tell(ip(&format!("netns delete {namespace}")));
    }
    if exists(&bridge.name) {
        tell(ip(&format!("link delete {}", bridge.name)));
    }
}

fn tell<T>(result: Result<T>) {
    if let Err(fault) = result {
        eprintln!("localjuju: {fault:#}");
    }
}

/// A machine's namespace and its link into the bridge. All or nothing.
pub(crate) fn make_link(link: &Link) -> Result<()> {
    let Link { host_end, namespace, .. } = link;
    let lay = || -> Result<()> {
        ip(&format!("netns add {namespace}"))?;
        ip(&format!("-n {namespace} link set lo up"))?;
        ip(&format!("link add {host_end} type veth peer name eth0 netns {namespace}"))?;
        ip(&format!("link set {host_end} addrgenmode none"))?;
        ip(&format!("link set {host_end} up"))?;
        give_address(link)?;
        join(link)
    };
    lay().inspect_err(|_| remove_link(link))
}

fn give_address(link: &Link) -> Result<()> {
    let Link { namespace, address, .. } = link;
    ip(&format!("-n {namespace} link set eth0 down"))?;
    ip(&format!("-n {namespace} address flush dev eth0"))?;
    ip(&format!("-n {namespace} link set eth0 address {}", hardware_address(address)))?;
    ip(&format!("-n {namespace} address add {address}/24 dev eth0"))?;
    ip(&format!("-n {namespace} link set eth0 up"))?;
    Ok(())
}

/// Puts the link on the bridge, or off it when it is cut. Cut, the host must not answer for its own address there.
pub(crate) fn join(link: &Link) -> Result<()> {
    let Link { host_end, bridge, cut, .. } = link;
    if *cut {
        ip(&format!("link set {host_end} arp off"))?;
        ip(&format!("link set {host_end} nomaster"))?;
    } else {
        ip(&format!("link set {host_end} master {bridge}"))?;
        ip(&format!("link set {host_end} arp on"))?;
    }
    Ok(())
}

/// The machine has another address now; what was connected to the old one hangs.
pub(crate) fn change_address(link: &Link) -> Result<()> {
    give_address(link)
}

pub(crate) fn remove_link(link: &Link) {
    if exists(&link.host_end) {
        tell(ip(&format!("link delete {}", link.host_end)));
    }
    if path(&link.namespace).exists() {
        tell(ip(&format!("netns delete {}", link.namespace)));
    }
}

/// What should be there and is not (this machine has booted) is made again.
pub(crate) fn restore(bridge: &Bridge, links: &[Link]) {
    if !exists(&bridge.name) {
        tell(lay_bridge(bridge));
    }
    for link in links.iter().filter(|link| !exists(&link.host_end)) {
        remove_link(link);
        tell(make_link(link));
    }
}

/// What /proc calls the namespace.
pub(crate) fn inode(namespace: &str) -> Option<u64> {
    fs::metadata(path(namespace)).ok().map(|found| found.ino())
}

/// Starts a child inside: a thread that moves there takes its children along, and nobody else.
pub(super) fn spawn(namespace: &str, command: &mut Command) -> std::io::Result<Child> {
    let inside = || -> std::io::Result<Child> {
        let target = fs::File::open(path(namespace))?;
        setns(target, CloneFlags::CLONE_NEWNET)?;
        reap::spawn(command)
    };
    let joined = thread::scope(|scope| scope.spawn(inside).join());
    joined.unwrap_or_else(|_| Err(std::io::Error::other("the starting thread has panicked")))
}
