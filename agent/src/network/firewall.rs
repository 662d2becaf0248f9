//! What instances may reach of their host: answers to what the host asked, and the router's ports.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Seconds iptables waits for other users of its lock.
const LOCK_WAIT: &str = "5";
const DEADLINE: Duration = Duration::from_secs(10);

/// Puts the rules in force, in place of whatever stands in their chain, `DINP-<bridge>`. The chain is replaced in one
/// step, so that the host is not open for a moment while rules in force are put there again.
pub async fn apply(bridge: &str, host_ports: &[u16]) -> anyhow::Result<()> {
    run("iptables-restore", &["--noflush"], &chain(bridge, host_ports)).await?;
    let name = format!("DINP-{bridge}");
    let jump = ["INPUT", "-i", bridge, "-j", name.as_str()];
    let check: Vec<&str> = ["-C"].into_iter().chain(jump).collect();
    if iptables(&check).await.is_err() {
        let insert: Vec<&str> = ["-I"].into_iter().chain(jump).collect();
        iptables(&insert).await?;
    }
    Ok(())
}

/// Takes the rules back. True if there were any.
pub async fn remove(bridge: &str) -> bool {
    let chain = format!("DINP-{bridge}");
    // Each fails where the rule or the chain does not exist, which is what is wanted.
    let _ = iptables(&["-D", "INPUT", "-i", bridge, "-j", &chain]).await;
    let _ = iptables(&["-F", &chain]).await;
    iptables(&["-X", &chain]).await.is_ok()
}

/// The chain as iptables-restore(8) reads it: naming a chain empties it, and all of it comes into force at COMMIT.
fn chain(bridge: &str, host_ports: &[u16]) -> String {
    let mut text = format!("*filter\n:DINP-{bridge} - [0:0]\n");
    let mut rule = |rule: &str| text.push_str(&format!("-A DINP-{bridge} {rule}\n"));
    rule("-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
    for port in host_ports {
        rule(&format!("-p tcp --dport {port} -j RETURN"));
    }
    rule("-j DROP");
    text.push_str("COMMIT\n");
    text
}

async fn iptables(arguments: &[&str]) -> anyhow::Result<()> {
    run("iptables", arguments, "").await
}

async fn run(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.arg("-w").arg(LOCK_WAIT).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = async {
        let mut child = command.spawn().with_context(|| format!("{program} cannot be run"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading says why itself.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await.with_context(|| format!("{program} cannot be waited for"))
    };
    let output = tokio::time::timeout(DEADLINE, ended).await.with_context(|| format!("{program} does not end"))??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_answers_and_the_routers_ports_is_dropped_in_one_step() {
        let expected = "*filter\n\
                        :DINP-web - [0:0]\n\
                        -A DINP-web -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
                        -A DINP-web -p tcp --dport 80 -j RETURN\n\
                        -A DINP-web -p tcp --dport 8080 -j RETURN\n\
                        -A DINP-web -j DROP\n\
                        COMMIT\n";
        assert_eq!(chain("web", &[80, 8080]), expected);
    }
}
