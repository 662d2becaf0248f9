use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use dinp_common::route::RouteState;

use crate::harness::{App, Client, Router, Server, client::request, config, get, route, table};

#[tokio::test(flavor = "multi_thread")]
async fn each_host_reaches_its_own_app_or_a_page_that_says_why_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (App::start("one").await, App::start("two").await);
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let early = get(router.address, "one.localhost", "/").await;
    assert!(early.status == 503 && early.text.contains("has not received its routes"), "{}", early.text);

    let mut stopped = route("off", &[(3, one.address)]);
    stopped.state = RouteState::Stopped;
    let routes = [route("one", &[(1, one.address)]), route("two", &[(2, two.address)]), route("none", &[]), stopped];
    server.route(&table(routes)).await;
    assert_eq!(get(router.address, "one.localhost", "/").await.instance(), "one");
    assert_eq!(get(router.address, "TWO.localhost.", "/").await.instance(), "two");
    for (host, status, words, retry) in [
        ("nobody.localhost", 404, "No app answers at this address", None),
        ("dash.localhost", 404, "No app answers at this address", None),
        ("off.localhost", 503, "off was stopped by its owner", None),
        ("none.localhost", 503, "No instance of none is healthy", Some("5")),
    ] {
        let answer = get(router.address, host, "/").await;
        assert_eq!((answer.status, answer.text.contains(words)), (status, true), "{host}: {}", answer.text);
        assert_eq!(answer.headers.get("retry-after").map(|value| value.to_str().expect("text")), retry, "{host}");
    }
    let mut client = Client::connect(router.address).await.expect("connects");
    let mut browser = request(Method::GET, "none.localhost", "/", "");
    browser.headers_mut().insert("accept", "text/html,*/*;q=0.8".parse().expect("value"));
    assert!(client.send(browser).await.expect("a page").text.starts_with("<!doctype html>"));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_sees_who_asked_and_the_client_sees_its_request_id() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let mut client = Client::connect(router.address).await.expect("connects");
    let mut asked = request(Method::POST, "app.localhost", "/path?q=1", "the body");
    for (name, value) in
        [("x-forwarded-for", "6.6.6.6"), ("connection", "host, x-forwarded-for, own"), ("own", "hop"), ("x-request-id", "mine")]
    {
        asked.headers_mut().append(name, value.parse().expect("value"));
    }
    let answer = client.send(asked).await.expect("an answer");
    assert_eq!(answer.headers["x-request-id"], "mine");
    for expected in [
        "POST /path?q=1\n",
        "\"host\": \"app.localhost:8080\"",
        "\"x-forwarded-for\": \"127.0.0.1\"",
        "\"x-request-id\": \"mine\"",
    ] {
        assert!(answer.text.contains(expected), "{expected} is not in {}", answer.text);
    }
    assert!(
        !answer.text.contains("6.6.6.6") && !answer.text.contains("\"own\"") && answer.text.ends_with("the body"),
        "{}",
        answer.text
    );
    let other = get(router.address, "app.localhost", "/").await;
    assert_eq!(other.headers["x-request-id"].len(), 32);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_an_endpoint_are_kept_and_shared() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    for _ in 0..40 {
        assert_eq!(get(router.address, "app.localhost", "/").await.status, 200);
    }
    assert_eq!(app.requests(), 40);
    assert!(app.connections() <= 2, "one connection per core is enough, not {}", app.connections());
    router.stop().await;
}

/// Sends bytes as they are, and returns all that comes until the router closes.
async fn raw(router: std::net::SocketAddr, bytes: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(router).await.expect("connects");
    stream.write_all(bytes.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(crate::harness::PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the router closes").expect("readable");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_reach_no_app() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let fields: String = (0..101).map(|n| format!("F{n}: v\r\n")).collect();
    let long = "x".repeat(33 * 1024);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: app.localhost\r\nHost: other\r\n\r\n".to_owned(), "400"),
        ("GET http://other/ HTTP/1.1\r\nHost: app.localhost\r\n\r\n".to_owned(), "400"),
        ("CONNECT app.localhost:80 HTTP/1.1\r\nHost: app.localhost:80\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: -1\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nHost: app.localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.0\r\nHost: app.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost : app.localhost\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: app.localhost\r\nA: b\r\n folded\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: app.localhost\r\n{fields}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nHost: app.localhost\r\nLong: {long}\r\n\r\n"), "431"),
    ] {
        let answer = raw(router.address, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.starts_with(&format!("HTTP/1.0 {status}")),
            "{request:.120}\n{answer}"
        );
    }
    assert_eq!(app.requests(), 0);
    // Both lengths: hyper keeps the chunked one, and the connection ends after it, so nothing can hide behind it.
    let both = "POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: app.localhost\r\n\r\n";
    let answer = raw(router.address, both).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(app.requests() <= 1 && !answer.contains("/hidden"), "{answer}");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_expectations_are_answered_as_http_wants() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let answer = raw(router.address, "HEAD / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("content-length: ") && !answer.contains("content-length: 0"), "{answer}");
    let old = raw(router.address, "GET / HTTP/1.0\r\nHost: app.localhost\r\n\r\n").await;
    assert!(old.contains(" 200 OK") && old.contains("app\nGET /"), "{old}");

    let mut stream = tokio::net::TcpStream::connect(router.address).await.expect("connects");
    let head =
        b"POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.expect("sent");
    let mut go_on = [0; 25];
    tokio::time::timeout(crate::harness::PATIENCE, stream.read_exact(&mut go_on)).await.expect("in time").expect("readable");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("readable");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("body"), "{answer}");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_address_says_whether_it_is_ready_and_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let admin = crate::harness::dead_address();
    let router = Router::start(dinp_router::Config { admin: Some(admin), ..config(dir.path(), &server.feed()) }).await;
    let page = async |path: &'static str| {
        crate::harness::until("the admin address", async || match Client::connect(admin).await {
            Ok(mut client) => client.send(request(Method::GET, "admin", path, "")).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        })
        .await
    };
    let early = page("/readyz").await;
    assert!(early.status == 503 && early.text.contains("table: no routes yet"), "{}", early.text);
    server.route(&table([route("app", &[(1, app.address)])])).await;
    assert_eq!(page("/readyz").await.status, 200);
    assert_eq!(get(router.address, "app.localhost", "/").await.status, 200);
    let metrics = page("/metrics").await.text;
    for metric in ["dinp_router_requests_total{class=\"2xx\"}", "dinp_router_table_version ", "dinp_router_request_seconds_count"]
    {
        assert!(metrics.contains(metric), "{metric} is not in {metrics}");
    }
    router.stop().await;
}
