//! What others wrote is used under licences that let users do anything.

use crate::graph::workspace;

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_licence_is_one_we_allow() {
    let refused: Vec<String> = workspace()
        .foreign()
        .iter()
        .filter(|package| !allowed(&package.licence))
        .map(|package| format!("{} {}: \"{}\"", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Whether an SPDX expression can be satisfied with the allowed licences. `AND` binds tighter than `OR`; a slash is
/// an old way to write `OR`.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = either(&words);
    met && rest.is_empty()
}

fn either<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (met, rest) = both(words);
    match rest {
        ["OR", others @ ..] => {
            let (other, rest) = either(others);
            // An expression that ends in `OR` is no expression, whatever stands before it.
            (!others.is_empty() && (met || other), rest)
        }
        _ => (met, rest),
    }
}

fn both<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words);
    while rest.first() == Some(&"AND") {
        let (other, after) = one(&rest[1..]);
        (met, rest) = (met && other, after);
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => {
            let (met, rest) = either(inner);
            if rest.first() == Some(&")") { (met, &rest[1..]) } else { (false, rest) }
        }
        [name, "WITH", exception, rest @ ..] => (ALLOWED.contains(&format!("{name} WITH {exception}").as_str()), rest),
        [name, rest @ ..] => (ALLOWED.contains(name), rest),
        [] => (false, &[]),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for yes in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR GPL-2.0) AND ISC", "Apache-2.0 WITH LLVM-exception OR X"] {
        assert!(allowed(yes), "{yes}");
    }
    for no in ["", "GPL-3.0", "MIT AND GPL-3.0", "MIT OR", "(MIT", "Apache-2.0 WITH Other-exception", "ISC AND (X OR Y)"] {
        assert!(!allowed(no), "{no}");
    }
}
