//! The pages on a fake API, to look at: `cargo run -p dinp-dash --example preview -- 127.0.0.1:8099`

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::time::Duration;

use dinp_client::Client;
use dinp_common::event::Severity;
use dinp_common::token::TokenKind;
use dinp_daemon::http;
use dinp_dash::DashConfig;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    let world = fake::World::new(fake::Pace(Duration::from_millis(700)));
    let hello = world.run_app("hello", 2);
    world.event(&hello, Severity::Info, "deploy_succeeded", "Deploy #1 succeeded: v1 serves at http://hello.localhost:8080");
    world.event(
        &hello,
        Severity::Warning,
        "instance_crashed",
        "Instance 1a2b3c ended: killed, out of memory at 256MiB (exit code 137)",
    );
    world.run_app("billing", 3);
    world.run_app("search-index", 6);
    let api = fake::router(world.clone());
    let shutdown = CancellationToken::new();
    let app = dinp_dash::router(api.clone(), Client::in_memory(api, None), DashConfig::default(), shutdown.clone());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    for seed in 1..=9 {
        println!("http://{address}/setup?token={}", world.token(TokenKind::Link, seed));
    }
    println!("token {}", world.token(TokenKind::Personal, 100));
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    });
    http::serve(listener, app, http::Bounds::of_all(), shutdown).await;
    Ok(())
}
