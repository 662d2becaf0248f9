//! How the source itself must look.

use std::fs;

use ignore::WalkBuilder;

/// Lines of a source file, above which it is two things.
const FILE_LINES: usize = 500;
/// Lines of a function, for the same reason.
const FUNCTION_LINES: usize = 70;

/// Every file of ours with one of these endings, with its path from the root: all that is not to be ignored. A copy of
/// the tree without its history is judged just the same.
fn sources(endings: &[&str]) -> Vec<(String, String)> {
    let root = dinp_tests::root();
    WalkBuilder::new(&root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build()
        .map(|entry| entry.expect("readable").into_path())
        .filter(|path| path.is_file())
        .map(|path| (path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| endings.iter().any(|ending| name.ends_with(ending)))
        .map(|(name, path)| (name, String::from_utf8_lossy(&fs::read(path).expect("readable")).into_owned()))
        .collect()
}

#[test]
fn files_are_short_enough_to_read() {
    let files = sources(&[".rs"]);
    assert!(files.len() > 20, "found only {} files", files.len());
    let long: Vec<_> = files.iter().map(|(name, text)| (name, text.lines().count())).filter(|(_, n)| *n > FILE_LINES).collect();
    assert!(long.is_empty(), "longer than {FILE_LINES} lines: {long:?}");
}

#[test]
fn functions_fit_a_screen_or_two() {
    let long: Vec<_> = sources(&[".rs"])
        .iter()
        .flat_map(|(name, text)| functions(text).into_iter().map(move |(line, n)| (format!("{name}:{line}"), n)))
        .filter(|(_, lines)| *lines > FUNCTION_LINES)
        .collect();
    assert!(long.is_empty(), "longer than {FUNCTION_LINES} lines: {long:?}");
}

/// Where functions begin and how many lines they have. Sources are formatted, so a function ends at the first `}`
/// with its own indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &str| {
        let words: Vec<&str> =
            line.split_whitespace().take_while(|word| !word.contains('(') || word.starts_with("pub(")).collect();
        let modifiers = ["pub", "async", "const", "unsafe", "pub(crate)", "pub(super)"];
        let fn_at = words.iter().position(|word| !modifiers.contains(word)).unwrap_or(words.len());
        words.get(fn_at) == Some(&"fn")
            || line.trim_start().starts_with("fn ")
            || modifiers.iter().any(|m| line.trim_start().starts_with(&format!("{m} fn ")))
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        if line.ends_with([';', '}']) {
            continue;
        }
        if let Some(length) = lines[at..].iter().position(|line| *line == end) {
            found.push((at + 1, length + 1));
        }
    }
    found
}

#[test]
fn functions_are_measured() {
    let text =
        "impl X {\n    pub async fn a(&self) {\n        b();\n    }\n}\nfn c() {}\npub(crate) fn d() -> u8\nwhere\n{\n    1\n}\n";
    assert_eq!(functions(text), vec![(2, 3), (7, 5)]);
}

#[test]
fn nothing_is_left_for_later_and_nothing_names_one_machine() {
    // Put together here, so that this file does not name them.
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    let places = ["work/main", "work/shared", "tmp/brief"].map(|place| format!("/{place}"));
    let mut found = Vec::new();
    for (name, text) in
        sources(&[".rs", ".sh", ".toml", ".md", ".ts", ".js", ".mjs", ".yml", ".html", ".css", "/up", "/test", "/bench", "/run"])
    {
        for (at, line) in text.lines().enumerate() {
            if words.iter().chain(&places).any(|word| line.contains(word.as_str())) {
                found.push(format!("{name}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn versions_of_dependencies_stand_in_one_place() {
    let manifests = sources(&["/Cargo.toml"]);
    assert!(manifests.len() > 10, "the packages were not found");
    for (name, text) in manifests {
        let manifest: toml::Table = toml::from_str(&text).expect("TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(toml::Value::Table(dependencies)) = manifest.get(section) else { continue };
            for (dependency, value) in dependencies {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherited, "{name}: {dependency} has a version of its own");
            }
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(lints, Some(true), "{name} does not take the workspace's lints");
    }
}
