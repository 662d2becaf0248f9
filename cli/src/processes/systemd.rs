//! Units, where systemd is pid 1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::layout::{Layout, STATE};

const UNITS: &str = "/etc/systemd/system";
const CONTROL: &str = "dinp.service";
const ROUTER: &str = "dinp-router@.service";

/// Whether units are this machine's way. An installation elsewhere than the usual place is someone's second or a
/// test's, and gets processes of its own instead of units that could not be told apart.
pub fn runs_here(layout: &Layout) -> bool {
    layout.state == Path::new(STATE) && Path::new("/run/systemd/system").is_dir()
}

/// Writes the units and starts what does not run. `generation` names the binary: a router of another generation is
/// started beside the old one, which hands over its sockets and ends. With another address to listen on there is
/// nothing to hand over, and the old one ends first.
pub fn start(layout: &Layout, program: &Path, generation: &str, moved: bool) -> Result<()> {
    write(CONTROL, &control_unit(layout, program))?;
    write(ROUTER, &router_unit(layout, program))?;
    systemctl(&["daemon-reload"])?;
    let router = format!("dinp-router@{generation}.service");
    for old in routers()? {
        if old != router {
            systemctl(&["disable", &old])?;
        }
        if moved {
            systemctl(&["stop", &old])?;
        }
    }
    systemctl(&["enable", "--now", &router])?;
    systemctl(&["enable", CONTROL])?;
    systemctl(&["restart", CONTROL])
}

pub fn stop() -> Result<()> {
    let mut units = routers()?;
    units.push(CONTROL.to_owned());
    for unit in units {
        systemctl(&["disable", "--now", &unit])?;
    }
    Ok(())
}

pub fn remove() -> Result<()> {
    for unit in [CONTROL, ROUTER] {
        match fs::remove_file(PathBuf::from(UNITS).join(unit)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("removing {unit}")),
        }
    }
    systemctl(&["daemon-reload"])
}

/// Router units systemd knows of, running or enabled.
fn routers() -> Result<Vec<String>> {
    let output = Command::new("systemctl")
        .args(["list-units", "--all", "--plain", "--no-legend", "dinp-router@*.service"])
        .output()
        .context("systemctl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn write(name: &str, text: &str) -> Result<()> {
    let path = PathBuf::from(UNITS).join(name);
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let output = Command::new("systemctl").args(arguments).output().context("systemctl")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("systemctl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
}

fn control_unit(layout: &Layout, program: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=DINP: server, agent, builder and dashboard\n\
         Wants=network-online.target\n\
         After=network-online.target docker.service\n\
         StartLimitIntervalSec=0\n\n\
         [Service]\n\
         Type=notify\n\
         ExecStart={} up --foreground --state {}\n\
         Restart=always\n\
         RestartSec=1\n\
         TimeoutStopSec=30\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        program.display(),
        layout.state.display()
    )
}

/// `on-failure`: a router that has handed over ends with success and stays ended.
fn router_unit(layout: &Layout, program: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=DINP router (%i)\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         StartLimitIntervalSec=0\n\n\
         [Service]\n\
         ExecStart={} router --config {} --state {}\n\
         Restart=on-failure\n\
         RestartSec=100ms\n\
         TimeoutStopSec=60\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        program.display(),
        layout.router_config().display(),
        layout.state.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_that_handed_over_is_not_started_again() {
        let layout = Layout::new(Path::new(STATE)).expect("layout");
        let unit = router_unit(&layout, Path::new("/usr/local/bin/dinp"));
        assert!(unit.contains("ExecStart=/usr/local/bin/dinp router --config /var/lib/dinp/router.toml --state /var/lib/dinp\n"));
        assert!(unit.contains("Restart=on-failure\n"));
        assert!(control_unit(&layout, Path::new("/usr/local/bin/dinp")).contains("Restart=always\n"));
    }

    #[test]
    fn a_second_installation_gets_no_units() {
        assert!(!runs_here(&Layout::new(Path::new("/srv/other")).expect("layout")));
    }
}
