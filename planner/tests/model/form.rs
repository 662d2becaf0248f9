//! The canonical form of a state: what can matter to its future, and nothing else.
//!
//! Clocks show ages, and an age that has passed every bound counts as that bound. Epochs and counters are compared and
//! raised by one, so their order matters and, to a store that forgets, whether a gap lies between two. Processes that
//! have ended live on only as names, which are numbered as they are met.
//!
//! A row that the store has left never comes back, unless a replica brings its own; so of whatever waits for one, only
//! that it waits in vain is kept.

use std::hash::{DefaultHasher, Hasher as _};

use dinp_common::fence::{Fence, LeaseRow};
use dinp_planner::lease::Role;

use crate::receiver::{Receiver, Taker};
use crate::server::{Pass, Phase, Server, holder};
use crate::settings::{Decisions, Planted, Settings};
use crate::store::{Answer, Database, Statement};
use crate::world::{NAMES, World};

pub fn form(world: &World, settings: &Settings) -> u64 {
    let mut names = Names::of(world);
    let wrong_store = [Planted::TakenWithoutCompare, Planted::StoreWithoutFence, Planted::EpochNotRaised];
    let keeps_all = wrong_store.iter().any(|planted| settings.has(*planted));
    let mut form = Form { names: &mut names, bytes: Vec::new(), collecting: true, ages: Ages::of(settings), keeps_all };
    form.world(world);
    form.names.rank(if settings.fail_over { 2 } else { 1 });
    (form.bytes, form.collecting) = (Vec::with_capacity(128), false);
    form.world(world);
    let mut hasher = DefaultHasher::new();
    hasher.write(&form.bytes);
    hasher.finish()
}

/// From where on an age makes no difference any more.
struct Ages {
    watched: u64,
    led: u64,
    heard: u64,
}

impl Ages {
    fn of(settings: &Settings) -> Self {
        let times = settings.times;
        let heard = match settings.decisions {
            Decisions::None | Decisions::Asked(_) => 0,
            Decisions::Moves { lost_after_ms } => lost_after_ms,
        };
        let acts_ms = times.ttl_ms.saturating_sub(times.margin_ms);
        Self { watched: times.ttl_ms, led: acts_ms.max(times.renew_every_ms), heard }
    }
}

/// The epochs, counters and holders that occur, and what they are called.
struct Names {
    epochs: Vec<u64>,
    epoch_ranks: Vec<u8>,
    /// Of one epoch and holder each.
    counters: Vec<(u64, u8, u64)>,
    counter_ranks: Vec<u8>,
    holders: Vec<String>,
}

impl Names {
    fn of(world: &World) -> Self {
        let live = |at: usize| match world.servers[at].phase {
            Phase::Down => format!("-{at}"),
            Phase::Up | Phase::Stopping => holder(NAMES[at], world.servers[at].life),
        };
        let holders = vec![String::new(), live(0), live(1)];
        Self { epochs: vec![0], epoch_ranks: Vec::new(), counters: Vec::new(), counter_ranks: Vec::new(), holders }
    }

    fn holder(&mut self, name: &str) -> u8 {
        let at = self.holders.iter().position(|known| known == name).unwrap_or_else(|| {
            self.holders.push(name.to_owned());
            self.holders.len() - 1
        });
        at as u8
    }

    /// Gaps of more than `gap` count as that. An epoch that is free may be given again only by a store that forgets.
    fn rank(&mut self, gap: u64) {
        self.epochs.sort_unstable();
        self.epochs.dedup();
        self.counters.sort_unstable();
        self.counters.dedup();
        let mut rank = 0;
        let mut before = 0;
        for epoch in &self.epochs {
            rank += (epoch - before).min(gap) as u8;
            before = *epoch;
            self.epoch_ranks.push(rank);
        }
        let (mut whose, mut rank, mut before) = ((0, 0), 0, 0);
        for (epoch, holder, counter) in &self.counters {
            if whose != (*epoch, *holder) {
                (whose, rank, before) = ((*epoch, *holder), 0, 0);
            }
            rank += (counter - before).min(gap) as u8;
            before = *counter;
            self.counter_ranks.push(rank);
        }
    }
}

/// The row that is in force, and the one that may be again.
fn bases(world: &World) -> impl Iterator<Item = &LeaseRow> {
    std::iter::once(&world.store).chain(&world.behind).map(|store| &store.row)
}

struct Form<'a> {
    names: &'a mut Names,
    bytes: Vec<u8>,
    /// The first time through, names are collected; the second time, bytes.
    collecting: bool,
    ages: Ages,
    /// The store is wrong, and what it has left may come back.
    keeps_all: bool,
}

impl Form<'_> {
    fn byte(&mut self, byte: impl Into<u8>) {
        self.bytes.push(byte.into());
    }

    fn age(&mut self, now_ms: u64, then_ms: u64, most: u64) {
        self.byte(now_ms.saturating_sub(then_ms).min(most) as u8);
    }

    fn epoch(&mut self, epoch: u64) {
        if self.collecting {
            return self.names.epochs.push(epoch);
        }
        let at = self.names.epochs.binary_search(&epoch).expect("it was collected");
        self.byte(self.names.epoch_ranks[at]);
    }

    fn fence(&mut self, fence: &Fence) {
        self.epoch(fence.epoch);
        let holder = self.names.holder(&fence.holder);
        self.byte(holder);
    }

    fn row(&mut self, row: &LeaseRow) {
        self.epoch(row.epoch);
        let holder = self.names.holder(&row.holder);
        self.byte(holder);
        let counter = (row.epoch, holder, row.counter);
        if self.collecting {
            return self.names.counters.push(counter);
        }
        let at = self.names.counters.binary_search(&counter).expect("it was collected");
        self.byte(self.names.counter_ranks[at]);
    }

    fn database(&mut self, store: &Database) {
        self.row(&store.row);
        self.byte(store.decided);
    }

    fn world(&mut self, world: &World) {
        self.database(&world.store);
        self.byte(world.may_lag);
        self.byte(world.behind.is_some());
        if let Some(behind) = &world.behind {
            self.database(behind);
        }
        for server in &world.servers {
            self.server(server, world);
        }
        for receiver in &world.receivers {
            self.receiver(receiver);
        }
        self.byte(world.messages.len() as u8);
        for message in &world.messages {
            self.byte(message.to as u8);
            self.byte(message.from as u8);
            self.fence(&message.fence);
            self.byte(message.revision as u8);
            self.byte(message.decided);
        }
        self.byte(world.late.len() as u8);
        for statement in &world.late {
            self.statement(statement, world);
        }
        self.byte(world.ends);
        self.byte(world.together as u8);
    }

    fn server(&mut self, server: &Server, world: &World) {
        self.byte(server.phase as u8);
        if server.phase == Phase::Down {
            return;
        }
        let now_ms = server.now_ms;
        match server.lease.role() {
            Role::Following { seen: Some(row), since_ms } if !self.is_past_row(row, world) => {
                self.byte(1);
                self.row(row);
                self.age(now_ms, *since_ms, self.ages.watched);
            }
            Role::Leading { fence, renewed_ms } => {
                self.byte(2);
                self.fence(fence);
                self.age(now_ms, *renewed_ms, self.ages.led);
            }
            Role::Following { .. } => self.byte(0),
        }
        // An epoch below the row's changes nothing, since the next one is above the row's anyway.
        let lowest = bases(world).map(|base| base.epoch).min().unwrap_or(0);
        for epoch in [server.highest, server.lease.held()] {
            self.epoch(if self.keeps_all || epoch >= lowest { epoch } else { 0 });
        }
        self.look(server, world);
        self.pass(&server.pass, world);
        let term = server.term.as_ref().filter(|term| {
            let in_use = matches!(&server.pass, Pass::Stored { fence, .. } if *fence == term.fence);
            in_use || !self.is_past(&term.fence, world)
        });
        self.byte(term.is_some());
        if let Some(term) = term {
            self.fence(&term.fence);
            self.age(now_ms, term.since_ms, self.ages.heard);
            self.byte(term.revision as u8);
            self.byte(term.sent);
        }
        for heard in server.heard {
            self.byte(heard.map_or(u8::MAX, |heard| (now_ms - heard).min(self.ages.heard) as u8));
        }
    }

    fn look(&mut self, server: &Server, world: &World) {
        let Some(look) = &server.look else { return self.byte(0) };
        match &look.answer {
            None => {
                self.byte(1);
                self.statement(&look.statement, world);
                self.age(server.now_ms, look.sent_ms, self.ages.led);
            }
            Some(Answer::Held(held)) => {
                self.byte(2 + u8::from(*held) + 2 * u8::from(matches!(look.statement, Statement::Release(_))));
                self.age(server.now_ms, look.sent_ms, self.ages.led);
            }
            Some(Answer::Taken(None)) => self.byte(6),
            Some(Answer::Taken(Some(fence))) => {
                self.byte(7);
                self.fence(fence);
                self.age(server.now_ms, look.sent_ms, self.ages.led);
            }
        }
    }

    fn pass(&mut self, pass: &Pass, world: &World) {
        let (kind, fence, decided) = match pass {
            Pass::Idle => return self.byte(0),
            Pass::Committing { held: Some(false), .. } => return self.byte(1),
            Pass::Committing { fence, held: None, .. } if self.is_past(fence, world) => return self.byte(2),
            Pass::Committing { fence, decided, held: None } => (3, fence, decided),
            Pass::Committing { fence, decided, held: Some(true) } => (4, fence, decided),
            Pass::Loaded { fence, decided } => (5, fence, decided),
            Pass::Stored { fence, decided } => (6, fence, decided),
        };
        self.byte(kind);
        self.fence(fence);
        self.byte(*decided);
    }

    /// Whether the store has left this row for good. A replica may bring its own back, and what follows from that.
    fn is_past_row(&self, row: &LeaseRow, world: &World) -> bool {
        let left = |base: &LeaseRow| (row.epoch, &row.holder) != (base.epoch, &base.holder) || row.counter < base.counter;
        !self.keeps_all && bases(world).all(left)
    }

    /// Whether the store has left this fence for good: no holder has one epoch twice.
    fn is_past(&self, fence: &Fence, world: &World) -> bool {
        !self.keeps_all && bases(world).all(|base| (fence.epoch, &fence.holder) != (base.epoch, &base.holder))
    }

    fn statement(&mut self, statement: &Statement, world: &World) {
        match statement {
            Statement::Take { row, .. } if self.is_past_row(row, world) => self.byte(0),
            Statement::Take { row, holder, at_least } => {
                self.byte(1);
                self.row(row);
                let holder = self.names.holder(holder);
                self.byte(holder);
                self.epoch(*at_least);
            }
            Statement::Renew(fence) | Statement::Release(fence) | Statement::Commit { fence, .. }
                if self.is_past(fence, world) =>
            {
                self.byte(2);
            }
            Statement::Renew(fence) => {
                self.byte(3);
                self.fence(fence);
            }
            Statement::Release(fence) => {
                self.byte(4);
                self.fence(fence);
            }
            Statement::Commit { fence, decided } => {
                self.byte(5);
                self.fence(fence);
                self.byte(*decided);
            }
        }
    }

    fn receiver(&mut self, receiver: &Receiver) {
        match &receiver.taker {
            Taker::Node { gate, at } => {
                self.fence(gate.highest());
                self.byte(at.is_some());
                if let Some(at) = at {
                    self.epoch(at.epoch);
                    self.byte(at.revision as u8);
                }
            }
            Taker::Router(applier) => {
                self.byte(applier.cert().is_some());
                if let Some(cert) = applier.cert() {
                    self.fence(&cert.fence);
                    self.byte(cert.version as u8);
                }
            }
        }
        self.byte(receiver.best.is_some());
        if let Some(best) = &receiver.best {
            self.fence(best);
        }
        if let Some((version, decided)) = receiver.last {
            self.epoch(version.epoch);
            self.byte(version.revision as u8);
            self.byte(decided);
        }
    }
}
