//! Units, where systemd is pid 1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::layout::{Layout, STATE};
use super::units;

const UNITS: &str = "/etc/systemd/system";
/// What starts with the machine, below [`UNITS`].
const ENABLED: &str = "multi-user.target.wants";
const CONTROL: &str = "dinp.service";
const ROUTER: &str = "dinp-router@.service";
/// Every router's unit, as a pattern.
const ROUTERS: &str = "dinp-router@*.service";
/// What systemd makes around them, as a pattern: the letter between is a backslash, which a pattern cannot say.
const SLICE: &str = "system-dinp?x2drouter.slice";
/// Lines of the journal among which the reason of a failed start is looked for.
const JOURNAL_LINES: &str = "50";

/// Whether units are this machine's way. An installation elsewhere than the usual place is someone's second or a
/// test's, and gets processes of its own instead of units that could not be told apart.
pub fn runs_here(layout: &Layout) -> bool {
    layout.state == Path::new(STATE) && Path::new("/run/systemd/system").is_dir()
}

/// Whether the units are as [`start`] would leave them, so that all comes back after a reboot.
pub fn is_kept(layout: &Layout, program: &Path, generation: &str) -> bool {
    kept_in(Path::new(UNITS), layout, program, generation)
}

fn kept_in(folder: &Path, layout: &Layout, program: &Path, generation: &str) -> bool {
    let enabled = |unit: &str| folder.join(ENABLED).join(unit).exists();
    texts(layout, program).iter().all(|(name, text)| is_written(folder, name, text))
        && enabled(CONTROL)
        && enabled(&router_of(generation))
}

/// Writes the units and starts what does not run. `generation` names binary and configuration: a router of another
/// generation is started beside the old one, which hands over its sockets and ends. With another address to listen on there is
/// nothing to hand over, and the old one ends first.
pub fn start(layout: &Layout, program: &Path, generation: &str, moved: bool) -> Result<()> {
    for (name, text) in texts(layout, program) {
        if !is_written(Path::new(UNITS), name, &text) {
            let path = PathBuf::from(UNITS).join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    let router = router_of(generation);
    disable(Path::new(UNITS), &[CONTROL, &router])?;
    systemctl(&["daemon-reload"])?;
    if moved {
        for old in known(ROUTERS)? {
            systemctl(&["stop", &old])?;
        }
    }
    systemctl(&["enable", "--now", &router])?;
    systemctl(&["enable", CONTROL])?;
    // systemd says only that it failed; why, the process said itself.
    systemctl(&["restart", CONTROL]).map_err(|error| match last_error(CONTROL) {
        Some(why) => anyhow::anyhow!("the control plane does not start: {why}\n  see:  journalctl -u dinp"),
        None => error,
    })
}

/// Ends what runs, first who decides, then who serves; and nothing of it starts with the machine.
pub fn stop() -> Result<()> {
    disable(Path::new(UNITS), &[])?;
    systemctl(&["daemon-reload"])?;
    for unit in known(CONTROL)?.into_iter().chain(known(ROUTERS)?) {
        systemctl(&["stop", &unit])?;
    }
    Ok(())
}

/// Takes the units away, and what systemd remembers of them.
pub fn remove() -> Result<()> {
    for unit in [CONTROL, ROUTER] {
        remove_file(&PathBuf::from(UNITS).join(unit))?;
    }
    systemctl(&["daemon-reload"])?;
    for failed in known(CONTROL)?.into_iter().chain(known(ROUTERS)?) {
        systemctl(&["reset-failed", &failed])?;
    }
    for slice in known(SLICE)? {
        systemctl(&["stop", &slice])?;
    }
    Ok(())
}

/// Keeps all our units but `wanted` from starting with the machine. systemctl would refuse for a unit whose file
/// somebody has removed.
fn disable(folder: &Path, wanted: &[&str]) -> Result<()> {
    let links = match fs::read_dir(folder.join(ENABLED)) {
        Ok(links) => links,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("reading which units are enabled"),
    };
    for link in links {
        let link = link.context("reading which units are enabled")?;
        let name = link.file_name().to_string_lossy().into_owned();
        let ours = name == CONTROL || (name.starts_with("dinp-router@") && name.ends_with(".service"));
        if ours && !wanted.contains(&name.as_str()) {
            remove_file(&link.path())?;
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("removing {}", path.display())),
    }
}

fn router_of(generation: &str) -> String {
    format!("dinp-router@{generation}.service")
}

fn texts(layout: &Layout, program: &Path) -> [(&'static str, String); 2] {
    [(CONTROL, units::control(layout, program)), (ROUTER, units::router(layout, program))]
}

fn is_written(folder: &Path, name: &str, text: &str) -> bool {
    fs::read_to_string(folder.join(name)).is_ok_and(|old| old == text)
}

/// Units of this name or pattern that systemd has in memory: what runs, what has failed, what starts with the machine.
fn known(pattern: &str) -> Result<Vec<String>> {
    let text = output("systemctl", &["list-units", "--all", "--plain", "--no-legend", pattern])?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The error with which a unit's process ended last, as it stands in the journal.
fn last_error(unit: &str) -> Option<String> {
    let said = output("journalctl", &["--unit", unit, "--lines", JOURNAL_LINES, "--output", "cat", "--no-pager"]).ok()?;
    error_in(&said)
}

/// A process ends with its error and nothing after it; systemd's own lines are what follows in the journal.
fn error_in(said: &str) -> Option<String> {
    let start = said.rfind("\nerror: ").map(|at| at + 1).or_else(|| said.starts_with("error: ").then_some(0))?;
    let lines: Vec<&str> = said[start + "error: ".len()..].lines().collect();
    let own = lines.iter().skip(1).take_while(|line| line.starts_with(' ')).count();
    Some(lines[..=own].join("\n"))
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    output("systemctl", arguments).map(drop)
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_installation_gets_no_units() {
        assert!(!runs_here(&Layout::new(Path::new("/srv/other")).expect("layout")));
    }

    #[test]
    fn a_unit_that_is_gone_changed_or_not_enabled_is_not_kept() {
        let layout = Layout::new(Path::new(STATE)).expect("layout");
        let (folder, program) = (tempfile::tempdir().expect("folder"), Path::new("/usr/local/bin/dinp"));
        let kept = |generation: &str| kept_in(folder.path(), &layout, program, generation);
        fs::create_dir(folder.path().join(ENABLED)).expect("folder");
        for (name, text) in texts(&layout, program) {
            fs::write(folder.path().join(name), text).expect("write");
        }
        assert!(!kept("1"), "not enabled");
        for unit in [CONTROL, "dinp-router@1.service"] {
            fs::write(folder.path().join(ENABLED).join(unit), "").expect("write");
        }
        assert!(kept("1"));
        assert!(!kept("2"), "of another binary");
        fs::write(folder.path().join(CONTROL), "[Unit]\n").expect("write");
        assert!(!kept("1"), "changed");
    }

    #[test]
    fn only_units_of_ours_are_kept_from_starting_with_the_machine() {
        let folder = tempfile::tempdir().expect("folder");
        disable(folder.path(), &[]).expect("nothing is enabled yet");
        let enabled = folder.path().join(ENABLED);
        fs::create_dir(&enabled).expect("folder");
        for unit in [CONTROL, "dinp-router@1.service", "dinp-router@2.service", "docker.service"] {
            std::os::unix::fs::symlink("/nowhere", enabled.join(unit)).expect("a link");
        }
        let left = || {
            let mut left: Vec<_> = fs::read_dir(&enabled).expect("read").map(|link| link.expect("link").file_name()).collect();
            left.sort();
            left
        };
        disable(folder.path(), &[CONTROL, "dinp-router@2.service"]).expect("disabled");
        assert_eq!(left(), ["dinp-router@2.service", CONTROL, "docker.service"]);
        disable(folder.path(), &[]).expect("disabled");
        assert_eq!(left(), ["docker.service"]);
    }

    #[test]
    fn why_a_unit_does_not_start_is_the_last_error_of_its_process() {
        let journal = "Starting dinp.service...\nerror: an old one\ndinp.service: Failed with result 'exit-code'.\n\
                       Starting dinp.service...\nINFO started\nerror: the disk is full\n  try:  rm\n\
                       dinp.service: Main process exited, code=exited, status=1/FAILURE\n";
        assert_eq!(error_in(journal).as_deref(), Some("the disk is full\n  try:  rm"));
        assert_eq!(error_in("Starting dinp.service...\nINFO started\n"), None);
    }
}
