//! The lease's row and what leaders have decided, as the store's statements change them.

use dinp_common::fence::{Fence, LeaseRow};
use dinp_common::name::ClusterId;

use crate::settings::{Planted, Settings};

#[derive(Debug, Clone)]
pub struct Database {
    pub row: LeaseRow,
    /// A set of decisions, a bit each.
    pub decided: u8,
}

#[derive(Debug, Clone)]
pub enum Statement {
    Take { row: LeaseRow, holder: String, at_least: u64 },
    Renew(Fence),
    Release(Fence),
    Commit { fence: Fence, decided: u8 },
}

#[derive(Debug, Clone)]
pub enum Answer {
    Taken(Option<Fence>),
    /// Whether the lease was this holder's.
    Held(bool),
}

impl Database {
    pub fn new() -> Self {
        Self { row: LeaseRow { epoch: 0, holder: String::new(), counter: LeaseRow::RELEASED }, decided: 0 }
    }

    fn is_held_by(&self, fence: &Fence) -> bool {
        self.row.epoch == fence.epoch && self.row.holder == fence.holder && !self.row.is_released()
    }

    /// What `store/src/lease.rs` and `store/src/commit.rs` do.
    ///
    /// # Errors
    /// If it writes for a leader that is none.
    pub fn execute(&mut self, statement: &Statement, settings: &Settings) -> Result<Answer, String> {
        match statement {
            Statement::Take { row, holder, at_least } => {
                if self.row != *row && !settings.has(Planted::TakenWithoutCompare) {
                    return Ok(Answer::Taken(None));
                }
                let raised = (*at_least).max(self.row.epoch + 1);
                let epoch = if settings.has(Planted::EpochNotRaised) { self.row.epoch.max(1) } else { raised };
                if epoch <= self.row.epoch {
                    return Err(format!("epoch {epoch} is given to {holder} after {}", self.row.holder));
                }
                self.row = LeaseRow { epoch, holder: holder.clone(), counter: 1 };
                Ok(Answer::Taken(Some(Fence { cluster: cluster(), epoch, holder: holder.clone() })))
            }
            Statement::Renew(fence) => {
                let held = self.is_held_by(fence);
                self.row.counter += u64::from(held);
                Ok(Answer::Held(held))
            }
            Statement::Release(fence) => {
                let held = self.is_held_by(fence);
                if held {
                    self.row.counter = LeaseRow::RELEASED;
                }
                Ok(Answer::Held(held))
            }
            Statement::Commit { fence, decided } => {
                let held = self.is_held_by(fence);
                if !held && !settings.has(Planted::StoreWithoutFence) {
                    return Ok(Answer::Held(false));
                }
                if !held {
                    return Err(format!("the store writes for {fence:?} while {:?} leads", self.row));
                }
                self.row.counter += 1;
                self.decided |= decided;
                Ok(Answer::Held(true))
            }
        }
    }
}

pub fn cluster() -> ClusterId {
    ClusterId::parse("c").expect("a name")
}
