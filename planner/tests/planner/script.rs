//! The lines of a scenario, above its `---`: what there is, what people ask for, what goes wrong, and how long.

use dinp_common::deploy::Strategy;
use dinp_common::instance::InstanceId;
use dinp_common::name::AppName;
use dinp_common::pace::Pace;
use dinp_common::placement::{Placement, Requirement};
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;

use crate::timeline::Timeline;
use crate::world::{Behaviour, World, app_name, node_name, router_id};

/// Addresses of a node where the script does not say.
const ADDRESSES: u32 = 250;

/// Runs a whole script and answers its timeline.
pub fn run(script: &str) -> String {
    let mut world = World::new();
    let mut timeline = Timeline::default();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        timeline.say(&world, format!("> {line}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["run", time, rest @ ..] = words.as_slice() {
            pass_time(&mut world, &mut timeline, millis(time), rest);
        } else {
            apply(&mut world, &timeline, &words);
            world.step(0, |world, plan| timeline.passed(world, plan));
        }
    }
    assert_eq!(world.violations, Vec::<String>::new());
    timeline.text()
}

/// `run 5s` goes in steps of 100 ms, longer ones in steps of a second; `every 1s` says otherwise.
fn pass_time(world: &mut World, timeline: &mut Timeline, mut left: u64, rest: &[&str]) {
    let every = match rest {
        ["every", step] => millis(step),
        _ if left <= 20_000 => 100,
        _ => 1_000,
    };
    while left > 0 {
        world.step(every.min(left), |world, plan| timeline.passed(world, plan));
        left -= every.min(left);
    }
}

fn apply(world: &mut World, timeline: &Timeline, words: &[&str]) {
    let instance = |label: &str| -> InstanceId { timeline.instance(label) };
    match words {
        ["node", name, memory] => world.add_node(name, mib(memory), ADDRESSES),
        ["node", name, memory, addresses, "addresses"] => world.add_node(name, mib(memory), number(addresses)),
        ["router", name] => world.add_router(name),
        ["label", node, label] => {
            let (key, value) = label.split_once('=').expect("key=value");
            let machine = world.machines.get_mut(&node_name(node)).expect("node");
            machine.labels.insert(key.to_owned(), value.to_owned());
        }
        ["zone", node, zone] => world.machines.get_mut(&node_name(node)).expect("node").zone = (*zone).to_owned(),
        ["require", app, rest @ ..] => {
            let asked = Requirement::parse(&rest.join(" ")).expect("a requirement");
            let placement = &mut world.asks(&app_name(app)).placement;
            *placement = Placement { per_node: placement.per_node, ..Placement::requiring([asked]).expect("possible") };
        }
        ["per", "node", app, most] => world.asks(&app_name(app)).placement.per_node = Some(number(most)),
        ["cpu", app, share] => world.asks(&app_name(app)).cpu = Some(share.parse().expect("a share of processors")),
        ["unavailable", percent] => world.policy.unavailable_percent = number(percent.trim_end_matches('%')),
        ["pace", app, surge, unavailable] => {
            let pace = Pace { max_surge: surge.parse().ok(), max_unavailable: unavailable.parse().ok() };
            world.pace(&app_name(app), pace);
        }
        ["cordon", node] => world.use_node(&node_name(node), true, false),
        ["drain", node] => world.use_node(&node_name(node), true, true),
        ["uncordon", node] => world.use_node(&node_name(node), false, false),
        ["rebalance", "by", "itself"] => world.policy.rebalance_on_join = true,
        ["rebalance"] => world.rebalance(),
        ["cancel", "rebalance"] => world.cancel_rebalance(),
        ["deploy", app, instances, memory, rest @ ..] => {
            let (strategy, rest) = match rest {
                ["recreate", rest @ ..] => (Strategy::Recreate, rest),
                rest => (Strategy::Rolling, rest),
            };
            world.deploy(&app_name(app), number(instances), mib(memory), behaviour(rest), strategy);
        }
        ["build", app, instances] => drop(world.build(&app_name(app), number(instances))),
        ["built", app, memory, rest @ ..] => world.built(&app_name(app), mib(memory), behaviour(rest)),
        ["rollback", app, release] => {
            let release: ReleaseNo = release.parse().expect("a release");
            world.rollback(&app_name(app), release);
        }
        ["scale", app, instances] => drop(world.scale(&app_name(app), number(instances))),
        [verb @ ("restart" | "stop" | "start" | "delete"), app] => wish(world, verb, &app_name(app)),
        ["cancel", app] => assert!(world.cancel(&app_name(app)), "a deploy of {app} is under way"),
        ["pause", app, why @ ..] => world.pause(&app_name(app), Some(&why.join(" "))),
        ["resume", app] => world.pause(&app_name(app), None),
        ["exit", label, code] => world.exit(&instance(label), i64::from(number(code))),
        ["sick", label, why @ ..] => container(world, &instance(label)).sick = Some(why.join(" ")),
        ["well", label] => container(world, &instance(label)).sick = None,
        ["good", label] => container(world, &instance(label)).behaviour = Behaviour::HealthyAfter(0),
        ["in", "flight", router, label, count] => {
            let router = world.routers.get_mut(&router_id(router)).expect("router");
            router.in_flight.insert(instance(label), number(count));
        }
        ["power", "off", node] => world.node_dies(&node_name(node)),
        [verb @ ("silent" | "heard" | "hung" | "stalled" | "working"), name] => machine(world, verb, name),
        ["new", "leader"] => world.new_leader(),
        _ => panic!("no such line in a scenario: {}", words.join(" ")),
    }
}

fn wish(world: &mut World, verb: &str, app: &AppName) {
    match verb {
        "restart" => world.restart(app),
        "stop" => world.stop(app),
        "start" => world.start(app),
        _ => world.delete(app),
    };
}

fn machine(world: &mut World, verb: &str, name: &str) {
    let silent = (verb == "silent").then_some(0);
    if let Some(router) = world.routers.get_mut(&router_id(name)) {
        router.silent_ms = silent;
        router.stalled = verb == "stalled";
        return;
    }
    let machine = world.machines.get_mut(&node_name(name)).expect("a node or a router");
    machine.silent_ms = silent;
    machine.hung = verb == "hung";
}

fn container<'w>(world: &'w mut World, id: &InstanceId) -> &'w mut crate::world::Container {
    world.containers.get_mut(id).expect("its container was created")
}

/// `healthy after 500ms`, `exits 1 after 200ms`, `never healthy`, `refused no such image`.
fn behaviour(words: &[&str]) -> Behaviour {
    match words {
        [] => Behaviour::HealthyAfter(500),
        ["healthy", "after", time] => Behaviour::HealthyAfter(millis(time)),
        ["exits", code, "after", time] => Behaviour::ExitsAfter(millis(time), i64::from(number(code))),
        ["never", "healthy"] => Behaviour::NeverHealthy,
        ["refused", why @ ..] => Behaviour::Refused(why.join(" ")),
        _ => panic!("no such behaviour: {}", words.join(" ")),
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

fn mib(text: &str) -> MiB {
    MiB::parse(text).expect("a memory size")
}

fn millis(text: &str) -> u64 {
    let (digits, factor) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').expect("a time in ms or s"), 1_000),
    };
    u64::from(number(digits)) * factor
}
