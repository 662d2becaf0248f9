//! The machine around it: reboots, upgrades, an engine that is away, disks.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use dinp_common::api::Settings;
use dinp_common::health::HealthCheck;
use dinp_tests::engine::{Engine, unmount_below};
use dinp_tests::http;
use dinp_tests::lab::{Lab, SETTLE, free_port, said};
use dinp_tests::process::{gone, signal};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;
use nix::sys::signal::Signal;

fn settings(instances: u32) -> Settings {
    Settings { instances: Some(instances), health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

pub async fn after_a_reboot_every_app_serves_again_and_only_its_own(_: &World) {
    let mut engine = Engine::prepare();
    engine.start().await;
    let lab = Lab::start_on(engine.docker()).await;
    for (app, instances) in [("red", 2), ("blue", 2), ("green", 1)] {
        lab.deploy(app, &sample::binary(), settings(instances)).await;
    }
    let processes = ["keeper", "control", "router"].map(|role| lab.pid(role));
    processes.iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
    for pid in processes {
        gone(pid).await;
    }
    engine.lose_power().await;
    // Sockets do not survive a reboot either.
    std::fs::remove_dir_all(lab.run()).expect("the sockets");
    engine.start().await;
    let output = lab.up_with(&[]).await;
    assert!(output.status.success(), "{}", said(&output));
    let mut served = std::collections::BTreeSet::new();
    let all_serve = async || {
        for app in ["red", "blue", "green"] {
            if let Ok(answer) = lab.get(app, "/whoami").await
                && answer.status == 200
            {
                assert_eq!(answer.json()["app"].as_str(), Some(app), "a request reached the wrong app");
                served.insert(app);
            }
        }
        served.len()
    };
    until("every app serves", SETTLE, all_serve, |n| *n == 3).await;
    for app in ["red", "blue", "green"] {
        lab.settled(app).await;
    }
    lab.purge().await;
}

pub async fn a_changed_binary_upgrades_in_place_and_loses_nothing(_: &World) {
    let mut lab = Lab::prepare(dinp_tests::docker::Docker::for_tests());
    lab.program = lab.folder().join("dinp");
    std::fs::copy(dinp_tests::dinp(), &lab.program).expect("a copy");
    lab.up().await;
    lab.deploy("steady", &sample::binary(), settings(2)).await;
    let containers = lab.docker.running("steady");
    let before = ["keeper", "control", "router"].map(|role| lab.pid(role));
    let load = lab.load("steady");
    for round in 0..2 {
        // Another version: the same program with a byte more, put in place by renaming as deploy/up does.
        let next = lab.folder().join("dinp.new");
        let mut bytes = std::fs::read(&lab.program).expect("the binary");
        bytes.push(round);
        std::fs::write(&next, bytes).expect("write");
        Command::new("chmod").arg("755").arg(&next).status().expect("chmod");
        std::fs::rename(&next, &lab.program).expect("rename");
        let output = lab.up_with(&[]).await;
        assert!(output.status.success() && said(&output).contains("upgrading in place"), "{}", said(&output));
        lab.node_ready().await;
    }
    let after = ["keeper", "control", "router"].map(|role| lab.pid(role));
    assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
    gone(before[2]).await;
    lab.deploy("steady", &sample::version(lab.folder(), "after"), settings(2)).await;
    lab.settled("steady").await;
    load.stop().await.assert_nothing_lost();
    assert!(lab.docker.running("steady").is_disjoint(&containers), "the new control plane deploys");
    lab.purge().await;
}

pub async fn every_process_says_how_it_is_on_an_address_that_can_be_changed_under_load(_: &World) {
    let lab = Lab::prepare(dinp_tests::docker::Docker::for_tests());
    lab.up().await;
    lab.deploy("steady", &sample::binary(), settings(1)).await;
    let load = lab.load("steady");
    let router = lab.pid("router");
    let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (control, routers) = (address(), address());
    let output = lab.up_with(&["--admin", &control.to_string(), "--router-admin", &routers.to_string()]).await;
    assert!(output.status.success(), "{}", said(&output));
    for (admin, metric) in [(control, "dinp_server_leading 1"), (routers, "dinp_router_requests_total")] {
        let ask = async |path: &str| http::get(admin, "admin", path).await.map(|answer| (answer.status.as_u16(), answer.body));
        let ready = |answer: &anyhow::Result<(u16, String)>| matches!(answer, Ok((200, text)) if text == "ready\n");
        until("it is ready", SETTLE, async || ask("/readyz").await, ready).await.expect("an answer");
        assert_eq!(ask("/livez").await.expect("an answer"), (200, "ok\n".to_owned()));
        let counts = |answer: &anyhow::Result<(u16, String)>| matches!(answer, Ok((200, text)) if text.contains(metric));
        until("it counts", SETTLE, async || ask("/metrics").await, counts).await.expect("an answer");
    }
    assert_ne!(lab.pid("router"), router, "another router has taken over");
    gone(router).await;
    load.stop().await.assert_nothing_lost();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").to_string();
    for option in ["--admin", "--router-admin"] {
        let output = lab.up_with(&[option, &port]).await;
        let text = said(&output);
        assert!(!output.status.success() && text.contains(option) && text.contains("admin address needs it"), "{text}");
    }
    let again = lab.up_with(&[]).await;
    assert!(again.status.success() && said(&again).contains("nothing changed"), "{}", said(&again));
    lab.purge().await;
}

pub async fn without_docker_it_says_so_keeps_trying_and_keeps_routing(_: &World) {
    let mut engine = Engine::prepare();
    let lab = Lab::prepare(engine.docker());
    let output = lab.up_with(&[]).await;
    let text = said(&output);
    assert!(output.status.success() && text.contains("Docker does not answer"), "{text}");
    engine.start().await;
    lab.node_ready().await;
    lab.deploy("patient", &sample::binary(), settings(1)).await;
    let load = lab.load("patient");
    engine.freeze();
    let look = async || said(&lab.dinp(&["nodes"]).await);
    let why = until("the node says that Docker hangs", SETTLE, look, |text| !text.contains("it reports")).await;
    assert!(why.to_lowercase().contains("docker"), "{why}");
    engine.thaw();
    lab.node_ready().await;
    lab.succeeds(&lab.client().restart(&dinp_tests::lab::name("patient")).await.expect("taken")).await;
    load.stop().await.assert_nothing_lost();
    lab.purge().await;
}

pub async fn many_deploys_leave_the_disk_level(world: &World) {
    let lab = Lab::start().await;
    let mut level = Vec::new();
    for round in 0..world.times(8, 30) {
        let file = sample::version(lab.folder(), &format!("round-{round}"));
        lab.deploy("busy", &file, settings(1)).await;
        std::fs::remove_file(file).expect("removed");
        if round >= 6 {
            let look =
                async || (images(&lab), kilobytes(&lab, "artifacts"), kilobytes(&lab, "builds"), lab.docker.all("busy").len());
            // Five releases are kept, whatever is being settled beside them.
            level.push(until("old images are gone", Duration::from_secs(60), look, |now| now.0 <= 5 && now.3 == 1).await);
        }
    }
    let (first, last) = (level.first().expect("rounds"), level.last().expect("rounds"));
    assert!(last.1 <= first.1 + 3_000 && last.2 <= first.2 + 100, "artifacts or build leftovers pile up: {level:?}");
    let releases = lab.client().releases(&dinp_tests::lab::name("busy"), &Default::default()).await.expect("releases").items;
    assert_eq!(releases.iter().filter(|release| release.kept).count(), 5);
    let oldest = releases.iter().filter(|release| release.kept).map(|release| release.number).min().expect("a release");
    let back = lab.dinp(&["rollback", &oldest.to_string(), "-a", "busy"]).await;
    assert!(back.status.success(), "{}", said(&back));
    lab.purge().await;
}

fn images(lab: &Lab) -> usize {
    let cluster = std::fs::read_to_string(lab.state().join("cluster")).expect("the cluster");
    lab.docker.lines(&["images", "-aq", "--filter", &format!("label=dinp.image.cluster={}", cluster.trim())]).len()
}

fn kilobytes(lab: &Lab, folder: &str) -> u64 {
    let output = Command::new("du").arg("-sk").arg(lab.state().join(folder)).output().expect("du");
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

pub async fn a_full_disk_refuses_and_loses_nothing(_: &World) {
    let lab = Lab::prepare(dinp_tests::docker::Docker::for_tests());
    let state = lab.state();
    std::fs::create_dir(&state).expect("a folder");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m,mode=711", "tmpfs"]).arg(&state).status().expect("mount");
    assert!(mounted.success());
    lab.up().await;
    lab.deploy("squeezed", &sample::binary(), settings(1)).await;
    let before = lab.docker.running("squeezed");
    let big = lab.folder().join("big");
    let status = Command::new("sh").arg("-c").arg("head -c 80000000 /dev/urandom > \"$0\"").arg(&big).status().expect("sh");
    assert!(status.success());
    let output = lab.dinp(&["deploy", big.to_str().expect("UTF-8"), "-a", "squeezed"]).await;
    let text = said(&output);
    assert!(!output.status.success() && (text.contains("space") || text.contains("disk")), "{text}");
    assert_eq!(lab.docker.running("squeezed"), before);
    lab.deploy("squeezed", &sample::version(lab.folder(), "small"), settings(1)).await;
    assert_eq!(lab.get("squeezed", "/health").await.expect("an answer").status, 200);
    lab.up_with(&["--stop"]).await;
    lab.up_with(&["--purge"]).await;
    unmount_below(lab.folder());
    lab.up_with(&["--purge"]).await;
}
