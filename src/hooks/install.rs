//! The programs that a unit needs: present, or installed by apt.

use std::time::Duration;

use crate::cluster::Member;
use crate::juju::{Juju, Level};
use crate::model::AgentError;
use crate::sys::environment::Vars;
use crate::sys::files;
use crate::sys::process::{Invocation, Runner};

/// Debian and Ubuntu packages; `postgresql` is the distribution's major version.
/// Patroni's etcd client checks certificates by python3-idna, which only recommends it.
const PACKAGES: [&str; 7] =
    ["postgresql", "patroni", "etcd-server", "python3-etcd", "python3-idna", "pgbackrest", "util-linux"];

/// Programs that tell whether the packages are there.
const PROGRAMS: [&str; 4] = ["patroni", "etcd", "pgbackrest", "setpriv"];

/// A module that Patroni's etcd client imports where certificates are checked.
const IDNA: &str = "/usr/lib/python3/dist-packages/idna";

const APT: Duration = Duration::from_secs(1800);

pub(super) async fn install(vars: &Vars, juju: &Juju) -> Result<(), AgentError> {
    let path = vars.get("PATH").map(String::as_str).unwrap_or_default();
    let missing = missing(path);
    if missing.is_empty() {
        return Ok(());
    }
    let say = async |text: &str| {
        juju.set_status("maintenance", text).await.map_err(|e| AgentError::fault("setting the status", e))
    };
    say(&format!("installing packages: {}", PACKAGES.join(", "))).await?;
    let runner = Runner::new(path);
    keep_default_services_quiet(&runner).await?;
    apt(&runner, &["update", "--quiet"]).await?;
    apt(&runner, &[&["install", "--yes", "--quiet", "--no-install-recommends"], &PACKAGES[..]].concat()).await?;
    let still = self::missing(path);
    if !still.is_empty() {
        return Err(AgentError::refused(
            format!("packages were installed, but these are missing: {}", still.join(", ")),
            "",
        ));
    }
    juju.log(Level::Info, "packages installed").await.map_err(|error| AgentError::fault("logging", error))
}

fn missing(path: &str) -> Vec<&'static str> {
    let there =
        |program: &str| path.split(':').any(|folder| files::exists(&std::path::Path::new(folder).join(program)));
    let mut missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !there(program)).collect();
    if Member::newest_bin_dir().is_none() {
        missing.push("postgres");
    }
    // A unit that an older release installed has it not, and TLS would need it.
    if !files::exists(std::path::Path::new(IDNA)) {
        missing.push("python3-idna");
    }
    missing
}

/// The packages would start an etcd and a cluster of their own on localhost.
async fn keep_default_services_quiet(runner: &Runner) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("keeping the packages' default cluster away", error);
    let folder = std::path::Path::new("/etc/postgresql-common");
    let conf = folder.join("createcluster.conf");
    if !files::exists(&conf) {
        files::make_folder(folder, None, 0o755).map_err(failed)?;
        files::write(&conf, b"create_main_cluster = false\n", &files::Access::Public).map_err(failed)?;
    }
    if files::exists(std::path::Path::new("/run/systemd/system")) {
        let mask = Invocation::new("systemctl")
            .args(["mask", "etcd.service", "patroni.service"])
            .within(Duration::from_secs(60));
        runner.run(&mask).await.map_err(|error| AgentError::fault("masking default services", error))?;
    }
    Ok(())
}

async fn apt(runner: &Runner, args: &[&str]) -> Result<(), AgentError> {
    let invocation = Invocation::new("apt-get")
        .args(args.iter().copied())
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Keeps sysv-style machines from starting what was just installed.
        .env("RUNLEVEL", "1")
        .within(APT);
    let doing = format!("apt-get {}", args[0]);
    let output = runner.run(&invocation).await.map_err(|error| AgentError::fault(doing.clone(), error))?;
    if output.success() { Ok(()) } else { Err(AgentError::fault(doing, output.last_line().to_owned())) }
}
