//! An instance from assigned to gone.

use std::time::{Duration, Instant};

use dinp_common::build::BuildId;
use dinp_common::fence::FenceRefusal;
use dinp_common::health::Health;
use dinp_common::instance::{Seen, Want};
use dinp_common::wire::{Ask, ImagesKept, ServerMessage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::{Lab, healthy, id, sample};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_starts_with_its_environment_and_its_limits() {
    let mut lab = Lab::with_agent("start").await;
    let address = lab.run_one(1).await;
    let whoami = lab.get(address, "/whoami").await.expect("answers");
    for expected in [lab.app.as_str(), id(1).as_str(), "v3", "testnode"] {
        assert!(whoami.contains(expected), "{expected} is not in {whoami}");
    }
    let container = lab.inspect(&lab.container(1)).await;
    let env = container.config.and_then(|config| config.env).expect("environment");
    assert!(env.contains(&"GREETING=hello".to_owned()) && env.contains(&"INSTANCE_INDEX=0".to_owned()), "{env:?}");
    let limits = container.host_config.expect("limits");
    assert_eq!((limits.memory, limits.memory_swap), (Some(64 << 20), Some(64 << 20)));
    assert_eq!(limits.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(limits.security_opt, Some(vec!["no-new-privileges".to_owned()]));
    assert_eq!(limits.pids_limit, Some(512));
    let view = lab.server.until("facts", |view| view.facts.as_ref().is_some_and(|facts| facts.docker.is_ok())).await;
    let facts = view.facts.expect("facts");
    assert!(facts.capacity.addresses == 1000 && facts.capacity.memory.0 > 0 && facts.disk_total > 0, "{facts:?}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_reported_at_once_with_its_output_and_not_restarted() {
    let mut lab = Lab::with_agent("crash").await;
    let address = lab.run_one(1).await;
    let crashed = Instant::now();
    let _ = lab.get(address, "/crash").await;
    let Seen::Exited { exit } = lab.server.until_seen(&id(1), "an exit", |seen| matches!(seen, Seen::Exited { .. })).await else {
        unreachable!("an exit was waited for")
    };
    eprintln!("crash to report: {:?}", crashed.elapsed());
    assert_eq!((exit.code, exit.oom), (1, false));
    assert!(exit.output.contains("asked to crash"), "{exit:?}");
    lab.server.assign(vec![lab.instance(1, Want::Run)], vec![]);
    let revision = lab.server.revision;
    lab.server.until("the next level", |view| view.assignment.is_some_and(|at| at.revision == revision)).await;
    assert_eq!(lab.inspect(&lab.container(1)).await.state.and_then(|state| state.running), Some(false));
    lab.finish().await;
}

/// What waits for a container's process and tells Docker of its end. Stopped, it tells nobody.
struct StoppedShim(Pid);

impl StoppedShim {
    fn of(process: Pid) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        // The command's name stands in parentheses and may hold anything; its state follows, and then its parent.
        let parent = stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(1).expect("a parent");
        let shim = Self(Pid::from_raw(parent.parse().expect("a number")));
        kill(shim.0, Signal::SIGSTOP).expect("stops");
        shim
    }
}

impl Drop for StoppedShim {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_reported_before_docker_knows_of_it() {
    let mut lab = Lab::with_agent("end").await;
    lab.run_one(1).await;
    let pid = lab.inspect(&lab.container(1)).await.state.and_then(|state| state.pid).expect("it runs");
    let process = Pid::from_raw(i32::try_from(pid).expect("a process id"));
    let shim = StoppedShim::of(process);
    kill(process, Signal::SIGKILL).expect("kills");
    let ended =
        |seen: &Seen| matches!(seen, Seen::Running { health: Health::Unhealthy { last }, .. } if last == "its process has ended");
    lab.server.until_seen(&id(1), "its end", ended).await;
    drop(shim);
    lab.server.until_seen(&id(1), "how it ended", |seen| matches!(seen, Seen::Exited { exit } if exit.code == 137)).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_finish_and_kills_after_the_grace() {
    let mut lab = Lab::with_agent("stop").await;
    let mut patient = lab.instance(1, Want::Run);
    let mut hasty = lab.instance(2, Want::Run);
    hasty.spec.stop_grace_seconds = 1;
    lab.server.assign(vec![patient.clone(), hasty.clone()], vec![]);
    let mut slow = Vec::new();
    for (n, ms) in [(1, 1_500), (2, 60_000)] {
        let Seen::Running { address, .. } = lab.server.until_seen(&id(n), "a healthy instance", healthy).await else {
            unreachable!("health was waited for")
        };
        let path = format!("/slow?ms={ms}");
        let lab = &lab;
        slow.push((address, path, lab));
    }
    // Begun before the stop, and awaited after it.
    let first = lab.get(slow[0].0, &slow[0].1);
    let second = lab.get(slow[1].0, &slow[1].1);
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    let pause = tokio::time::sleep(Duration::from_millis(300));
    tokio::select! {
        _ = &mut first => panic!("too early"),
        _ = &mut second => panic!("too early"),
        () = pause => {}
    }
    let stopping = (Instant::now(), [patient.instance.clone(), hasty.instance.clone()]);
    (patient.want, hasty.want) = (Want::Stop, Want::Stop);
    // The server is behind a shared reference while the requests are in flight.
    lab.server.send(ServerMessage::Assign(dinp_common::wire::Assignments {
        fence: dinp_common::fence::Fence { cluster: lab.server.cluster.clone(), epoch: 1, holder: "tests".into() },
        revision: 100,
        instances: vec![patient, hasty],
        released: vec![],
        images: ImagesKept::default(),
    }));
    let (first, second) = tokio::join!(first, second);
    let answer = first.expect("a whole answer");
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.is_empty(), "{answer}");
    assert!(second.is_err() || !second.expect("cut").ends_with("0\r\n\r\n"), "SIGKILL cuts what takes too long");
    for instance in &stopping.1 {
        lab.server.until_seen(instance, "gone", |seen| *seen == Seen::Gone).await;
    }
    assert!(stopping.0.elapsed() < Duration::from_secs(9), "the hasty one had a grace of 1 s: {:?}", stopping.0.elapsed());
    let view = lab.server.until("both addresses in quarantine", |view| view.cooling.len() == 2).await;
    assert_eq!(lab.count().await, 0, "{view:?}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_on_the_wrong_address_is_found_out() {
    let mut lab = Lab::with_agent("wrong").await;
    lab.server.assign(vec![lab.failing(1, "loopback"), lab.failing(2, "port"), lab.failing(3, "crash")], vec![]);
    for (n, expected) in [(1, "127.0.0.1:8080"), (2, "0.0.0.0:5000")] {
        let expected = expected.parse().expect("an address");
        let view = lab
            .server
            .until("where it listens", |view| {
                view.instances.get(&id(n)).is_some_and(|report| report.listening.contains(&expected))
            })
            .await;
        let seen = view.seen(&id(n)).expect("seen");
        assert!(
            matches!(seen, Seen::Running { health: Health::Unproven { last: Some(why) }, .. } if why.contains("refused")),
            "{seen:?}"
        );
    }
    let seen = lab.server.until_seen(&id(3), "an exit", |seen| matches!(seen, Seen::Exited { .. })).await;
    assert!(matches!(&seen, Seen::Exited { exit } if exit.output.contains("could not open the database")), "{seen:?}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_created_or_started_fails_in_words() {
    let mut lab = Lab::with_agent("fail").await;
    let mut imageless = lab.instance(1, Want::Run);
    imageless.spec.image.config = dinp_common::digest::Digest::from_sha256([7; 32]);
    let mut commandless = lab.instance(2, Want::Run);
    commandless.spec.command = Some(vec!["/no/such/program".into()]);
    lab.server.assign(vec![imageless, commandless], vec![]);
    let failed = |seen: &Seen| matches!(seen, Seen::Failed { .. });
    let seen = lab.server.until_seen(&id(1), "a failure", failed).await;
    assert!(matches!(&seen, Seen::Failed { why } if why.contains("is not on this node")), "{seen:?}");
    let seen = lab.server.until_seen(&id(2), "a failure", failed).await;
    assert!(matches!(&seen, Seen::Failed { why } if why.contains("no such file")), "{seen:?}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_leader_is_refused_and_told_the_highest() {
    let mut lab = Lab::with_agent("fence").await;
    lab.server.epoch = 5;
    lab.run_one(1).await;
    lab.server.epoch = 4;
    lab.server.assign(vec![lab.instance(1, Want::Stop)], vec![]);
    let view = lab.server.until("a refusal", |view| !view.refused.is_empty()).await;
    assert_eq!(view.refused[0].0, FenceRefusal::Older { offered: 4, highest: 5 });
    assert_eq!(view.refused[0].1.epoch, 5);
    assert!(healthy(view.seen(&id(1)).expect("seen")), "and nothing was stopped");

    lab.stop_agent().await;
    lab.start_agent();
    let view = lab.server.until("a second hello", |view| view.hellos.len() == 2).await;
    assert_eq!(view.hellos[1].highest.as_ref().map(|fence| fence.epoch), Some(5), "kept on disk");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_answered_followed_and_cancelled() {
    let mut lab = Lab::with_agent("logs").await;
    lab.run_one(1).await;
    let ask = Ask::Logs { instance: id(1), tail: 10, follow: true };
    lab.server.send(ServerMessage::Ask { id: 7, ask });
    let view = lab.server.until("a line", |view| !view.lines.is_empty()).await;
    let line = &view.lines[0];
    assert!(line.text.contains("listens on 0.0.0.0:8080") && !line.stderr && line.at.contains('T'), "{line:?}");
    assert!(view.done.is_empty(), "it follows");
    lab.server.send(ServerMessage::Ask { id: 8, ask: Ask::Logs { instance: id(1), tail: 10, follow: false } });
    lab.server.until("the end of the second answer", |view| view.done == [(8, None)]).await;
    lab.server.send(ServerMessage::Cancel { id: 7 });
    lab.server.send(ServerMessage::Ask { id: 9, ask: Ask::Logs { instance: id(99), tail: 1, follow: false } });
    let view = lab.server.until("an error", |view| view.done.iter().any(|(ask, _)| *ask == 9)).await;
    assert!(view.done.iter().all(|(ask, _)| *ask != 7), "nobody hears of what was cancelled");
    let error = view.done.last().and_then(|(_, error)| error.clone()).expect("an error");
    assert!(error.contains("no container"), "{error}");

    lab.server.send(ServerMessage::Ask { id: 10, ask: Ask::Image { reference: lab.image.to_string() } });
    lab.server.send(ServerMessage::Ask { id: 11, ask: Ask::Image { reference: "no/such:image".into() } });
    let view = lab.server.until("two answers", |view| view.images.len() == 2).await;
    assert!(view.images.iter().any(|image| image.as_ref().is_ok_and(|image| image.config == lab.image && image.bytes > 0)));
    assert!(view.images.iter().any(|image| image.as_ref().is_err_and(|why| why.contains("no image no/such:image"))));
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_images_that_nobody_needs_go() {
    let mut lab = Lab::with_agent("images").await;
    let mut images = Vec::new();
    for build in 2..=5 {
        images.push(sample(&lab.docker, &lab.server.cluster, build).await);
    }
    lab.run_one(1).await;
    let kept = ImagesKept { keep: vec![images[0].clone()], settled: Some(BuildId(4)) };
    lab.server.assign_images(vec![lab.instance(1, Want::Run)], vec![], kept);
    let deadline = Instant::now() + Duration::from_secs(20);
    while lab.docker.inspect_image(images[1].as_str()).await.is_ok() || lab.docker.inspect_image(images[2].as_str()).await.is_ok()
    {
        assert!(Instant::now() < deadline, "builds 3 and 4 are settled and not kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (image, why) in [(&images[0], "kept"), (&images[3], "not settled"), (&lab.image, "in use")] {
        assert!(lab.docker.inspect_image(image.as_str()).await.is_ok(), "{why}");
    }
    lab.finish().await;
}
