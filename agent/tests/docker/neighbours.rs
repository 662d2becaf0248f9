//! What is not ours stays as it is.

use dinp_common::instance::{Seen, Want};

use crate::lab::{Lab, healthy, id};

/// Regression of 2015: any container with `APP_NAME` in its environment was removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_users_containers_are_never_touched() {
    let mut lab = Lab::new("users").await;
    let cluster = lab.server.cluster.to_string();
    let tag = lab.config.bridge.clone();
    let ours =
        [("dinp.cluster", cluster.as_str()), ("dinp.node", "testnode"), ("dinp.app", tag.as_str()), ("dinp.release", "v1")];
    let labelled: Vec<(&str, &str)> = ours.iter().copied().chain([("dinp.instance", "zzzzz1")]).collect();
    let strangers = [
        // Our environment and, as in all of these, our image.
        lab.stranger(&format!("{tag}-env"), &[], &[&format!("APP_NAME={tag}"), "INSTANCE_ID=zzzzz2"]).await,
        // A name like ours, without labels.
        lab.stranger(&format!("dinp-{tag}-zzzzz3"), &[], &[]).await,
        // All our labels, inherited or copied, under a name of the user's.
        lab.stranger(&format!("{tag}-labels"), &labelled, &[]).await,
        // Our labels and a name of ours that belongs to another instance.
        lab.stranger(&format!("dinp-{tag}-zzzzz4"), &labelled, &[]).await,
    ];
    lab.start_agent();
    lab.run_one(1).await;
    lab.server.assign(vec![lab.instance(1, Want::Stop)], vec![]);
    lab.server.until_seen(&id(1), "gone", |seen| *seen == Seen::Gone).await;
    let full = lab.server.view().full;
    let view = lab.server.until("more reports", |view| view.full > full + 1).await;
    assert_eq!(view.orphans, [], "none of them is even an orphan");
    for stranger in &strangers {
        assert_eq!(lab.inspect(stranger).await.state.and_then(|state| state.running), Some(true));
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_without_an_assignment_keeps_running_as_an_orphan() {
    let mut lab = Lab::with_agent("orphan").await;
    let address = lab.run_one(1).await;
    lab.server.assign(vec![lab.instance(2, Want::Run)], vec![id(1)]);
    lab.server.until_seen(&id(2), "the next instance", healthy).await;
    let view = lab.server.until("an orphan", |view| view.orphans.len() == 1).await;
    assert_eq!((view.orphans[0].container.as_str(), view.orphans[0].running), (lab.container(1).as_str(), true));
    assert!(lab.get(address, "/whoami").await.expect("it answers").contains(id(1).as_str()));

    // Assigned again, it can be stopped.
    lab.server.assign(vec![lab.instance(1, Want::Stop), lab.instance(2, Want::Run)], vec![]);
    lab.server.until_seen(&id(1), "gone", |seen| *seen == Seen::Gone).await;
    lab.finish().await;
}

/// Opens a TCP connection from inside a container's network; the sample has no shell to do it with.
async fn reaches(lab: &Lab, from: u64, to: std::net::SocketAddr) -> bool {
    let pid = lab.inspect(&lab.container(from)).await.state.and_then(|state| state.pid).expect("a process");
    let connect = format!("exec 3<>/dev/tcp/{}/{}", to.ip(), to.port());
    let arguments = ["-t", &pid.to_string(), "-n", "timeout", "2", "bash", "-c", &connect];
    let tried = tokio::process::Command::new("nsenter").args(arguments).output().await.expect("nsenter runs");
    tried.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_reach_the_router_but_not_each_other_nor_the_rest_of_the_host() {
    let mut lab = Lab::new("hard").await;
    let router = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("binds");
    let database = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("binds");
    let port = |listener: &tokio::net::TcpListener| listener.local_addr().expect("address").port();
    lab.config.host_ports = vec![port(&router)];
    lab.start_agent();
    lab.server.assign(vec![lab.instance(1, Want::Run), lab.instance(2, Want::Run)], vec![]);
    let mut addresses = Vec::new();
    for n in [1, 2] {
        if let Seen::Running { address, .. } = lab.server.until_seen(&id(n), "health", healthy).await {
            addresses.push(address);
        }
    }
    let env = lab.inspect(&lab.container(1)).await.config.and_then(|config| config.env).expect("environment");
    let host: std::net::IpAddr =
        env.iter().find_map(|text| text.strip_prefix("HOST_IP=")).expect("HOST_IP").parse().expect("an address");
    // The rules come right after the network; until they are there, the database can be reached.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while reaches(&lab, 1, (host, port(&database)).into()).await {
        assert!(std::time::Instant::now() < deadline, "a service of the host can be reached");
    }
    assert!(reaches(&lab, 1, (host, port(&router)).into()).await, "the router must be reachable");
    assert!(!reaches(&lab, 1, addresses[1]).await, "instances must not reach each other");
    assert!(lab.get(addresses[1], "/health").await.is_ok(), "the host reaches them");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_container_with_our_name_is_a_failure_in_words() {
    let mut lab = Lab::new("taken").await;
    let name = lab.container(4242);
    let stranger = lab.stranger(&name, &[], &[]).await;
    lab.start_agent();
    lab.server.assign(vec![lab.instance(4242, Want::Run)], vec![]);
    let seen = lab.server.until_seen(&id(4242), "a failure", |seen| matches!(seen, Seen::Failed { .. })).await;
    assert!(matches!(&seen, Seen::Failed { why } if why.contains("already in use")), "{seen:?}");
    assert_eq!(lab.inspect(&stranger).await.state.and_then(|state| state.running), Some(true));
    lab.finish().await;
}
