#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

fn key(text: &str) -> Key {
    Key::try_from(text.to_owned()).unwrap()
}

#[test]
fn a_key_has_three_spellings() {
    for (event, manifest, decoded) in [
        ("red+flower.jpg", "red%20flower.jpg", "red flower.jpg"),
        ("a%2Bb", "a%2Bb", "a+b"),
        ("100%25", "100%25", "100%"),
        ("%C3%A9", "%C3%A9", "é"),
        ("a%2Cb%22c%0Ad", "a%2Cb%22c%0Ad", "a,b\"c\nd"),
        ("photos/2026/a.jpg", "photos/2026/a.jpg", "photos/2026/a.jpg"),
        ("%F0%9F%AA%A3", "%F0%9F%AA%A3", "🪣"),
    ] {
        assert_eq!(Key::from_event(event), Ok(key(decoded)), "{event}");
        assert_eq!(key(decoded).to_manifest(), manifest);
        assert_eq!(Key::from_manifest(manifest), Ok(key(decoded)));
        assert_eq!(Key::from_report(manifest), Ok(key(decoded)));
    }
    // A plus as it is can only come from a list that S3 made.
    assert_eq!(Key::from_listing("a+b%2B"), Ok(key("a b+")));
    assert_eq!(Key::from_report("a+b%2B"), Ok(key("a b+")));
}

#[test]
fn any_key_survives_the_manifest() {
    let long = "ü".repeat(512);
    for text in ["/", "//", "../..", " ", "\u{1}", "\r\n", "%2F", "%", "+", "#,\"'", "~", &long] {
        assert_eq!(Key::from_manifest(&key(text).to_manifest()), Ok(key(text)));
        let field = key(text).to_manifest();
        assert_eq!(key(text).manifest_len(), field.len());
        assert!(field.bytes().all(|b| b.is_ascii_graphic() && !b",\"#@".contains(&b)), "{field}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for text in ["%", "a%2", "%zz", "%C3%28"] {
        assert!(matches!(Key::from_event(text), Err(KeyError::Encoding(_))), "{text}");
    }
    assert!(Key::try_from(String::new()).is_err());
    assert!(Key::try_from("x".repeat(1_025)).is_err());
    for text in ["ab", "Bucket", "a_b", "arn:aws:s3:::b"] {
        assert!(Bucket::try_from(text.to_owned()).is_err(), "{text}");
    }
    for text in ["", "a b", "a,b", "a\n"] {
        assert!(VersionId::try_from(text.to_owned()).is_err(), "{text:?}");
    }
    assert!(VersionId::try_from("abcdeH0Xp66ep__QDjR76LK7Gc9X4wKO".to_owned()).is_ok());
    assert!(JobId::try_from("e849b567-5232-44be-9a0c-40988f14e80c".to_owned()).is_ok());
    assert!(JobId::try_from("../../x".to_owned()).is_err());
}
