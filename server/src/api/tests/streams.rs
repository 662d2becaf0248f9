use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, header};
use dinp_common::api::WatchEvent;
use dinp_common::instance::InstanceId;
use dinp_common::wire::{Ask, LogLine, ServerMessage};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::Server;
use crate::explain::fixtures::{self, Scene};

/// What a stream may take until it is wrong that it has not come.
const SOON: Duration = Duration::from_secs(10);

/// A body that goes on, line by line.
struct Lines {
    body: BodyDataStream,
    rest: String,
}

impl Lines {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.rest = rest;
                return Some(line);
            }
            let chunk = tokio::time::timeout(SOON, self.body.next()).await.expect("nothing came")?;
            self.rest.push_str(std::str::from_utf8(&chunk.expect("a body")).expect("text"));
        }
    }

    async fn json(&mut self) -> Value {
        let line = self.next().await.expect("a line");
        serde_json::from_str(line.strip_prefix("data: ").unwrap_or(&line)).expect("json")
    }
}

impl Server {
    async fn open(&self, path: &str, accept: &str) -> Lines {
        let request = self.request(Method::GET, path).header(header::ACCEPT, accept);
        let response = self.send(request.body(Body::empty()).expect("a request")).await;
        assert!(response.status().is_success(), "{}", response.status());
        Lines { body: response.into_body().into_data_stream(), rest: String::new() }
    }
}

#[tokio::test]
async fn watch_begins_with_resync_and_a_slow_reader_gets_one() {
    let server = Server::new().await;
    let mut watch = server.open("/v1/watch", "text/event-stream").await;
    assert_eq!(watch.json().await, json!({"changed": "resync"}));
    watch.next().await;
    server.state.cluster.announce(WatchEvent::App { app: "hello".into() });
    assert_eq!(watch.json().await, json!({"changed": "app", "app": "hello"}));
    watch.next().await;
    for _ in 0..1_000 {
        server.state.cluster.announce(WatchEvent::Lists);
    }
    assert_eq!(watch.json().await, json!({"changed": "resync"}));
    server.state.shutdown.cancel();
    while let Some(line) = watch.next().await {
        assert!(line.is_empty() || line.contains("lists"), "{line}");
    }
}

#[tokio::test]
async fn events_are_followed_in_order_and_without_a_gap() {
    let server = Server::new().await;
    server.with_live_app().await;
    let newest = server.get("/v1/events?limit=1").await.json()["items"][0]["id"].as_u64().expect("an id");
    let mut events = server.open(&format!("/v1/events?follow=true&after={}", newest - 1), "application/x-ndjson").await;
    assert_eq!(events.json().await["id"], newest);
    server.post("/v1/apps/hello/scale", json!({"instances": 2})).await.accepted();
    assert_eq!(events.json().await["id"], newest + 1);
    server.state.shutdown.cancel();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_build_log_is_followed_to_its_end() {
    let server = Server::new().await;
    server.put("/v1/apps/hello/artifact?file_name=hello", b"binary").await.accepted();
    let wait = Duration::ZERO;
    let claim = server.state.builds.claim(wait, &server.state.shutdown).await.expect("asked").expect("a build");
    let (id, claim) = (claim.order.id, claim.claim);
    let mut log = server.open(&format!("/v1/builds/{}/log?follow=true", id.0), "application/x-ndjson").await;
    for text in ["one", "two"] {
        assert!(server.state.builds.log(id, &claim, &[text.to_owned()]).await.expect("logged"));
        assert_eq!(log.json().await["text"], text);
    }
    let failed = serde_json::from_value(json!({"outcome": "failed", "why": "no", "fix": "yes"})).expect("an outcome");
    assert!(server.state.builds.finish(id, &claim, &failed).await.expect("finished"));
    assert_eq!(log.next().await, None);
}

fn line(at: &str, instance: &str, text: &str) -> LogLine {
    let instance = InstanceId::parse(instance).expect("an id");
    LogLine { at: at.into(), instance, stderr: false, text: text.into() }
}

#[tokio::test]
async fn logs_of_several_instances_come_in_the_order_of_their_times() {
    let server = Server::seeing(Scene::new(2).serving("aaa111", 3).serving("bbb222", 3).0).await;
    server.with_live_app().await;
    let mut link = server.state.cluster.agent_joined(&fixtures::hello(), std::time::Instant::now());
    let agent = async {
        for lines in [["02", "04"], ["01", "03"]] {
            let ServerMessage::Ask { id, ask: Ask::Logs { instance, tail, follow } } =
                link.messages.recv().await.expect("a question")
            else {
                panic!("another question")
            };
            assert_eq!((tail, follow), (3, false));
            link.lines(id, lines.map(|at| line(at, instance.as_str(), at)).to_vec());
            link.done(id, None);
        }
    };
    let (answer, ()) = tokio::join!(server.get("/v1/apps/hello/logs?tail=3"), agent);
    let texts: Vec<Value> =
        answer.text.lines().map(|line| serde_json::from_str::<Value>(line).expect("json")["text"].clone()).collect();
    assert_eq!(texts, ["02", "03", "04"]);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_says_so_and_an_unknown_instance_is_not_found() {
    let server = Server::seeing(Scene::new(1).serving("aaa111", 3).0).await;
    server.with_live_app().await;
    let answer = server.get("/v1/apps/hello/logs").await;
    assert!(answer.text.contains("the log of aaa111 on n1 cannot be read: node n1 is not connected"), "{}", answer.text);
    server.get("/v1/apps/hello/logs?instance=zzz999").await.problem(404, "instance_not_found");
}

#[tokio::test]
async fn a_followed_log_goes_on_with_instances_that_come_later() {
    let server = Server::seeing(Scene::new(1).serving("aaa111", 3).0).await;
    server.with_live_app().await;
    let mut link = server.state.cluster.agent_joined(&fixtures::hello(), std::time::Instant::now());
    let mut log = server.open("/v1/apps/hello/logs?follow=true", "application/x-ndjson").await;
    let Some(ServerMessage::Ask { id, .. }) = link.messages.recv().await else { panic!("no question") };
    link.lines(id, vec![line("01", "aaa111", "first")]);
    assert_eq!(log.json().await["text"], "first");

    server.state.cluster.show(Scene::new(1).serving("aaa111", 3).serving("bbb222", 4).0);
    server.state.cluster.announce(WatchEvent::App { app: "hello".into() });
    let Some(ServerMessage::Ask { id, ask: Ask::Logs { instance, .. } }) = link.messages.recv().await else {
        panic!("no question")
    };
    assert_eq!(instance.as_str(), "bbb222");
    link.lines(id, vec![line("02", "bbb222", "second")]);
    assert_eq!(log.json().await["text"], "second");
}

#[tokio::test]
async fn a_followed_log_goes_on_when_its_node_is_back_and_repeats_nothing() {
    let server = Server::seeing(Scene::new(1).serving("aaa111", 3).0).await;
    server.with_live_app().await;
    let cluster = &server.state.cluster;
    let again = || cluster.announce(WatchEvent::Lists);
    let join = || cluster.agent_joined(&fixtures::hello(), std::time::Instant::now());
    let mut link = join();
    let mut log = server.open("/v1/apps/hello/logs?follow=true&tail=1", "application/x-ndjson").await;
    let Some(ServerMessage::Ask { id, .. }) = link.messages.recv().await else { panic!("no question") };
    link.lines(id, vec![line("01", "aaa111", "first")]);
    assert_eq!(log.json().await["text"], "first");
    link.lines(id, vec![line("02", "aaa111", "second")]);
    assert_eq!(log.json().await["text"], "second");

    drop(link);
    for _ in 0..3 {
        again();
    }
    let told = log.json().await["text"].to_string();
    assert!(told.contains("the log of aaa111 on n1 cannot be read: node n1 is not connected"), "{told}");

    let mut link = join();
    let asked = tokio::time::timeout(SOON, link.messages.recv()).await.expect("a node that is back is not asked");
    let Some(ServerMessage::Ask { id, ask: Ask::Logs { tail, follow, .. } }) = asked else { panic!("no question") };
    assert_eq!((tail, follow), (10_000, true));
    let texts = [("00", "before the tail"), ("01", "first"), ("02", "second"), ("02", "at the same time"), ("03", "third")];
    link.lines(id, texts.map(|(at, text)| line(at, "aaa111", text)).to_vec());
    assert_eq!(log.json().await["text"], "at the same time");
    assert_eq!(log.json().await["text"], "third");

    // A connection that takes the place of another, before anybody has noticed that it was lost.
    let mut link = join();
    again();
    let Some(ServerMessage::Ask { id, .. }) = link.messages.recv().await else { panic!("no question") };
    link.lines(id, [("03", "third"), ("04", "fourth")].map(|(at, text)| line(at, "aaa111", text)).to_vec());
    assert_eq!(log.json().await["text"], "fourth");
}

#[tokio::test]
async fn the_past_of_a_node_that_is_lost_meanwhile_says_that_it_is_not_all() {
    let server = Server::seeing(Scene::new(1).serving("aaa111", 3).0).await;
    server.with_live_app().await;
    let mut link = server.state.cluster.agent_joined(&fixtures::hello(), std::time::Instant::now());
    let agent = async {
        let Some(ServerMessage::Ask { id, .. }) = link.messages.recv().await else { panic!("no question") };
        link.lines(id, vec![line("01", "aaa111", "first")]);
        drop(link);
    };
    let (answer, ()) = tokio::join!(server.get("/v1/apps/hello/logs"), agent);
    assert!(answer.text.contains("first") && answer.text.contains("the connection to node n1 was lost"), "{}", answer.text);
}
