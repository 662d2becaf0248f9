//! One pass over what is well: 1,000 apps with 250 instances each on 5,000 nodes, and nothing to decide.

use std::time::Instant;

use dinp_common::fence::Fence;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::name::{ClusterId, Host, RouterId};
use dinp_common::placement::Placement;
use dinp_common::plan::Desired;
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use dinp_common::wire::InstanceReport;
use dinp_planner::observed::{Observed, RouterSeen};
use dinp_planner::policy::Policy;
use dinp_planner::term::Term;

use super::world;
use crate::Asked;
use crate::row::Row;
use crate::samples::Samples;

const NODES: usize = 5_000;
const APPS: usize = 1_000;
const INSTANCES: u32 = 250;

fn steady() -> (Desired, Observed) {
    let (nodes, mut observed) = world::nodes((0..NODES).map(|_| (MiB(64 * 1024), "a".to_owned())));
    let apps: Vec<_> = (0..APPS).map(|at| world::app(at, INSTANCES)).collect();
    let mut instances = Vec::with_capacity(APPS * INSTANCES as usize);
    for (at, app) in apps.iter().enumerate() {
        for index in 0..INSTANCES {
            let sequence = at as u64 * u64::from(INSTANCES) + u64::from(index);
            let node = (sequence as usize * 7) % NODES;
            let address = ([10, 0, (node / 250) as u8, (node % 250) as u8], 20_000 + (sequence / 5_000) as u16).into();
            let instance = Instance {
                id: InstanceId::from_sequence(sequence),
                app: app.name.clone(),
                release: ReleaseNo(1),
                generation: 0,
                node: world::node_name(node),
                index,
                want: Want::Run,
                proven: true,
                spent_ms: 0,
                address: Some(address),
                reason: "placed: least loaded of 5000".to_owned(),
            };
            let seen = Seen::Running { address, health: Health::Healthy };
            let report =
                InstanceReport { app: app.name.clone(), release: ReleaseNo(1), seen, listening: Vec::new(), restarts: 0 };
            let there = &mut observed.nodes.get_mut(&instance.node).expect("a node").instances;
            there.insert(instance.id.clone(), report);
            instances.push(instance);
        }
    }
    // As the store reads them.
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    let release = |at| ((world::app_name(at), ReleaseNo(1)), world::release(MiB(256), Placement::default()));
    let mut desired = Desired {
        releases: (0..APPS).map(release).collect(),
        next_instance: instances.len() as u64,
        apps,
        instances,
        nodes,
        routers: vec![RouterId::parse("r1").expect("a router")],
        ..Desired::default()
    };
    desired.share_names();
    // A store reads records in this order and a server copies what it saw for each pass: so they lie in memory.
    (desired.clone(), observed.clone())
}

pub fn measure(asked: &Asked) -> [Row; 2] {
    let (mut desired, mut observed) = steady();
    let (policy, domain) = (Policy::default(), Host::parse("apps.example").expect("a host"));
    let fence = Fence { cluster: ClusterId::parse("c").expect("a cluster"), epoch: 1, holder: "bench".to_owned() };
    let mut term = Term::new(fence, 0);
    let router = desired.routers[0].clone();
    let (mut decided_in, mut whole) = (Samples::default(), Samples::default());
    for pass in 0..asked.times(8, 40) as u64 {
        let began = Instant::now();
        let decided = term.decide(&desired, &observed, &policy, 60_000 + pass * 1_000);
        let took = began.elapsed();
        assert!(decided.plan.changes.is_empty() && decided.plan.holds.is_empty(), "nothing is to be decided");
        let update = term.stored(&decided, &mut desired, &observed, &domain, &policy);
        let all = began.elapsed();
        if update.is_none() {
            decided_in.add(took);
            whole.add(all);
        }
        let seen =
            RouterSeen { silent_ms: 0, confirmed: Some(term.publisher().at()), holder: None, in_flight: Default::default() };
        observed.routers.insert(router.clone(), seen);
    }
    let row = |figure, samples: &Samples| Row {
        figure,
        at_least: 50.0,
        aim: 10.0,
        measured: samples.p50(),
        unit: "ms",
        beside: format!("median of {}, worst {:.1} ms", samples.count(), samples.worst()),
    };
    [
        row("one pass over 250,000 steady instances on 5,000 nodes", &decided_in),
        row("the same with the routes that follow", &whole),
    ]
}
