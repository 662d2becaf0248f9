//! A simulated Docker engine: what it has, what becomes of it, and how it fails.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use dinp_common::instance::InstanceId;
use dinp_common::name::{AppName, NodeName};
use dinp_common::release::ReleaseNo;
use dinp_common::wire::Assignment;
use dinp_planner::agent::container::{LABEL_APP, LABEL_CLUSTER, LABEL_INSTANCE, LABEL_NODE, LABEL_RELEASE, Listed};
use dinp_planner::agent::{Container, ContainerState, ours};

use super::kernel::Ms;
use super::names;

/// What a release does once its container is started. Milliseconds are since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    HealthyAfter(Ms),
    /// It ends after a while, in which it becomes healthy or does not.
    CrashesAfter {
        healthy: Option<Ms>,
        end: Ms,
    },
    NeverHealthy,
    /// Docker has no such image.
    Missing,
    /// Docker refuses to start it.
    Unstartable,
    /// It ignores SIGTERM.
    Stubborn(Ms),
}

impl Behaviour {
    fn healthy_after(self) -> Option<Ms> {
        match self {
            Self::HealthyAfter(ms) | Self::Stubborn(ms) => Some(ms),
            Self::CrashesAfter { healthy, .. } => healthy,
            Self::NeverHealthy | Self::Missing | Self::Unstartable => None,
        }
    }
}

/// One container of the engine, ours or not.
#[derive(Debug, Clone)]
pub struct Vessel {
    pub id: String,
    pub name: String,
    labels: HashMap<String, String>,
    /// Whose it is, if it is ours.
    pub of: Option<Of>,
    pub address: Option<Ipv4Addr>,
    pub state: ContainerState,
    pub behaviour: Behaviour,
    /// Counts its starts; words about an earlier run are void.
    pub run: u32,
    pub started: Ms,
    pub ended: Ms,
    pub code: i64,
    /// It answers badly between these.
    pub sick_from: Ms,
    pub sick_until: Ms,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Of {
    pub instance: InstanceId,
    pub app: AppName,
    pub release: ReleaseNo,
}

/// What can be asked of the engine.
#[derive(Debug, Clone)]
pub enum Call {
    Create { assignment: Box<Assignment>, address: Ipv4Addr },
    Start(String),
    Terminate(String),
    Kill(String),
    Remove(String),
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The id, where one was made.
    Done(String),
    Missing(&'static str),
    Conflict(&'static str),
    Refused(&'static str),
    Failed(&'static str),
}

/// Something that happened inside, and that the engine announces.
#[derive(Debug, Clone)]
pub enum News {
    Started,
    Died { instance: InstanceId, code: i64 },
    Destroyed { instance: InstanceId, container: String },
}

#[derive(Debug, Default)]
pub struct Docker {
    pub boxes: BTreeMap<String, Vessel>,
    /// It takes calls and answers none.
    pub hung: bool,
    /// It takes no calls.
    pub down: bool,
    /// Of a thousand calls, those that go wrong, beyond the seed's usual.
    pub flaky_permille: u32,
    /// Lists that leave something out or say something twice, of a thousand.
    pub lists_permille: u32,
    /// Events are not delivered.
    pub deaf: bool,
    last: u64,
}

impl Docker {
    pub fn answers(&self) -> bool {
        !self.hung && !self.down
    }

    /// A container that is nobody's business of ours, or only looks as if it were.
    pub fn add_foreign(&mut self, name: &str, labels: &[(&str, String)], now: Ms) {
        let id = self.new_id();
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let foreign = Vessel {
            id: id.clone(),
            name: name.to_owned(),
            labels,
            of: None,
            address: None,
            state: ContainerState::Running,
            behaviour: Behaviour::HealthyAfter(0),
            run: 1,
            started: now,
            ended: 0,
            code: 0,
            sick_from: 0,
            sick_until: 0,
        };
        self.boxes.insert(id, foreign);
    }

    /// All our containers, by the real rule of what is ours.
    pub fn list(&self, node: &NodeName) -> Vec<Container> {
        let cluster = names::cluster();
        let read = |found: &Vessel| {
            let names = [format!("/{}", found.name)];
            let listed = Listed { id: &found.id, names: &names, labels: &found.labels };
            ours(&cluster, node, listed, found.state, found.address)
        };
        self.boxes.values().filter_map(read).collect()
    }

    /// By its id or its name.
    pub fn named(&self, container: &str) -> Option<&Vessel> {
        self.boxes.get(container).or_else(|| self.boxes.values().find(|found| found.name == container))
    }

    pub fn of(&self, instance: &InstanceId) -> Option<&Vessel> {
        self.boxes.values().find(|found| found.of.as_ref().is_some_and(|of| of.instance == *instance))
    }

    /// Who would answer at an address.
    pub fn at(&self, address: Ipv4Addr) -> Option<&Vessel> {
        self.boxes.values().find(|found| found.address == Some(address) && found.state == ContainerState::Running)
    }

    /// Creates a container, unless its name is taken.
    pub fn create(&mut self, node: &NodeName, wanted: &Assignment, address: Ipv4Addr, behaviour: Behaviour) -> Answer {
        let name = dinp_common::instance::container_name(&wanted.app, &wanted.instance);
        if behaviour == Behaviour::Missing {
            return Answer::Missing("no such image");
        }
        if self.boxes.values().any(|other| other.name == name) {
            return Answer::Conflict("the container's name is in use");
        }
        let id = self.new_id();
        let labels = [
            (LABEL_APP, wanted.app.to_string()),
            (LABEL_INSTANCE, wanted.instance.to_string()),
            (LABEL_RELEASE, wanted.release.to_string()),
            (LABEL_NODE, node.to_string()),
            (LABEL_CLUSTER, names::cluster().to_string()),
        ];
        let of = Of { instance: wanted.instance.clone(), app: wanted.app.clone(), release: wanted.release };
        let made = Vessel {
            id: id.clone(),
            name,
            labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            of: Some(of),
            address: Some(address),
            state: ContainerState::Created,
            behaviour,
            run: 0,
            started: 0,
            ended: 0,
            code: 0,
            sick_from: 0,
            sick_until: 0,
        };
        self.boxes.insert(id.clone(), made);
        Answer::Done(id)
    }

    pub fn start(&mut self, id: &str, now: Ms) -> Answer {
        let Some(address) = self.boxes.get(id).map(|found| found.address) else { return Answer::Missing("no such container") };
        let taken = address.and_then(|address| self.at(address)).is_some_and(|other| other.id != id);
        let Some(found) = self.boxes.get_mut(id) else { return Answer::Missing("no such container") };
        if taken {
            return Answer::Refused("the address is in use");
        }
        match (found.state, found.behaviour) {
            (ContainerState::Running, _) => {}
            (_, Behaviour::Unstartable) => return Answer::Refused("exec: no such file"),
            (ContainerState::Created | ContainerState::Exited, _) => {
                found.state = ContainerState::Running;
                found.run += 1;
                found.started = now;
            }
        }
        Answer::Done(String::new())
    }

    /// Whether a signal finds a process to take it.
    pub fn signal(&self, id: &str) -> Answer {
        match self.boxes.get(id) {
            None => Answer::Missing("no such container"),
            Some(found) if found.runs() => Answer::Done(String::new()),
            Some(_) => Answer::Conflict("it does not run"),
        }
    }

    /// Ends a running container; answers whose it was.
    pub fn end(&mut self, id: &str, code: i64, now: Ms) -> Option<News> {
        let found = self.boxes.get_mut(id).filter(|found| found.state == ContainerState::Running)?;
        (found.state, found.code, found.ended) = (ContainerState::Exited, code, now);
        Some(News::Died { instance: found.of.as_ref()?.instance.clone(), code })
    }

    pub fn remove(&mut self, id: &str) -> (Answer, Option<News>) {
        match self.boxes.get(id).map(|found| found.state) {
            None => (Answer::Missing("no such container"), None),
            Some(ContainerState::Running) => (Answer::Conflict("it runs"), None),
            Some(ContainerState::Created | ContainerState::Exited) => {
                let gone = self.boxes.remove(id).and_then(|found| found.of);
                let news = gone.map(|of| News::Destroyed { instance: of.instance, container: id.to_owned() });
                (Answer::Done(String::new()), news)
            }
        }
    }

    fn new_id(&mut self) -> String {
        self.last += 1;
        format!("c{:06}", self.last)
    }
}

impl Vessel {
    pub fn has_label(&self, key: &str) -> bool {
        self.labels.contains_key(key)
    }

    pub fn runs(&self) -> bool {
        self.state == ContainerState::Running
    }

    /// Whether it would answer a request or a probe well. Once the faults are over, everything does.
    pub fn serves(&self, now: Ms, calm: bool) -> bool {
        self.runs() && self.healthy_since(calm).is_some_and(|since| now >= since) && (calm || now >= self.sick_until)
    }

    /// When this run became, or becomes, healthy.
    pub fn healthy_since(&self, calm: bool) -> Option<Ms> {
        let after = if calm { Some(self.behaviour.healthy_after().unwrap_or(0)) } else { self.behaviour.healthy_after() };
        after.map(|after| self.started + after)
    }
}
