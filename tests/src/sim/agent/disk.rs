//! The agent's files. What was written stays through a power cut; what was on its way does not.

use std::rc::Rc;

use dinp_common::wire::Assignments;
use dinp_planner::agent::Gate;
use dinp_planner::agent::addresses::Addresses;

use crate::sim::event::{Event, NodeEvent};
use crate::sim::kernel::Ms;
use crate::sim::world::World;

/// The pause after a write that failed.
const AGAIN_AFTER: Ms = 1_000;

#[derive(Clone, Default)]
pub struct Disk {
    pub gate: Option<Gate>,
    pub addresses: Option<Addresses>,
    pub assignments: Option<Rc<Assignments>>,
    /// It takes nothing.
    pub full: bool,
}

/// The newest version of a value, and the one that is on disk.
pub(super) struct Saver<T> {
    newest: Option<(u64, Rc<T>)>,
    writing: bool,
    pub(super) saved: u64,
}

impl<T> Default for Saver<T> {
    fn default() -> Self {
        Self::at(0)
    }
}

impl<T> Saver<T> {
    pub(super) fn at(saved: u64) -> Self {
        Self { newest: None, writing: false, saved }
    }

    /// What is to be written now, if nothing is being written.
    fn next(&mut self) -> Option<(u64, Rc<T>)> {
        if self.writing {
            return None;
        }
        let next = self.newest.take();
        self.writing = next.is_some();
        next
    }
}

impl World {
    pub(super) fn disk_delay(&mut self, _n: usize) -> Ms {
        if self.k.fault(20) { self.k.between(100, 3_000) } else { self.k.between(1, 15) }
    }

    pub(super) fn save_table(&mut self, n: usize, revision: u64, table: Addresses) {
        self.nodes[n].table.newest = Some((revision, Rc::new(table)));
        self.write_table(n);
    }

    fn write_table(&mut self, n: usize) {
        let Some((revision, table)) = self.nodes[n].table.next() else { return };
        let delay = self.disk_delay(n);
        let life = self.nodes[n].life;
        self.k.after(delay, Event::Node(n, life, NodeEvent::TableWritten(revision, Box::new((*table).clone()))));
    }

    pub(super) fn table_written(&mut self, n: usize, revision: u64, table: Addresses) {
        self.nodes[n].table.writing = false;
        if self.disks[n].full {
            self.nodes[n].table.newest.get_or_insert_with(|| (revision, Rc::new(table)));
            return self.try_again(n);
        }
        self.disks[n].addresses = Some(table);
        self.nodes[n].table.saved = revision;
        self.starts_may_go(n);
        self.write_table(n);
    }

    pub(super) fn save_level(&mut self, n: usize, version: u64, level: Rc<Assignments>) {
        self.nodes[n].level.newest = Some((version, level));
        self.write_level(n);
    }

    fn write_level(&mut self, n: usize) {
        let Some((version, level)) = self.nodes[n].level.next() else { return };
        let delay = self.disk_delay(n);
        let life = self.nodes[n].life;
        self.k.after(delay, Event::Node(n, life, NodeEvent::LevelWritten(version, level)));
    }

    pub(super) fn level_written(&mut self, n: usize, version: u64, level: Rc<Assignments>) {
        self.nodes[n].level.writing = false;
        if self.disks[n].full {
            self.nodes[n].level.newest.get_or_insert((version, level));
            return self.try_again(n);
        }
        self.disks[n].assignments = Some(level);
        self.nodes[n].level.saved = version;
        self.write_level(n);
    }

    fn try_again(&mut self, n: usize) {
        let life = self.nodes[n].life;
        self.k.after(AGAIN_AFTER, Event::Node(n, life, NodeEvent::WriteAgain));
    }

    pub(super) fn write_again(&mut self, n: usize) {
        self.write_table(n);
        self.write_level(n);
    }
}
