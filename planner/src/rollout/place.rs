//! New instances of a pass: each at the node that is best for it, and in the end all together.

use dinp_common::app::App;
use dinp_common::event::Severity;
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::{Change, Note};
use dinp_common::release::ReleaseNo;
use dinp_common::size::{Cpu, MiB};

use crate::placement::{Ask, Demand, Nodes, Placed, Stands};
use crate::plan::{About, Pass};

/// Starts one instance for each number; answers why one found no room, if so.
pub(super) fn place(pass: &mut Pass<'_>, app: &App, release: ReleaseNo, generation: u32, numbers: Vec<u32>) -> Option<String> {
    if numbers.is_empty() {
        return None;
    }
    let Some(ask) = ask(pass, app, release, generation) else {
        pass.plan.hold(&app.name, format!("{release} is not recorded, so nothing of it is started"));
        return None;
    };
    for index in numbers {
        let nodes = nodes(pass);
        let Some(placed) = nodes.place(ask) else {
            let why = nodes.refusals(ask);
            pass.plan.hold(&app.name, format!("no room for one more instance of {release}: {why}"));
            pass.plan.no_room.insert(app.name.clone(), why.clone());
            return Some(why);
        };
        start(pass, app, release, generation, index, &placed);
    }
    None
}

/// Which nodes can take no more of a release, and why; empty if every node can.
pub(super) fn refusals(pass: &mut Pass<'_>, app: &App, release: ReleaseNo, generation: u32) -> String {
    ask(pass, app, release, generation).map_or_else(String::new, |ask| nodes(pass).refusals(ask))
}

/// The nodes with all that stands on them, made when the first instance of a pass is to be placed.
pub(crate) fn nodes<'p, 'a>(pass: &'p mut Pass<'a>) -> &'p mut Nodes<'a> {
    let (desired, standings) = (pass.input.desired, &pass.standings);
    pass.nodes.get_or_insert_with(|| {
        let mut nodes = Nodes::new(&desired.nodes, &standings.nodes[..standings.recorded]);
        let mut last: Option<(&Instance, (MiB, Option<Cpu>))> = None;
        // Memory is reserved until the container is gone, drain included.
        for (instance, node) in standings.present() {
            let size = match last {
                Some((other, size)) if other.release == instance.release && other.app == instance.app => size,
                _ => desired.spec(&instance.app, instance.release).map_or((MiB(0), None), |spec| (spec.memory, spec.cpu)),
            };
            nodes.reserve(node, size.0, size.1);
            last = Some((instance, size));
        }
        nodes.open();
        nodes
    })
}

pub(crate) fn ask(pass: &mut Pass<'_>, app: &App, release: ReleaseNo, generation: u32) -> Option<Ask> {
    let key = (app.name.clone(), release);
    let ((name, _), recorded) = pass.input.desired.releases.get_key_value(&key)?;
    let stands: Vec<Stands> = pass
        .standings
        .of(name)
        .filter(|standing| !standing.is_gone())
        .map(|standing| Stands {
            node: standing.node,
            release: standing.instance.release,
            generation: standing.instance.generation,
        })
        .collect();
    Some(nodes(pass).ask(Demand::of(name, release, generation, &recorded.spec), stands))
}

fn start(pass: &mut Pass<'_>, app: &App, release: ReleaseNo, generation: u32, index: u32, placed: &Placed) {
    let nodes = nodes(pass);
    let (node, why) = (nodes.name(placed.node).clone(), nodes.words(placed));
    let (app, reason) = (app.name.clone(), reason(&why));
    let new = New { app, release, generation, node, index, reason };
    record(pass, new, &why);
    pass.starts.push(pass.plan.changes.len() - 1);
}

/// Starts another one like `instance` on the node of this rank, which can take it; answers the node's name.
pub(crate) fn successor(pass: &mut Pass<'_>, instance: &Instance, ask: Ask, node: u32, why: &str) -> NodeName {
    let nodes = nodes(pass);
    nodes.settle(ask, node);
    let name = nodes.name(node).clone();
    let Instance { app, release, generation, index, .. } = instance.clone();
    record(pass, New { app, release, generation, node: name.clone(), index, reason: why.to_owned() }, why);
    name
}

/// What distinguishes one instance from others as it begins.
struct New {
    app: AppName,
    release: ReleaseNo,
    generation: u32,
    node: NodeName,
    index: u32,
    reason: String,
}

fn record(pass: &mut Pass<'_>, new: New, why: &str) {
    let New { app, release, generation, node, index, reason } = new;
    let sequence = pass.next_instance;
    pass.next_instance += 1;
    let id = InstanceId::new(&pass.input.publisher.fence().cluster, sequence);
    let (want, proven, spent_ms, address) = (Want::Run, false, 0, None);
    let instance = Instance { id, app, release, generation, node, index, want, proven, spent_ms, address, reason };
    pass.plan.note(Severity::Info, NOTE, About::instance(&instance), said(&instance, why));
    pass.plan.change(Change::Place { instance, sequence });
}

const NOTE: &str = "instance_placed";

fn reason(why: &str) -> String {
    format!("placed: {why}")
}

fn said(instance: &Instance, why: &str) -> String {
    format!("{} of {} placed on {} ({why})", instance.id, instance.release, instance.node)
}

/// The pass is over: what it starts is arranged together, and the plan says where it stands in the end.
pub(crate) fn arrange(pass: &mut Pass<'_>) {
    let Some(nodes) = &mut pass.nodes else { return };
    for (at, placed) in nodes.arrange() {
        let Some(change) = pass.starts.get(at).copied() else { continue };
        let (node, why) = (nodes.name(placed.node), nodes.words(&placed));
        let (before, rest) = pass.plan.changes.split_at_mut(change);
        let Some(Change::Place { instance, .. }) = rest.first_mut() else { continue };
        if instance.node == *node {
            continue;
        }
        instance.node = node.clone();
        instance.reason = reason(&why);
        if let Some(Change::Note(Note { kind: NOTE, node, text, .. })) = before.last_mut() {
            *node = Some(instance.node.clone());
            *text = said(instance, &why);
        }
    }
}
