//! One node: its containers in the real engine and in the simulated one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dinp_agent::engine::{Engine, EngineError, Host, outcome};
use dinp_agent::exit::examine;
use dinp_common::digest::Digest;
use dinp_common::instance::InstanceId;
use dinp_planner::agent::{Container, Found, Outcome};
use dinp_tests::docker::Docker;
use dinp_tests::http;
use dinp_tests::sim::docker::{Answer, Behaviour, Docker as Simulated};
use dinp_tests::wait::until;
use hyper::Response;
use hyper::body::Incoming;

use crate::draw::Draw;
use crate::engine::Bench;
use crate::node::{ADDRESSES, INSTANCES, Node, PORT};

/// How long an engine or an app may take to notice what has happened.
const SOON: Duration = Duration::from_secs(10);
/// How the sample ends when it is asked to, when it crashes, and when it is killed.
const ENDED: i64 = 0;
const CRASHED: i64 = 1;
const KILLED: i64 = 137;

/// One container by both its ids, there or gone.
#[derive(Debug, Clone)]
struct Known {
    real: String,
    sim: String,
    address: Ipv4Addr,
}

pub struct Pair {
    docker: Docker,
    engine: Arc<Engine>,
    host: Host,
    image: Digest,
    node: Node,
    sim: Simulated,
    draw: Draw,
    known: Vec<Known>,
    /// Requests that keep an instance from ending when it is asked to, by its container's real id.
    held: BTreeMap<String, Response<Incoming>>,
    /// Those that were last refused a start, by their real ids.
    refused: BTreeSet<String>,
    pub outcomes: BTreeSet<String>,
}

impl Pair {
    pub fn new(bench: &Bench, seed: u64) -> Self {
        let node = Node::new(seed, bench.gateway);
        let mut sim = Simulated::default();
        for (name, labels) in node.strangers() {
            let labels: Vec<(&str, String)> = labels.iter().map(|(key, value)| (*key, value.clone())).collect();
            bench.stranger(&name, &labels);
            sim.add_foreign(&name, &labels, 0);
        }
        Self {
            docker: bench.docker.clone(),
            engine: bench.asked_by_agent(),
            host: bench.host(node.name.clone()),
            image: bench.image.clone(),
            node,
            sim,
            draw: Draw::new(seed),
            known: Vec::new(),
            held: BTreeMap::new(),
            refused: BTreeSet::new(),
            outcomes: BTreeSet::new(),
        }
    }

    pub async fn operate(&mut self, operations: usize) {
        for at in 0..operations {
            let told = self.one().await;
            self.compare(&format!("{}, operation {at}: {told}", self.node.name)).await;
        }
    }

    /// Nobody can say anything of any container.
    pub async fn power_is_out(&mut self) {
        self.sim.down = true;
        let real = self.list().await;
        assert!(real.is_err() && !self.sim.answers(), "{real:?}");
        let real = outcome(self.engine.start("any").await);
        assert!(matches!(real, Outcome::Failed(_)), "nobody knows what became of it: {real:?}");
    }

    pub async fn power_is_back(&mut self) {
        self.sim.down = false;
        self.held.clear();
        for known in &self.known {
            self.sim.end(&known.sim, KILLED, 0);
        }
        self.compare(&format!("{}, after a loss of power", self.node.name)).await;
    }

    async fn one(&mut self) -> String {
        let drawn = self.draw.below(16);
        let Some(known) = self.pick().filter(|_| drawn > 3) else { return self.create().await };
        let what = match drawn {
            4..=8 => self.start(&known).await,
            9 | 10 => self.terminate(&known).await,
            11 => self.kill(&known).await,
            12 => self.crash(&known).await,
            13 => self.remove_by_hand(&known),
            _ => self.remove(&known).await,
        };
        self.outcomes.insert(what.clone());
        format!("{known:?}: {what}")
    }

    /// One of those that run, of those that rest, or of all there ever were.
    fn pick(&mut self) -> Option<Known> {
        let group = self.draw.below(5);
        let is_meant = |known: &&Known| match (group, self.sim.named(&known.sim)) {
            (0 | 1, found) => found.is_some_and(|found| found.runs()),
            (2 | 3, found) => found.is_some_and(|found| !found.runs()),
            _ => true,
        };
        let meant: Vec<Known> = self.known.iter().filter(is_meant).cloned().collect();
        let from = if meant.is_empty() { &self.known } else { &meant };
        if from.is_empty() { None } else { Some(self.draw.one_of(from).clone()) }
    }

    fn runs(&self, known: &Known) -> bool {
        self.sim.named(&known.sim).is_some_and(|found| found.runs())
    }

    async fn create(&mut self) -> String {
        let instance = InstanceId::from_sequence(1 + self.draw.below(INSTANCES));
        let address = self.node.address(self.draw.below(ADDRESSES));
        let behaviour = match self.draw.below(6) {
            0 => Behaviour::Missing,
            1 => Behaviour::Unstartable,
            _ => Behaviour::HealthyAfter(0),
        };
        let wanted = self.node.assignment(&instance, &self.image, behaviour);
        let real = outcome(self.engine.create(&self.host, &wanted, address).await);
        let sim = self.sim.create(&self.node.name, &wanted, address, behaviour);
        let what = format!("create: {}", self.agreed("create", &real, &sim));
        if let (Outcome::Done(real), Answer::Done(sim)) = (real, sim) {
            self.known.push(Known { real, sim, address });
        }
        self.outcomes.insert(what.clone());
        format!("{instance} at {address}, {behaviour:?}: {what}")
    }

    async fn start(&mut self, known: &Known) -> String {
        let ran = self.runs(known);
        let taken = self.sim.at(known.address).is_some_and(|other| other.id != known.sim);
        let real = outcome(self.engine.start(&known.real).await);
        let sim = self.sim.start(&known.sim, 0);
        let word = self.agreed("start", &real, &sim);
        if word == "refused" {
            self.refused.insert(known.real.clone());
        } else if word == "done" && !ran {
            self.refused.remove(&known.real);
            self.serve(known).await;
        }
        format!("start: {word}{}", if taken { ", its address is in use" } else { "" })
    }

    /// It answers, so that it hears signals too; and sometimes it has something to finish first.
    async fn serve(&mut self, known: &Known) {
        let address = SocketAddr::from((known.address, PORT));
        let health = async || http::get(address, "app", "/health").await.map_err(|error| format!("{error:#}"));
        until("the sample answers", SOON, health, Result::is_ok).await.expect("it answered");
        if self.draw.one_in(2) {
            let mut sender = http::connect(address).await.expect("it answered a moment ago");
            let slow = sender.send_request(http::request("app", "/slow?ms=600000")).await.expect("it begins");
            self.held.insert(known.real.clone(), slow);
        }
    }

    async fn terminate(&mut self, known: &Known) -> String {
        let real = outcome(self.engine.signal(&known.real, "SIGTERM").await);
        let word = self.agreed("terminate", &real, &self.sim.signal(&known.sim));
        if word == "done" {
            if self.held.contains_key(&known.real) {
                return "asked to end, and has something to finish".to_owned();
            }
            self.sim.end(&known.sim, ENDED, 0);
        }
        format!("terminate: {word}")
    }

    async fn kill(&mut self, known: &Known) -> String {
        let real = outcome(self.engine.signal(&known.real, "SIGKILL").await);
        let word = self.agreed("kill", &real, &self.sim.signal(&known.sim));
        if word == "done" {
            self.end(known, KILLED);
        }
        format!("kill: {word}")
    }

    /// It ends by itself. One that is held may have been asked to end, and takes no requests any more.
    async fn crash(&mut self, known: &Known) -> String {
        if !self.runs(known) || self.held.contains_key(&known.real) {
            return "nothing to crash".to_owned();
        }
        let crashed = http::get(SocketAddr::from((known.address, PORT)), "app", "/crash").await;
        assert!(crashed.is_err(), "it answers: {crashed:?}");
        self.end(known, CRASHED);
        "crash".to_owned()
    }

    async fn remove(&mut self, known: &Known) -> String {
        let real = outcome(self.engine.remove(&known.real).await);
        let (sim, _) = self.sim.remove(&known.sim);
        format!("remove: {}", self.agreed("remove", &real, &sim))
    }

    /// Somebody types `docker rm -f`.
    fn remove_by_hand(&mut self, known: &Known) -> String {
        if self.sim.named(&known.sim).is_none() {
            return "nothing to remove by hand".to_owned();
        }
        self.docker.run(&["rm", "-f", &known.real]);
        self.end(known, KILLED);
        assert!(matches!(self.sim.remove(&known.sim), (Answer::Done(_), _)), "{known:?} has ended");
        "removed by hand".to_owned()
    }

    fn end(&mut self, known: &Known, code: i64) {
        self.held.remove(&known.real);
        self.sim.end(&known.sim, code, 0);
    }

    /// The kind of both answers.
    fn agreed<T: std::fmt::Debug>(&self, call: &str, real: &Outcome<T>, sim: &Answer) -> &'static str {
        let word = match real {
            Outcome::Done(_) => "done",
            Outcome::Missing(_) => "missing",
            Outcome::Conflict(_) => "conflict",
            Outcome::Refused(_) => "refused",
            Outcome::Failed(_) => "failed",
        };
        let simulated = match sim {
            Answer::Done(_) => "done",
            Answer::Missing(_) => "missing",
            Answer::Conflict(_) => "conflict",
            Answer::Refused(_) => "refused",
            Answer::Failed(_) => "failed",
        };
        assert_eq!(word, simulated, "{}: {call}: {real:?} beside {sim:?}, with {:#?}", self.node.name, self.sim);
        word
    }

    /// Both engines list the same, soon; and what is asked of each container alone agrees with that.
    async fn compare(&self, told: &str) {
        let mut sim = self.sim.list(&self.node.name);
        sim.sort_by(|one, other| one.id.cmp(&other.id));
        let look = async || self.list().await.map_err(|error| error.to_string());
        until(told, SOON, look, |real| real.as_ref() == Ok(&sim)).await.expect("it was listed");
        for known in self.known.iter().rev().take(INSTANCES as usize) {
            let real = examine(&self.engine, &known.real, None).await;
            let agrees = match (&real, self.sim.named(&known.sim)) {
                (Found::Missing, None) => true,
                (Found::Running, Some(found)) => found.runs(),
                // A start that is refused may leave a code of its own, also to what ran before.
                (Found::Ended(_), Some(found)) if self.refused.contains(&known.real) => !found.runs(),
                (Found::Ended(exit), Some(found)) => !found.runs() && exit.code == found.code,
                _ => false,
            };
            assert!(agrees, "{told}: {known:?} is {real:?} beside {:?}", self.sim.named(&known.sim));
        }
    }

    /// The real list under the simulator's ids.
    async fn list(&self) -> Result<Vec<Container>, EngineError> {
        let mut listed = self.engine.containers(&self.host.cluster, &self.host.node, &self.host.bridge).await?;
        for container in &mut listed {
            if let Some(known) = self.known.iter().find(|known| known.real == container.id) {
                container.id.clone_from(&known.sim);
            }
        }
        listed.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(listed)
    }
}
