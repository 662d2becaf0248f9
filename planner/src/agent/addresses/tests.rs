use proptest::prelude::*;

use super::*;

fn id(n: usize) -> InstanceId {
    InstanceId::from_sequence(n as u64)
}

fn range(len: u8) -> Range {
    Range { first: Ipv4Addr::new(10, 9, 1, 1), last: Ipv4Addr::new(10, 9, 1, len) }
}

#[test]
fn an_address_waits_for_its_release_and_the_longest_unused_goes_first() {
    let mut table = Addresses::new(range(3));
    let first = table.take(&id(1)).expect("free");
    assert_eq!(table.take(&id(1)), Ok(first), "asking twice changes nothing");
    table.cool(&id(1));
    assert_eq!(table.cooling(), [id(1)]);
    let second = table.take(&id(2)).expect("free");
    let third = table.take(&id(3)).expect("free");
    assert_eq!(BTreeSet::from([first, second, third]).len(), 3);
    assert_eq!(table.take(&id(4)), Err(NoAddress { used: 2, cooling: 1 }));

    table.cool(&id(3));
    table.release([&id(3)]);
    table.release([&id(1)]);
    assert_eq!(table.take(&id(4)), Ok(third), "given back first, so unused for longest");
    assert_eq!(table.take(&id(5)), Ok(first));
}

#[test]
fn a_release_of_a_running_instance_frees_nothing() {
    let mut table = Addresses::new(range(1));
    table.take(&id(1)).expect("free");
    table.release([&id(1)]);
    assert!(table.take(&id(2)).is_err());
}

#[test]
fn the_table_survives_a_reboot_as_it_was() {
    let mut table = Addresses::new(range(9));
    for n in 0..6 {
        table.take(&id(n)).expect("free");
    }
    table.cool(&id(2));
    table.cool(&id(3));
    table.release([&id(3)]);
    let text = serde_json::to_string(&table).expect("writes");
    assert_eq!(serde_json::from_str::<Addresses>(&text).expect("reads"), table);
}

#[test]
fn an_unknown_container_keeps_its_address_unless_another_instance_has_it() {
    let mut table = Addresses::new(range(3));
    let taken = table.take(&id(1)).expect("free");
    assert!(!table.adopt(&id(2), taken));
    let other = Ipv4Addr::new(10, 9, 1, 3);
    assert!(table.adopt(&id(2), other));
    assert_eq!(table.used_by(&id(2)), Some(other));
}

#[test]
fn capacity_leaves_out_what_cools() {
    let mut table = Addresses::new(range(5));
    table.take(&id(1)).expect("free");
    assert_eq!(table.capacity(), 5);
    table.cool(&id(1));
    assert_eq!(table.capacity(), 4);
    let large = Range { first: Ipv4Addr::new(10, 9, 1, 0), last: Ipv4Addr::new(10, 9, 15, 254) };
    assert_eq!(Addresses::new(large).capacity(), INSTANCES_PER_NODE);
    assert_eq!(Addresses::nowhere().capacity(), 0);
}

proptest! {
    /// Against an oracle that knows only the rule: an address may be given to another instance only if every earlier
    /// user was cooled and then released.
    #[test]
    fn no_address_is_shared_or_reused_early(steps in prop::collection::vec((0u8..4, 0usize..8), 1..200)) {
        let mut table = Addresses::new(range(4));
        let mut owner: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
        let mut cooled: BTreeSet<usize> = BTreeSet::new();
        for (step, n) in steps {
            match step {
                0 | 1 => if let Ok(address) = table.take(&id(n)) {
                    let before = owner.insert(address, n);
                    prop_assert!(before.is_none() || before == Some(n), "{address} went from {before:?} to {n}");
                    cooled.remove(&n);
                },
                2 => {
                    table.cool(&id(n));
                    if owner.values().any(|o| *o == n) { cooled.insert(n); }
                }
                _ => {
                    table.release([&id(n)]);
                    if cooled.remove(&n) { owner.retain(|_, o| *o != n); }
                }
            }
            prop_assert_eq!(table.users().count() + table.cooling().len(), owner.len());
        }
    }
}
