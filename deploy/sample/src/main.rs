//! The sample app: a small web server that says which instance of which release answered.
//!
//! It keeps the app contract to the letter: it listens on `$PORT` on all addresses, and on SIGTERM it stops
//! accepting, finishes what is in flight and ends. `FAIL` makes it break the contract in one way, for tests.

mod answers;
mod identity;
mod serve;
mod websocket;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use identity::Identity;
use tokio::net::TcpListener;

/// How the app misbehaves; one word in `FAIL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// `/health` and `/` answer 503 for ever.
    Health,
    /// It ends with code 1 right after its start.
    Crash,
    /// It listens on 5000 whatever `$PORT` says.
    Port,
    /// It listens on loopback only.
    Loopback,
}

impl Fault {
    fn from_environment() -> Result<Self, String> {
        match std::env::var("FAIL").as_deref() {
            Err(_) | Ok("") => Ok(Self::None),
            Ok("health") => Ok(Self::Health),
            Ok("crash") => Ok(Self::Crash),
            Ok("port") => Ok(Self::Port),
            Ok("loopback") => Ok(Self::Loopback),
            Ok(other) => Err(format!("FAIL is \"{other}\"; it may be health, crash, port or loopback")),
        }
    }
}

fn address(fault: Fault) -> Result<SocketAddr, String> {
    let text = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let port: u16 = text.parse().map_err(|_| format!("PORT is \"{text}\", not a port number"))?;
    Ok(match fault {
        Fault::Port => (Ipv4Addr::UNSPECIFIED, 5000).into(),
        Fault::Loopback => (Ipv4Addr::LOCALHOST, port).into(),
        Fault::None | Fault::Health | Fault::Crash => (Ipv4Addr::UNSPECIFIED, port).into(),
    })
}

async fn start() -> Result<(), String> {
    let fault = Fault::from_environment()?;
    let address = address(fault)?;
    if fault == Fault::Crash {
        return Err("FAIL=crash: could not open the database (this is what the test wants)".to_owned());
    }
    let identity = Identity::from_environment();
    let listener = TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("{} {} instance {} listens on {address}", identity.app, identity.release, identity.instance);
    serve::until_sigterm(listener, identity, fault == Fault::Health).await.map_err(|error| error.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
