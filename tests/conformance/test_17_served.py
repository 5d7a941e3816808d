"""How the emulator is served: requests that no SDK sends, tunnels, keys that nobody has, and the
data directory, which loses nothing that was answered."""

import resource
import signal
import socket
import subprocess
from http.client import HTTPConnection

import pytest

from cloud import SOURCE, refusal


# Heads.

def address(aws):
    """Host and port of the server."""
    host, port = aws.endpoint.removeprefix("http://").rsplit(":", 1)
    return host, int(port)


def answer_to(aws, head, half_close=False):
    """What comes until the server closes: status, and all of the text."""
    with socket.create_connection(address(aws), timeout=10) as wire:
        wire.sendall((head.replace("\n", "\r\n") + "\r\n\r\n").encode())
        if half_close:
            wire.shutdown(socket.SHUT_WR)
        text = b"".join(iter(lambda: wire.recv(65_536), b"")).decode()
    return int(text.split(" ", 2)[1]), text


def test_a_put_says_how_long_it_is(pair):
    """S3 API Reference, "Error responses": MissingContentLength."""
    status, text = answer_to(pair, f"PUT /{SOURCE}/k HTTP/1.1\nHost: x\nConnection: close")
    assert status == 411 and "<Code>MissingContentLength</Code>" in text
    assert pair.keys(SOURCE) == set()


def presigned(aws, key):
    """The path and query of a request for an object that needs no headers."""
    url = aws.s3.generate_presigned_url("get_object", {"Bucket": SOURCE, "Key": key})
    return url.removeprefix(aws.endpoint)


def test_a_client_that_has_said_all_gets_its_answer(pair):
    """A client may close its half of the connection before the answer is ready."""
    pair.put("k", b"text")
    pair.faults(rules=[{"service": "s3", "operation": "GetObject", "verdict": {"delay_ms": 200}}])
    host = "{}:{}".format(*address(pair))
    status, text = answer_to(pair, f"GET {presigned(pair, 'k')} HTTP/1.1\nHost: {host}",
                             half_close=True)
    assert status == 200 and text.endswith("\r\n\r\ntext")


def test_a_method_that_s3_does_not_have_is_not_allowed(pair):
    """S3 API Reference, "Error responses": MethodNotAllowed."""
    answer = pair.raw("PATCH", f"/{SOURCE}/k", b"x")
    assert answer.status == 405 and b"<Code>MethodNotAllowed</Code>" in answer.data


def test_a_tunnel_for_tls_is_refused_with_what_to_do(aws):
    status, text = answer_to(aws, "CONNECT s3.us-east-1.amazonaws.com:443 HTTP/1.1\n"
                                  "Host: s3.us-east-1.amazonaws.com:443")
    assert status == 501
    assert "<Code>NotImplemented</Code>" in text
    assert "http://" in text and "HTTP_PROXY" in text


def test_plain_http_is_served_through_a_tunnel(pair):
    """What curl and some SDKs ask a proxy for, whatever is to go through it."""
    pair.put("k", b"text")
    host, port = address(pair)
    wire = HTTPConnection(host, port, timeout=10)
    wire.set_tunnel(host, 80)
    try:
        for _ in range(2):
            wire.request("GET", presigned(pair, "k"), headers={"Host": f"{host}:{port}"})
            answer = wire.getresponse()
            assert (answer.status, answer.read()) == (200, b"text")
    finally:
        wire.close()


# Keys.

def test_a_wrong_secret_is_told_in_words(pair):
    """S3 API Reference, "Error responses": SignatureDoesNotMatch has a message."""
    stranger = pair.client("s3", secret="wrong")
    refused = refusal(stranger.list_objects_v2, Bucket=SOURCE)
    assert (refused.code, refused.status) == ("SignatureDoesNotMatch", 403)
    assert "signature we calculated" in refused.message


@pytest.mark.parametrize("service, call", [
    ("sqs", "list_queues"), ("iam", "list_roles"), ("sts", "get_caller_identity"),
])
def test_a_key_that_nobody_has_is_no_client(aws, service, call):
    """The common errors of these services: InvalidClientTokenId."""
    stranger = aws.client(service, key="AKIAIOSFODNN7EXAMPLE")
    refused = refusal(getattr(stranger, call))
    assert (refused.code, refused.status) == ("InvalidClientTokenId", 403)


# The data directory.

@pytest.fixture
def restart(serve, tmp_path):
    """Starts a server over the data directory of this test."""
    return lambda: serve("--data-dir", str(tmp_path))


def kill(process):
    """Ends a server without a word."""
    process.kill()
    process.wait()


@pytest.fixture
def journal(restart, tmp_path):
    """The journal of a server that was killed after it had taken two objects."""
    process, aws = restart()
    aws.bucket(SOURCE)
    for key in ("first", "second"):
        aws.put(key, f"the {key} body".encode())
    kill(process)
    return tmp_path / "journal"


def test_a_journal_with_a_flipped_bit_is_refused(binary, journal):
    whole = journal.read_bytes()
    # The lengths and checksums of the first frame, and all else here and there.
    places = [*range(0, 20, 3), *range(20, len(whole), len(whole) // 20),
              whole.index(b"first body"), whole.index(b"second body"), len(whole) - 1]
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        journal.write_bytes(damaged)
        done = subprocess.run([binary, "local", "--listen", "127.0.0.1:0", "--data-dir",
                               str(journal.parent)], capture_output=True, timeout=10, check=False)
        assert done.returncode == 2, f"byte {at}: {done}"
        assert b"journal" in done.stderr
        assert journal.read_bytes() == damaged, "it is left as it is"


def test_what_was_cut_off_is_dropped_and_kept_beside(restart, journal):
    for name in ("journal.cut", "journal.cut2"):
        whole = journal.read_bytes()
        journal.write_bytes(whole[:-3])
        process, aws = restart()
        assert aws.keys(SOURCE) == {"first"}
        cut = (journal.parent / name).read_bytes()
        assert cut and whole[:-3].endswith(cut)
        aws.put("second", b"the second body, again")
        kill(process)
    _, aws = restart()
    assert aws.keys(SOURCE) == {"first", "second"}


def limit(process, size):
    """How large the files of a server may grow; None takes the limit away."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def test_a_server_that_cannot_write_its_journal_goes_no_further(restart, journal):
    process, aws = restart()
    limit(process, journal.stat().st_size + 100)
    for call, members in (
        (aws.s3.put_object, {"Bucket": SOURCE, "Key": "third", "Body": b"x"}),
        (aws.s3.put_object, {"Bucket": SOURCE, "Key": "fourth", "Body": b"x"}),
        (aws.s3.delete_object, {"Bucket": SOURCE, "Key": "first"}),
        (aws.sqs.create_queue, {"QueueName": "q"}),
    ):
        assert refusal(call, **members).status == 503
    assert process.poll() is None
    limit(process, None)
    fifth = aws.put("fifth")
    assert aws.keys(SOURCE) >= {"first", "second", "fifth"}
    assert not aws.keys(SOURCE) & {"fourth"}
    assert "QueueUrls" not in aws.sqs.list_queues()
    before = aws.versions(SOURCE) | aws.markers(SOURCE)
    kill(process)
    _, aws = restart()
    assert ("fifth", fifth) in aws.versions(SOURCE)
    assert aws.versions(SOURCE) | aws.markers(SOURCE) == before


def test_to_ask_again_and_again_does_not_grow_the_journal(restart, tmp_path):
    process, aws = restart()
    aws.make_pair()
    aws.replicate()
    url = aws.queue()
    job_id = aws.create_job()
    size = (tmp_path / "journal").stat().st_size
    for _ in range(20):
        assert aws.state(job_id) in ("New", "Preparing")
        assert aws.states().keys() == {job_id}
        assert "Messages" not in aws.sqs.receive_message(QueueUrl=url)
        assert aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert aws.keys(SOURCE) == set()
    assert (tmp_path / "journal").stat().st_size == size
    aws.put("k")
    assert (tmp_path / "journal").stat().st_size > size
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
