//! Who goes first where more run than are wanted: who serves least, then who stands in the densest crowd, then the
//! youngest.

use std::collections::BTreeMap;

use dinp_common::instance::InstanceId;
use dinp_common::name::NodeName;

use crate::bucket::Bucket;
use crate::plan::{Member, Pass};

/// Lower goes first; compared field by field, with the crowd of its node after the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    worth: Worth,
    /// Its node is not being drained.
    stays: bool,
    /// A replacement has the number of what it replaces; if both are well in the end, one of the two goes.
    alone: bool,
}

/// What an instance does for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    NeverServed,
    Unhealthy,
    /// It was well when it was last heard of.
    Unknown,
    Serves,
}

impl Worth {
    fn of(bucket: &Bucket) -> Self {
        match bucket {
            Bucket::Starting { .. } => Self::NeverServed,
            Bucket::Sick { .. } | Bucket::Lost => Self::Unhealthy,
            Bucket::Unknown => Self::Unknown,
            Bucket::Ready | Bucket::Dead { .. } | Bucket::Refused { .. } | Bucket::Draining | Bucket::Stopping { .. } => {
                Self::Serves
            }
        }
    }
}

/// All of `members`, the first victim first. Each one that goes thins its node's crowd for those after it.
pub(super) fn order<'m, 'a>(pass: &Pass<'_>, members: &[&'m Member<'a>]) -> Vec<&'m Member<'a>> {
    let (cluster, next) = (&pass.input.publisher.fence().cluster, pass.next_instance);
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    let mut crowds: BTreeMap<&NodeName, u32> = BTreeMap::new();
    for member in members {
        *numbers.entry(member.instance.index).or_default() += 1;
        *crowds.entry(&member.instance.node).or_default() += 1;
    }
    let standing = |member: &&'m Member<'a>| {
        let instance = member.instance;
        let alone = numbers.get(&instance.index) == Some(&1);
        let standing = Standing { worth: Worth::of(&member.bucket), stays: !member.leaving, alone };
        (standing, instance.id.age(cluster, next), *member)
    };
    let mut left: Vec<(Standing, u64, &Member<'_>)> = members.iter().map(standing).collect();
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = first(&left, &crowds) {
        let (_, _, member) = left.swap_remove(first);
        crowds.entry(&member.instance.node).and_modify(|crowd| *crowd -= 1);
        order.push(member);
    }
    order
}

fn first(left: &[(Standing, u64, &Member<'_>)], crowds: &BTreeMap<&NodeName, u32>) -> Option<usize> {
    let rank = |at: &usize| -> (&Standing, std::cmp::Reverse<u32>, u64, &InstanceId) {
        let (standing, age, member) = &left[*at];
        let crowd = crowds.get(&member.instance.node).copied().unwrap_or(0);
        (standing, std::cmp::Reverse(crowd), *age, &member.instance.id)
    };
    (0..left.len()).min_by(|a, b| rank(a).cmp(&rank(b)))
}
