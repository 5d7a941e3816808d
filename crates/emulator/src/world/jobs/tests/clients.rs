//! What clients ask of jobs, and what they hear of them.
#![allow(clippy::unwrap_used)]

use super::{failed, lines};
use crate::world::Task;
use crate::world::jobs::request::Request;
use crate::world::jobs::{Status, create, describe, list, update_priority, update_status};
use crate::world::object::ReplicationStatus;
use crate::world::replication::lab::Lab;

#[test]
fn a_token_makes_one_job() {
    let (mut lab, versions) = failed(1);
    let request = lab.request(&lines(&versions));
    let first = create(&mut lab.world, request.clone()).unwrap();
    lab.settle();
    assert_eq!(create(&mut lab.world, request.clone()).unwrap(), first);
    let other = Request { priority: 11, ..request };
    assert_eq!(create(&mut lab.world, other).unwrap_err().code, "IdempotencyException");
    assert_eq!(lab.world.jobs.iter().count(), 1);
}

#[test]
fn a_request_is_refused_for_what_is_wrong_in_itself() {
    let check = |spoil: fn(&mut Request)| {
        let mut lab = Lab::new();
        let mut request = lab.request("");
        spoil(&mut request);
        assert_eq!(create(&mut lab.world, request).unwrap_err().code, "BadRequestException");
    };
    check(|request| request.token.clear());
    check(|request| request.role = "batch".into());
    check(|request| request.role = "arn:aws:iam::1111:role/x".into());
    check(|request| request.priority = -1);
    check(|request| request.description = Some("x".repeat(257)));
    check(|request| request.report.bucket = Some("state".into()));
    check(|request| request.report.scope = None);
    check(|request| request.report.prefix = Some(String::new()));
    check(|request| request.tags = vec![("k".into(), "v".into()); 51]);
}

#[test]
fn a_suspended_job_waits_for_its_confirmation() {
    let (mut lab, versions) = failed(1);
    let request = Request { confirmation_required: true, ..lab.request(&lines(&versions)) };
    let id = lab.run(request.clone());
    let job = lab.job(&id);
    assert_eq!((job.status, job.total), (Status::Suspended, 1));
    assert_eq!(lab.status("k00000", &versions[0].1), Some(ReplicationStatus::Failed));
    update_status(&mut lab.world, &id, "Ready", None).unwrap();
    lab.settle();
    assert_eq!(lab.job(&id).status, Status::Complete);
    let refused = update_status(&mut lab.world, &id, "Ready", None).unwrap_err();
    assert_eq!(refused.code, "JobStatusException");
    let other = Request { token: "unconfirmed".into(), ..request };
    let id = lab.run(other);
    lab.world.advance_to(lab.world.now() + 31 * 86_400_000);
    assert_eq!(describe(&mut lab.world, &id).unwrap().status, Status::Failed);
    lab.world.advance_to(lab.world.now() + 91 * 86_400_000);
    assert_eq!(describe(&mut lab.world, &id).unwrap_err().code, "NotFoundException");
    assert_eq!(lab.world.jobs.iter().count(), 0);
}

#[test]
fn a_cancelled_job_reports_what_it_had_done() {
    let (mut lab, versions) = failed(10);
    lab.world.config.job_tasks_per_step = 4;
    let request = lab.request(&lines(&versions));
    let id = create(&mut lab.world, request.clone()).unwrap();
    while lab.job(&id).succeeded == 0 {
        lab.world.advance_to(lab.world.next_due().unwrap());
    }
    update_status(&mut lab.world, &id, "Cancelled", Some("enough")).unwrap();
    lab.settle();
    assert_eq!((lab.job(&id).status, lab.rows(&id).len()), (Status::Cancelled, 4));
    assert_eq!(lab.job(&id).status_update_reason.as_deref(), Some("enough"));
    let early = Request { token: "early".into(), ..request };
    let id = create(&mut lab.world, early).unwrap();
    update_status(&mut lab.world, &id, "Cancelled", None).unwrap();
    lab.settle();
    assert!(lab.report(&id).is_none());
    assert_eq!(update_priority(&mut lab.world, &id, 3).unwrap_err().code, "BadRequestException");
}

#[test]
fn six_jobs_run_and_the_rest_wait_by_priority() {
    let (mut lab, versions) = failed(4);
    lab.world.config.active_jobs_max = 2;
    lab.world.config.job_tasks_per_step = 1;
    let request = lab.request(&lines(&versions));
    let ids: Vec<String> = [1, 1, 1, 9]
        .iter()
        .enumerate()
        .map(|(at, priority)| {
            let request = Request { priority: *priority, token: at.to_string(), ..request.clone() };
            create(&mut lab.world, request).unwrap()
        })
        .collect();
    let mut most = 0;
    while let Some(due) = lab.world.next_due() {
        lab.world.advance_to(due);
        most = most.max(lab.world.jobs.active());
    }
    assert_eq!(most, 2);
    let since: Vec<_> = ids.iter().map(|id| lab.job(id).active_since.unwrap()).collect();
    assert!(since[3] < since[2], "the urgent one overtakes: {since:?}");
    assert!(ids.iter().all(|id| lab.job(id).status == Status::Complete));
}

#[test]
fn every_change_of_state_is_told_where_a_trail_exists() {
    let (mut lab, versions) = failed(1);
    let request = lab.request(&lines(&versions));
    let id = create(&mut lab.world, request.clone()).unwrap();
    let mut told = Vec::new();
    while let Some(due) = lab.world.next_due() {
        for (at, task) in lab.world.agenda.iter() {
            if let (true, Task::BusEvent(event)) = (at == due, task) {
                let details = &event.detail["serviceEventDetails"];
                assert_eq!(details["jobId"], id.as_str());
                assert_eq!(event.time + lab.world.config.trail_delay, at);
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                told.push((text(&event.detail["eventName"]), text(&details["status"])));
            }
        }
        lab.world.advance_to(due);
    }
    told.dedup();
    let changes = ["Preparing", "Ready", "Active", "Completing", "Complete"];
    let mut expected = vec![("JobCreated".to_owned(), "New".to_owned())];
    expected.extend(changes.map(|status| ("JobStatusChanged".to_owned(), status.to_owned())));
    assert_eq!(told, expected);
    lab.world.config.trail = false;
    create(&mut lab.world, Request { token: "silent".into(), ..request }).unwrap();
    assert!(!lab.world.agenda.iter().any(|(_, task)| matches!(task, Task::BusEvent(_))));
}

#[test]
fn jobs_are_listed_newest_first_in_pages() {
    let mut lab = Lab::new();
    let request = lab.request("");
    let mut ids: Vec<String> = (0..5)
        .map(|at| {
            create(&mut lab.world, Request { token: at.to_string(), ..request.clone() }).unwrap()
        })
        .collect();
    ids.reverse();
    let mut seen: Vec<String> = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = list(&mut lab.world, &["New".into()], token.as_deref(), Some(2)).unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id.clone()));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    assert!(list(&mut lab.world, &["Failed".into()], None, None).unwrap().jobs.is_empty());
    let code = |statuses: &[String], token| {
        list(&mut Lab::new().world, statuses, token, None).unwrap_err().code
    };
    assert_eq!(code(&["Done".into()], None), "InvalidRequestException");
    assert_eq!(code(&[], Some("x")), "InvalidNextTokenException");
}
