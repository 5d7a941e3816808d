#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/recorded/", $name))
    };
}

fn bucket() -> Bucket {
    Bucket::try_from("src-bucket".to_owned()).unwrap()
}

fn read(bytes: &[u8]) -> Rows {
    read_rows(bytes, &bucket())
}

#[test]
fn the_documented_manifest_is_read() {
    let manifest = ReportManifest::parse(recorded!("report-manifest.json")).unwrap();
    let statuses: Vec<_> =
        manifest.results.iter().map(|file| file.task_execution_status.as_str()).collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
    assert!(manifest.results[1].key.ends_with("b2ddad417e94331e9f37b44f1faf8c7ed5873f2e.csv"));
    let empty = ReportManifest::parse(br#"{"Format":"Report_CSV_20180820"}"#).unwrap();
    assert_eq!(empty.results, []);
    assert!(matches!(ReportManifest::parse(b"{}"), Err(ReportError::Shape(_))));
    assert!(matches!(ReportManifest::parse(br#"{"Format":"X"}"#), Err(ReportError::Format(_))));
}

#[test]
fn recorded_rows_are_read() {
    let Rows { rows, rejects } = read(recorded!("report-rows.csv"));
    assert_eq!(rejects, []);
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            (row.key.as_str(), row.succeeded, row.http, row.reason.as_ref().map(Reason::as_str))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("control.txt", true, Some(200), None),
            ("archived.txt", false, Some(500), Some("SrcObjectNotEligible")),
            ("retag-verify/pct%20literal.txt", false, Some(500), Some("DstPutObjectNotPermitted")),
        ]
    );
    assert_eq!(rows[2].message, "Access denied, twice: \"put\"");
}

#[test]
fn columns_are_told_apart_by_content() {
    for (fields, http, reason) in [
        ("500,DstBucketNotFound", Some(500), Some("DstBucketNotFound")),
        ("DstBucketNotFound,500", Some(500), Some("DstBucketNotFound")),
        ("200,", Some(200), None),
        (",200", Some(200), None),
        (",", None, None),
        ("99,Odd", None, Some("Odd")),
    ] {
        let row = format!("src-bucket,k,v,failed,{fields},why\n");
        let rows = read(row.as_bytes());
        assert_eq!(rows.rows.len(), 1, "{row}{rows:?}");
        assert_eq!(rows.rows[0].http, http, "{row}");
        assert_eq!(rows.rows[0].reason.as_ref().map(Reason::as_str), reason, "{row}");
    }
}

/// Every good row of `file` is read, and `bad` is what is given back.
fn check_bad(good: &str, bad: &str, file: &str) {
    let rows = read(file.as_bytes());
    let good = read(good.as_bytes()).rows;
    assert_eq!(rows.rows, [good.clone(), good.clone(), good].concat(), "{file}");
    let raw: Vec<u8> = rows.rejects.iter().flat_map(|reject| reject.raw.clone()).collect();
    let filled = |text: &str| text.lines().filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(filled(&String::from_utf8_lossy(&raw)), filled(bad), "{file}");
}

#[test]
fn one_bad_row_sinks_nothing() {
    let good = "src-bucket,good,v,succeeded,200,,success\n";
    for bad in [
        "src-bucket,short,v,succeeded\n",
        "src-bucket,k,v,succeeded,200,,ok,more\n",
        "src-bucket,k,,succeeded,200,,no version\n",
        "src-bucket,k%zz,v,succeeded,200,,bad key\n",
        "src-bucket,k,v,perhaps,200,,bad status\n",
        "src-bucket,k,v,failed,500,Odd,\"never closes\n",
        "src-bucket,\"k,v,failed,500,Odd,never closes either\n",
        "other-bucket,k,v,succeeded,200,,success\n",
        "\n\ngarbage\n",
        "\"garbage\n",
        "\"src-bucket,k,v,failed,500,Odd,closes nowhere\n",
        "other-bucket,k,v,failed,500,Odd,\"never closes\n",
        "\nsrc-bucket,k,v,failed,500,Odd,\"never closes\n",
        "src-bucket,k,v,failed,500,Odd,\"never closes\nand goes on\n",
        "src-bucket,k,v,failed,500,x\"a,\"closes, and opens another\n",
    ] {
        for end in ["\n", "\r\n"] {
            let [good, bad] = [good, bad].map(|text| text.replace('\n', end));
            check_bad(&good, &bad, &format!("{good}{bad}{good}{good}"));
            check_bad(&good, &bad, &format!("{good}{good}{good}{bad}"));
            check_bad(&good, &bad.repeat(3), &format!("{bad}{good}{bad}{good}{good}{bad}"));
        }
    }
    let mut file = good.as_bytes().to_vec();
    file.extend_from_slice(b"src-bucket,\xff\xfe,v,succeeded,200,,not UTF-8\n");
    file.extend_from_slice(good.as_bytes());
    let rows = read(&file);
    assert_eq!((rows.rows.len(), rows.rejects.len()), (2, 1));
}

#[test]
fn a_message_may_have_line_ends() {
    let rows =
        read(b"src-bucket,k,v,failed,500,Odd,\"two\nlines\"\nsrc-bucket,l,v,succeeded,200,,ok");
    assert_eq!(
        rows.rows.iter().map(|row| row.message.as_str()).collect::<Vec<_>>(),
        ["two\nlines", "ok"]
    );
    assert_eq!(rows.rejects, []);
}

/// Rows of all kinds, every tenth of them broken.
fn file(broken: bool) -> Vec<u8> {
    let mut file = String::new();
    for n in 0..40 {
        let message = ["ok", "\"two\nlines\"", "\"a, \"\"b\"\"\"", ""][n % 4];
        let message = if broken && n % 10 == 9 { "\"never closes" } else { message };
        let key = "x".repeat(n * 7 % 23 + 1);
        let bucket = ["src-bucket", "\"src-bucket\""][n % 7 / 6];
        file += &format!("{bucket},{key}{n},v{n},failed,500,Odd,{message}\n");
    }
    file.into_bytes()
}

fn chunks(file: &[u8], chunk_bytes: usize) -> Vec<&[u8]> {
    let chunk = |k: usize| {
        let from = k * chunk_bytes;
        let to = (from + chunk_bytes + 200).min(file.len());
        let window = &file[from.saturating_sub(1)..to];
        rows_of_chunk(window, k == 0, chunk_bytes, &bucket())
    };
    (0..file.len().div_ceil(chunk_bytes)).map(chunk).collect()
}

/// However a file is cut, every row is in exactly one chunk, and every chunk says of its rows what the
/// whole file says.
#[test]
fn chunks_cover_every_row_once() {
    for (file, counts) in [(file(false), (40, 0)), (file(true), (36, 4))] {
        let whole = read(&file);
        assert_eq!((whole.rows.len(), whole.rejects.len()), counts);
        for chunk_bytes in [1, 2, 3, 7, 50, 64, 100, 1_000, 10_000] {
            let pieces = chunks(&file, chunk_bytes);
            assert_eq!(pieces.concat(), file, "chunks of {chunk_bytes}");
            let mut all = Rows::default();
            for piece in pieces.into_iter().map(read) {
                all.rows.extend(piece.rows);
                all.rejects.extend(piece.rejects);
            }
            assert_eq!(all, whole, "chunks of {chunk_bytes}");
        }
    }
}
