//! What instances may reach of their host: answers to what the host asked, and the router's ports.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// Seconds iptables waits for other users of its lock.
const LOCK_WAIT: &str = "5";
const DEADLINE: Duration = Duration::from_secs(10);

/// Puts the rules in force, replacing those of an earlier start. They live in a chain of their own, `DINP-<bridge>`.
pub async fn apply(bridge: &str, host_ports: &[u16]) -> anyhow::Result<()> {
    let chain = format!("DINP-{bridge}");
    // Fails where the chain exists already; the flush after it fails where it does not.
    let _ = iptables(&["-N", &chain]).await;
    iptables(&["-F", &chain]).await?;
    for rule in rules(host_ports) {
        let mut arguments = vec!["-A", chain.as_str()];
        arguments.extend(rule.iter().map(String::as_str));
        iptables(&arguments).await?;
    }
    let jump = ["INPUT", "-i", bridge, "-j", chain.as_str()];
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

fn rules(host_ports: &[u16]) -> Vec<Vec<String>> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let mut rules = vec![owned(&["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"])];
    rules.extend(host_ports.iter().map(|port| owned(&["-p", "tcp", "--dport", &port.to_string(), "-j", "RETURN"])));
    rules.push(owned(&["-j", "DROP"]));
    rules
}

async fn iptables(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("iptables");
    command.arg("-w").arg(LOCK_WAIT).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.context("iptables does not end")?;
    let output = output.context("iptables cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "iptables {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_answers_and_the_routers_ports_is_dropped() {
        let lines: Vec<String> = rules(&[80, 8080]).iter().map(|rule| rule.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
                "-p tcp --dport 80 -j RETURN",
                "-p tcp --dport 8080 -j RETURN",
                "-j DROP"
            ]
        );
    }
}
