use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{App, PATIENCE, Router, Server, config, get, in_flight, route, table, until};

const GOING_AWAY: &[u8] = &[0x88, 2, 0x03, 0xe9];

/// Opens an upgraded connection and returns it after the 101.
async fn open(router: SocketAddr, target: &str, protocol: &str) -> TcpStream {
    let mut stream = TcpStream::connect(router).await.expect("connects");
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text").to_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains(&format!("upgrade: {protocol}")), "{head}");
    stream
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the router closes").expect("readable");
    bytes
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("in time").expect("readable");
    bytes
}

async fn tunnelled(app: &App, expected: &[u8]) {
    let mut bytes = app.facts.tunnelled.subscribe();
    let wait = bytes.wait_for(|bytes| bytes.ends_with(expected));
    tokio::time::timeout(PATIENCE, wait).await.expect("in time").expect("the app lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_lives_through_the_grace_and_is_closed_with_1001() {
    let dir = tempfile::tempdir().expect("a directory");
    let hello = vec![0x81, 5, b'h', b'e', b'l', b'l', b'o'];
    let app = App::with_pieces("old", vec![hello.clone(), hello.clone()]).await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let mut socket = open(router.address, "/ws", "websocket").await;
    server.status("one tunnel in flight", |status| in_flight(status, 1) == 1).await;
    app.facts.release.notify_one();
    assert_eq!(read(&mut socket, hello.len()).await, hello);
    socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.expect("sent");
    tunnelled(&app, b"hi").await;

    let left = tokio::time::Instant::now();
    server.route(&table([route("app", &[])])).await;
    app.facts.release.notify_one();
    assert_eq!(read(&mut socket, hello.len()).await, hello, "the grace is still on");
    assert_eq!(read(&mut socket, 4).await, GOING_AWAY);
    assert!(left.elapsed().as_millis() >= 290, "the whole grace, not {:?}", left.elapsed());
    // The client's own Close still reaches the app, as the handshake wants it.
    let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
    socket.write_all(&close).await.expect("sent");
    tunnelled(&app, &close).await;
    assert!(read_to_end(&mut socket).await.is_empty());
    drop(socket);
    server.status("no tunnel in flight", |status| in_flight(status, 1) == 0).await;
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_under_way_is_finished_before_the_close() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, rest) = (vec![0x82, 4, 1, 2], vec![3, 4, 0x81, 1, b'x']);
    let app = App::with_pieces("app", vec![first.clone(), rest]).await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let mut routed = route("app", &[(1, app.address)]);
    routed.tunnel_grace_ms = 0;
    server.route(&table([routed])).await;
    let mut socket = open(router.address, "/ws", "websocket").await;
    app.facts.release.notify_one();
    assert_eq!(read(&mut socket, 4).await, first);
    server.route(&table([route("app", &[])])).await;
    app.facts.release.notify_one();
    assert_eq!(read_to_end(&mut socket).await, [&[3, 4], GOING_AWAY].concat(), "the frame's end, then the Close, then no more");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_does_not_end_and_other_protocols_are_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::with_pieces("app", vec![vec![0x82, 4, 1, 2]]).await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let mut websocket = open(router.address, "/ws", "websocket").await;
    app.facts.release.notify_one();
    read(&mut websocket, 4).await;
    let mut other = open(router.address, "/ws", "own-protocol").await;
    other.write_all(b"to the app").await.expect("sent");
    tunnelled(&app, b"to the app").await;
    server.route(&table([route("app", &[])])).await;
    assert_eq!(read_to_end(&mut other).await, b"");
    assert_eq!(read_to_end(&mut websocket).await, b"");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_router_closes_websockets_before_it_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let mut settings = config(dir.path(), &server.feed());
    settings.drain_seconds = 3;
    let router = Router::start(settings).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let mut socket = open(router.address, "/ws", "websocket").await;
    router.stop.cancel();
    assert_eq!(read(&mut socket, 4).await, GOING_AWAY);
    drop(socket);
    router.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_nobody_asked_for_is_not_passed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let answer = get(router.address, "app.localhost", "/uninvited").await;
    assert_eq!(answer.status, 502, "{}", answer.text);
    until("the connection to be gone from the count", async || {
        let newest = server.statuses().pop().expect("a status");
        if in_flight(&newest, 1) == 0 { Ok(()) } else { Err(format!("{newest:?}")) }
    })
    .await;
    router.stop().await;
}
