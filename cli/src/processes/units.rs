//! The text of the units that `dinp up` gives to systemd.

use std::path::Path;

use super::keeper::ALLOCATOR;
use super::layout::Layout;

/// Seconds beyond the router's own grace before systemd kills it: what it cuts off by itself, it still logs.
const STOP_MARGIN: u64 = 10;

/// Docker comes before, so that at shutdown the agent is gone before the containers are, and counts no crash.
pub fn control(layout: &Layout, program: &Path) -> String {
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
         TimeoutStopSec=30\n\
         {}\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        quoted(program),
        quoted(&layout.state),
        environment() + &runtime_directory(layout),
    )
}

/// `on-failure`: a router that has handed over ends with success and stays ended.
///
/// It holds no secret and needs no device, but parses what the internet sends. So it sees a machine it cannot change,
/// and keeps only the capabilities with which it binds its port and becomes nobody in particular. The control plane
/// gets no such walls: Docker's socket is a door through all of them.
pub fn router(layout: &Layout, program: &Path) -> String {
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
         TimeoutStopSec={}\n\
         {}\
         ReadWritePaths={}\n\
         CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE\n\
         NoNewPrivileges=yes\n\
         ProtectSystem=strict\n\
         ProtectHome=read-only\n\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectControlGroups=yes\n\
         ProtectClock=yes\n\
         ProtectHostname=yes\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallErrorNumber=EPERM\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        quoted(program),
        quoted(&layout.router_config()),
        quoted(&layout.state),
        dinp_router::Config::default().drain_seconds + STOP_MARGIN,
        environment() + &runtime_directory(layout),
        quoted(&layout.router()),
    )
}

fn environment() -> String {
    ALLOCATOR.map(|(name, value)| format!("Environment={name}={value}\n")).concat()
}

/// The folder of sockets is empty after a reboot, and whoever starts first finds it made. It stays when one of the two
/// stops, since the other is in it.
fn runtime_directory(layout: &Layout) -> String {
    let name = layout.run.file_name().unwrap_or_default().to_string_lossy();
    format!("RuntimeDirectory={name}\nRuntimeDirectoryPreserve=yes\n")
}

/// A path as one word of a unit, whatever its letters mean to systemd.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::layout::STATE;

    fn layout() -> Layout {
        Layout::new(Path::new(STATE)).expect("layout")
    }

    #[test]
    fn a_router_that_handed_over_is_not_started_again() {
        let unit = router(&layout(), Path::new("/usr/local/bin/dinp"));
        let start = "\"/usr/local/bin/dinp\" router --config \"/var/lib/dinp/router.toml\" --state \"/var/lib/dinp\"";
        assert!(unit.contains(&format!("ExecStart={start}\n")), "{unit}");
        assert!(unit.contains("Restart=on-failure\n"));
        assert!(control(&layout(), Path::new("/usr/local/bin/dinp")).contains("Restart=always\n"));
    }

    #[test]
    fn a_router_is_not_killed_before_its_own_grace_is_over() {
        let unit = router(&layout(), Path::new("/usr/local/bin/dinp"));
        let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a bound");
        assert!(seconds.parse::<u64>().expect("seconds") > dinp_router::Config::default().drain_seconds);
    }

    #[test]
    fn after_a_reboot_either_process_may_start_first() {
        for unit in [control(&layout(), Path::new("/dinp")), router(&layout(), Path::new("/dinp"))] {
            assert!(unit.contains("RuntimeDirectory=dinp\nRuntimeDirectoryPreserve=yes\n"), "{unit}");
        }
    }

    #[test]
    fn a_path_is_one_word_whatever_its_letters() {
        assert_eq!(quoted(Path::new("/my files/50%/d\"in\\p")), "\"/my files/50%%/d\\\"in\\\\p\"");
    }
}
