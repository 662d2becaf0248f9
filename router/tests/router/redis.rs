//! Against a real redis-server of the test's own.

use std::process::{Child, Command, Stdio};

use ::redis::{AsyncCommands as _, aio::MultiplexedConnection};
use dinp_common::route::redis_keys::{CERT, CHANGE_FIELD, CHANGES, ROUTER, ROUTES, STATUS_CHANNEL};
use dinp_common::route::{RouteTable, RouteUpdate, RouterMessage, RouterStatus, TableVersion};
use dinp_planner::table::Publisher;
use futures_util::StreamExt as _;

use crate::harness::{App, Router, config, get, route, server::fence, table, until};

struct Redis {
    process: Child,
    url: String,
    connection: MultiplexedConnection,
    publisher: Publisher,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Redis {
    async fn start(dir: &std::path::Path) -> Self {
        let port = crate::harness::dead_address().port();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let url = format!("redis://127.0.0.1:{port}");
        let client = ::redis::Client::open(url.as_str()).expect("a URL");
        let connection =
            until("redis-server", async || client.get_multiplexed_async_connection().await.map_err(|e| e.to_string())).await;
        Self { process, url, connection, publisher: Publisher::new(fence(1, "server")) }
    }

    /// Writes the table as a server does: all at once, and the change behind it.
    async fn publish(&mut self, wanted: &RouteTable) -> TableVersion {
        let update = self.publisher.publish(wanted).expect("changed");
        self.write(wanted).await;
        let text = serde_json::to_string(&update).expect("encodes");
        let _: String = self.connection.xadd(CHANGES, "*", &[(CHANGE_FIELD, text)]).await.expect("added");
        self.publisher.at()
    }

    async fn write(&mut self, wanted: &RouteTable) {
        let RouteUpdate::Full { cert, .. } = self.publisher.full() else { panic!("a full table") };
        let mut pipe = ::redis::pipe();
        pipe.atomic().del(ROUTES).ignore().set(CERT, serde_json::to_string(&cert).expect("encodes")).ignore();
        for route in wanted.values() {
            pipe.hset(ROUTES, route.host.as_str(), serde_json::to_string(route).expect("encodes")).ignore();
        }
        pipe.exec_async(&mut self.connection).await.expect("written");
    }

    async fn confirmed(&mut self, router: &Router, at: TableVersion) {
        let key = format!("{ROUTER}{}", router.status().await.expect("running").router);
        until("the version to be confirmed", async || {
            let text: Option<String> = self.connection.get(&key).await.map_err(|error| error.to_string())?;
            let status: Option<RouterStatus> = text.as_deref().map(|text| serde_json::from_str(text).expect("a status"));
            if status.as_ref().and_then(|status| status.confirmed) == Some(at) { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }

    async fn command(&mut self, words: &[&str]) {
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut self.connection).await.expect("done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_redis_is_followed_and_every_change_is_published() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let mut redis = Redis::start(dir.path()).await;
    let client = ::redis::Client::open(redis.url.as_str()).expect("a URL");
    let mut heard = client.get_async_pubsub().await.expect("subscribed");
    heard.subscribe(STATUS_CHANNEL).await.expect("subscribed");
    let router = Router::start(config(dir.path(), &redis.url)).await;
    let mut wanted = table([route("app", &[(1, app.address)])]);
    let first = redis.publish(&wanted).await;
    redis.confirmed(&router, first).await;
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    wanted.extend(table([route("more", &[(2, app.address)])]));
    let second = redis.publish(&wanted).await;
    let mut messages = heard.on_message();
    let published = async {
        while let Some(message) = messages.next().await {
            let text: String = message.get_payload().expect("text");
            if matches!(serde_json::from_str(&text).expect("a message"), RouterMessage::Status(status) if status.confirmed == Some(second))
            {
                return;
            }
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, published).await.expect("published");
    assert_eq!(get(router.address, "more.localhost", "/").await.instance(), "app");
    let key = format!("{ROUTER}{}", router.status().await.expect("running").router);
    let ttl: i64 = redis.connection.ttl(&key).await.expect("a time to live");
    assert!((1..=5).contains(&ttl), "{ttl}");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_and_foreign_keys_change_nothing_and_heal() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let mut redis = Redis::start(dir.path()).await;
    let router = Router::start(config(dir.path(), &redis.url)).await;
    let mut wanted = table([route("app", &[(1, app.address)])]);
    let at = redis.publish(&wanted).await;
    redis.confirmed(&router, at).await;
    let damages: &[&[&[&str]]] = &[
        &[&["FLUSHALL"]],
        &[&["HSET", ROUTES, "evil.localhost", "not a route"]],
        &[&["SET", CERT, "not a certificate"]],
        &[&["FLUSHALL"], &["SET", ROUTES, "foreign"], &["SET", CHANGES, "foreign"], &["HSET", CERT, "foreign", "1"]],
        &[&["DEL", ROUTES]],
        &[&["XADD", CHANGES, "*", "u", "{\"type\":\"full\"}"], &["XADD", CHANGES, "*", "other", "1"]],
    ];
    for (round, damage) in damages.iter().enumerate() {
        for command in *damage {
            redis.command(command).await;
        }
        // A certificate of a version to come makes the router look at the damaged table.
        let probe =
            "{\"fence\":{\"cluster\":\"lab\",\"epoch\":1,\"holder\":\"server\"},\"version\":99,\"count\":0,\"hash\":\"\"}";
        if round == 1 || round == 4 {
            redis.command(&["SET", CERT, probe]).await;
        }
        // The status key is gone with the flush, or old; a fresh one shows that the router has gone round since.
        let key = format!("{ROUTER}{}", router.status().await.expect("running").router);
        redis.command(&["DEL", &key]).await;
        redis.confirmed(&router, redis.publisher.at()).await;
        assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app", "round {round}");
        for foreign in [ROUTES, CERT, CHANGES] {
            redis.command(&["DEL", foreign]).await;
        }
        wanted.extend(table([route(&format!("round{round}"), &[])]));
        let at = redis.publish(&wanted).await;
        redis.confirmed(&router, at).await;
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_or_dead_redis_stops_no_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = App::start("app").await;
    let mut redis = Redis::start(dir.path()).await;
    let router = Router::start(config(dir.path(), &redis.url)).await;
    let at = redis.publish(&table([route("app", &[(1, app.address)])])).await;
    redis.confirmed(&router, at).await;
    let signal = |name: &str| Command::new("kill").args([name, &redis.process.id().to_string()]).status().expect("sent");
    signal("-STOP");
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    signal("-CONT");
    redis.process.kill().expect("killed");
    redis.process.wait().expect("gone");
    assert_eq!(get(router.address, "app.localhost", "/").await.instance(), "app");
    router.stop().await;
}
