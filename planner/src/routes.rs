//! The route table that follows from what is stored and what was seen.

use dinp_common::app::App;
use dinp_common::instance::{Instance, Want};
use dinp_common::name::Host;
use dinp_common::plan::Desired;
use dinp_common::route::{Endpoint, Route, RouteState, RouteTable};

use crate::bucket::{Bucket, bucket};
use crate::observed::Observed;
use crate::policy::Policy;
use crate::standing::{Standing, Standings};

/// Every app's host with the proven instances that take its traffic. An instance of which nothing is known keeps its
/// place; unhealthy ones leave only while a healthy one is there, so the last is never taken away by a health check.
pub fn routes(desired: &Desired, observed: &Observed, domain: &Host, leading_ms: u64, policy: &Policy) -> RouteTable {
    let mut table = RouteTable::new();
    let standings = Standings::new(desired, observed, leading_ms, policy);
    let braked = standings.mass_loss(policy);
    // Of the apps that are well in one walk over the records: app by app, they lie far from each other.
    let mut serving: Vec<Vec<Endpoint>> = vec![Vec::new(); desired.apps.len()];
    for (app, instance) in standings.well() {
        serving[app].extend(endpoint(instance));
    }
    for (app, serving) in desired.apps.iter().zip(serving).filter(|(app, _)| !app.deleted) {
        let Ok(host) = Host::parse(&format!("{}.{domain}", app.name)) else {
            continue; // Only a domain longer than DNS allows gets here; the server refuses it at its start.
        };
        let endpoints = if standings.is_well(&app.name) { serving } else { endpoints(&standings, app, braked) };
        let state = if app.stopped { RouteState::Stopped } else { RouteState::Serving };
        let tunnel_grace_ms = policy.tunnel_grace_ms();
        table.insert(host.clone(), Route { host, app: app.name.clone(), state, endpoints, tunnel_grace_ms });
    }
    table
}

/// Where the instance takes traffic, if it ever may.
fn endpoint(instance: &Instance) -> Option<Endpoint> {
    let address = instance.address.filter(|_| instance.proven && instance.want == Want::Run)?;
    Some(Endpoint { instance: instance.id.clone(), address, release: instance.release })
}

fn endpoints(standings: &Standings<'_>, app: &App, braked: bool) -> Vec<Endpoint> {
    let mut healthy = Vec::new();
    let mut sick = Vec::new();
    for Standing { instance, report, freshness, .. } in standings.of(&app.name) {
        let Some(endpoint) = endpoint(instance) else { continue };
        match bucket(instance, freshness, report) {
            Bucket::Ready | Bucket::Unknown => healthy.push(endpoint),
            Bucket::Lost if braked => healthy.push(endpoint),
            // A lost node may only be cut off from us, not from the routers.
            Bucket::Sick { .. } | Bucket::Lost => sick.push(endpoint),
            Bucket::Starting { .. }
            | Bucket::Dead { .. }
            | Bucket::Refused { .. }
            | Bucket::Draining
            | Bucket::Stopping { .. } => {}
        }
    }
    if healthy.is_empty() { sick } else { healthy }
}
