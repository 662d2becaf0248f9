//! A server that answers from a script: each reading of the deploy gives the next view of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use dinp_common::api::{
    ArtifactView, BuildLine, BuildView, DeployView, DrainView, InstanceView, NodeDetail, NodeView, Page, RebalanceView, Whoami,
};
use dinp_common::build::{BuildId, BuildState};
use dinp_common::deploy::{DeployKind, DeployNo, DeployPhase, DeployState, Strategy};
use dinp_common::digest::{Digest, Image};
use dinp_common::instance::{InstanceId, InstanceStatus, Want};
use dinp_common::kind::Kind;
use dinp_common::name::{AppName, NodeName};
use dinp_common::node::{Capacity, NodeStatus};
use dinp_common::problem::Problem;
use dinp_common::rehearsal::{
    DrainLeft, DrainPlan, DrainStep, PlanAction, PlanNode, PlanStep, PlanView, RebalanceMove, RebalancePlan,
};
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use serde::Serialize;

#[derive(Default)]
pub struct Script {
    /// What the deploy is at each reading; the last stays.
    pub deploys: VecDeque<DeployView>,
    pub instances: Vec<InstanceView>,
    pub log: Vec<String>,
    /// How the drain of a node stands, whenever it is asked.
    pub drain: Option<DrainView>,
    /// What a rebalance is at each reading; the last stays.
    pub rebalances: VecDeque<RebalanceView>,
    /// Where an upload is never answered.
    pub upload_hangs: bool,
    /// Requests that arrived: `POST /v1/apps/shop/deploys {body}`.
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub fn start(script: Script) -> Self {
        let script = Arc::new(Mutex::new(script));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.set_nonblocking(true).expect("sets");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = router(script.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, router).await
            })
        });
        Self { url, script }
    }

    pub fn asked(&self) -> Vec<String> {
        self.script.lock().expect("unpoisoned").asked.clone()
    }

    /// Waits until a request that begins like this has come.
    pub fn wait_for(&self, request: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.asked().iter().any(|asked| asked.starts_with(request)) {
            assert!(Instant::now() < deadline, "{request} never came; there were {:#?}", self.asked());
            std::thread::yield_now();
        }
    }
}

type Shared = State<Arc<Mutex<Script>>>;

fn router(script: Arc<Mutex<Script>>) -> Router {
    Router::new()
        .route("/v1/whoami", get(whoami))
        .route("/v1/artifacts", put(upload))
        .route("/v1/apps/{app}/deploys", post(change).get(deploys))
        .route("/v1/apps/{app}/scale", post(change))
        .route("/v1/apps/{app}/deploys/{n}", get(deploy))
        .route("/v1/apps/{app}/deploys/{n}/{verb}", post(held))
        .route("/v1/apps/{app}/instances", get(instances))
        .route("/v1/builds/{id}", get(async || json(&build(BuildState::Succeeded))))
        .route("/v1/builds/{id}/log", get(log))
        .route("/v1/nodes/{node}", get(async || json(&node_detail())))
        .route("/v1/nodes/{node}/drain", get(drain).post(drain))
        .route("/v1/rebalance", get(rebalance).post(rebalance))
        .route("/v1/rebalance/cancel", post(rebalance))
        .route("/v1/watch", get(watch))
        .fallback(missing)
        .with_state(script)
}

fn json(body: &impl Serialize) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], serde_json::to_string(body).expect("encodes")).into_response()
}

async fn missing(State(script): Shared, request: Request) -> Response {
    script.lock().expect("unpoisoned").asked.push(format!("{} {}", request.method(), request.uri().path()));
    let problem = Problem::new(404, "app_not_found", "there is no app of this name").suggest("dinp apps lists them");
    let body = serde_json::to_string(&problem).expect("encodes");
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

async fn whoami() -> Response {
    json(&Whoami { user: "admin".into(), team: "default".into(), token: "laptop".into() })
}

async fn upload(
    State(script): Shared,
    Query(query): Query<std::collections::HashMap<String, String>>,
    request: Request,
) -> Response {
    let hangs = {
        let mut script = script.lock().expect("unpoisoned");
        script.asked.push("PUT /v1/artifacts".to_owned());
        script.upload_hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a body");
    json(&ArtifactView { digest: digest(), bytes: body.len() as u64, file_name: query["file_name"].clone() })
}

async fn change(State(script): Shared, Path(_): Path<String>, request: Request) -> Response {
    if request.uri().query() == Some("dry_run=true") {
        return json(&plan());
    }
    let asked = format!("{} {}", request.method(), request.uri().path());
    let body: Bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a body");
    let mut script = script.lock().expect("unpoisoned");
    script.asked.push(format!("{asked} {}", String::from_utf8_lossy(&body)));
    (StatusCode::ACCEPTED, json(&script.deploys[0])).into_response()
}

async fn deploys(State(script): Shared) -> Response {
    json(&Page { items: vec![script.lock().expect("unpoisoned").deploys[0].clone()], next_cursor: None })
}

/// What was asked of a deploy; it answers as it then is.
async fn held(State(script): Shared, Path((_, n, verb)): Path<(String, u32, String)>, body: String) -> Response {
    let mut script = script.lock().expect("unpoisoned");
    script.asked.push(format!("{verb} {n} {body}"));
    if script.deploys.len() > 1 {
        script.deploys.pop_front();
    }
    json(&script.deploys[0])
}

async fn deploy(State(script): Shared, Path((_, n)): Path<(String, u32)>) -> Response {
    let mut script = script.lock().expect("unpoisoned");
    script.asked.push(format!("GET deploy {n}"));
    let view = script.deploys[0].clone();
    if script.deploys.len() > 1 {
        script.deploys.pop_front();
    }
    json(&view)
}

async fn drain(State(script): Shared, request: Request) -> Response {
    if request.uri().query() == Some("dry_run=true") {
        return json(&drain_plan());
    }
    let mut script = script.lock().expect("unpoisoned");
    script.asked.push(format!("{} drain", request.method()));
    json(script.drain.as_ref().expect("a drain"))
}

async fn rebalance(State(script): Shared, request: Request) -> Response {
    let mut script = script.lock().expect("unpoisoned");
    if request.uri().query() == Some("dry_run=true") {
        return json(&rebalance_plan(script.rebalances.is_empty()));
    }
    script.asked.push(format!("{} {}", request.method(), request.uri().path()));
    let view = script.rebalances[0].clone();
    if script.rebalances.len() > 1 {
        script.rebalances.pop_front();
    }
    json(&view)
}

async fn instances(State(script): Shared) -> Response {
    json(&Page { items: script.lock().expect("unpoisoned").instances.clone(), next_cursor: None })
}

async fn log(State(script): Shared) -> Response {
    let lines = script.lock().expect("unpoisoned").log.clone();
    let lines = lines.into_iter().enumerate().map(|(n, text)| {
        let line = BuildLine { n: n as u64, at: "2026-11-21T00:00:00Z".into(), text };
        format!("{}\n", serde_json::to_string(&line).expect("encodes"))
    });
    lines.collect::<String>().into_response()
}

/// Something changes every few milliseconds, so that no test waits for the clock.
async fn watch() -> Body {
    let beat = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, std::io::Error>("data: {\"changed\":\"lists\"}\n\n"), ()))
    });
    Body::from_stream(beat)
}

pub fn digest() -> Digest {
    Digest::from_sha256([0xab; 32])
}

pub fn view(state: DeployState, phase: DeployPhase) -> DeployView {
    DeployView {
        app: AppName::parse("shop").expect("a name"),
        number: DeployNo(4),
        kind: DeployKind::Release,
        state,
        phase,
        strategy: Strategy::Rolling,
        note: "deploy of shop.war".into(),
        author: "admin".into(),
        from: Some(ReleaseNo(3)),
        to: None,
        build: None,
        ready: 0,
        wanted: 1,
        draining: 0,
        step: String::new(),
        paused: None,
        warnings: Vec::new(),
        spent_ms: 0,
        deadline_ms: 300_000,
        failure: None,
        url: "http://shop.localhost:8080".into(),
        created_at: "2026-11-21T00:00:00Z".into(),
    }
}

pub fn build(state: BuildState) -> BuildView {
    let done = state == BuildState::Succeeded;
    let image = Image { config: digest(), manifest: None, name: "default/shop:b12".into(), bytes: 5_200_000 };
    BuildView {
        id: BuildId(12),
        app: AppName::parse("shop").expect("a name"),
        state,
        file_name: "shop.war".into(),
        artifact_bytes: 11,
        kind: (state != BuildState::Queued).then_some(Kind::War),
        image: done.then_some(image),
        dockerfile: done.then(|| "FROM java\nCOPY shop.war /app/\n".to_owned()),
        why: None,
        fix: None,
        created_at: "2026-11-21T00:00:00Z".into(),
    }
}

pub fn instance(id: &str, release: u32, status: InstanceStatus, reason: &str) -> InstanceView {
    InstanceView {
        id: InstanceId::parse(id).expect("an id"),
        app: AppName::parse("shop").expect("a name"),
        release: ReleaseNo(release),
        node: NodeName::parse("node-1").expect("a name"),
        index: 0,
        want: Want::Run,
        status,
        reason: reason.into(),
        address: None,
        last_exit: None,
    }
}

/// One more instance, which one of two nodes can take.
fn plan() -> PlanView {
    let node = |name: &str| NodeName::parse(name).expect("a name");
    PlanView {
        app: AppName::parse("shop").expect("a name"),
        kind: DeployKind::Scale,
        strategy: Strategy::Rolling,
        surge: 1,
        unavailable: 0,
        note: "scale to 2 instances".into(),
        from: Some(ReleaseNo(3)),
        to: Some(ReleaseNo(3)),
        after_build: false,
        steps: vec![PlanStep {
            action: PlanAction::Start,
            instance: InstanceId::parse("a1b2c3").expect("an id"),
            index: 1,
            release: ReleaseNo(3),
            node: node("node-1"),
            reason: "placed: least loaded of 2, 1 filtered".into(),
        }],
        nodes: vec![PlanNode { name: node("node-1"), now: 1, then: 2 }, PlanNode { name: node("node-2"), now: 0, then: 0 }],
        filtered: Some("node-2: it is cordoned".into()),
        outcome: Some(DeployState::Succeeded),
        failure: None,
    }
}

/// One of two instances moves, and the other has no room.
fn drain_plan() -> DrainPlan {
    let PlanView { steps, mut nodes, app, .. } = plan();
    nodes[0] = PlanNode { now: 2, then: 1, ..nodes[0].clone() };
    let step = PlanStep { node: NodeName::parse("node-2").expect("a name"), ..steps[0].clone() };
    let instance = InstanceId::parse("d4e5f6").expect("an id");
    let why = "node-2: needs 256MiB and has 44MiB free of 300MiB".to_owned();
    let (steps, left) = (vec![DrainStep { app: app.clone(), step }], vec![DrainLeft { instance, app, why }]);
    DrainPlan { node: NodeName::parse("node-1").expect("a name"), steps, nodes, left }
}

/// One moves to the node that has joined, or none.
fn rebalance_plan(nothing: bool) -> RebalancePlan {
    let node = |name: &str| NodeName::parse(name).expect("a name");
    let why = "no move improves the balance any more".to_owned();
    if nothing {
        return RebalancePlan {
            moves: Vec::new(),
            nodes: vec![PlanNode { name: node("node-1"), now: 2, then: 2 }],
            ended: Some(why),
        };
    }
    let moved = RebalanceMove {
        instance: InstanceId::parse("d4e5f6").expect("an id"),
        app: AppName::parse("shop").expect("a name"),
        from: node("node-1"),
        to: node("node-2"),
        why: "node-1 holds 2 of it, node-2 none".into(),
    };
    let nodes = vec![PlanNode { name: node("node-1"), now: 2, then: 1 }, PlanNode { name: node("node-2"), now: 0, then: 1 }];
    RebalancePlan { moves: vec![moved], nodes, ended: Some(why) }
}

fn node_detail() -> NodeDetail {
    let node = NodeView {
        name: NodeName::parse("node-1").expect("a name"),
        status: NodeStatus::Cordoned,
        reason: "nothing new is placed on it".into(),
        cordoned: true,
        draining: false,
        zone: "a".into(),
        labels: [("disk".to_owned(), "ssd".to_owned())].into(),
        capacity: Some(Capacity { memory: MiB(2048), cpus: 2, addresses: 249 }),
        memory_reserved: MiB(256),
        instances: 1,
        docker: Some("20.10".into()),
        version: Some("0.1.0".into()),
        disk_free: 5_000_000_000,
        disk_total: 20_000_000_000,
        orphans: Vec::new(),
    };
    let there = instance("a1b2c3", 3, InstanceStatus::Running, "healthy and in the routes");
    NodeDetail { node, instances_here: vec![there] }
}
