use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{
    App, Client, Load, Router, Server, client::request, config, dead_address, get, in_flight, instance, route, table,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_costs_nobody_a_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("alive").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let dead: Vec<_> = (2..6).map(|n| (n, dead_address())).collect();
    server.route(&table([route("app", &[vec![(1, app.address)], dead].concat())])).await;
    let mut client = Client::connect(router.address).await.expect("connects");
    for n in 0..20 {
        let body = format!("body {n} ").repeat(1_000);
        let answer = client.send(request(Method::POST, "app.localhost", "/", &body)).await.expect("an answer");
        assert!(answer.status == 200 && answer.text.ends_with(&body), "{}", answer.text);
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_endpoint_dead_the_page_says_so_and_the_last_one_is_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let address = dead_address();
    server.route(&table([route("app", &[(1, address)])])).await;
    for _ in 0..3 {
        let answer = get(router.address, "app.localhost", "/").await;
        assert!(answer.status == 502 && answer.text.contains("accepted the connection"), "{}", answer.text);
    }
    let listener = tokio::net::TcpListener::bind(address).await.expect("bound again");
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut head = [0; 2048];
        let _ = stream.read(&mut head).await.expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback").await.expect("answered");
    });
    assert_eq!(get(router.address, "app.localhost", "/").await.text, "back", "although it is ejected");
    serving.await.expect("served");
    router.stop().await;
}

/// A listener that drops the first packet of whoever comes next, until somebody accepts.
async fn full_listener() -> (tokio::net::TcpListener, Vec<tokio::net::TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("address");
    let mut queued = Vec::new();
    let soon = std::time::Duration::from_millis(200);
    while let Ok(stream) = tokio::time::timeout(soon, tokio::net::TcpStream::connect(address)).await {
        queued.push(stream.expect("queued"));
        assert!(queued.len() < 10, "its queue has no end");
    }
    (listener, queued)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_only_endpoint_that_is_overrun_for_a_moment_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let (listener, queued) = full_listener().await;
    server.route(&table([route("app", &[(1, listener.local_addr().expect("address"))])])).await;
    let serving = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        for _ in 0..=queued.len() {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut head = [0; 2048];
            // Those that filled the queue say nothing.
            let soon = std::time::Duration::from_millis(50);
            if matches!(tokio::time::timeout(soon, stream.read(&mut head)).await, Ok(Ok(1..))) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").await.expect("answered");
            }
        }
    });
    assert_eq!(get(router.address, "app.localhost", "/").await.text, "late");
    serving.await.expect("served");
    router.stop().await;
}

/// Answers one request per connection and says nothing of closing it, then closes after the next one has arrived.
async fn one_answer_per_connection(listener: tokio::net::TcpListener, closed_on: tokio::sync::watch::Sender<Vec<String>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let closed_on = closed_on.clone();
        tokio::spawn(async move {
            let mut head = vec![0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let count = stream.read(&mut head).await.unwrap_or(0);
            let method = String::from_utf8_lossy(&head[..count]).split(' ').next().unwrap_or_default().to_owned();
            closed_on.send_modify(|all| all.push(method));
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_dies_is_replaced_only_where_nothing_can_happen_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(dinp_router::Config { cores: 1, ..config(dir.path(), &server.feed()) }).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    let closed_on = tokio::sync::watch::Sender::default();
    let serving = tokio::spawn(one_answer_per_connection(listener, closed_on.clone()));
    server.route(&table([route("app", &[(1, address)])])).await;
    let mut client = Client::connect(router.address).await.expect("connects");
    let mut send = async |method| client.send(request(method, "app.localhost", "/", "")).await.expect("an answer").status;
    assert_eq!(send(Method::GET).await, 200);
    assert_eq!(send(Method::GET).await, 200, "sent again over a new connection");
    assert_eq!(send(Method::POST).await, 502, "may have been carried out");
    assert_eq!(send(Method::GET).await, 200);
    assert_eq!(*closed_on.borrow(), ["GET", "POST"]);
    serving.abort();
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_endpoints_come_and_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let mut apps = vec![(1, App::start("1").await)];
    let routed = |apps: &[(u64, App)]| {
        let endpoints: Vec<_> = apps.iter().map(|(n, app)| (*n, app.address)).collect();
        table([route("app", &endpoints)])
    };
    server.route(&routed(&apps)).await;
    let load = Load::start(router.address, "app.localhost", 8);
    for n in 2..12 {
        load.more(100).await;
        apps.push((n, App::start(&n.to_string()).await));
        server.route(&routed(&apps)).await;
        load.more(50).await;
        let (old, app) = apps.remove(0);
        server.route(&routed(&apps)).await;
        server.status("the old instance to be empty", |status| in_flight(status, old) == 0).await;
        drop(app);
    }
    let (done, failures) = load.finish().await;
    assert!(failures.is_empty(), "{} of {done}: {failures:#?}", failures.len());
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_that_left_has_in_flight_is_reported_until_it_ends_and_then_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let (old, new) = (App::start("old").await, App::start("new").await);
    server.route(&table([route("app", &[(1, old.address)])])).await;
    let address = router.address;
    let held = tokio::spawn(async move { get(address, "app.localhost", "/held").await });
    server.status("one in flight", |status| in_flight(status, 1) == 1).await;
    let moved = server.route(&table([route("app", &[(2, new.address)])])).await;
    assert_eq!(in_flight(&moved, 1), 1);
    assert_eq!(get(address, "app.localhost", "/").await.instance(), "new");
    let reports = server.statuses().len();
    old.facts.release.notify_one();
    assert_eq!(held.await.expect("answered").instance(), "old");
    let started = tokio::time::Instant::now();
    server.status("nothing in flight", |status| !status.in_flight.contains_key(&instance(1))).await;
    assert!(started.elapsed().as_millis() < 400, "reported at once, not at the next of {reports} reports");
    router.stop().await;
}
