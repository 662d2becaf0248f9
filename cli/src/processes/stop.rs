//! `dinp up --stop`: the processes end; apps keep running and keep their data.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::layout::Layout;
use super::member::{Member, Role};
use super::systemd;

/// The control plane finishes what it writes within this.
const CONTROL_GRACE: Duration = Duration::from_secs(15);
/// The router finishes requests in flight within this.
const ROUTER_GRACE: Duration = Duration::from_secs(40);

/// Ends whatever of the installation runs, in the order that loses least: who would start others again, then who
/// decides, then who serves.
pub fn all(layout: &Layout, say: &mut dyn FnMut(String)) -> Result<()> {
    let roles = [(Role::Keeper, CONTROL_GRACE), (Role::Control, CONTROL_GRACE), (Role::Router, ROUTER_GRACE)];
    // Looked for first: systemd ends them without saying which.
    let found = roles.map(|(role, grace)| (role, grace, Member::all(layout, role)));
    if systemd::runs_here(layout) {
        systemd::stop()?;
    }
    for (role, grace, mut members) in found {
        // What the keeper has started since is ours too, and once the keeper has ended, nothing more is.
        members.extend(Member::all(layout, role));
        members.sort_by_key(|member| member.pid);
        members.dedup();
        each(&members, grace)?;
        for member in members {
            say(format!("stopped the {} process {}", role.as_str(), member.pid));
        }
    }
    Ok(())
}

/// Ends processes of one role. Several are routers, of which each waits for those that it replaced: all are told before
/// any is waited for.
pub fn each(members: &[Member], grace: Duration) -> Result<()> {
    members.iter().try_for_each(|member| member.signal(Signal::SIGTERM))?;
    members.iter().try_for_each(|member| member.stop(grace))
}
