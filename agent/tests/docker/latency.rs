//! What the agent adds to Docker's own time. Run by hand: `cargo test -p dinp-agent --test docker -- --ignored --nocapture`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkingConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use dinp_common::instance::{Seen, Want};

use crate::lab::{Lab, healthy, id};

const ROUNDS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a machine that does nothing else"]
async fn created_to_healthy_and_crash_to_report() {
    let mut lab = Lab::with_agent("latency").await;
    let address = lab.run_one(1).await;
    let (mut raw, mut agent, mut crash) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        raw.push(by_hand(&lab, address.ip().to_string(), round).await);
        let n = 100 + round;
        let began = Instant::now();
        lab.server.assign(vec![lab.instance(1, Want::Run), lab.instance(n, Want::Run)], vec![]);
        let Seen::Running { address, .. } = lab.server.until_seen(&id(n), "health", healthy).await else {
            unreachable!("health was waited for")
        };
        agent.push(began.elapsed());
        let began = Instant::now();
        let _ = lab.get(address, "/crash").await;
        lab.server.until_seen(&id(n), "an exit", |seen| matches!(seen, Seen::Exited { .. })).await;
        crash.push(began.elapsed());
        lab.server.assign(vec![lab.instance(1, Want::Run), lab.instance(n, Want::Stop)], vec![]);
        lab.server.until_seen(&id(n), "gone", |seen| *seen == Seen::Gone).await;
    }
    for (what, times) in
        [("raw create+start+answer", &mut raw), ("assign to healthy report", &mut agent), ("crash to report", &mut crash)]
    {
        times.sort();
        println!(
            "{what}: p50 {:?}, p90 {:?}, worst {:?}",
            times[times.len() / 2],
            times[times.len() * 9 / 10],
            times[times.len() - 1]
        );
    }
    lab.finish().await;
}

/// The same container without the agent, on the same network, asked until it answers.
async fn by_hand(lab: &Lab, near: String, round: u64) -> Duration {
    let mut octets: Vec<String> = near.split('.').map(str::to_owned).collect();
    octets[3] = (200 + round % 50).to_string();
    let address = octets.join(".");
    let config = EndpointIpamConfig { ipv4_address: Some(address.clone()), ..Default::default() };
    let endpoint = EndpointSettings { ipam_config: Some(config), ..Default::default() };
    let body = ContainerCreateBody {
        image: Some(lab.image.to_string()),
        env: Some(vec!["PORT=8080".into()]),
        host_config: Some(HostConfig { network_mode: Some(lab.config.bridge.clone()), ..Default::default() }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(lab.config.bridge.clone(), endpoint)])),
        }),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&format!("{}-{round}", lab.config.bridge)).build();
    let began = Instant::now();
    let container = lab.docker.create_container(Some(options), body).await.expect("creates").id;
    lab.docker.start_container(&container, None).await.expect("starts");
    let address = format!("{address}:8080").parse().expect("an address");
    while !lab.get(address, "/health").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    lab.docker.remove_container(&container, Some(options)).await.expect("removes");
    took
}
