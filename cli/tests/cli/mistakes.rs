//! What is typed, written or configured wrongly: what it was, why, and what to do.

use expect_test::{Expect, expect};

use crate::run::User;

/// Nothing listens on the discard port of a test machine, and binding it takes root.
const NOBODY: &str = "http://127.0.0.1:9";

fn check(user: &User, args: &[&str], expected: Expect) {
    expected.assert_eq(&user.run(args).all());
}

#[test]
fn a_server_out_of_reach_is_exit_7() {
    check(
        &User::of(NOBODY),
        &["apps"],
        expect![[r#"
            --- stderr
            error: cannot reach URL: connection refused
              try:  is the server running (dinp up)? Is this the right address (DINP_URL, dinp login)?
            --- exit 7
        "#]],
    );
}

#[test]
fn usage_is_exit_2_and_says_the_bounds() {
    let user = User::of(NOBODY);
    check(
        &user,
        &["scale", "-1", "-a", "shop"],
        expect![[r#"
        --- stderr
        error: invalid value '-1' for '[INSTANCES]': it is below zero; an app has 1 to 1000 instances

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["scale", "10000", "-a", "shop"],
        expect![[r#"
        --- stderr
        error: invalid value '10000' for '[INSTANCES]': it is too many; an app has 1 to 1000 instances

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["scale", "2", "--memory", "256", "-a", "shop"],
        expect![[r#"
        --- stderr
        error: invalid value '256' for '--memory <SIZE>': "256" is not a memory size: the unit is missing; write for example 256M or 1G

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

#[test]
fn names_are_refused_with_what_they_should_be() {
    let user = User::of(NOBODY);
    check(
        &user,
        &["status", "Shop"],
        expect![[r#"
        --- stderr
        error: invalid value 'Shop' for '[NAME]': the app name "Shop" contains 'S'; only a-z, 0-9 and '-' can stand in a host name; use lowercase

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["status", "shop", "-a", "other"],
        expect![[r#"
        --- stderr
        error: two apps are named: shop and -a other
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["status"],
        expect![[r#"
            --- stderr
            error: no app is named
              try:  -a NAME, or DINP_APP, or name in dinp.toml; dinp apps lists them
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["env", "set", "PORT=1", "-a", "shop"],
        expect![[r#"
        --- stderr
        error: invalid value 'PORT=1' for '<K=V>...': PORT is set by the platform for every instance and cannot be changed

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["frobnicate"],
        expect![[r#"
        --- stderr
        error: unrecognized subcommand 'frobnicate'

        Usage: dinp [OPTIONS] <COMMAND>

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

#[test]
fn nothing_is_deleted_without_consent() {
    let user = User::of(NOBODY);
    check(
        &user,
        &["delete", "shop"],
        expect![[r#"
            --- stderr
            shop (URL)
            error: deleting shop removes its instances, its releases and its URL, and needs your consent
              try:  --confirm shop
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["delete", "shop", "--confirm", "shopp"],
        expect![[r#"
        --- stderr
        shop (URL)
        error: "shopp" is not shop; nothing was changed
        --- exit 2
    "#]],
    );
}

#[test]
fn what_cannot_be_deployed_is_said_before_any_upload() {
    let user = User::of(NOBODY);
    user.file("empty.war", "");
    std::fs::create_dir(user.project().join("nothing")).expect("makes");
    check(
        &user,
        &["deploy"],
        expect![[r#"
            --- stderr
            error: nothing to deploy is named
              try:  dinp deploy FILE, or path under [artifact] in dinp.toml
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["deploy", "missing.war"],
        expect![[r#"
        --- stderr
        error: there is no file or folder missing.war
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["deploy", "empty.war", "-a", "shop"],
        expect![[r#"
            --- stderr
            error: empty.war cannot be deployed
              why:  the file is empty
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["deploy", "nothing", "-a", "shop"],
        expect![[r#"
            --- stderr
            shop (URL)
            N s  pack      nothing
            error: nothing cannot be deployed
              why:  the folder has no files
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["deploy", "/dev/null", "-a", "shop"],
        expect![[r#"
        --- stderr
        error: /dev/null is neither a file nor a folder
        --- exit 2
    "#]],
    );
    check(
        &user,
        &["deploy", "empty.war", "--kind", "image"],
        expect![[r#"
        --- stderr
        error: invalid value 'image' for '--kind <KIND>': an image is deployed by --image REF

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

#[test]
fn a_manifest_with_a_mistake_is_quoted_at_its_place() {
    let user = User::of(NOBODY);
    user.file("dinp.toml", "schema = 1\nname = \"shop\"\n[run]\n  instnces = 2\n");
    check(
        &user,
        &["status"],
        expect![[r#"
            --- stderr
            error: dinp.toml, line 4, column 3: unknown field `instnces`, expected one of `instances`, `memory`, `cpu`, `port`, `stop_grace_seconds`
                4 |   instnces = 2
                  |   ^
              try:  remove `instnces`, or correct its spelling
            --- exit 2
        "#]],
    );
    user.file("dinp.toml", "schema = 1\n[scale]\nmin = 1\n");
    check(
        &user,
        &["deploy"],
        expect![[r#"
            --- stderr
            error: dinp.toml, line 2, column 2: unknown field `scale`, expected one of `schema`, `name`, `artifact`, `run`, `health`, `deploy`, `placement`, `env`
                2 | [scale]
                  |  ^
              try:  `scale` is not in this version; remove it
            --- exit 2
        "#]],
    );
    user.file("dinp.toml", "schema = 1\n[run]\nmemory = \"256\"\n");
    check(
        &user,
        &["deploy"],
        expect![[r#"
            --- stderr
            error: dinp.toml, line 3, column 10: "256" is not a memory size: the unit is missing; write for example 256M or 1G
                3 | memory = "256"
                  |          ^
            --- exit 2
        "#]],
    );
    user.file("sub/dinp.toml", "schema = 2\n");
    check(
        &user,
        &["deploy", "sub"],
        expect![[r#"
            --- stderr
            error: sub/dinp.toml, line 1, column 1: schema is 2, and this version reads schema 1
                1 | schema = 2
                  | ^
              try:  write schema = 1
            --- exit 2
        "#]],
    );
}

#[test]
fn credentials_that_are_missing_or_cut_off_are_exit_4() {
    let user = User::of(NOBODY);
    let mut command = user.command(&["apps"]);
    let said = crate::run::Said::of(&command.env_remove("DINP_TOKEN").output().expect("runs"), NOBODY);
    expect![[r#"
        --- stderr
        error: not logged in to URL
          try:  dinp login URL --token -   (dinp tokens create NAME makes a token, where you are logged in)
        --- exit 4
    "#]]
    .assert_eq(&said.all());
    let mut command = user.command(&["apps"]);
    let said = crate::run::Said::of(&command.env("DINP_TOKEN", "dinp_pat_12").output().expect("runs"), NOBODY);
    expect![[r#"
        --- stderr
        error: the token in DINP_TOKEN is not a whole DINP token; was it cut off?
          try:  dinp login URL --token -   (dinp tokens create NAME makes a token, where you are logged in)
        --- exit 4
    "#]]
    .assert_eq(&said.all());
}

#[test]
fn a_token_is_taken_from_standard_input_only() {
    let user = User::of(NOBODY);
    check(
        &user,
        &["login", NOBODY, "--token", "dinp_pat_12"],
        expect![[r#"
            --- stderr
            error: a token on the command line would stay in the shell's history
              try:  dinp login URL --token -   and the token on standard input
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["login", NOBODY],
        expect![[r#"
            --- stderr
            error: no token was given
              try:  dinp login URL --token -   and the token on standard input
            --- exit 2
        "#]],
    );
    check(
        &user,
        &["login", "https://paas.example", "--token", "-"],
        expect![[r#"
        --- stderr
        error: https://paas.example cannot be used: https is not in this version; reach a distant server through ssh -L 8081:127.0.0.1:8081 HOST
        --- exit 2
    "#]],
    );
}
