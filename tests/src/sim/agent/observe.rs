//! Watching Docker and probing, as `agent/src/observe.rs` and `probe.rs` do.

use std::net::{IpAddr, SocketAddr};

use dinp_common::health::Health;
use dinp_common::instance::InstanceId;
use dinp_planner::agent::Container;
use dinp_planner::agent::addresses::Range;
use dinp_planner::agent::probe::Prober;

use crate::sim::docker::News;
use crate::sim::event::{Event, NodeEvent};
use crate::sim::kernel::Ms;
use crate::sim::planted::Planted;
use crate::sim::world::{World, addresses_of};

const LIST_EVERY: Ms = 5_000;
const AGAIN_AFTER: Ms = 500;
const LIST_GAP: Ms = 50;
/// How long a read may take.
pub(super) const READ_DEADLINE: Ms = 5_000;

/// When the containers are listed next.
#[derive(Default)]
pub(super) struct Relist {
    /// Counts what was asked for; an older ask is void.
    ask: u64,
    at: Option<Ms>,
    listing: bool,
    not_before: Ms,
    nudged: bool,
}

/// Probes of one run of one container.
pub(super) struct Probing {
    pub(super) id: u64,
    pub(super) run: u32,
    pub(super) target: SocketAddr,
    prober: Prober,
    said: Option<Health>,
}

impl World {
    /// The cluster is known: Docker is looked at.
    pub(super) fn joined(&mut self, n: usize) {
        let life = self.nodes[n].life;
        let delay = self.k.between(10, 200);
        self.k.after(delay, Event::Node(n, life, NodeEvent::Network));
        self.list_after(n, 0);
    }

    pub(super) fn network(&mut self, n: usize) {
        if !self.docker[n].answers() {
            let life = self.nodes[n].life;
            self.input(n, dinp_planner::agent::Event::NoNetwork("Docker does not answer".to_owned()));
            return self.k.after(1_000, Event::Node(n, life, NodeEvent::Network));
        }
        let (first, last) = addresses_of(n, self.k.setting.addresses);
        self.input(n, dinp_planner::agent::Event::Network(Range { first, last }));
    }

    pub(super) fn relist(&mut self, n: usize) {
        if self.nodes[n].relist.listing {
            self.nodes[n].relist.nudged = true;
        } else {
            self.list_after(n, 0);
        }
    }

    fn list_after(&mut self, n: usize, delay: Ms) {
        let now = self.k.now;
        let agent = &mut self.nodes[n];
        let relist = &mut agent.relist;
        let at = (now + delay).max(relist.not_before);
        if relist.at.is_some_and(|known| known <= at) {
            return;
        }
        relist.ask += 1;
        relist.at = Some(at);
        let event = Event::Node(n, agent.life, NodeEvent::List(relist.ask));
        self.k.at(at, event);
    }

    pub(super) fn list(&mut self, n: usize, ask: u64) {
        let agent = &mut self.nodes[n];
        if agent.relist.ask != ask || agent.relist.listing {
            return;
        }
        agent.relist.at = None;
        agent.relist.listing = true;
        let (since, life) = (agent.machine.mark(), agent.life);
        if !self.docker[n].answers() {
            let delay = if self.docker[n].hung { READ_DEADLINE } else { 5 };
            let event = NodeEvent::Listed { since, containers: Err("Docker does not answer") };
            return self.k.after(delay, Event::Node(n, life, event));
        }
        let permille = self.k.setting.faults.docker_permille + self.docker[n].flaky_permille;
        let containers = if self.k.fault(permille) {
            Err("an error of Docker")
        } else {
            let listed = self.docker[n].list(&self.nodes[n].name);
            Ok(self.spoil(n, listed))
        };
        let delay = self.k.between(1, 40);
        self.k.after(delay, Event::Node(n, life, NodeEvent::Listed { since, containers }));
    }

    /// A list may leave something out, or say something twice.
    fn spoil(&mut self, n: usize, mut listed: Vec<Container>) -> Vec<Container> {
        if !listed.is_empty() && self.k.fault(self.docker[n].lists_permille) {
            let at = self.k.rng.usize(..listed.len());
            if self.k.rng.bool() {
                crate::say!(self.k, self.nodes[n], "gets a list without {}", listed[at].name());
                listed.remove(at);
            } else {
                listed.push(listed[at].clone());
            }
        }
        listed
    }

    pub(super) fn listed(&mut self, n: usize, since: u64, containers: Result<Vec<Container>, &'static str>) {
        let pause = if containers.is_ok() { LIST_EVERY } else { AGAIN_AFTER };
        let relist = &mut self.nodes[n].relist;
        relist.listing = false;
        relist.not_before = self.k.now + LIST_GAP;
        let pause = if std::mem::take(&mut relist.nudged) { 0 } else { pause };
        self.list_after(n, pause);
        self.twist_listed(n, containers.as_deref().unwrap_or_default());
        let containers = containers.map_err(str::to_owned);
        self.input(n, dinp_planner::agent::Event::Listed { since, containers });
    }

    /// Docker tells something, if anybody listens and nothing is lost.
    pub fn tell_news(&mut self, n: usize, news: News) {
        if self.docker[n].deaf || !self.nodes[n].up || !self.docker[n].answers() {
            return;
        }
        let (life, delay) = (self.nodes[n].life, self.k.between(0, 5));
        self.k.after(delay, Event::Node(n, life, NodeEvent::News(news)));
    }

    pub(super) fn docker_news(&mut self, n: usize, news: News) {
        match news {
            News::Started => self.relist(n),
            News::Died { instance, code } => {
                self.input(n, dinp_planner::agent::Event::Died { instance, code: Some(code) });
            }
            News::Destroyed { instance, container } => {
                self.input(n, dinp_planner::agent::Event::Destroyed { instance, container });
            }
        }
    }

    /// What the node says of its Docker, which it asks every few seconds.
    pub(super) fn look_at_docker(&mut self, n: usize) {
        let answers = self.docker[n].answers();
        self.nodes[n].facts.docker = if answers { Ok("sim".to_owned()) } else { Err("it does not answer".to_owned()) };
    }

    pub(super) fn probe_begins(&mut self, n: usize, instance: InstanceId, run: u32, target: SocketAddr) {
        let id = self.k.fresh();
        let probing = Probing { id, run, target, prober: Prober::default(), said: None };
        let agent = &mut self.nodes[n];
        agent.probes.insert(instance.clone(), probing);
        let life = agent.life;
        self.k.after(0, Event::Node(n, life, NodeEvent::Probe { instance, probe: id }));
    }

    pub(super) fn probe_ends(&mut self, n: usize, instance: &InstanceId) {
        self.nodes[n].probes.remove(instance);
    }

    pub(super) fn probe(&mut self, n: usize, instance: &InstanceId, probe: u64) {
        let Some(probing) = self.nodes[n].probes.get_mut(instance).filter(|probing| probing.id == probe) else { return };
        let IpAddr::V4(address) = probing.target.ip() else { return };
        let (now, calm) = (self.k.now, self.k.calm);
        let outcome = match self.docker[n].at(address) {
            Some(found) if found.serves(now, calm) => Ok(()),
            Some(_) if self.k.is_planted(Planted::NotOkIsOk) => Ok(()),
            Some(_) => Err("it answers 503".to_owned()),
            None => Err("the connection is refused".to_owned()),
        };
        let pause = probing.prober.probed(outcome).as_millis() as Ms;
        let health = probing.prober.health().clone();
        let run = probing.run;
        let news = probing.said.as_ref() != Some(&health);
        probing.said = Some(health.clone());
        let life = self.nodes[n].life;
        let event = NodeEvent::Probe { instance: instance.clone(), probe };
        self.k.after(pause, Event::Node(n, life, event));
        if news {
            let (instance, listening) = (instance.clone(), Vec::new());
            self.input(n, dinp_planner::agent::Event::Probed { instance, run, health, listening });
        }
    }
}
