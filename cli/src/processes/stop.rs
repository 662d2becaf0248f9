//! `dinp up --stop`: the processes end; apps keep running and keep their data.

use std::time::Duration;

use anyhow::Result;

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
    let members: Vec<_> = roles.map(|(role, grace)| (role, grace, Member::find(layout, role))).into_iter().collect();
    if systemd::runs_here(layout) {
        systemd::stop()?;
    }
    for (role, grace, member) in members {
        if let Some(member) = member {
            member.stop(grace)?;
            say(format!("stopped the {} process {}", role.as_str(), member.pid));
        }
    }
    Ok(())
}
