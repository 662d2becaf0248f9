use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{App, PATIENCE, Router, Server, config, get, route, table};

/// The limit itself is ten seconds; this waits for it once, to see that it is wired.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_loses_its_connection_and_nobody_else_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let server = Server::start(dir.path().join("routes.sock"), 1);
    let router = Router::start(config(dir.path(), &server.feed())).await;
    server.route(&table([route("app", &[(1, app.address)])])).await;
    let mut slow = tokio::net::TcpStream::connect(router.address).await.expect("connects");
    slow.write_all(b"GET / HTTP/1.1\r\nHost: app.loc").await.expect("sent");
    let started = tokio::time::Instant::now();
    let address = router.address;
    let held = tokio::spawn(async move { get(address, "app.localhost", "/held").await });
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("closed").expect("readable");
    assert!(rest.is_empty() && started.elapsed().as_secs() >= 9, "after {:?}: {rest:?}", started.elapsed());
    app.facts.release.notify_one();
    assert_eq!(held.await.expect("answered").status, 200, "waiting for an app is no fault of its client");
    router.stop().await;
}
