//! Help, versions and completions.

use expect_test::expect;

use crate::run::User;

#[test]
fn help_lists_the_user_commands_and_begins_with_what_they_are_for() {
    let said = User::of("http://127.0.0.1:9").run(&["--help"]);
    assert_eq!(said.code, 0);
    for verb in [
        "deploy",
        "apps",
        "status",
        "scale",
        "logs",
        "env",
        "releases",
        "rollback",
        "cancel",
        "pause",
        "resume",
        "restart",
        "stop",
        "start",
        "delete",
        "why",
        "open",
        "events",
        "nodes",
        "bases",
        "login",
        "logout",
        "whoami",
        "tokens",
        "completions",
        "version",
    ] {
        assert!(said.out.lines().any(|line| line.starts_with(&format!("  {verb} "))), "{verb} in\n{}", said.out);
    }
    assert!(said.out.contains("dinp deploy target/shop.war -a shop"), "{}", said.out);
}

#[test]
fn help_of_a_command_says_each_flag_on_one_line() {
    let said = User::of("http://127.0.0.1:9").run(&["scale", "--help"]);
    expect![[r#"
        Change how many instances run, or their memory

        Usage: dinp scale [OPTIONS] [INSTANCES]

        Arguments:
          [INSTANCES]  How many instances

        Options:
              --memory <SIZE>        Memory of each instance, as 256M or 1G; makes a new release
              --strategy <STRATEGY>  rolling, or recreate where there is no room for one more
              --dry-run              Print what would follow, node by node, and change nothing
              --no-wait              Return at once; the deploy goes on
              --timeout <TIME>       How long to wait, as 90s or 5m; the deploy goes on after it
          -h, --help                 Print help

        Global options:
          -a, --app <NAME>       The app (else DINP_APP, else dinp.toml in this folder)
          -o, --output <FORMAT>  How to print what was asked for: table, json, jsonl or name
              --json             The same as -o json
          -q, --quiet            Print nothing but what was asked for, and errors
          -v, --verbose          Print more columns and details
              --no-color         Never colour (also NO_COLOR)
              --no-input         Never ask; fail where an answer is needed
          -y, --yes              Answer yes to every question
        --- stderr
        --- exit 0
    "#]]
    .assert_eq(&said.all());
}

#[test]
fn every_shell_gets_completions() {
    let user = User::of("http://127.0.0.1:9");
    for shell in ["bash", "zsh", "fish"] {
        let said = user.run(&["completions", shell]);
        assert!(said.code == 0 && said.out.contains("rollback"), "{shell}");
    }
}

#[test]
fn the_version_is_said_whether_or_not_a_server_answers() {
    let said = User::of("http://127.0.0.1:9").run(&["version"]);
    let out = said.all().replace(env!("CARGO_PKG_VERSION"), "0.0.0");
    expect![[r#"
        dinp 0.0.0
        --- stderr
        server at URL unknown: connection refused
        --- exit 0
    "#]]
    .assert_eq(&out);
}
