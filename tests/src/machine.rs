//! A machine with systemd as process 1: this host's programs on a disk of its own, booted in namespaces of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::lab::said;
use crate::process::{Running, alive, gone};
use crate::wait::until;

/// Where the program under test is on the machine.
pub const PROGRAM: &str = "/usr/local/bin/dinp";
/// How long the machine may take to start all it is to start, or to end it.
const BOOT: Duration = Duration::from_secs(60);
/// How long its processes may take to end once process 1 is killed.
const CUT: Duration = Duration::from_secs(10);
const UNITS: &str = "etc/systemd/system";
/// What the host's programs need of its settings.
const SETTINGS: [&str; 9] =
    ["alternatives", "group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "passwd", "protocols", "services"];
/// What the machine starts beside what systemd itself needs.
const ENABLED: [(&str, &str); 2] = [("multi-user.target.wants", "docker.service"), ("sockets.target.wants", "docker.socket")];
/// There is no console to log in at and nobody to do it, and the kernel is the host's.
const MASKED: [&str; 5] =
    ["console-getty.service", "getty.target", "systemd-logind.service", "systemd-sysctl.service", "systemd-udevd.service"];

#[derive(Debug)]
pub struct Machine {
    folder: TempDir,
    power: Option<Running>,
}

impl Machine {
    /// Makes a machine; it is off.
    pub fn install() -> Self {
        let folder = tempfile::Builder::new().prefix("dinp-machine-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let machine = Self { folder, power: None };
        let root = machine.root();
        for folder in ["dev", "proc", "sys", "run", "tmp", "usr", "var", "root", "home", ".old", "local/bin", UNITS] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for name in ["bin", "lib", "lib64", "sbin"] {
            symlink(format!("usr/{name}"), root.join(name)).expect("a link");
        }
        let settings = SETTINGS.map(|name| Path::new("/etc").join(name));
        let status = Command::new("cp").arg("-a").args(settings).arg(root.join("etc")).status().expect("cp runs");
        assert!(status.success(), "cp: {status}");
        // A machine without an id would take this for its first boot, and ask who it is to be.
        fs::write(root.join("etc/machine-id"), "6d616368696e65206f66207465737473\n").expect("an id");
        let provided = Path::new("/usr/lib/systemd/system");
        symlink(provided.join("multi-user.target"), root.join(UNITS).join("default.target")).expect("a link");
        for (target, unit) in ENABLED {
            fs::create_dir_all(root.join(UNITS).join(target)).expect("a folder");
            symlink(provided.join(unit), root.join(UNITS).join(target).join(unit)).expect("a link");
        }
        for unit in MASKED {
            symlink("/dev/null", root.join(UNITS).join(unit)).expect("a link");
        }
        machine
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The name of its control groups.
    fn groups(&self) -> &str {
        self.folder.path().file_name().and_then(|name| name.to_str()).expect("a name")
    }

    /// Puts the program under test in place by renaming, as `deploy/up` does.
    pub fn put(&self, program: &[u8]) {
        let path = self.root().join("local/bin/dinp");
        let draft = path.with_extension("new");
        fs::write(&draft, program).expect("write");
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("permissions");
        fs::rename(&draft, &path).expect("rename");
    }

    /// Switches it on and waits until everything that starts with it has started.
    pub async fn boot(&mut self) {
        let mut command = Command::new("setpriv");
        // It ends with the test, however that ends.
        command.args(["--pdeathsig", "KILL"]).arg(crate::root().join("tests/machine/boot")).arg(self.root()).arg(self.groups());
        let log = fs::File::create(self.folder.path().join("boot.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.power = Some(Running::start(&mut command));
        let look = async || {
            let states = self.try_run(&["systemctl", "is-active", "multi-user.target", "docker.service"]);
            // What else there is to know where it does not come up.
            let failed = self.try_run(&["systemctl", "list-units", "--failed", "--plain", "--no-legend"]);
            (states.map(|output| said(&output)), failed.map(|output| said(&output)), self.boot_log())
        };
        until("the machine runs", BOOT, look, |(states, ..)| states.as_deref() == Some("active\nactive\n")).await;
    }

    fn boot_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("boot.log")).unwrap_or_default()
    }

    /// As from its power button: every unit is stopped in its order.
    pub async fn shut_down(&mut self) {
        // `systemctl poweroff` would ask who else is logged in, which nobody knows here.
        self.run(&["systemctl", "start", "--no-block", "--job-mode=replace-irreversibly", "poweroff.target"]);
        self.power.take().expect("it is on").end(BOOT).await;
    }

    /// As from its power cord: every process is dead at once.
    pub async fn lose_power(&mut self) {
        let first = self.first().expect("it is on");
        kill(Pid::from_raw(first), Signal::SIGKILL).expect("it is on");
        gone(first).await;
        self.power.take().expect("it is on").end(BOOT).await;
    }

    /// Its process 1, by the number it has outside. What its starter begins before is in the host's own namespaces, and
    /// nothing may be asked of it.
    fn first(&self) -> Option<i32> {
        let outside = self.power.as_ref()?.pid();
        let children = fs::read_to_string(format!("/proc/{outside}/task/{outside}/children")).ok()?;
        let first = children.split_whitespace().next()?.parse().ok()?;
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        (namespace(&format!("{first}"))? != namespace("self")?).then_some(first)
    }

    /// Runs a program of the machine's as its root; `None` while it is off.
    fn try_run(&self, arguments: &[&str]) -> Option<Output> {
        let first = self.first()?.to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &first, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]);
        command.args(["env", "-i", "HOME=/root", "PATH=/usr/local/bin:/usr/sbin:/usr/bin"]);
        Some(command.args(arguments).output().expect("nsenter runs"))
    }

    /// The same where it must succeed; what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments).expect("the machine is on");
        assert!(output.status.success(), "{}: {}", arguments.join(" "), said(&output));
        said(&output)
    }

    /// Asks a port of the machine's for a page; `000` where nobody answers.
    pub fn asks(&self, port: u16) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first().expect("it is on").to_string(), "--net", "--", "curl", "-s", "-m", "10"]);
        command.args(["-o", "/dev/null", "-w", "%{http_code}"]).arg(format!("http://127.0.0.1:{port}/"));
        command
    }
}

impl Drop for Machine {
    /// Its processes end with process 1; their control groups stay until somebody removes them, the deepest first.
    fn drop(&mut self) {
        if let Some(first) = self.first() {
            // It may be gone by now, which is as good.
            let _ = kill(Pid::from_raw(first), Signal::SIGKILL);
            let deadline = Instant::now() + CUT;
            while alive(first) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        drop(self.power.take());
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let hierarchies = mounts.lines().filter(|line| line.contains(" cgroup ") || line.contains(" cgroup2 "));
        for hierarchy in hierarchies.filter_map(|line| line.split(' ').nth(1)) {
            let groups = Path::new(hierarchy).join(self.groups());
            let _ = Command::new("find").arg(groups).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]).output();
        }
    }
}
