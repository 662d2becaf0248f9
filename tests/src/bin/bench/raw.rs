//! The peer: the same container, made by Docker alone over its socket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dinp_tests::docker::Docker;
use dinp_tests::sample;
use futures_util::StreamExt as _;
use http_body_util::{BodyDataStream, BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::first;

/// The sample as an image.
pub const IMAGE: &str = "dinp-bench:sample";
const NETWORK: &str = "dinp-bench";
const CONTAINER: &str = "dinp-bench-raw";

/// An image, a network like the product's, and an address on it.
pub struct Peer {
    docker: Docker,
    address: SocketAddr,
}

impl Peer {
    pub async fn new(docker: &Docker) -> Self {
        docker.import(&sample::binary(), IMAGE);
        let taken = std::process::Command::new("ip").args(["-o", "route"]).output().expect("ip runs");
        let taken = String::from_utf8_lossy(&taken.stdout).into_owned();
        let third = (0u8..=255).find(|third| !taken.contains(&format!("10.219.{third}."))).expect("a free subnet");
        let subnet = format!("10.219.{third}.0/24");
        docker.run(&["network", "create", "--subnet", &subnet, "-o", "com.docker.network.bridge.enable_icc=false", NETWORK]);
        Self { docker: docker.clone(), address: SocketAddr::from(([10, 219, third, 10], 8080)) }
    }

    pub fn remove(&self) {
        self.docker.run(&["network", "rm", NETWORK]);
        self.docker.run(&["rmi", IMAGE]);
    }

    /// Create, start and first answer; the container is gone again when this returns.
    pub async fn once(&self, image: &str) -> Duration {
        let mut docker = connect(&self.docker).await;
        let begun = Instant::now();
        let created = call(&mut docker, Method::POST, &format!("/containers/create?name={CONTAINER}"), &self.body(image)).await;
        let id = created["Id"].as_str().expect("an id").to_owned();
        call(&mut docker, Method::POST, &format!("/containers/{id}/start"), &Value::Null).await;
        let answered = first::answer(self.address, "raw", "/health", first::is_200).await;
        call(&mut docker, Method::DELETE, &format!("/containers/{id}?force=1"), &Value::Null).await;
        answered.duration_since(begun)
    }

    /// An image of a tar file, as Docker makes one by itself.
    pub async fn import(&self, tar: Bytes, name: &str) {
        let path = format!("/images/create?fromSrc=-&repo={name}&changes=ENTRYPOINT%20%5B%22%2Fapp%22%5D");
        let request = Request::post(path).header("host", "docker").header("content-type", "application/x-tar");
        let answer = connect(&self.docker).await.send_request(request.body(Full::new(tar)).expect("a request")).await;
        read(answer.expect("an answer")).await;
    }

    /// The host's process id of a container's first process.
    pub async fn pid(&self, container: &str) -> i32 {
        let mut docker = connect(&self.docker).await;
        let seen = call(&mut docker, Method::GET, &format!("/containers/{container}/json"), &Value::Null).await;
        i32::try_from(seen["State"]["Pid"].as_i64().expect("a process id")).expect("a process id")
    }

    /// When Docker announces each container's end, by the container's name.
    pub async fn ends(&self) -> mpsc::UnboundedReceiver<(String, Instant)> {
        let path = "/events?filters=%7B%22event%22%3A%5B%22die%22%5D%7D";
        let request = Request::get(path).header("host", "docker").body(Full::default()).expect("a request");
        let answer = connect(&self.docker).await.send_request(request).await.expect("a stream");
        let (said, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut events = BodyDataStream::new(answer.into_body());
            // Docker writes each event as one chunk.
            while let Some(Ok(chunk)) = events.next().await {
                let at = Instant::now();
                let Ok(event) = serde_json::from_slice::<Value>(&chunk) else { continue };
                let name = event["Actor"]["Attributes"]["name"].as_str().unwrap_or_default().to_owned();
                if said.send((name, at)).is_err() {
                    return;
                }
            }
        });
        heard
    }

    /// What the product asks for too: the network's kind, an address, limits, no capabilities.
    fn body(&self, image: &str) -> Value {
        let memory = 256 * 1024 * 1024;
        json!({
            "Image": image,
            "Env": ["PORT=8080"],
            "HostConfig": {
                "NetworkMode": NETWORK,
                "Memory": memory,
                "MemorySwap": memory,
                "CpuShares": 1024,
                "PidsLimit": 512,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m", "max-file": "2" } },
            },
            "NetworkingConfig": {
                "EndpointsConfig": { NETWORK: { "IPAMConfig": { "IPv4Address": self.address.ip().to_string() } } },
            },
        })
    }
}

type Socket = SendRequest<Full<Bytes>>;

async fn connect(docker: &Docker) -> Socket {
    let stream = UnixStream::connect(&docker.socket).await.expect("Docker's socket");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("Docker speaks HTTP");
    tokio::spawn(async move {
        // Its end shows in the request that was on it.
        let _ = connection.await;
    });
    sender
}

async fn call(docker: &mut Socket, method: Method, path: &str, body: &Value) -> Value {
    docker.ready().await.expect("Docker keeps the connection");
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(path).header("host", "docker").header("content-type", "application/json");
    let answer = docker.send_request(request.body(Full::new(body)).expect("a request")).await.expect("an answer");
    serde_json::from_slice(&read(answer).await).unwrap_or_default()
}

async fn read(answer: Response<hyper::body::Incoming>) -> Bytes {
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    assert!(status.is_success(), "Docker answers {status}: {}", String::from_utf8_lossy(&body));
    body
}
