//! A database that stops answering.

use std::sync::Arc;
use std::time::Duration;

use dinp_store::{QUERY_DEADLINE, Store, StoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::database::mariadb_url;
use crate::mariadb;

/// Passes bytes on until it is told to hold them: a network that swallows packets without a word.
struct Link {
    port: u16,
    open: watch::Sender<bool>,
}

impl Link {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let (open, gate) = watch::channel(true);
        let link = Self { port: listener.local_addr().expect("bound").port(), open };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_read, far_write, gate.clone()));
                tokio::spawn(pass(far_read, near_write, gate.clone()));
            }
        });
        link
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, mut gate: watch::Receiver<bool>) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if gate.wait_for(|open| *open).await.is_err() || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// launchbadge/sqlx #4349: each hanging connection costs a permit, and a pool without permits never recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_costs_a_deadline_and_then_all_goes_on() {
    let link = Arc::new(Link::to(mariadb::port()).await);
    let url = mariadb_url(mariadb::port()).await.replace(&mariadb::port().to_string(), &link.port.to_string());
    let store = Store::open(&url.parse().expect("an address")).await.expect("opens");
    let fence = crate::given::leader(&store).await;

    link.open.send_replace(false);
    let begun = Instant::now();
    let calls: Vec<_> = (0..12)
        .map(|n| {
            let (store, fence) = (store.clone(), fence.clone());
            tokio::spawn(async move {
                if n % 2 == 0 { store.commit(&fence, &[]).await } else { store.desired_load().await.map(|_| ()) }
            })
        })
        .collect();
    let slack = Duration::from_secs(3);
    for call in calls {
        let left = (begun + QUERY_DEADLINE + slack).saturating_duration_since(Instant::now());
        let result = timeout(left, call).await.expect("every call ends with its deadline").expect("runs");
        assert!(matches!(result, Err(StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. })), "{result:?}");
    }

    link.open.send_replace(true);
    let recovered = async {
        while store.desired_load().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(QUERY_DEADLINE, recovered).await.expect("the store recovers by itself");
    store.commit(&fence, &[]).await.expect("writes again");
}
