//! What the node says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dinp_common::node::{Capacity, NodeFacts};
use dinp_common::size::MiB;
use dinp_daemon::beat;
use tokio::sync::watch;

use crate::engine::{Engine, Lane, READ_DEADLINE};

/// How often the disk and Docker's version are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same while Docker does not answer.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Memory the platform keeps for itself, the system and Docker: a tenth, and never less than this.
const RESERVED_MIN: MiB = MiB(512);
/// Where Docker keeps its data unless it says otherwise.
const DOCKER_ROOT: &str = "/var/lib/docker";

/// Facts before Docker was asked anything.
pub fn at_start(zone: &str, labels: &BTreeMap<String, String>) -> NodeFacts {
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| usable_memory(&text)).unwrap_or(MiB(0));
    let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    let (disk_free, disk_total) = disk(Path::new(DOCKER_ROOT));
    NodeFacts {
        capacity: Capacity { memory, cpus, addresses: 0 },
        labels: labels.clone(),
        zone: zone.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        docker: Err("Docker was not asked yet".to_owned()),
        disk_free,
        disk_total,
    }
}

/// Keeps the facts up to date.
pub async fn keep(engine: Arc<Engine>, facts: watch::Sender<NodeFacts>) {
    let mut root = PathBuf::from(DOCKER_ROOT);
    loop {
        let info = engine.call(Lane::Read, READ_DEADLINE, |docker| async move { docker.info().await }).await;
        let docker = match info {
            Ok(info) => {
                root = info.docker_root_dir.map_or(root, PathBuf::from);
                Ok(info.server_version.unwrap_or_else(|| "unknown".to_owned()))
            }
            Err(error) => Err(error.to_string()),
        };
        let pause = if docker.is_ok() { LOOK_EVERY } else { LOOK_AGAIN_AFTER };
        let (disk_free, disk_total) = disk(&root);
        facts.send_modify(|facts| {
            facts.docker = docker;
            (facts.disk_free, facts.disk_total) = (disk_free, disk_total);
        });
        tokio::time::sleep_until(beat::within(pause)).await;
    }
}

/// Bytes free for unprivileged users, and in all; zeros where the folder does not exist.
fn disk(path: &Path) -> (u64, u64) {
    let found = path.ancestors().find_map(|path| nix::sys::statvfs::statvfs(path).ok());
    found.map_or((0, 0), |disk| (disk.blocks_available() * disk.fragment_size(), disk.blocks() * disk.fragment_size()))
}

/// From `/proc/meminfo` (proc(5)).
fn usable_memory(meminfo: &str) -> Option<MiB> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024;
    Some(MiB(total.saturating_sub((total / 10).max(RESERVED_MIN.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_keeps_a_tenth_and_at_least_half_a_gigabyte() {
        assert_eq!(usable_memory("MemTotal:        4194304 kB\nMemFree: 1 kB\n"), Some(MiB(4096 - 512)));
        assert_eq!(usable_memory("MemTotal:       16777216 kB\n"), Some(MiB(16384 - 1638)));
        assert_eq!(usable_memory("MemTotal: 1024 kB\n"), Some(MiB(0)));
        assert_eq!(usable_memory("nothing"), None);
    }

    #[test]
    fn a_disk_is_measured_even_where_the_folder_is_missing() {
        let (free, total) = disk(Path::new("/nonexistent/folder"));
        assert!(0 < total && free <= total);
    }
}
