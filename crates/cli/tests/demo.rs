//! `resilver demo` as a user types it: the real binary, its exit code, and every line that it prints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn resilver<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resilver"));
    command.args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON document on stdout")
}

/// Wrong usage: one line on stderr that says what is wrong and what to type, and nothing on stdout.
#[track_caller]
fn refused(arguments: &[&str], wrong: &str, next: &str) {
    let output = resilver(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!((said.lines().count(), text(&output.stdout).as_str()), (1, ""), "{said}");
    assert!(said.contains(wrong) && said.contains(next), "{said}");
}

#[test]
fn bad_usage_gets_one_line_that_says_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let missing = format!("{empty}/not there");
    refused(&[], "no command", "resilver demo");
    refused(&["dmeo"], "dmeo", "resilver --help");
    refused(&["demo", "--objects", "0"], "0 objects", "--objects 3");
    refused(&["demo", "--objects", "2"], "2 objects", "--objects 3");
    refused(&["demo", "--objects", "many"], "many", "resilver demo --help");
    refused(&["demo", "--object", "5"], "--object", "resilver demo --help");
    refused(&["demo", "--objects", "9", "--from", empty], "--from", "resilver demo --help");
    refused(&["demo", "--from", empty], "is empty", "name a directory");
    refused(&["demo", "--from", &missing], "not there", "name a directory");
    fs::write(folder.path().join("one"), "1").unwrap();
    refused(&["demo", "--from", empty], "1 file", "at least 3 files");
    refused(&["demo", "--from", &format!("{empty}/one")], "no directory", "name a directory");
}

#[test]
fn with_json_an_error_is_a_document_too() {
    let output = resilver(&["demo", "--objects", "0", "--json"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(2), ""));
    let error = &document(&output)["error"];
    assert_eq!(error["code"], "usage");
    assert!(error["message"].is_string() && error["next"].is_string(), "{error}");
}

#[test]
fn the_same_seed_gives_the_same_document_in_which_all_adds_up() {
    let run = |seed: &str| {
        let output = resilver(&["demo", "--objects", "60", "--seed", seed, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mut document = document(&output);
        assert!(document.as_object_mut().unwrap().remove("wall_ms").unwrap().is_u64());
        document
    };
    let told = run("7");
    assert_eq!(told, run("7"));
    let number = |name: &str| told[name].as_u64().unwrap();
    let ends = ["healed", "gone", "quarantined", "held"].map(number).iter().sum::<u64>();
    assert_eq!((number("objects"), number("failed"), ends), (60, 30, 30));
    assert_eq!((number("verified"), number("mismatched")), (120, 0));
    let causes = told["causes"].as_array().unwrap();
    let failed: u64 = causes.iter().map(|cause| cause["versions"].as_u64().unwrap()).sum();
    assert_eq!((causes.len(), failed), (3, 30));
    assert!(causes.iter().all(|cause| cause["repaired"] == true), "{causes:#?}");
    let cost = number("jobs") as f64 * 0.25 + number("rows") as f64 / 1e6;
    assert!((told["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-9, "{told:#}");
}

/// Files whose names are hard on whoever encodes keys, an empty one, and one that goes up in parts.
fn fill(folder: &Path) {
    let names = [
        "plain.txt",
        "with space.txt",
        "a+b.txt",
        "100%.txt",
        "%2B.txt",
        "naïve 東京 🦀.txt",
        "new\nline.txt",
        "quo\"te,comma.csv",
        "back\\slash",
        "sub dir/.hidden",
        "sub dir/&<>'.xml",
    ];
    fs::create_dir(folder.join("sub dir")).unwrap();
    for name in names {
        fs::write(folder.join(name), name).unwrap();
    }
    fs::write(folder.join("empty"), "").unwrap();
    let large: Vec<u8> =
        (0..17 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(folder.join("large"), large).unwrap();
}

#[test]
fn a_directory_of_odd_files_heals() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let output = resilver(&["demo", "--json", "--from", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = document(&output);
    let number = |name: &str| told[name].as_u64().unwrap();
    assert_eq!((number("objects"), number("verified"), number("mismatched")), (13, 26, 0));
    assert!(number("failed") >= 6 && number("healed") == number("failed"), "{told:#}");
}

#[test]
fn what_cannot_be_uploaded_is_listed_and_the_rest_heals() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    symlink("plain.txt", folder.path().join("link")).unwrap();
    fs::write(folder.path().join(OsStr::from_bytes(b"not-utf8-\xff")), "?").unwrap();
    let deep = ["d".repeat(250), "e".repeat(250), "f".repeat(250), "g".repeat(250)].join("/");
    fs::create_dir_all(folder.path().join(&deep)).unwrap();
    fs::write(folder.path().join(&deep).join("h".repeat(30)), "deep").unwrap();
    let from = folder.path().to_str().unwrap();
    let output = resilver(&["demo", "--json", "--from", from]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = document(&output);
    let skipped = told["skipped"].as_array().unwrap();
    let why =
        |part: &str| skipped.iter().filter(|s| s["why"].as_str().unwrap().contains(part)).count();
    assert_eq!(skipped.len(), 3, "{skipped:#?}");
    assert_eq!((why("link"), why("UTF-8"), why("1024")), (1, 1, 1), "{skipped:#?}");
    assert_eq!((&told["objects"], &told["mismatched"]), (&13.into(), &0.into()));
    let shown = text(&resilver(&["demo", "--from", from]).stdout);
    assert!(
        shown.contains("skipped  \"link\"") && shown.contains("3 files not uploaded"),
        "{shown}"
    );
}
