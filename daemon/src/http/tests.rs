//! Real sockets. What must not be closed is looked at after something else was, by the same bounds and begun later.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::{get, post};
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::*;

/// How long anything here may take that is to happen.
const SOON: Duration = Duration::from_secs(20);
/// Every bound on a client's time here, unless a test is about another.
const QUICK: Duration = Duration::from_secs(1);

fn bounds() -> Bounds {
    Bounds { connections: 8, head: QUICK, body: QUICK, unread: SOON }
}

/// What the pages wait for, and what they tell.
#[derive(Clone)]
struct Told {
    answer: Arc<Notify>,
    asked: Arc<Notify>,
    /// One more of them while an endless answer is written.
    endless: mpsc::Sender<()>,
}

/// A server with a page of each kind.
struct Scene {
    address: SocketAddr,
    told: Told,
    endless: mpsc::Receiver<()>,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Scene {
    async fn start(bounds: Bounds) -> Self {
        let (sender, endless) = mpsc::channel(1);
        let told = Told { answer: Arc::default(), asked: Arc::default(), endless: sender };
        let router = Router::new()
            .route("/now", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
            .route("/when-told", get(when_told))
            .route("/follow", get(follow))
            .route("/endless", get(endless_answer))
            .route("/read", post(|body: String| async move { body }))
            .route("/socket", get(|upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(echo) }))
            .with_state(told.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, router, bounds, shutdown.clone()));
        Self { address, told, endless, shutdown, served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    async fn ask(&self, path: &str) -> TcpStream {
        let mut client = self.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("is sent");
        client
    }

    /// A request that is under way.
    async fn asked(&self) -> TcpStream {
        let client = self.ask("/when-told").await;
        self.told.asked.notified().await;
        client
    }

    async fn socket(&self) -> TcpStream {
        let mut client = self.connect().await;
        let request = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(request.as_bytes()).await.expect("is sent");
        assert!(until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
        client
    }

    /// Ends when a connection that was opened now and answered once is closed for standing idle.
    async fn an_idle_one_is_closed(&self) {
        let mut client = self.ask("/now").await;
        let address = client.local_addr().expect("its address").to_string();
        until(&mut client, &address).await;
        assert_eq!(rest(&mut client).await, "");
    }
}

async fn when_told(State(told): State<Told>) -> &'static str {
    told.asked.notify_one();
    told.answer.notified().await;
    "done"
}

async fn follow(State(told): State<Told>) -> Body {
    Body::from_stream(stream::unfold(0, move |part| {
        let told = told.clone();
        async move {
            if part == 1 {
                told.answer.notified().await;
            }
            let line = ["first\n", "last\n"].get(part)?;
            Some((Ok::<_, Infallible>(*line), part + 1))
        }
    }))
}

async fn endless_answer(State(told): State<Told>) -> Body {
    Body::from_stream(stream::repeat_with(move || {
        let _ = told.endless.try_send(());
        Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 64 * 1024]))
    }))
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// What comes up to and with `end`.
async fn until(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).ends_with(end) {
            text.push(client.read_u8().await.expect("more"));
        }
    };
    timeout(SOON, read).await.unwrap_or_else(|_| panic!("{end:?} does not come"));
    String::from_utf8(text).expect("text")
}

/// What comes until the server closes; cutting a connection may reset it, which is an end too.
async fn rest(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(SOON, client.read_to_end(&mut text)).await.expect("it is not closed");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_in_its_time() {
    let scene = Scene::start(bounds()).await;
    let begun = Instant::now();
    let (mut read, mut write) = scene.connect().await.into_split();
    let trickle = async {
        let head = b"GET /now HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'x'));
        for byte in head {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(QUICK / 40).await;
        }
        std::future::pending::<()>().await;
    };
    let closed = async { timeout(SOON, read.read_to_end(&mut Vec::new())).await.is_ok() };
    let closed = tokio::select! {
        closed = closed => closed,
        () = trickle => false,
    };
    assert!(closed && begun.elapsed() >= QUICK, "closed: {closed}, after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed_in_its_time() {
    let scene = Scene::start(bounds()).await;
    let begun = Instant::now();
    let mut silent = scene.connect().await;
    scene.an_idle_one_is_closed().await;
    assert_eq!(rest(&mut silent).await, "", "neither is one that never asked for anything kept");
    assert!(begun.elapsed() >= QUICK, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_websocket_and_an_answer_that_goes_on_are_not_closed_though_nothing_comes() {
    let scene = Scene::start(bounds()).await;
    let mut socket = scene.socket().await;
    let mut followed = scene.ask("/follow").await;
    until(&mut followed, "first\n").await;
    let mut asked = scene.asked().await;
    scene.an_idle_one_is_closed().await;
    // A text frame with "hi", masked by nothing.
    socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.expect("is sent");
    let mut echo = [0; 4];
    timeout(SOON, socket.read_exact(&mut echo)).await.expect("in time").expect("an echo");
    assert_eq!(&echo, b"\x81\x02hi");
    scene.told.answer.notify_waiters();
    assert!(until(&mut followed, "0\r\n\r\n").await.contains("last\n"));
    assert!(until(&mut asked, "done").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up_and_a_slow_one_is_not() {
    let scene = Scene::start(bounds()).await;
    let post = b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";
    let (mut still, mut slow) = (scene.connect().await, scene.connect().await);
    still.write_all(post).await.expect("is sent");
    slow.write_all(post).await.expect("is sent");
    for byte in b"123456789" {
        slow.write_all(&[*byte]).await.expect("is sent");
        tokio::time::sleep(QUICK / 5).await;
    }
    assert!(until(&mut slow, "123456789").await.starts_with("HTTP/1.1 200"));
    let refused = rest(&mut still).await;
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let mut scene = Scene::start(Bounds { unread: QUICK, ..bounds() }).await;
    // The router's senders live on, and that of the answer goes with it.
    let idle = scene.told.endless.strong_count();
    let _client = scene.ask("/endless").await;
    scene.endless.recv().await.expect("it is begun");
    assert!(scene.told.endless.strong_count() > idle);
    let begun = Instant::now();
    while scene.told.endless.strong_count() > idle {
        assert!(begun.elapsed() < SOON, "it is still written");
        tokio::time::sleep(QUICK / 10).await;
    }
    assert!(begun.elapsed() >= QUICK / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let scene = Scene::start(bounds()).await;
    let mut client = scene.connect().await;
    let head = format!("GET /now HTTP/1.1\r\nx: {}", "x".repeat(bounds::HEAD_BYTES));
    client.write_all(head.as_bytes()).await.expect("is sent");
    let refused = rest(&mut client).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
}

#[tokio::test]
async fn a_client_beyond_the_bound_is_served_once_another_leaves() {
    let scene = Scene::start(Bounds { connections: 2, ..bounds() }).await;
    let (_asked, socket) = (scene.asked().await, scene.socket().await);
    let mut waiting = scene.ask("/now").await;
    let early = timeout(QUICK, waiting.read_u8()).await;
    assert!(early.is_err(), "it is served beside as many as there may be: {early:?}");
    drop(socket);
    let address = waiting.local_addr().expect("its address").to_string();
    assert!(until(&mut waiting, &address).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_the_process() {
    let scene = Scene::start(bounds()).await;
    let _asked = scene.asked().await;
    ends_in_its_time(scene).await;
}

#[tokio::test]
async fn a_head_that_is_not_whole_does_not_hold_the_process() {
    let scene = Scene::start(Bounds { head: ENDS_WITHIN * 10, ..bounds() }).await;
    let mut slow = scene.connect().await;
    slow.write_all(b"GET /now HTTP/1.1\r\nx: ").await.expect("is sent");
    // Who comes after it is answered, so that it was heard.
    let mut other = scene.ask("/now").await;
    let address = other.local_addr().expect("its address").to_string();
    until(&mut other, &address).await;
    ends_in_its_time(scene).await;
    assert_eq!(rest(&mut slow).await, "", "it is cut");
}

async fn ends_in_its_time(scene: Scene) {
    tokio::time::pause();
    scene.shutdown.cancel();
    timeout(ENDS_WITHIN * 2, scene.served).await.expect("it is cut in its time").expect("runs");
    tokio::time::resume();
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end_which_waits_for_nothing_else() {
    let scene = Scene::start(Bounds { head: SOON, ..bounds() }).await;
    let mut client = scene.asked().await;
    let mut idle = scene.ask("/now").await;
    let address = idle.local_addr().expect("its address").to_string();
    until(&mut idle, &address).await;
    let begun = Instant::now();
    scene.shutdown.cancel();
    scene.told.answer.notify_one();
    let answer = rest(&mut client).await;
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(rest(&mut idle).await, "");
    scene.served.await.expect("runs");
    assert!(begun.elapsed() < ENDS_WITHIN, "{:?}", begun.elapsed());
    TcpStream::connect(scene.address).await.expect_err("nobody is accepted any more");
}
