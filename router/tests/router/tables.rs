use dinp_common::route::{RouteTable, RouteUpdate, TableCert};
use dinp_planner::table::Publisher;

use crate::harness::{App, Router, Server, config, get, route, server::fence, table, until};

/// A router that serves "app" by epoch 5, and what is needed to try to take that from it.
async fn routed(dir: &std::path::Path) -> (App, Server, Router, RouteTable) {
    let app = App::start("app").await;
    let server = Server::start(dir.join("routes.sock"), 5);
    let router = Router::start(config(dir, &server.feed())).await;
    let wanted = table([route("app", &[(1, app.address)])]);
    server.route(&wanted).await;
    (app, server, router, wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_empty_damaged_older_or_foreign_change_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_app, server, router, wanted) = routed(dir.path()).await;
    let RouteUpdate::Full { cert, .. } = server.full() else { panic!("a full table") };
    let next = TableCert { version: cert.version + 1, ..cert.clone() };
    let resyncs = server.resyncs();
    server.send(&RouteUpdate::Full { cert: next.clone(), routes: Vec::new() });
    until("the whole table to be asked for", async || if server.resyncs() > resyncs { Ok(()) } else { Err(String::new()) }).await;
    server.send(&RouteUpdate::Full {
        cert: TableCert { hash: "0".repeat(64), ..next.clone() },
        routes: wanted.values().cloned().collect(),
    });
    let empty = |epoch, holder: &str| Publisher::new(fence(epoch, holder)).publish(&RouteTable::new()).expect("a first version");
    server.send(&empty(4, "server"));
    server.send(&empty(5, "another"));
    server.send(&RouteUpdate::Delta {
        base: TableCert { version: 9, ..cert }.at(),
        cert: next,
        put: Vec::new(),
        remove: Vec::new(),
    });
    // What comes next in line is taken, so everything before it has been judged.
    let mut more = wanted.clone();
    more.extend(table([route("more", &[])]));
    let status = server.route(&more).await;
    assert_eq!(status.confirmed.map(|at| (at.epoch, at.version)), Some((5, 2)));
    assert!(server.statuses().iter().all(|status| status.confirmed.is_none_or(|at| at.epoch == 5 && at.version <= 2)));
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_update_costs_the_connection_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_app, server, router, mut wanted) = routed(dir.path()).await;
    let resyncs = server.resyncs();
    server.send_line("{\"type\":\"full\",\"cert\":");
    until("the router to come back", async || if server.resyncs() > resyncs { Ok(()) } else { Err(String::new()) }).await;
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    wanted.extend(table([route("more", &[])]));
    server.route(&wanted).await;
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_is_followed_and_the_old_one_is_not_any_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let (app, server, router, wanted) = routed(dir.path()).await;
    let mut leader = Publisher::new(fence(6, "next"));
    let update = leader.publish(&wanted).expect("a first version");
    server.send(&update);
    server.status("the new epoch", |status| status.confirmed == Some(leader.at())).await;
    server.publish(&table([]));
    let mut more = wanted.clone();
    more.extend(table([route("more", &[(1, app.address)])]));
    server.send(&leader.publish(&more).expect("changed"));
    server.status("the new leader's second version", |status| status.confirmed == Some(leader.at())).await;
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_starts_alone_routes_by_its_table_on_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_app, server, router, _) = routed(dir.path()).await;
    let (settings, id) = (router.config.clone(), router.status().await.expect("running").router);
    router.stop().await;
    drop(server);
    let router = Router::start(settings).await;
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    let status = router.status().await.expect("running");
    assert_eq!((status.router, status.confirmed.map(|at| at.epoch)), (id, Some(5)));
    // It still knows the epoch it has seen.
    let older = Server::start(dir.path().join("routes.sock"), 4);
    older.publish(&table([]));
    // The third report is of long after the table was sent, which happens as soon as the router asks.
    until("three reports", async || if older.statuses().len() >= 3 { Ok(()) } else { Err(format!("{:?}", older.statuses())) })
        .await;
    assert!(older.resyncs() > 0 && older.statuses().iter().all(|status| status.confirmed.is_some_and(|at| at.epoch == 5)));
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_table_on_disk_is_no_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_app, server, router, wanted) = routed(dir.path()).await;
    let settings = router.config.clone();
    router.stop().await;
    drop(server);
    let path = settings.state_dir.join("table.json");
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, text.replace("app.localhost", "bad.localhost")).expect("damaged");
    let router = Router::start(settings).await;
    assert_eq!(get(router.address, "bad.localhost", "/").await.status, 503);
    let server = Server::start(dir.path().join("routes.sock"), 6);
    server.route(&wanted).await;
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    router.stop().await;
}
