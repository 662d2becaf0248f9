use std::time::Duration;

use dinp_router::control;

use crate::harness::{App, Load, Router, Server, config, get, in_flight, route, table, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_over_under_load_and_no_request_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let mut router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let id = router.status().await.expect("running").router;
    let load = Load::start(router.address, "app.localhost", 8);
    for round in 0..3 {
        load.more(100).await;
        let next = Router::replace(&router).await;
        assert_eq!(next.address, router.address);
        router.ended().await;
        load.more(200).await;
        router = next;
        let more = format!("round{round}");
        server.route(&table([route("app", &[(1, app.address)]), route(&more, &[])])).await;
    }
    let (done, failures) = load.finish().await;
    assert!(failures.is_empty(), "{} of {done}: {failures:#?}", failures.len());
    assert!(server.statuses().iter().all(|status| status.router == id), "one router, whatever the process");
    assert_eq!(server.goodbyes(), 0);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_process_has_in_flight_is_reported_and_it_follows_the_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let (old_app, new_app) = (App::start("old").await, App::start("new").await);
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let first = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, old_app.address)])])).await;
    let address = first.address;
    let held = tokio::spawn(async move { get(address, "app.localhost", "/held").await });
    server.status("one in flight", |status| in_flight(status, 1) == 1).await;
    let reports = server.statuses().len();

    let second = Router::replace(&first).await;
    // Confirmed by both processes, and what the old one still has is not forgotten for a moment.
    let moved = server.route(&table([route("app", &[(2, new_app.address)])])).await;
    assert_eq!(in_flight(&moved, 1), 1);
    assert!(server.statuses()[reports..].iter().all(|status| in_flight(status, 1) == 1));
    assert_eq!(get(address, "app.localhost", "/").await.instance(), "new");
    old_app.facts.release.notify_one();
    assert_eq!(held.await.expect("answered").instance(), "old");
    server.status("nothing in flight", |status| in_flight(status, 1) == 0).await;
    first.ended().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_that_dies_before_it_serves_changes_nothing() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    let wanted = table([route("app", &[(1, app.address)])]);
    server.route(&wanted).await;
    let mut dying = std::os::unix::net::UnixStream::connect(&router.config.control).expect("connects");
    dying.write_all(b"takeover\nready\n").expect("asked");
    let mut report = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(&dying), &mut report).expect("a report");
    assert!(report.contains("confirmed"), "{report}");
    let reports = server.statuses().len();
    drop(dying);
    until("the router to report to its server again", async || {
        if server.statuses().len() > reports { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let mut more = wanted.clone();
    more.extend(table([route("more", &[])]));
    server.route(&more).await;
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    assert!(!router.status().await.expect("running").draining);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_finish_and_keeps_the_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let address = router.address;
    let held = tokio::spawn(async move { get(address, "app.localhost", "/held").await });
    server.status("one in flight", |status| in_flight(status, 1) == 1).await;
    let socket = router.config.control.clone();
    let stopping = tokio::task::spawn_blocking(move || control::stop(&socket, false, Duration::from_secs(20)));
    until("the router to drain", async || {
        let status = router.status().await;
        if status.as_ref().is_some_and(|status| status.draining) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    assert!(!stopping.is_finished(), "a request is in flight");
    until("new clients to be refused", async || match tokio::net::TcpStream::connect(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    app.facts.release.notify_one();
    let answer = held.await.expect("answered");
    assert_eq!((answer.status, answer.headers["connection"].as_bytes()), (200, b"close".as_slice()));
    assert!(stopping.await.expect("no panic").expect("stopped"));
    let table = router.config.state_dir.join("table.json");
    router.ended().await;
    assert!(table.exists());
    assert_eq!(server.goodbyes(), 0, "it will come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_says_goodbye_and_keeps_no_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[])])).await;
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&router.config.control).expect("a socket"));
    assert_eq!(mode & 0o777, 0o600, "only its owner controls a router");
    let (socket, path) = (router.config.control.clone(), router.config.state_dir.join("table.json"));
    assert!(path.exists());
    let stopping = tokio::task::spawn_blocking(move || control::stop(&socket, true, Duration::from_secs(20)));
    assert!(stopping.await.expect("no panic").expect("stopped"));
    router.ended().await;
    until("the goodbye", async || if server.goodbyes() == 1 { Ok(()) } else { Err(String::new()) }).await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_and_no_router_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = other.local_addr().expect("address").port();
    let mut settings = config(dir.path(), "unix:/nowhere");
    settings.listen = format!("127.0.0.1:{port}");
    let run = tokio::task::spawn_blocking(move || dinp_router::run(&settings, tokio_util::sync::CancellationToken::new()));
    let error = run.await.expect("no panic").expect_err("in use").to_string();
    assert!(error.contains(&format!("port {port} on 127.0.0.1 is in use")), "{error}");
}
