//! What is easier to check than to remember: that the two machines are pure, that files and functions
//! stay small, that no file is left out of the build, that one enum spells the keys of the state
//! bucket, and that the README names every setting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines that a file and a function may have, and the `main.rs` of a function.
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 30;

/// All that `heal` is built of. None of these opens a file or a socket, and what could read a clock
/// (`time`) is banned from doing so by `crates/heal/clippy.toml`.
const HEAL_IS_BUILT_OF: [&str; 35] = [
    "block-buffer",
    "cfg-if",
    "const-oid",
    "cpufeatures",
    "crypto-common",
    "csv",
    "csv-core",
    "deranged",
    "digest",
    "hex",
    "hybrid-array",
    "itoa",
    "libc",
    "memchr",
    "num-conv",
    "percent-encoding",
    "powerfmt",
    "proc-macro2",
    "quick-xml",
    "quote",
    "ryu",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "sha2",
    "syn",
    "thiserror",
    "thiserror-impl",
    "time",
    "time-core",
    "time-macros",
    "typenum",
    "unicode-ident",
    "zmij",
];

/// What reaches outside of a machine, or tells the time of its own accord.
const OUTSIDE: [&str; 16] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "SystemTime",
    "Instant::now",
    "now_utc",
    "thread_rng",
    "getrandom",
    "tokio",
    "hyper",
    "s3s",
    "http::",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the project, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut folders = vec![root().join("crates"), root().join("functions"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for found in fs::read_dir(folder).unwrap() {
            let path = found.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs")
}

/// The code of a file: no comments, and nothing after its tests begin.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let code = lines.take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
    code.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[track_caller]
fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// The packages that a package is built of, tests aside, on this machine.
fn built_of(package: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--package", package, "--edges", "normal,build", "--prefix", "none"]);
    let tree = cargo.args(["--locked", "--offline"]).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != package).map(str::to_owned).collect()
}

#[test]
fn heal_is_built_of_nothing_that_does_io() {
    let allowed: BTreeSet<String> = HEAL_IS_BUILT_OF.map(str::to_owned).into();
    let more: Vec<String> = built_of("resilver-heal").difference(&allowed).cloned().collect();
    none(more, "heal needs what is not on its list");
}

#[test]
fn the_emulator_can_disagree_with_heal() {
    let ours =
        built_of("resilver-emulator").into_iter().filter(|name| name.starts_with("resilver"));
    none(ours.collect(), "the emulator may not need");
}

#[test]
fn the_machines_reach_nothing_outside() {
    let mut found = Vec::new();
    for (name, text) in sources() {
        if name.starts_with("crates/heal/src") || name.starts_with("crates/emulator/src/world") {
            for (at, line) in code(&text) {
                let outside = OUTSIDE.iter().filter(|word| line.contains(**word));
                found.extend(outside.map(|word| format!("{name}:{at}: {word}")));
            }
        }
    }
    none(found, "heal and emulator::world are pure");
}

#[test]
fn files_and_functions_are_small() {
    let mut found = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        let is_main = name.starts_with("functions/") && name.ends_with("/main.rs");
        let most = if is_main { MAIN_LINES_MAX } else { FILE_LINES_MAX };
        if lines.len() > most {
            found.push(format!("{name} has {} lines, more than {most}", lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            let length = function_length(&lines[at..], line);
            if length > FUNCTION_LINES_MAX {
                found.push(format!("{name}:{}: a function of {length} lines", at + 1));
            }
        }
    }
    none(found, "files and functions are small");
}

/// The lines of the function that begins here, as rustfmt sets it; 0 where none does.
fn function_length(lines: &[&str], line: &str) -> usize {
    let code = line.trim_start();
    let opens =
        ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(", "const fn ", "pub const fn "];
    if !opens.iter().any(|open| code.starts_with(open)) || !code.contains("fn ") {
        return 0;
    }
    let end = format!("{}}}", &line[..line.len() - code.len()]);
    lines.iter().position(|line| *line == end).map_or(0, |end| end + 1)
}

#[test]
fn every_module_says_what_it_is() {
    let sources = sources();
    let silent = sources.iter().filter(|(name, text)| !is_test(name) && !text.starts_with("//!"));
    none(silent.map(|(name, _)| name.clone()).collect(), "a module opens with what it is");
}

#[test]
fn every_file_is_built() {
    let sources = sources();
    let mut found = Vec::new();
    for name in sources.keys() {
        let path = Path::new(name);
        let (folder, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
        // Cargo finds these by itself.
        let is_test_target = folder.ends_with("tests") && folder != Path::new("tests");
        let is_example = folder.ends_with("examples");
        if ["lib", "main"].contains(&stem) || is_test_target || is_example {
            continue;
        }
        let (word, folder) = match stem {
            "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap()),
            _ => (stem, folder),
        };
        // Its parent is in its folder, or has the folder's name, or says the path.
        let (module, inside) = (format!("mod {word};"), folder.with_extension("rs"));
        let above = |other: &str| {
            let other = Path::new(other);
            other.parent() == Some(folder) || other == inside || folder.parent() == other.parent()
        };
        let declared =
            sources.iter().any(|(other, text)| above(other) && text.contains(module.as_str()));
        if !declared {
            found.push(name.clone());
        }
    }
    none(found, "no module declares these files, so cargo never builds them");
}

#[test]
fn one_enum_spells_the_keys_of_the_state_bucket() {
    let prefixes = ["failures/", "settling/", "verdicts/", "settled/", "ledger/", "plans/"];
    let prefixes = prefixes.iter().chain(&[
        "manifests/",
        "outbox/",
        "notices/",
        "rejects/",
        "enrolled/",
        "unenrolled/",
    ]);
    let spelt: Vec<String> = prefixes.map(|prefix| format!("\"{prefix}")).collect();
    let mut found = Vec::new();
    for (name, text) in sources() {
        if is_test(&name)
            || name.starts_with("crates/emulator")
            || name.ends_with("heal/src/state.rs")
        {
            continue;
        }
        for (at, line) in code(&text) {
            if spelt.iter().any(|prefix| line.contains(prefix.as_str())) {
                found.push(format!("{name}:{at}: {}", line.trim()));
            }
        }
    }
    none(found, "only heal::state spells a key of the state bucket");
}

#[test]
fn the_readme_names_every_setting() {
    let name = |text: &str| {
        let known = |c: char| c.is_ascii_uppercase() || c == '_';
        let end = text.find(|c| !known(c)).unwrap_or(text.len());
        format!("RESILVER{}", &text[..end])
    };
    let mut read = BTreeSet::new();
    for (file, text) in sources() {
        if !is_test(&file) && (file.starts_with("functions/") || file.starts_with("crates/aws/")) {
            let lines = code(&text).map(|(_, line)| line).collect::<Vec<_>>().join("\n");
            read.extend(lines.split("\"RESILVER").skip(1).map(name));
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let told: BTreeSet<String> = readme.split("`RESILVER").skip(1).map(name).collect();
    assert_eq!(read, told, "settings that the code reads, and those that the README names");
}

#[test]
fn the_readme_has_every_parameter_with_its_default() {
    let template = resilver::app::template().unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.split("### Parameters").nth(1).unwrap().split("###").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: Vec<(String, String)> = rows
        .map(|row| {
            let (name, rest) = row.split_once("` |").unwrap();
            (name.to_owned(), rest.split('|').next().unwrap().trim().to_owned())
        })
        .collect();
    let mut expected = Vec::new();
    for name in template.parameters() {
        let default = &template.document()["Parameters"][name]["Default"];
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        expected.push((name.to_owned(), default));
    }
    let (told, expected): (BTreeSet<_>, BTreeSet<_>) =
        (told.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(told, expected);
}
