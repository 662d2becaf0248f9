//! A row edited straight in the database that does not parse is its own app's trouble alone.

use dinp_common::deploy::{DeployState, Strategy};
use dinp_common::name::Host;
use dinp_common::plan::{Change, Desired};
use dinp_common::size::MiB;
use dinp_planner::term::{self, Term};

use crate::world::{Behaviour, World, app_name, domain};

fn world() -> World {
    let mut world = World::new();
    world.add_node("node-1", MiB(4096), 50);
    world.add_router("r1");
    for app in ["blog", "shop"] {
        world.deploy(&app_name(app), 2, MiB(64), Behaviour::HealthyAfter(0), Strategy::Rolling);
    }
    (0..3).for_each(|_| world.step(1_000, |_, _| {}));
    world
}

/// What a load answers when the app's own row is unreadable, on a server that has seen it whole before or has not.
fn refuse(desired: &mut Desired, last: Option<&Desired>) {
    desired.refused.insert("shop".into(), "instances of a stored record cannot be read".into());
    let shop = desired.apps.iter_mut().find(|app| app.name.as_str() == "shop").expect("the app");
    (shop.instances, shop.live) = (0, None);
    if let Some(last) = last {
        term::complete(desired, last);
    }
}

#[test]
fn a_refused_app_serves_on_as_it_is_while_others_go_on() {
    for seen_before in [true, false] {
        let mut world = world();
        let (shop, blog) = (app_name("shop"), app_name("blog"));
        let last = world.desired.clone();
        refuse(&mut world.desired, seen_before.then_some(&last));
        if seen_before {
            assert_eq!(world.desired.apps, last.apps, "what was known last stays");
        }
        let victim = world.routed(&shop)[0].0.clone();
        world.deploy(&blog, 3, MiB(64), Behaviour::HealthyAfter(0), Strategy::Rolling);
        let mut touched = 0;
        for _ in 0..5 {
            world.step(1_000, |_, plan| {
                let of_shop = |change: &&Change| matches!(change, Change::Place { instance, .. } if instance.app == shop);
                touched += plan.changes.iter().filter(of_shop).count();
            });
        }
        assert_eq!((touched, world.routed(&shop).len()), (0, 2), "nothing starts, and every route stays");
        assert!(world.holds[&shop][0].contains("not understood"), "{:?}", world.holds);
        assert_eq!(world.routed(&blog).len(), 3);
        assert_eq!(world.finished.last().map(|(app, _, state, _)| (app.clone(), *state)), Some((blog, DeployState::Succeeded)));
        // Corrected: decisions go on at once.
        let mended = last.apps.iter().find(|app| app.name == shop).expect("the app").clone();
        world.desired.refused.clear();
        *world.desired.apps.iter_mut().find(|app| app.name == shop).expect("the app") = mended;
        world.exit(&victim, 1);
        world.step(1_000, |_, _| {});
        assert_eq!(world.routed(&shop).len(), 2, "what crashed is replaced again");
    }
}

#[test]
fn a_refusal_is_an_event_once_and_so_is_its_end() {
    let world = world();
    let (mut desired, observed) = (world.desired.clone(), world.observed());
    let mut term = Term::new(world.publisher.fence().clone(), 0);
    let mut pass = |desired: &mut Desired, now_ms: u64| -> Vec<&'static str> {
        let decided = term.decide(desired, &observed, &world.policy, now_ms);
        term.stored(&decided, desired, &observed, &domain(), &world.policy);
        let kinds = decided.plan.changes.iter().filter_map(|change| match change {
            Change::Note(note) => Some(note.kind),
            _ => None,
        });
        let said = kinds.filter(|kind| kind.starts_with("record_")).collect();
        let host = Host::parse("shop.localhost").expect("a host");
        assert_eq!(term.publisher().table()[&host].endpoints.len(), 2, "its route stays");
        said
    };
    assert_eq!(pass(&mut desired, 0), Vec::<&str>::new());
    let last = desired.clone();
    refuse(&mut desired, Some(&last));
    assert_eq!(pass(&mut desired, 1_000), ["record_refused"]);
    assert_eq!(pass(&mut desired, 2_000), Vec::<&str>::new());
    desired.refused.clear();
    assert_eq!(pass(&mut desired, 3_000), ["record_accepted"]);
}
