"""The life of a job (S3 User Guide, "Tracking job status and completion reports")."""

from datetime import timedelta

import pytest

from cloud import REPORTS, arn, generator, refusal

REACHED = ["New", "Preparing", "Ready", "Active", "Completing", "Complete"]


@pytest.fixture
def slow(pair):
    """A configuration, and jobs that take a minute for each step and five tasks in each."""
    pair.replicate()
    pair.settings(job_step_ms=60_000, job_tasks_per_step=5)
    return pair


def test_a_job_that_succeeds_passes_through_six_states(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(5))
    assert slow.watch(job_id)[job_id] == REACHED


def test_a_job_that_waits_for_its_confirmation_is_suspended(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(5), ConfirmationRequired=True)
    assert slow.watch(job_id)[job_id] == ["New", "Preparing", "Suspended"]
    job = slow.job(job_id)
    assert job["SuspendedCause"] == "AWAITING_CONFIRMATION"
    assert job["SuspendedDate"] >= job["CreationTime"]
    assert job["ProgressSummary"]["TotalNumberOfTasks"] == 5, "the manifest has been read"
    assert slow.keys() == {"good"}, "written by live replication only"


def test_a_job_that_is_confirmed_goes_on(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(5), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    answer = slow.ask(job_id, "Ready")
    assert (answer["JobId"], answer["Status"]) == (job_id, "Ready")
    assert slow.watch(job_id)[job_id] == ["Ready", "Active", "Completing", "Complete"]
    assert "SuspendedCause" not in slow.job(job_id)


def test_a_job_that_cannot_start_fails_from_preparing(slow):
    slow.put("k")
    job_id = slow.create_job(ManifestGenerator=generator("FAILED"))
    assert slow.watch(job_id)[job_id] == ["New", "Preparing", "Failing", "Failed"]


def test_a_job_that_is_cancelled_passes_through_cancelling(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(20))
    slow.wait_for(job_id, "Active")
    slow.ask(job_id, "Cancelled")
    assert slow.watch(job_id)[job_id] == ["Cancelling", "Cancelled"]


@pytest.mark.parametrize("state", ["New", "Preparing", "Suspended", "Ready", "Active"])
def test_a_job_can_be_cancelled_before_its_end(slow, state):
    if state == "Ready":
        # With no place for it, a job stays Ready.
        slow.settings(active_jobs_max=0)
    job_id = slow.create_job(Manifest=slow.long_manifest(50),
                             ConfirmationRequired=state == "Suspended")
    slow.wait_for(job_id, state)
    slow.ask(job_id, "Cancelled", StatusUpdateReason="no longer needed")
    job = slow.finish(job_id)
    assert (job["Status"], job["StatusUpdateReason"]) == ("Cancelled", "no longer needed")
    assert job["TerminationDate"] >= job["CreationTime"]


@pytest.mark.parametrize("requested", ["Ready", "Cancelled"])
def test_a_job_that_has_ended_stays_as_it_is(slow, requested):
    job_id = slow.create_job(Manifest=slow.long_manifest(1))
    slow.finish(job_id)
    assert refusal(slow.ask, job_id, requested).code == "JobStatusException"
    assert slow.state(job_id) == "Complete"


def test_a_job_that_does_not_wait_cannot_be_confirmed(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(20))
    slow.wait_for(job_id, "Active")
    assert refusal(slow.ask, job_id, "Ready").code == "JobStatusException"


@pytest.mark.parametrize("requested", ["Active", "Complete", "nonsense"])
def test_a_job_can_only_be_asked_to_be_ready_or_cancelled(slow, requested):
    job_id = slow.create_job(Manifest=slow.long_manifest(1), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    assert refusal(slow.ask, job_id, requested).status == 400
    assert slow.state(job_id) == "Suspended"


# The confirmation and its 30 days.

def test_a_job_waits_29_days_for_its_confirmation(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(1), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    slow.advance(days=29)
    assert slow.state(job_id) == "Suspended"
    slow.ask(job_id, "Ready")
    assert slow.finish(job_id)["Status"] == "Complete"


def test_a_job_that_is_not_confirmed_within_30_days_fails(slow):
    """S3 User Guide, "Creating an S3 Batch Operations job"."""
    job_id = slow.create_job(Manifest=slow.long_manifest(1), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    slow.advance(days=31)
    job = slow.job(job_id)
    assert job["Status"] == "Failed" and job["FailureReasons"]
    assert refusal(slow.ask, job_id, "Ready").code == "JobStatusException"


@pytest.mark.parametrize("days", [31, 100])
def test_a_job_that_nobody_confirmed_ended_after_30_days_whenever_one_looks(slow, days):
    job_id = slow.create_job(Manifest=slow.long_manifest(1), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    slow.advance(days=days)
    job = slow.job(job_id)
    assert job["Status"] == "Failed"
    assert job["TerminationDate"] - job["SuspendedDate"] == timedelta(days=30)


def test_a_job_that_nobody_confirmed_is_forgotten_90_days_after_it_ended(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(1), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    slow.advance(days=119)
    assert slow.state(job_id) == "Failed"
    slow.advance(days=2)
    assert refusal(slow.job, job_id).status == 404


# Progress.

def test_the_progress_of_a_job_can_be_followed(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(8, 4))
    seen = []
    slow.wait_for(job_id, "Active")
    for _ in range(4):
        progress = slow.job(job_id)["ProgressSummary"]
        seen.append((progress["TotalNumberOfTasks"], progress["NumberOfTasksSucceeded"],
                     progress["NumberOfTasksFailed"]))
        slow.advance(minutes=1)
    assert seen == [(12, 0, 0), (12, 5, 0), (12, 8, 2), (12, 8, 4)]
    seconds = slow.job(job_id)["ProgressSummary"]["Timers"]["ElapsedTimeInActiveSeconds"]
    assert 100 <= seconds <= 300


def test_a_job_is_complete_although_all_of_its_tasks_failed(slow):
    job = slow.finish(slow.create_job(Manifest=slow.long_manifest(0, 10)))
    assert job["Status"] == "Complete"
    assert not job.get("FailureReasons")
    assert job["ProgressSummary"]["NumberOfTasksFailed"] == 10


# The failure threshold: from 1,000 tasks on, a job fails as soon as more than half have failed.

@pytest.mark.parametrize("good, bad, expected", [
    (0, 999, "Complete"), (500, 500, "Complete"), (499, 501, "Failed"), (0, 1_000, "Failed"),
    (600, 599, "Complete"),
])
def test_a_job_fails_when_more_than_half_of_1000_tasks_have(pair, good, bad, expected):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(good, bad), Report={"Enabled": False})
    assert job["Status"] == expected
    assert bool(job.get("FailureReasons")) == (expected == "Failed")


def test_the_threshold_stops_a_job_in_the_middle(pair):
    pair.replicate()
    manifest = pair.long_manifest(800, 1_200)
    job = pair.run_job(Manifest=manifest)
    progress = job["ProgressSummary"]
    assert job["Status"] == "Failed"
    assert progress["TotalNumberOfTasks"] == 2_000
    # One more than 800 of 1,600 is the first that is more than half.
    assert (progress["NumberOfTasksSucceeded"], progress["NumberOfTasksFailed"]) == (800, 801)


# Reports at each end.

def test_a_failed_job_reports_the_tasks_that_ran(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(0, 1_500))
    assert job["Status"] == "Failed"
    assert len(pair.rows(job)) == job["ProgressSummary"]["NumberOfTasksFailed"] == 1_000


def cancelled_in_the_middle(slow):
    """A job that was cancelled after some of its tasks."""
    job_id = slow.create_job(Manifest=slow.long_manifest(50))
    slow.wait_for(job_id, "Active")
    slow.advance(minutes=2)
    slow.ask(job_id, "Cancelled")
    job = slow.finish(job_id)
    assert job["Status"] == "Cancelled"
    return job


def test_a_cancelled_job_reports_the_tasks_that_ran(slow):
    job = cancelled_in_the_middle(slow)
    assert len(slow.rows(job)) == job["ProgressSummary"]["NumberOfTasksSucceeded"] == 10


@pytest.mark.parametrize("state", ["New", "Suspended"])
def test_a_job_that_was_cancelled_before_its_first_task_reports_nothing(slow, state):
    job_id = slow.create_job(Manifest=slow.long_manifest(5), ConfirmationRequired=True)
    slow.wait_for(job_id, state)
    slow.ask(job_id, "Cancelled")
    assert not slow.has_report(slow.finish(job_id))


def test_a_report_is_there_as_soon_as_its_job_is_complete(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(5))
    slow.wait_for(job_id, "Completing")
    slow.wait_for(job_id, "Complete")
    assert len(slow.rows(slow.job(job_id))) == 5


def test_a_job_whose_report_cannot_be_written_passes_through_failing(pair):
    url = pair.on_bus({"detail": {"eventName": ["JobStatusChanged"]}})
    pair.replicate()
    pair.forbid("batch", "s3:PutObject")
    job = pair.run_job(Manifest=pair.long_manifest(1))
    pair.settle()
    assert job["Status"] == "Failed"
    states = {event["detail"]["serviceEventDetails"]["status"] for event in pair.messages(url)}
    assert states == {"Preparing", "Ready", "Active", "Completing", "Failing", "Failed"}


def test_a_cancelled_job_whose_report_cannot_be_written_stays_cancelled(slow):
    slow.forbid("batch", "s3:PutObject")
    job = cancelled_in_the_middle(slow)
    assert job["ProgressSummary"]["NumberOfTasksSucceeded"] == 10
    assert not slow.has_report(job)


def test_a_report_whose_results_may_not_be_written_cannot_be_written(pair):
    pair.replicate()
    pair.forbid("batch", "s3:PutObject", arn(REPORTS, "*/results/*"))
    job = pair.run_job(Manifest=pair.long_manifest(1))
    assert job["Status"] == "Failed"
    assert [each["FailureCode"] for each in job["FailureReasons"]] == ["JobReportWriteFailed"]
    assert not pair.has_report(job)


# The priority.

def test_the_priority_of_a_job_can_be_changed(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(20), Priority=3)
    answer = slow.prioritise(job_id, 9)
    assert (answer["JobId"], answer["Priority"]) == (job_id, 9)
    assert slow.job(job_id)["Priority"] == 9
    listed, = slow.s3control.list_jobs(AccountId=slow.account)["Jobs"]
    assert listed["Priority"] == 9


@pytest.mark.parametrize("priority", [-1, 2_147_483_648])
def test_a_priority_outside_of_its_range_is_refused(slow, priority):
    job_id = slow.create_job(Manifest=slow.long_manifest(20), Priority=3)
    assert refusal(slow.prioritise, job_id, priority).code == "BadRequestException"
    assert slow.job(job_id)["Priority"] == 3


def test_the_priority_of_a_job_that_has_ended_cannot_be_changed(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(1), Priority=3)
    slow.finish(job_id)
    assert refusal(slow.prioritise, job_id, 9).status == 400
    assert slow.job(job_id)["Priority"] == 3


def test_of_two_jobs_that_wait_the_higher_priority_runs_first(slow):
    slow.settings(active_jobs_max=1)
    manifest = slow.long_manifest(10)
    low, high = (slow.create_job(Manifest=manifest, Priority=it, ConfirmationRequired=True)
                 for it in (1, 2))
    slow.wait_for(high, "Suspended")
    slow.ask(low, "Ready")
    slow.ask(high, "Ready")
    slow.wait_for(high, "Active")
    assert slow.state(low) != "Active"
    slow.wait_for(high, "Complete")
    assert slow.finish(low)["Status"] == "Complete"


def test_a_job_that_waits_is_overtaken_by_one_that_was_given_a_higher_priority(slow):
    slow.settings(active_jobs_max=0)
    manifest = slow.long_manifest(10)
    first, second = (slow.create_job(Manifest=manifest, Priority=5) for _ in range(2))
    slow.wait_for(second, "Ready")
    slow.prioritise(second, 6)
    slow.settings(active_jobs_max=1)
    slow.wait_for(second, "Active")
    assert slow.state(first) != "Active"
    assert slow.finish(first)["Status"] == "Complete"


# The end of its memory.

def test_a_job_is_known_for_90_days_after_its_end(pair):
    pair.replicate()
    job_id = pair.create_job(Manifest=pair.long_manifest(1))
    pair.finish(job_id)
    pair.advance(days=89)
    assert pair.state(job_id) == "Complete"
    pair.advance(days=2)
    refused = refusal(pair.job, job_id)
    assert refused.status == 404
    assert refused.code in ("NotFoundException", "NoSuchJob", "NoSuchJobException")
    assert pair.s3control.list_jobs(AccountId=pair.account).get("Jobs", []) == []


def test_a_job_that_has_not_ended_is_not_forgotten(slow):
    slow.settings(active_jobs_max=0)
    job_id = slow.create_job(Manifest=slow.long_manifest(1))
    slow.wait_for(job_id, "Ready")
    slow.advance(days=2)
    assert slow.state(job_id) == "Ready"


def test_the_report_stays_when_the_job_is_forgotten(pair):
    pair.replicate()
    job = pair.run_job(Manifest=pair.long_manifest(1))
    pair.advance(days=91)
    assert pair.row(job).status == "succeeded"


# The same with the AWS CLI.

def test_the_cli_confirms_follows_and_cancels_a_job(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(50), ConfirmationRequired=True)
    slow.wait_for(job_id, "Suspended")
    names = ("--account-id", slow.account, "--job-id", job_id)
    told = slow.cli_ok("s3control", "update-job-status", *names, "--requested-job-status", "Ready")
    assert told["Status"] == "Ready"
    slow.wait_for(job_id, "Active")
    told = slow.cli_ok("s3control", "update-job-priority", *names, "--priority", "98")
    assert told["Priority"] == 98
    told = slow.cli_ok("s3control", "update-job-status", *names, "--requested-job-status",
                       "Cancelled", "--status-update-reason", "by hand")
    assert told["Status"] in ("Cancelling", "Cancelled")
    slow.finish(job_id)
    job = slow.cli_ok("s3control", "describe-job", *names)["Job"]
    assert (job["Status"], job["Priority"], job["StatusUpdateReason"]) == (
        "Cancelled", 98, "by hand")


def test_the_cli_lists_jobs_by_their_state(slow):
    done = slow.create_job(Manifest=slow.long_manifest(1), Description="done")
    slow.finish(done)
    slow.create_job(Manifest=slow.long_manifest(1), Description="new")
    told = slow.cli_ok("s3control", "list-jobs", "--account-id", slow.account,
                       "--job-statuses", "Complete")
    assert [(job["JobId"], job["Description"]) for job in told["Jobs"]] == [(done, "done")]


def test_the_cli_is_told_what_a_job_cannot_become(slow):
    job_id = slow.create_job(Manifest=slow.long_manifest(1))
    slow.finish(job_id)
    answer = slow.cli("s3control", "update-job-status", "--account-id", slow.account, "--job-id",
                      job_id, "--requested-job-status", "Cancelled")
    assert answer.code != 0
    assert "JobStatusException" in answer.error
