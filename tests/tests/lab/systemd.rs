//! `dinp up` on a machine with systemd as process 1: its units keep everything, through crashes, upgrades and reboots.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dinp_tests::lab::SETTLE;
use dinp_tests::machine::{Machine, PROGRAM};
use dinp_tests::runner::World;
use dinp_tests::wait::until;

const ROUTER: u16 = 8080;
const PANEL: u16 = 8081;

pub async fn units_keep_everything_through_crashes_upgrades_and_reboots(_: &World) {
    let devices = devices();
    let mut machine = Machine::install();
    let program = std::fs::read(dinp_tests::dinp()).expect("the binary");
    machine.put(&program);
    machine.boot().await;
    first_start(&machine).await;
    crashes(&machine).await;
    upgrade(&machine, program).await;
    machine.shut_down().await;
    machine.boot().await;
    unattended(&machine).await;
    machine.lose_power().await;
    machine.boot().await;
    unattended(&machine).await;
    stop_and_purge(&machine).await;
    machine.shut_down().await;
    drop(machine);
    assert_eq!(self::devices(), devices, "the host's devices are as they were");
}

/// Modes of what every program of the host's opens.
fn devices() -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    ["/dev", "/dev/null", "/dev/zero", "/dev/urandom"].map(|path| std::fs::metadata(path).expect("a device").mode()).into()
}

fn router(machine: &Machine) -> String {
    let units = machine.run(&["systemctl", "list-units", "--plain", "--no-legend", "dinp-router@*.service"]);
    let names: Vec<&str> = units.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.len(), 1, "one router: {units}");
    names[0].to_owned()
}

fn property(machine: &Machine, unit: &str, name: &str) -> String {
    machine.run(&["systemctl", "show", "--property", name, "--value", unit]).trim().to_owned()
}

fn answer(mut question: Command) -> String {
    String::from_utf8_lossy(&question.output().expect("curl").stdout).into_owned()
}

/// Router and dashboard answer: the one that there is no such app, the other with its way in.
async fn serves(machine: &Machine) {
    let look = async || [ROUTER, PANEL].map(|port| answer(machine.asks(port)));
    until("router and dashboard answer", SETTLE, look, |[router, panel]| router == "404" && panel.starts_with(['2', '3'])).await;
}

async fn first_start(machine: &Machine) {
    let said = machine.run(&[PROGRAM, "up"]);
    assert!(said.contains("systemd keeps both") && !said.contains("not ready"), "{said}");
    serves(machine).await;
    let router = router(machine);
    for unit in ["dinp.service", &router] {
        machine.run(&["systemctl", "is-active", unit]);
        machine.run(&["systemctl", "is-enabled", unit]);
    }
    assert!(machine.run(&["journalctl", "-u", "dinp"]).contains("control plane started"));
    let status = machine.run(&["cat", &format!("/proc/{}/status", property(machine, &router, "MainPID"))]);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    assert_eq!((field("CapEff:"), field("NoNewPrivs:")), ("0000000000000000", "1"), "{status}");
    assert!(!field("Uid:").split_whitespace().any(|id| id == "0"), "{status}");
    let again = machine.run(&[PROGRAM, "up"]);
    assert!(again.contains("nothing changed"), "{again}");
}

async fn crashes(machine: &Machine) {
    for unit in ["dinp.service".to_owned(), router(machine)] {
        let killed = property(machine, &unit, "MainPID");
        machine.run(&["systemctl", "kill", "--kill-whom=main", "--signal=KILL", &unit]);
        let look = async || (property(machine, &unit, "ActiveState"), property(machine, &unit, "MainPID"));
        until("the unit is started again", SETTLE, look, |(state, pid)| state == "active" && *pid != killed).await;
        serves(machine).await;
    }
}

/// Another version takes everything over while one client after the other asks.
async fn upgrade(machine: &Machine, mut program: Vec<u8>) {
    let old = router(machine);
    let end = Arc::new(AtomicBool::new(false));
    let questions = (machine.asks(ROUTER), end.clone());
    let load = tokio::task::spawn_blocking(move || {
        let (mut question, end) = questions;
        let mut codes = BTreeMap::<String, u32>::new();
        while !end.load(Ordering::Relaxed) {
            let output = question.output().expect("curl");
            *codes.entry(String::from_utf8_lossy(&output.stdout).into_owned()).or_default() += 1;
        }
        codes
    });
    program.push(b'\n');
    machine.put(&program);
    let said = machine.run(&[PROGRAM, "up"]);
    assert!(said.contains("upgrading in place"), "{said}");
    let state = async || property(machine, &old, "ActiveState");
    until("the old router has ended", SETTLE, state, |state| state == "inactive").await;
    end.store(true, Ordering::Relaxed);
    let codes = load.await.expect("the load");
    assert!(codes.len() == 1 && codes.contains_key("404"), "{codes:?}");
    assert_ne!(router(machine), old);
}

/// After a boot that nobody helped.
async fn unattended(machine: &Machine) {
    serves(machine).await;
    for unit in ["dinp.service".to_owned(), router(machine)] {
        assert_eq!(property(machine, &unit, "NRestarts"), "0", "{unit} came up at once");
    }
}

async fn stop_and_purge(machine: &Machine) {
    let said = machine.run(&[PROGRAM, "up", "--stop"]);
    assert!(said.contains("stopped the control process") && said.contains("stopped the router process"), "{said}");
    assert_eq!([ROUTER, PANEL].map(|port| answer(machine.asks(port))), ["000", "000"], "nobody listens");
    machine.run(&[PROGRAM, "up"]);
    serves(machine).await;
    machine.run(&[PROGRAM, "up", "--purge"]);
    for docker in [&["ps", "-aq"][..], &["images", "-aq"], &["network", "ls", "-q", "--filter", "type=custom"]] {
        let left = machine.run(&[&["docker"][..], docker].concat());
        assert_eq!(left.trim(), "", "docker {docker:?}");
    }
    assert_eq!(machine.run(&["systemctl", "list-units", "--all", "--no-legend", "*dinp*"]).trim(), "");
    let mut find = vec!["find", "/run", "/etc", "/root", "/tmp", "/var", "-xdev"];
    find.extend(["-name", "*dinp*", "-not", "-path", "/var/lib/docker/*", "-not", "-path", "/var/log/*"]);
    assert_eq!(machine.run(&find).trim(), "");
    assert!(!machine.run(&["iptables-save"]).to_lowercase().contains("dinp"));
}
