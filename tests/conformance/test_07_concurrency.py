"""Several jobs at a time: those for one bucket run together, six at most are active in an account,
and past that the lower priorities make room (S3 User Guide, "S3 Batch Operations basics" and
"Tracking job status": Pausing, Paused)."""

from collections import Counter

import pytest

from cloud import SOURCE


@pytest.fixture
def slow(pair):
    """A configuration, and jobs that take a minute for each step and five tasks in each."""
    pair.replicate()
    pair.settings(job_step_ms=60_000, job_tasks_per_step=5)
    return pair


def active(slow):
    """How many jobs are active."""
    return Counter(slow.states().values())["Active"]


def test_jobs_for_one_bucket_run_together(slow):
    manifest = slow.long_manifest(30)
    first, second = (slow.create_job(Manifest=manifest) for _ in range(2))
    slow.wait_for(second, "Active")
    assert slow.state(first) == "Active"
    for job_id in (first, second):
        progress = slow.finish(job_id)["ProgressSummary"]
        assert progress["NumberOfTasksSucceeded"] == 30


def test_jobs_for_one_bucket_may_work_on_the_same_version(slow):
    version = slow.put("k")
    manifest = slow.manifest([(SOURCE, "k", version)])
    jobs = [slow.create_job(Manifest=manifest) for _ in range(2)]
    assert [slow.row(slow.finish(job_id)).status for job_id in jobs] == ["succeeded"] * 2


def test_six_jobs_are_active_at_a_time(slow):
    manifest = slow.long_manifest(30)
    jobs = [slow.create_job(Manifest=manifest) for _ in range(9)]
    most = 0
    for _ in range(60):
        slow.advance(minutes=1)
        states = slow.states()
        most = max(most, Counter(states.values())["Active"])
        if set(states.values()) == {"Complete"}:
            break
    assert most == 6
    assert {slow.state(job_id) for job_id in jobs} == {"Complete"}


def test_a_job_that_finds_no_place_waits_until_another_has_ended(slow):
    manifest = slow.long_manifest(20)
    jobs = [slow.create_job(Manifest=manifest, Priority=10) for _ in range(6)]
    slow.wait_for(jobs[-1], "Active")
    waiting = slow.create_job(Manifest=manifest, Priority=1)
    slow.wait_for(waiting, "Ready")
    slow.advance(minutes=1)
    assert (active(slow), slow.state(waiting)) == (6, "Ready")
    seen = slow.watch(waiting, *jobs)
    assert seen[waiting] == ["Ready", "Active", "Completing", "Complete"]
    assert all("Paused" not in states for states in seen.values())


def test_a_higher_priority_past_six_pauses_the_lowest(slow):
    manifest = slow.long_manifest(100)
    jobs = {it: slow.create_job(Manifest=manifest, Priority=it) for it in (5, 3, 4, 8, 6, 7)}
    slow.wait_for(jobs[7], "Active")
    assert active(slow) == 6
    urgent = slow.create_job(Manifest=manifest, Priority=100)
    slow.wait_for(urgent, "Active")
    states = slow.states()
    assert states[jobs[3]] in ("Pausing", "Paused")
    assert {states[job_id] for it, job_id in jobs.items() if it != 3} == {"Active"}


@pytest.fixture
def one_place(slow):
    """One job at a time, a job of low priority that is active, and one of a higher priority."""
    slow.settings(active_jobs_max=1)
    manifest = slow.long_manifest(60)
    low = slow.create_job(Manifest=manifest, Priority=1)
    slow.wait_for(low, "Active")
    slow.advance(minutes=2)
    high = slow.create_job(Manifest=manifest, Priority=2)
    return slow, low, high


def test_a_job_is_pausing_then_paused_then_active_again(one_place):
    slow, low, high = one_place
    seen = slow.watch(low, high)
    assert seen[high] == ["New", "Preparing", "Ready", "Active", "Completing", "Complete"]
    assert seen[low] == ["Active", "Pausing", "Paused", "Active", "Completing", "Complete"]


def test_a_paused_job_makes_no_progress_and_goes_on_where_it_was(one_place):
    slow, low, high = one_place
    slow.wait_for(low, "Paused")
    before = slow.job(low)["ProgressSummary"]["NumberOfTasksSucceeded"]
    assert 10 <= before < 60
    slow.wait_for(high, "Complete")
    assert slow.job(low)["ProgressSummary"]["NumberOfTasksSucceeded"] == before
    job = slow.finish(low)
    assert job["ProgressSummary"]["NumberOfTasksSucceeded"] == 60
    assert len(slow.rows(job)) == 60, "no task ran twice, none was left out"


def test_a_paused_job_resumes_when_the_other_is_cancelled(one_place):
    slow, low, high = one_place
    slow.wait_for(low, "Paused")
    slow.ask(high, "Cancelled")
    assert slow.finish(high)["Status"] == "Cancelled"
    slow.wait_for(low, "Active")
    assert slow.finish(low)["Status"] == "Complete"


def test_a_paused_job_can_be_cancelled(one_place):
    slow, low, high = one_place
    slow.wait_for(low, "Paused")
    slow.ask(low, "Cancelled")
    job = slow.finish(low)
    assert job["Status"] == "Cancelled"
    assert len(slow.rows(job)) == job["ProgressSummary"]["NumberOfTasksSucceeded"] < 60
    assert slow.finish(high)["Status"] == "Complete"


def test_a_paused_job_resumes_when_it_is_given_the_higher_priority(one_place):
    slow, low, high = one_place
    slow.wait_for(low, "Paused")
    # Before that the place is free for whoever has the higher priority then.
    slow.wait_for(high, "Active")
    slow.prioritise(low, 3)
    seen = slow.watch(low, high)
    assert seen[low][:2] == ["Paused", "Active"]
    assert "Paused" in seen[high]
    assert (seen[low][-1], seen[high][-1]) == ("Complete", "Complete")


def test_jobs_of_one_priority_do_not_pause_each_other(slow):
    slow.settings(active_jobs_max=1)
    manifest = slow.long_manifest(20)
    first = slow.create_job(Manifest=manifest, Priority=5)
    slow.wait_for(first, "Active")
    second = slow.create_job(Manifest=manifest, Priority=5)
    seen = slow.watch(first, second)
    assert seen[first] == ["Active", "Completing", "Complete"]
    assert seen[second][-1] == "Complete"


def test_paused_jobs_are_listed_by_their_state(one_place):
    slow, low, high = one_place
    slow.wait_for(low, "Paused")
    told = slow.cli_ok("s3control", "list-jobs", "--account-id", slow.account,
                       "--job-statuses", "Paused")
    assert [job["JobId"] for job in told["Jobs"]] == [low]
    assert slow.finish(high)["Status"] == "Complete"
