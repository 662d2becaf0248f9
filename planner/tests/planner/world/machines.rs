//! What nodes and routers do by themselves.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::exit::Exit;
use dinp_common::instance::{InstanceId, Seen, Want};
use dinp_common::name::NodeName;
use dinp_common::node::{Capacity, Node, NodeFacts};
use dinp_common::size::MiB;
use dinp_common::wire::{Assignment, InstanceReport};
use dinp_planner::assign;
use dinp_planner::observed::{NodeSeen, RouterSeen};
use dinp_planner::reported::Reported;
use dinp_planner::steadiness::Steadiness;
use dinp_planner::steps::Steps;

use super::{Behaviour, Container, Machine, Router, World, node_name, router_id, socket};

impl World {
    pub fn add_node(&mut self, name: &str, memory: MiB, addresses: u32) {
        let node = node_name(name);
        self.desired.nodes.push(Node { name: node.clone(), cordoned: false, draining: false });
        self.desired.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let machine = Machine {
            memory,
            addresses,
            labels: BTreeMap::new(),
            zone: "default".into(),
            silent_ms: None,
            unheard_ms: 0,
            steadiness: Steadiness::default(),
            steps: Steps::default(),
            hung: false,
            last: None,
            leases: BTreeMap::new(),
            cooling: BTreeSet::new(),
        };
        self.machines.insert(node, machine);
    }

    pub fn add_router(&mut self, name: &str) {
        self.desired.routers.push(router_id(name));
        self.desired.routers.sort();
        self.routers.insert(router_id(name), Router::default());
    }

    pub fn exit(&mut self, id: &InstanceId, code: i64) {
        if let Some(container) = self.containers.get_mut(id).filter(|container| container.runs()) {
            container.exit = Some(Exit { code, oom: false, output: "boom\n".into() });
        }
    }

    /// The machine loses power: what ran on it has ended when it comes back.
    pub fn node_dies(&mut self, node: &NodeName) {
        self.machines.get_mut(node).expect("node").silent_ms = Some(0);
        let there: Vec<InstanceId> = self.machines[node].leases.keys().cloned().collect();
        there.iter().for_each(|id| self.exit(id, 137));
    }

    pub(super) fn age(&mut self, ms: u64) {
        self.machines.values_mut().for_each(|machine| machine.unheard_ms += ms);
        self.machines.values_mut().filter_map(|machine| machine.silent_ms.as_mut()).for_each(|silent| *silent += ms);
        self.routers.values_mut().filter_map(|router| router.silent_ms.as_mut()).for_each(|silent| *silent += ms);
        for container in self.containers.values_mut().filter(|container| container.runs()) {
            container.age_ms += ms;
            match container.behaviour {
                Behaviour::ExitsAfter(after, code) if container.age_ms >= after => {
                    container.exit = Some(Exit { code, oom: false, output: "boom\n".into() });
                }
                Behaviour::HealthyAfter(after) if container.age_ms >= after => container.healthy = true,
                Behaviour::ExitsAfter(..) | Behaviour::HealthyAfter(_) | Behaviour::NeverHealthy | Behaviour::Refused(_) => {}
            }
        }
    }

    pub fn everybody_reports(&mut self) {
        for (index, (name, machine)) in self.machines.iter_mut().enumerate() {
            if machine.silent_ms.is_some() {
                continue;
            }
            let report = |instance: &dinp_common::instance::Instance| {
                let waiting = Seen::Pending { step: if machine.hung { "creating its container" } else { "waiting" }.into() };
                let seen = self.containers.get(&instance.id).map_or(waiting, |container| container.seen(index));
                let (app, release) = (instance.app.clone(), instance.release);
                (instance.id.clone(), InstanceReport { app, release, seen, listening: Vec::new(), restarts: 0 })
            };
            let here = self.desired.instances.iter().filter(|instance| instance.node == *name);
            let unheard_ms = std::mem::take(&mut machine.unheard_ms);
            if machine.last.is_some() {
                machine.steadiness.heard(unheard_ms);
            }
            let instances: Reported = here.map(report).collect();
            machine.steps.follow(&instances, self.now_ms);
            machine.last = Some(NodeSeen {
                silent_ms: 0,
                returns: Vec::new(),
                steps: BTreeMap::new(),
                facts: facts(machine),
                instances,
                cooling: machine.cooling.iter().cloned().collect(),
                orphans: Vec::new(),
            });
        }
        for router in self.routers.values_mut().filter(|router| router.silent_ms.is_none()) {
            router.last =
                Some(RouterSeen { silent_ms: 0, confirmed: router.confirmed, holder: None, in_flight: router.in_flight.clone() });
        }
    }

    pub(super) fn routers_follow(&mut self) {
        for router in self.routers.values_mut().filter(|router| router.silent_ms.is_none() && !router.stalled) {
            router.table.clone_from(self.publisher.table());
            router.confirmed = Some(self.publisher.at());
        }
    }

    /// Every agent that is heard takes in its assignments; `true` if one of them did something.
    pub(super) fn agents_act(&mut self) -> bool {
        let observed = self.observed();
        let mut acted = false;
        let heard = |machine: &Machine| machine.silent_ms.is_none() && !machine.hung;
        let names: Vec<NodeName> =
            self.machines.iter().filter(|(_, machine)| heard(machine)).map(|(name, _)| name.clone()).collect();
        for node in names {
            for id in assign::released(&self.desired, &observed, &node) {
                let machine = self.machines.get_mut(&node).expect("node");
                machine.cooling.remove(&id);
                machine.leases.remove(&id);
                self.containers.remove(&id);
                acted = true;
            }
            for wanted in assign::assignments(&self.desired, &node).expect("every release is there") {
                acted |= match wanted.want {
                    Want::Run | Want::Drain => self.create(&node, &wanted),
                    Want::Stop => self.remove(&node, &wanted.instance),
                };
            }
        }
        acted
    }

    fn create(&mut self, node: &NodeName, wanted: &Assignment) -> bool {
        let machine = self.machines.get_mut(node).expect("node");
        if self.containers.contains_key(&wanted.instance) {
            return false;
        }
        let taken: BTreeSet<u32> = machine.leases.values().copied().collect();
        let Some(address) = (1..=machine.addresses).find(|address| !taken.contains(address)) else { return false };
        machine.leases.insert(wanted.instance.clone(), address);
        self.must_be_unrouted(node, address, &wanted.instance);
        let behaviour = self.behaviours[&(wanted.app.clone(), wanted.release)].clone();
        let healthy = behaviour == Behaviour::HealthyAfter(0);
        let container = Container { address, age_ms: 0, behaviour, exit: None, sick: None, healthy, gone: false };
        self.containers.insert(wanted.instance.clone(), container);
        true
    }

    /// Promise 7: no router, silent ones included, may send another instance's requests to an address given out.
    fn must_be_unrouted(&mut self, node: &NodeName, address: u32, id: &InstanceId) {
        let index = self.machines.keys().position(|name| name == node).expect("node");
        let address = socket(index, address);
        for (name, router) in &self.routers {
            let mut endpoints = router.table.values().flat_map(|route| &route.endpoints);
            if endpoints.any(|endpoint| endpoint.address == address && endpoint.instance != *id) {
                self.violations
                    .push(format!("{id} got {address} on {node}, where router {name} sends another instance's requests"));
            }
        }
    }

    fn remove(&mut self, node: &NodeName, id: &InstanceId) -> bool {
        let machine = self.machines.get_mut(node).expect("node");
        let container = self.containers.entry(id.clone()).or_insert_with(|| Container {
            address: 0,
            age_ms: 0,
            behaviour: Behaviour::NeverHealthy,
            exit: None,
            sick: None,
            healthy: false,
            gone: false,
        });
        if container.gone {
            return false;
        }
        // Promise 1: SIGTERM comes after every live router has confirmed the withdrawal.
        if container.answers() {
            for (name, router) in self.routers.iter().filter(|(_, router)| router.silent_ms.is_none()) {
                if router.table.values().flat_map(|route| &route.endpoints).any(|endpoint| endpoint.instance == *id) {
                    self.violations.push(format!("{id} was stopped while router {name} sent it requests"));
                }
            }
        }
        container.gone = true;
        if machine.leases.contains_key(id) {
            machine.cooling.insert(id.clone());
        }
        true
    }
}

fn facts(machine: &Machine) -> NodeFacts {
    let addresses = machine.addresses - machine.cooling.len() as u32;
    NodeFacts {
        capacity: Capacity { memory: machine.memory, cpus: 2, addresses },
        labels: machine.labels.clone(),
        zone: machine.zone.clone(),
        version: "0".into(),
        docker: Ok("20".into()),
        disk_free: 1,
        disk_total: 2,
    }
}
