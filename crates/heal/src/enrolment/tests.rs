#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::time::hours;

const QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:failures";
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
const TAIL: &str = "</NotificationConfiguration>";

fn ours() -> Ours {
    Ours::new("prod", QUEUE)
}

fn document(children: &str) -> String {
    format!("{HEAD}{children}{TAIL}")
}

fn entry(kind: &str, id: &str, arn: &str, events: &[&str], filter: &[(&str, &str)]) -> String {
    let events: String = events.iter().map(|event| format!("<Event>{event}</Event>")).collect();
    let rules: String = filter
        .iter()
        .map(|(name, value)| {
            format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>")
        })
        .collect();
    let filter = match rules.as_str() {
        "" => String::new(),
        rules => format!("<Filter><S3Key>{rules}</S3Key></Filter>"),
    };
    format!(
        "<{kind}Configuration><Id>{id}</Id><{kind}>{arn}</{kind}>{events}{filter}</{kind}Configuration>"
    )
}

fn written(merge: Result<Merge, Refusal>) -> String {
    merge.unwrap().into_document().expect("something to write")
}

#[test]
fn our_entry_stands_behind_the_last_queue_and_the_rest_stays() {
    let queue = entry("Queue", "theirs", "arn:aws:sqs:x:1:q", &["s3:ObjectCreated:*"], &[]);
    let rest = "\n  <TopicConfiguration><Topic>t</Topic><Event>s3:LifecycleTransition</Event></TopicConfiguration><!-- x -->\n<EventBridgeConfiguration/>\n";
    let before = document(&format!("{queue}{rest}"));
    let after = written(install(before.as_bytes(), &ours()));
    let mine = format!(
        "<QueueConfiguration><Id>resilver-prod</Id><Queue>{QUEUE}</Queue><Event>{}</Event><Event>{}</Event></QueueConfiguration>",
        EVENTS[0], EVENTS[1]
    );
    assert_eq!(after, document(&format!("{queue}{mine}{rest}")));
    assert_eq!(install(after.as_bytes(), &ours()), Ok(Merge::Nothing));
    assert_eq!(written(remove(after.as_bytes(), &ours())), before);
}

#[test]
fn an_empty_document_is_opened() {
    for (before, name) in [
        ("<NotificationConfiguration xmlns=\"u\" />", "NotificationConfiguration"),
        ("<n:NotificationConfiguration xmlns:n='u'/>\n", "n:NotificationConfiguration"),
        ("<NotificationConfiguration></NotificationConfiguration>", "NotificationConfiguration"),
    ] {
        let after = written(install(before.as_bytes(), &ours()));
        assert!(after.trim_end().ends_with(&format!("</{name}>")), "{after}");
        assert_eq!(install(after.as_bytes(), &ours()), Ok(Merge::Nothing), "{after}");
        assert_eq!(after.contains("<n:QueueConfiguration><n:Id>"), name.starts_with("n:"));
    }
}

#[test]
fn an_older_entry_of_ours_is_replaced_where_it_is() {
    let old = entry("Queue", "resilver-prod", "arn:aws:sqs:x:1:old", &["s3:Replication:*"], &[]);
    let more = entry("Queue", "resilver-prod.2", QUEUE, &["s3:LifecycleTransition"], &[]);
    let bridge = "<EventBridgeConfiguration></EventBridgeConfiguration>";
    let before = document(&format!("{old}{bridge}{more}"));
    let after = written(install(before.as_bytes(), &ours()));
    let fresh = written(install(document("").as_bytes(), &ours()));
    let mine = fresh.strip_prefix(HEAD).unwrap().strip_suffix(TAIL).unwrap();
    assert_eq!(after, document(&format!("{mine}{bridge}")));
}

#[test]
fn the_entry_of_a_stack_whose_name_begins_like_ours_is_not_ours() {
    let other = entry("Queue", "resilver-prod-eu", "arn:x", &["s3:Replication:*"], &[]);
    let refusal = install(document(&other).as_bytes(), &ours()).unwrap_err();
    assert_eq!(refusal.code, Obstacle::Overlap);
    assert!(refusal.remedy.contains("one of the two Resilver stacks"), "{refusal}");
    assert_eq!(remove(document(&other).as_bytes(), &ours()), Ok(Merge::Nothing));
}

#[test]
fn whoever_has_our_events_is_named_with_a_remedy() {
    for (kind, events, filter) in [
        ("Queue", ["s3:Replication:*"], &[][..]),
        ("Topic", ["s3:Replication:OperationFailedReplication"], &[("prefix", "logs/")][..]),
        ("CloudFunction", ["s3:Replication:OperationNotTracked"], &[][..]),
        ("Stream", ["s3:Replication:*"], &[][..]),
    ] {
        let before = document(&entry(kind, "audit", "arn:aws:x:y", &events, filter));
        let refusal = install(before.as_bytes(), &ours()).unwrap_err();
        assert_eq!(refusal.code, Obstacle::Overlap, "{kind}");
        assert!(refusal.why.contains("arn:aws:x:y") && refusal.why.contains("audit"), "{refusal}");
        assert!(refusal.remedy.contains("feeds-resilver-prod"), "{refusal}");
    }
    let beside = entry("Queue", "a", "arn:a", &["s3:Replication:OperationMissedThreshold"], &[]);
    assert!(install(document(&beside).as_bytes(), &ours()).unwrap().into_document().is_some());
}

#[test]
fn a_topic_that_is_marked_to_feed_our_queue_is_as_good_as_our_entry() {
    let topic = |id: &str, filter: &[(&str, &str)]| {
        document(&entry("Topic", id, "arn:aws:sns:x:1:t", &["s3:Replication:*"], filter))
    };
    let marked = topic("audit feeds-resilver-prod", &[]);
    assert_eq!(install(marked.as_bytes(), &ours()), Ok(Merge::Nothing));
    assert_eq!(remove(marked.as_bytes(), &ours()), Ok(Merge::Nothing), "it is not ours to remove");
    for other in
        [topic("feeds-resilver-prod-eu", &[]), topic("feeds-resilver-prod", &[("prefix", "a")])]
    {
        assert_eq!(install(other.as_bytes(), &ours()).unwrap_err().code, Obstacle::Overlap);
    }
}

#[test]
fn two_entries_overlap_only_where_a_key_can_pass_both_filters() {
    let listener = |event: &str, prefix: &str, suffix: &str| Listener {
        events: vec![event.to_owned()],
        prefix: prefix.to_owned(),
        suffix: suffix.to_owned(),
        ..ours().listener()
    };
    let failed = EVENTS[0];
    for (one, other, overlap) in [
        ((failed, "a/", ""), (failed, "b/", ""), false),
        ((failed, "a/", ""), (failed, "a/b", ""), true),
        ((failed, "a/", ".x"), (failed, "", ".y"), false),
        ((failed, "a/", ".x"), (failed, "", "x"), true),
        ((failed, "a/", ""), ("s3:Replication:*", "", ".x"), true),
        ((failed, "", ""), (EVENTS[1], "", ""), false),
    ] {
        let (a, b) = (listener(one.0, one.1, one.2), listener(other.0, other.1, other.2));
        assert_eq!((a.overlaps(&b), b.overlaps(&a)), (overlap, overlap), "{one:?} {other:?}");
    }
}

#[test]
fn a_document_at_its_limit_takes_no_entry_more() {
    let entries = |n: usize| -> String {
        (0..n)
            .map(|n| {
                entry(
                    "Queue",
                    &format!("e{n}"),
                    "arn:q",
                    &["s3:ObjectCreated:Put"],
                    &[("prefix", &format!("{n}/"))],
                )
            })
            .collect()
    };
    assert!(install(document(&entries(99)).as_bytes(), &ours()).is_ok());
    let full = install(document(&entries(100)).as_bytes(), &ours()).unwrap_err();
    assert_eq!(full.code, Obstacle::Full);
    assert!(full.to_string().contains("100 notification entries"), "{full}");
    let old = entry("Queue", "resilver-prod", "arn:old", &["s3:Replication:*"], &[]);
    let before = document(&format!("{}{old}", entries(99)));
    assert!(install(before.as_bytes(), &ours()).is_ok(), "ours is replaced, not added");
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let broken = [
        "",
        "not found",
        "<html><body>busy</body></html>",
        "<NotificationConfiguration>",
        "<NotificationConfiguration><a></NotificationConfiguration>",
        "<NotificationConfiguration/><NotificationConfiguration/>",
        "<!DOCTYPE x [<!ENTITY e 'y'>]><NotificationConfiguration><Id>&e;</Id></NotificationConfiguration>",
        "<NotificationConfiguration><Id>&e;</Id></NotificationConfiguration>",
    ];
    let deep = format!("<NotificationConfiguration>{}", "<a>".repeat(100));
    for text in broken.into_iter().chain([deep.as_str()]) {
        assert_eq!(
            install(text.as_bytes(), &ours()).unwrap_err().code,
            Obstacle::Unreadable,
            "{text}"
        );
        assert_eq!(
            remove(text.as_bytes(), &ours()).unwrap_err().code,
            Obstacle::Unreadable,
            "{text}"
        );
    }
    assert_eq!(install(b"\xff", &ours()).unwrap_err().code, Obstacle::Unreadable);
}

#[test]
fn the_difference_is_told_an_entry_a_line() {
    let theirs = entry(
        "Topic",
        "t",
        "arn:t",
        &["s3:ObjectCreated:*"],
        &[("Prefix", "in/"), ("suffix", ".csv")],
    );
    let old = entry("Queue", "resilver-prod", "arn:old", &[EVENTS[0]], &[]);
    let before = document(&format!("{theirs}{old}"));
    let after = written(install(before.as_bytes(), &ours()));
    assert_eq!(
        diff(before.as_bytes(), after.as_bytes()),
        [
            format!("- resilver-prod: {} to queue arn:old", EVENTS[0]),
            format!("+ resilver-prod: {}, {} to queue {QUEUE}", EVENTS[0], EVENTS[1]),
        ]
    );
    let none = document("<EventBridgeConfiguration/>");
    assert_eq!(
        diff(before.as_bytes(), none.as_bytes()),
        [
            "- t: s3:ObjectCreated:* of in/*.csv to topic arn:t".to_owned(),
            format!("- resilver-prod: {} to queue arn:old", EVENTS[0]),
            "+ EventBridgeConfiguration".to_owned(),
        ]
    );
}

#[test]
fn what_a_document_means_for_a_bucket_that_is_enrolled() {
    let bucket = Bucket::try_from("photos".to_owned()).unwrap();
    let enrolled = Enrolled::new(&bucket, &ours(), By::Settings, Timestamp(1));
    let standing = |children: &str| enrolled.standing(document(children).as_bytes());
    let theirs = entry("Queue", "t", "arn:t", &["s3:ObjectCreated:*"], &[]);
    let mine = written(install(document(&theirs).as_bytes(), &ours()));
    assert_eq!(enrolled.standing(mine.as_bytes()), Standing::Enrolled);
    let Standing::Drifted { found } = standing("") else { panic!() };
    assert_eq!(found, "no entry at all");
    let Standing::Drifted { found } = standing(&theirs) else { panic!() };
    assert_eq!(found, "only entries of others: t: s3:ObjectCreated:* to queue arn:t");
    let narrowed = entry("Queue", "resilver-prod", QUEUE, &EVENTS, &[("prefix", "a/")]);
    let Standing::Drifted { found } = standing(&narrowed) else { panic!() };
    assert!(found.starts_with("our entry, changed: ") && found.contains("of a/*"), "{found}");
    let taken = entry("Queue", "audit", "arn:t", &["s3:Replication:*"], &[]);
    let Standing::Refused(refusal) = standing(&taken) else { panic!() };
    assert_eq!(refusal.code, Obstacle::Overlap);
}

#[test]
fn an_obstacle_that_stands_is_one_obstacle() {
    let bucket = Bucket::try_from("photos".to_owned()).unwrap();
    let first = Unenrolled::new(None, &bucket, Obstacle::Denied, Timestamp(1));
    let again = Unenrolled::new(Some(&first), &bucket, Obstacle::Denied, Timestamp(hours(1)));
    assert_eq!(again, first);
    let other = Unenrolled::new(Some(&first), &bucket, Obstacle::Full, Timestamp(hours(1)));
    assert_eq!(other.since, Timestamp(hours(1)));
}

#[test]
fn a_bucket_that_a_person_enrolled_stays_theirs() {
    let bucket = Bucket::try_from("photos".to_owned()).unwrap();
    let enrolled = Enrolled::new(&bucket, &ours(), By::Person, Timestamp(5));
    let again = enrolled.again(&Ours::new("prod", "arn:new"), By::Settings, Timestamp(9));
    assert_eq!((again.by, again.since, again.verified), (By::Person, Timestamp(5), Timestamp(9)));
    assert_eq!(again.ours.queue, "arn:new");
    let text = serde_json::to_string(&again).unwrap();
    assert_eq!(serde_json::from_str::<Enrolled>(&text).unwrap(), again, "{text}");
}

#[test]
fn a_destination_that_s3_cannot_send_to_is_ours_or_theirs_or_unsaid() {
    let said = "Unable to validate the following destination configurations";
    let theirs = others(
        document(&entry("Topic", "t", "arn:t", &["s3:ObjectCreated:*"], &[])).as_bytes(),
        &ours(),
    );
    let of = |more: &str, others: &[Listener]| {
        Unvalidated::of(&format!("{said} {more}"), others, &ours())
    };
    assert_eq!(of("", &[]), Some(Unvalidated::Ours));
    assert_eq!(of(QUEUE, &theirs), Some(Unvalidated::Ours));
    assert_eq!(of("arn:t", &theirs), Some(Unvalidated::Theirs(vec!["arn:t".to_owned()])));
    assert_eq!(of("", &theirs), Some(Unvalidated::Unsaid(vec!["arn:t".to_owned()])));
    assert_eq!(Unvalidated::of("Configurations overlap", &theirs, &ours()), None);
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Something that another consumer may have in a document.
    fn foreign(&mut self, n: usize) -> String {
        let kind = self.of(&["Queue", "Topic", "CloudFunction", "Stream"]);
        let event = self.of(&[
            "s3:ObjectCreated:*",
            "s3:LifecycleExpiration:Delete",
            "s3:Replication:OperationMissedThreshold",
        ]);
        let id = self.of(&[
            "a &amp; b",
            "<![CDATA[<Id>resilver-prod</Id>]]>",
            "ü",
            "&#x41;",
            "resilver-product",
        ]);
        let filter =
            self.of(&[&[][..], &[("Prefix", "x &lt; y/")], &[("suffix", ".jpg"), ("prefix", "")]]);
        let entry = entry(kind, &format!("{n} {id}"), "arn:aws:x:y:z", &[event], filter);
        match self.below(7) {
            0 => "<EventBridgeConfiguration/>".to_owned(),
            1 => "<EventBridgeConfiguration>\n</EventBridgeConfiguration >".to_owned(),
            2 => format!("<Unheard of='{n}'><Id>resilver-prod</Id><of/></Unheard>"),
            3 => entry.replace("</Id>", "</Id>\n <Retries unit=\"x\">3</Retries><!-- <Event> -->"),
            _ => entry,
        }
    }
}

/// Peer lesson 19: a document with entries of others survives install, upgrade and uninstall.
#[test]
fn entries_of_others_survive_install_upgrade_and_uninstall_byte_for_byte() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let foreign: Vec<String> = (0..dice.below(8) as usize).map(|n| dice.foreign(n)).collect();
        let gap = dice.of(&["", "\n", "\n  ", "<!-- between -->"]);
        let before = document(&(foreign.join(gap) + gap));
        let installed = written(install(before.as_bytes(), &ours()));
        let newer = Ours { queue: "arn:aws:sqs:us-east-1:111122223333:new".into(), ..ours() };
        let upgraded = written(install(installed.as_bytes(), &newer));
        assert_eq!(install(upgraded.as_bytes(), &newer), Ok(Merge::Nothing), "{upgraded}");
        for text in [&installed, &upgraded] {
            let mut rest = text.as_str();
            for slice in &foreign {
                let at = rest.find(slice.as_str());
                rest = &rest[at.unwrap_or_else(|| panic!("{seed}: {slice} is not in {text}"))
                    + slice.len()..];
            }
            assert_eq!(
                text.len() - before.len(),
                own_length(text),
                "{seed}: nothing else is added"
            );
        }
        assert_eq!(written(remove(upgraded.as_bytes(), &ours())), before, "{seed}");
    }
}

fn own_length(text: &str) -> usize {
    let parsed = Document::parse(text.as_bytes()).unwrap();
    let own = own(&parsed, &ours());
    own.iter().map(|n| parsed.children[*n].at.len()).sum()
}
