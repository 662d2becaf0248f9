//! The simulator's Redis beside a real one, which servers write with their own code and routers read with theirs.

use std::collections::BTreeSet;

use dinp_common::fence::Fence;
use dinp_common::instance::InstanceId;
use dinp_common::name::{ClusterId, Host};
use dinp_common::release::ReleaseNo;
use dinp_common::route::redis_keys::{CERT, CHANGE_FIELD, CHANGES, ROUTES};
use dinp_common::route::{Endpoint, Route, RouteState, RouteTable, RouteUpdate};
use dinp_planner::table::Publisher;
use dinp_router::redis_table;
use dinp_server::feed::{RedisAnswer, RedisTable};
use dinp_tests::sim;
use dinp_tests::sim::redis::{CertKey, Redis};
use redis::AsyncCommands as _;
use redis::streams::StreamRangeReply;

use crate::draw::Draw;
use crate::given::name;
use crate::redis_server::Server;

const SEEDS: u64 = 20;
const OPERATIONS: usize = 150;
const HOLDERS: [&str; 3] = ["a", "b", "c"];
const HOSTS: u64 = 5;
/// A field among the routes that is somebody else's.
const FOREIGN: &str = "foreign.localhost";
/// What is no certificate, however much it looks like one.
const JUNK: [&str; 7] = [
    "not a certificate",
    "null",
    "[1]",
    "{}",
    r#"{"fence":{}}"#,
    r#"{"fence":{"cluster":"sim"},"version":1}"#,
    r#"{"fence":{"cluster":"sim","epoch":"9","holder":"a"},"version":1,"count":0,"hash":""}"#,
];
/// What a run must meet, or it compares less than it says.
const OUTCOMES: [&str; 9] = ["done", "gap", "older", "foreign cluster", "ours", "not ours", "spoilt", "flushed", "started again"];

/// What a stranger's command does to the simulated one.
type Effect = fn(&mut Redis, &Host);

struct Leader {
    publisher: Publisher,
    wanted: RouteTable,
}

struct Pair {
    real: Server,
    table: RedisTable,
    sim: Redis,
    /// What a Redis that loses power comes back with.
    saved: Redis,
    draw: Draw,
    leaders: Vec<Leader>,
    /// Steps as they were made, arrived or not.
    steps: Vec<RouteUpdate>,
}

#[tokio::test]
async fn redis_and_the_simulated_one_answer_alike() {
    let mut outcomes = BTreeSet::new();
    let mut real = Server::start().await;
    for seed in 0..SEEDS {
        real.command(&["FLUSHALL"]).await;
        real.command(&["SAVE"]).await;
        let (table, sim, saved) = (RedisTable::default(), Redis::default(), Redis::default());
        let mut pair = Pair { real, table, sim, saved, draw: Draw::new(seed), leaders: Vec::new(), steps: Vec::new() };
        pair.lead(1);
        for at in 0..OPERATIONS {
            let (what, outcome) = pair.operate().await;
            outcomes.insert(outcome);
            let told = format!("seed {seed}, operation {at}: {what}: {outcome}");
            assert_eq!(pair.read().await, pair.sim.table(), "{told}");
        }
        real = pair.real;
    }
    assert_eq!(outcomes, BTreeSet::from(OUTCOMES));
}

impl Pair {
    /// What a router reads.
    async fn read(&mut self) -> Option<RouteUpdate> {
        let mut read = redis_table(&mut self.real.connection).await.ok().flatten();
        if let Some(RouteUpdate::Full { routes, .. }) = &mut read {
            routes.sort_by(|one, other| one.host.cmp(&other.host));
        }
        read
    }

    async fn operate(&mut self) -> (String, &'static str) {
        match self.draw.below(20) {
            0 => {
                let highest = self.leaders.iter().map(|leader| leader.publisher.at().epoch).max().unwrap_or(1);
                let epoch = highest + self.draw.below(3);
                self.lead(epoch.saturating_sub(1).max(1));
                self.publish().await
            }
            1..=13 => self.publish().await,
            14 | 15 => self.verify().await,
            16 | 17 => self.spoil().await,
            18 => (self.lose().await, "flushed"),
            _ => (self.save_or_start_again().await, "started again"),
        }
    }

    /// Somebody else leads, or thinks so.
    fn lead(&mut self, epoch: u64) {
        let elsewhere = || ClusterId::parse("elsewhere").expect("a name");
        let cluster = if self.draw.one_in(8) { elsewhere() } else { sim::names::cluster() };
        let holder = (*self.draw.one_of(&HOLDERS)).to_owned();
        let publisher = Publisher::new(Fence { cluster, epoch, holder });
        self.leaders.push(Leader { publisher, wanted: RouteTable::new() });
    }

    /// Mostly the newest.
    fn leader(&mut self) -> usize {
        if self.draw.one_in(5) { self.draw.below(self.leaders.len() as u64) as usize } else { self.leaders.len() - 1 }
    }

    async fn publish(&mut self) -> (String, &'static str) {
        let at = self.leader();
        for _ in 0..self.draw.below(4) {
            let (host, there) = (host(self.draw.below(HOSTS)), !self.draw.one_in(3));
            let route = route(&host, self.draw.below(9));
            let wanted = &mut self.leaders[at].wanted;
            if there { drop(wanted.insert(host, route)) } else { drop(wanted.remove(&host)) }
        }
        let leader = &mut self.leaders[at];
        self.steps.extend(leader.publisher.publish(&leader.wanted));
        let update = match self.draw.below(8) {
            // It is lost, and a later step finds a gap; an old one comes late.
            0 => self.draw.one_of(&self.steps).clone(),
            1 | 2 => self.leaders[at].publisher.full(),
            _ => self.steps[self.steps.len() - 1].clone(),
        };
        self.apply(&update).await
    }

    async fn apply(&mut self, update: &RouteUpdate) -> (String, &'static str) {
        let what = format!("{update:?}");
        let before = self.last_change().await;
        let real = match self.table.apply(&mut self.real.connection, update).await {
            Ok(RedisAnswer::Done) => sim::RedisAnswer::Ok,
            Ok(RedisAnswer::Gap) => sim::RedisAnswer::Gap,
            Ok(RedisAnswer::Older(epoch)) => sim::RedisAnswer::Older(epoch),
            Ok(RedisAnswer::Foreign(_)) => sim::RedisAnswer::Foreign,
            Err(error) => panic!("{what}, with {:?}: {error}", self.sim),
        };
        let sim = self.sim.apply(update);
        assert_eq!(real, sim, "{what}");
        // Routers hear of it exactly if it was made.
        let after = self.last_change().await;
        let heard = after.as_ref().filter(|_| after != before).map(|(_, update)| update.clone());
        let made = sim == sim::RedisAnswer::Ok;
        assert_eq!(heard, made.then(|| serde_json::to_string(update).expect("encodes")), "{what}");
        let outcome = match sim {
            sim::RedisAnswer::Ok => "done",
            sim::RedisAnswer::Gap => "gap",
            sim::RedisAnswer::Older(_) => "older",
            sim::RedisAnswer::Foreign => "foreign cluster",
            sim::RedisAnswer::Verified(_) => unreachable!("nobody asked for that"),
        };
        (what, outcome)
    }

    /// The newest entry of the stream: its id, and what it carries.
    async fn last_change(&mut self) -> Option<(String, String)> {
        let last: StreamRangeReply = self.real.connection.xrevrange_count(CHANGES, "+", "-", 1).await.ok()?;
        let entry = last.ids.into_iter().next()?;
        Some((entry.id.clone(), entry.get(CHANGE_FIELD).unwrap_or_default()))
    }

    async fn verify(&mut self) -> (String, &'static str) {
        let at = self.leader();
        let cert = self.leaders[at].publisher.cert();
        let real = self.table.holds(&mut self.real.connection, &cert).await.expect("answers");
        assert_eq!(sim::RedisAnswer::Verified(real), self.sim.verify(&cert), "{cert:?}");
        (format!("{cert:?}"), if real { "ours" } else { "not ours" })
    }

    /// A stranger writes or removes keys.
    async fn spoil(&mut self) -> (String, &'static str) {
        let (junk, host) = (*self.draw.one_of(&JUNK), host(self.draw.below(HOSTS)));
        let (commands, effect): (&[&[&str]], Effect) = match self.draw.below(10) {
            0 => (&[&["HSET", ROUTES, FOREIGN, "not a route"]], |sim, _| sim.junk = true),
            1 => (&[&["HDEL", ROUTES, FOREIGN]], |sim, _| sim.junk = false),
            2 => (&[&["HDEL", ROUTES, host.as_str()]], |sim, host| drop(sim.routes.remove(host))),
            3 => (&[&["DEL", ROUTES]], |sim, _| {
                sim.routes.clear();
                sim.junk = false;
            }),
            4 => (&[&["SET", CERT, junk]], |sim, _| sim.cert = CertKey::Junk),
            5 => (&[&["DEL", CERT], &["HSET", CERT, "foreign", "1"]], |sim, _| sim.cert = CertKey::Junk),
            6 => (&[&["DEL", CERT]], |sim, _| sim.cert = CertKey::Missing),
            7 => (&[&["SET", CHANGES, "foreign"]], |_, _| {}),
            8 => (&[&["DEL", CHANGES], &["XADD", CHANGES, "*", CHANGE_FIELD, r#"{"type":"full"}"#]], |_, _| {}),
            _ => (&[&["DEL", CHANGES]], |_, _| {}),
        };
        for command in commands {
            self.real.command(command).await;
        }
        effect(&mut self.sim, &host);
        (format!("{commands:?}"), "spoilt")
    }

    async fn lose(&mut self) -> String {
        self.real.command(&["FLUSHALL"]).await;
        self.sim.flush();
        "FLUSHALL".to_owned()
    }

    async fn save_or_start_again(&mut self) -> String {
        if self.draw.one_in(2) {
            self.real.command(&["SAVE"]).await;
            self.saved = self.sim.clone();
            return "SAVE".to_owned();
        }
        self.real.lose_power().await;
        self.sim = self.saved.clone();
        "a loss of power".to_owned()
    }
}

fn host(n: u64) -> Host {
    Host::parse(&format!("app{n}.localhost")).expect("a host")
}

fn route(host: &Host, n: u64) -> Route {
    let endpoint = |n| Endpoint {
        instance: InstanceId::from_sequence(n),
        address: format!("10.77.0.{n}:8080").parse().expect("an address"),
        release: ReleaseNo(1),
    };
    let state = if n == 0 { RouteState::Stopped } else { RouteState::Serving };
    Route { host: host.clone(), app: name("shop"), state, endpoints: (1..=n).map(endpoint).collect(), tunnel_grace_ms: 1_000 }
}
