//! All of it together, and everything that can happen to it.

use dinp_common::fence::LeaseRow;

use crate::explore::Model;
use crate::form;
use crate::pass;
use crate::receiver::{Message, Outcome, Receiver};
use crate::server::{Pass, Phase, Server, holder};
use crate::settings::{Answers, Decisions, Drift, Settings};
use crate::store::{Database, Statement};

pub const NAMES: [char; 2] = ['a', 'b'];

#[derive(Debug, Clone)]
pub struct World {
    pub store: Database,
    /// A replica that stopped following the store, once it has.
    pub behind: Option<Database>,
    pub may_lag: bool,
    pub servers: [Server; 2],
    pub receivers: Vec<Receiver>,
    pub messages: Vec<Message>,
    pub late: Vec<Statement>,
    pub ends: u8,
    /// Steps together since the clocks last drifted apart; they may again after a TTL.
    pub together: u64,
}

/// Of a server where no other is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// All clocks go on.
    Tick,
    /// The clock of one server alone goes on.
    Drift(usize),
    Start(usize),
    /// It is told to end, gives up its lease, and ends some time later.
    Stop(usize),
    Crash(usize),
    /// It reads the lease and asks the store for something, if something is due.
    Look(usize),
    /// The store executes what a server asked about the lease.
    Execute(usize),
    Answer(usize),
    /// The server hears no answer; the statement or its answer is lost, or the statement comes `late`.
    GiveUp {
        server: usize,
        late: bool,
    },
    /// The store executes what its sender has given up.
    ExecuteLate(usize),
    /// A pass begins: the fence, then the load.
    Load(usize),
    /// It decides, `more` if people ask for something that is not decided yet.
    Decide {
        server: usize,
        more: bool,
    },
    ExecuteCommit(usize),
    CommitAnswered(usize),
    GiveUpCommit {
        server: usize,
        late: bool,
    },
    /// It tells everybody what is stored.
    Tell(usize),
    Deliver {
        message: usize,
        again: bool,
    },
    Lose {
        message: usize,
    },
    /// A node's full report reaches a server.
    Report {
        node: usize,
        server: usize,
    },
    RestartNode(usize),
    /// A replica stops following the store.
    Lag,
    /// It takes over.
    FailOver,
}

impl Model for Settings {
    type State = World;
    type Action = Action;

    fn initial(&self) -> World {
        let mut receivers: Vec<Receiver> = (0..self.nodes).map(|_| Receiver::node()).collect();
        receivers.extend(self.router.then(Receiver::router));
        World {
            store: Database::new(),
            behind: None,
            may_lag: self.fail_over,
            servers: [0, 1].map(|at| if at < self.servers { Server::up(0, self) } else { Server::down(0, self) }),
            receivers,
            messages: Vec::new(),
            late: Vec::new(),
            ends: self.ends,
            together: self.times.ttl_ms,
        }
    }

    fn actions(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::with_capacity(16);
        if self.drift != Drift::Free {
            actions.push(Action::Tick);
        }
        for at in 0..self.servers {
            self.of_server(world, at, &mut actions);
        }
        actions.extend((0..world.late.len()).map(Action::ExecuteLate));
        for message in 0..world.messages.len() {
            actions.push(Action::Deliver { message, again: false });
            actions.push(Action::Lose { message });
            if self.doubled {
                actions.push(Action::Deliver { message, again: true });
            }
        }
        if world.ends > 0 {
            actions.extend((0..self.nodes).map(Action::RestartNode));
        }
        if world.may_lag {
            actions.push(Action::Lag);
        }
        if world.behind.is_some() {
            actions.push(Action::FailOver);
        }
        actions
    }

    fn step(&self, world: &World, action: Action) -> Result<World, String> {
        let mut next = world.clone();
        next.apply(action, self)?;
        next.check(self)?;
        Ok(next)
    }

    fn form(&self, world: &World) -> u64 {
        form::form(world, self)
    }

    /// Somebody leads whom the store and every receiver accept, and nobody else would be.
    fn is_goal(&self, world: &World) -> bool {
        world.servers.iter().filter_map(Server::acting).any(|fence| {
            (fence.epoch, &fence.holder) == (world.store.row.epoch, &world.store.row.holder)
                && world.receivers.iter().all(|receiver| receiver.highest() == Some(fence))
        })
    }
}

impl Settings {
    fn of_server(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let server = &world.servers[at];
        if server.phase == Phase::Down {
            return actions.push(Action::Start(at));
        }
        let may_drift = match self.drift {
            Drift::None => false,
            Drift::Bounded => world.together >= self.times.ttl_ms,
            Drift::Free => true,
        };
        if may_drift {
            actions.push(Action::Drift(at));
        }
        if server.phase == Phase::Stopping {
            actions.push(Action::Crash(at));
        } else if world.ends > 0 {
            actions.extend([Action::Stop(at), Action::Crash(at)]);
        }
        let room = world.late.len() < self.late;
        match &server.look {
            None if server.phase == Phase::Up => actions.push(Action::Look(at)),
            None => {}
            Some(look) => {
                actions.push(if look.answer.is_none() { Action::Execute(at) } else { Action::Answer(at) });
                actions.push(Action::GiveUp { server: at, late: false });
                if room && look.answer.is_none() {
                    actions.push(Action::GiveUp { server: at, late: true });
                }
            }
        }
        match &server.pass {
            Pass::Idle if self.decides() && server.phase == Phase::Up && server.acting().is_some() => match self.commits {
                Answers::AnyTime => actions.push(Action::Load(at)),
                Answers::AtOnce => self.deciding(at, world.store.decided, actions),
            },
            Pass::Idle => {}
            Pass::Loaded { decided, .. } => self.deciding(at, *decided, actions),
            Pass::Committing { held, .. } => {
                actions.push(if held.is_none() { Action::ExecuteCommit(at) } else { Action::CommitAnswered(at) });
                actions.push(Action::GiveUpCommit { server: at, late: false });
                if room && held.is_none() {
                    actions.push(Action::GiveUpCommit { server: at, late: true });
                }
            }
            Pass::Stored { .. } => actions.push(Action::Tell(at)),
        }
        if matches!(self.decisions, Decisions::Moves { .. }) {
            actions.extend((0..server.heard.len()).map(|node| Action::Report { node, server: at }));
        }
    }

    fn deciding(&self, server: usize, decided: u8, actions: &mut Vec<Action>) {
        actions.push(Action::Decide { server, more: false });
        if matches!(self.decisions, Decisions::Asked(most) if decided.count_ones() < most.into()) {
            actions.push(Action::Decide { server, more: true });
        }
    }

    fn decides(&self) -> bool {
        self.decisions != Decisions::None
    }
}

impl World {
    /// Of what a state alone shows: two servers never act at once.
    fn check(&self, settings: &Settings) -> Result<(), String> {
        let acting: Vec<_> = self.servers.iter().filter_map(Server::acting).collect();
        if acting.len() > 1 && settings.drift != Drift::Free && !settings.fail_over {
            return Err(format!("two servers act at once: {acting:?}"));
        }
        Ok(())
    }

    fn apply(&mut self, action: Action, settings: &Settings) -> Result<(), String> {
        match action {
            Action::Tick => {
                self.together = (self.together + 1).min(settings.times.ttl_ms);
                self.servers.iter_mut().for_each(|server| server.tick(settings));
            }
            Action::Drift(at) => {
                self.together = if settings.drift == Drift::Free { self.together } else { 0 };
                self.servers[at].tick(settings);
            }
            Action::Start(at) => self.servers[at] = Server::up(self.servers[at].life + 1, settings),
            Action::Stop(at) => {
                self.ends -= 1;
                self.servers[at].stop(settings);
            }
            Action::Crash(at) => {
                self.ends -= u8::from(self.servers[at].phase == Phase::Up);
                self.servers[at] = Server::down(self.servers[at].life, settings);
            }
            Action::Look(at) => return self.look(at, settings),
            Action::Execute(at) => return self.execute(at, settings),
            Action::Answer(at) => self.servers[at].answered(settings),
            Action::GiveUp { server, late } => {
                let look = self.servers[server].look.take();
                self.late.extend(look.map(|look| look.statement).filter(|_| late));
            }
            Action::ExecuteLate(at) => {
                let statement = self.late.remove(at);
                self.store.execute(&statement, settings)?;
            }
            Action::Load(at) => pass::load(&mut self.servers[at], &self.store),
            Action::Decide { server, more } => return self.decide(server, more, settings),
            Action::ExecuteCommit(at) => return pass::execute(&mut self.servers[at], &mut self.store, settings),
            Action::CommitAnswered(at) => pass::answered(&mut self.servers[at]),
            Action::GiveUpCommit { server, late } => {
                let statement = pass::give_up(&mut self.servers[server]);
                self.late.extend(statement.filter(|_| late));
            }
            Action::Tell(at) => return self.tell(at, settings),
            Action::Deliver { message, again } => return self.deliver(message, again, settings),
            Action::Lose { message } => drop(self.messages.remove(message)),
            Action::Report { node, server } => {
                let server = &mut self.servers[server];
                server.heard[node] = Some(server.now_ms);
            }
            Action::RestartNode(node) => {
                self.ends -= 1;
                self.receivers[node].restart(settings);
                // Its connections end with it.
                self.messages.retain(|message| message.to != node);
            }
            Action::Lag => {
                self.may_lag = false;
                self.behind = Some(self.store.clone());
            }
            Action::FailOver => self.store = self.behind.take().unwrap_or_else(Database::new),
        }
        Ok(())
    }

    /// Where commits are answered at once, the whole pass is one step.
    fn decide(&mut self, at: usize, more: bool, settings: &Settings) -> Result<(), String> {
        let server = &mut self.servers[at];
        if settings.commits == Answers::AtOnce {
            pass::load(server, &self.store);
        }
        pass::decide(server, more, settings)?;
        if settings.commits == Answers::AtOnce {
            pass::execute(server, &mut self.store, settings)?;
            pass::answered(server);
        }
        if self.receivers.is_empty() {
            pass::told(server);
        }
        Ok(())
    }

    fn look(&mut self, at: usize, settings: &Settings) -> Result<(), String> {
        let row: LeaseRow = self.store.row.clone();
        let server = &mut self.servers[at];
        server.look_at(&row, holder(NAMES[at], server.life), settings)?;
        if settings.answers == Answers::AtOnce && server.look.is_some() {
            self.execute(at, settings)?;
            self.servers[at].answered(settings);
        }
        Ok(())
    }

    fn execute(&mut self, at: usize, settings: &Settings) -> Result<(), String> {
        if let Some(look) = &mut self.servers[at].look {
            look.answer = Some(self.store.execute(&look.statement, settings)?);
        }
        Ok(())
    }

    /// Sends the level to everybody; what finds no room is lost. Without a network between, it arrives at once.
    fn tell(&mut self, at: usize, settings: &Settings) -> Result<(), String> {
        let Some((fence, revision, decided)) = pass::told(&mut self.servers[at]) else { return Ok(()) };
        for to in 0..self.receivers.len() {
            let message = Message { to, from: at, fence: fence.clone(), revision, decided };
            if settings.messages == 0 {
                self.receive(&message, settings)?;
            } else if self.messages.iter().filter(|other| other.to == to).count() < settings.messages
                && !self.messages.contains(&message)
            {
                self.messages.push(message);
            }
        }
        // They arrive in any order, so theirs does not matter.
        self.messages.sort_by(|a, b| (a.to, &a.fence.holder, a.revision).cmp(&(b.to, &b.fence.holder, b.revision)));
        Ok(())
    }

    fn deliver(&mut self, message: usize, again: bool, settings: &Settings) -> Result<(), String> {
        let message = if again { self.messages[message].clone() } else { self.messages.remove(message) };
        self.receive(&message, settings)
    }

    fn receive(&mut self, message: &Message, settings: &Settings) -> Result<(), String> {
        if let Outcome::Refused(highest) = self.receivers[message.to].take(message, settings)? {
            let sender = &mut self.servers[message.from];
            // The connection is the process's own.
            if sender.phase != Phase::Down && holder(NAMES[message.from], sender.life) == message.fence.holder {
                sender.highest = sender.highest.max(highest);
            }
        }
        Ok(())
    }
}
