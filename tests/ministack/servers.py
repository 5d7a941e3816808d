"""The two emulators and the chat, each started for a block and stopped after it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGION = "us-east-1"
ACCOUNT = "111122223333"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10


def environment(**more):
    """The environment of a server: nothing of the caller's that could send a request elsewhere."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    kept["AWS_CONFIG_FILE"] = kept["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    return kept | more


def free_port():
    """A port that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url, body=None):
    """One request; the answer as JSON."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


@contextlib.contextmanager
def running(command, log, env):
    """A command for as long as the block takes; what it says on stderr goes into `log`."""
    with log.open("wb") as errors:
        process = subprocess.Popen([str(part) for part in command], env=env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


@contextlib.contextmanager
def resilver(binary, log, queues, bus, credentials):
    """`resilver local` whose queues and bus are those of other servers; its ready line."""
    command = [binary, "local", "--listen", "127.0.0.1:0", "--json", "--account", ACCOUNT,
               "--region", REGION, "--credentials", credentials,
               "--sqs-endpoint", queues, "--events-endpoint", bus]
    with running(command, log, environment(RUST_LOG="warn")) as process:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{binary} did not get ready: {log.read_text()}")
        yield json.loads(line)


@contextlib.contextmanager
def ministack(binary, log, port, env):
    """ministack at a port; its endpoint. Its own default is to listen at all addresses."""
    own = {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
           "MINISTACK_ACCOUNT_ID": ACCOUNT, "MINISTACK_REGION": REGION}
    endpoint = f"http://127.0.0.1:{port}"
    # It unpacks the functions into a folder for temporary files and leaves them there.
    with (tempfile.TemporaryDirectory() as folder,
          running([binary], log, environment(**own, **env) | {"TMPDIR": folder}) as process):
        # It says a lot on stdout, which nobody reads: the pipe must not fill.
        threading.Thread(target=keep, args=(process.stdout, log), daemon=True).start()
        until = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.suppress(OSError):
                ask(f"{endpoint}/_ministack/health")
                break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"ministack did not get ready, see {log}")
            time.sleep(0.1)
        yield endpoint


def keep(stream, log):
    with contextlib.suppress(ValueError, OSError), log.with_suffix(".out").open("w") as kept:
        for line in stream:
            kept.write(line)


class Listener:
    """A server of ours, in this process. It answers every POST with what `take` makes of its body."""

    def __init__(self):
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do(self):
                listener.serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

            def body(self):
                return self.rfile.read(int(self.headers.get("content-length", "0")))

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, request):
        body = json.dumps(self.take(json.loads(request.body()))).encode()
        request.answer(200, [("content-length", str(len(body)))], body)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Chat(Listener):
    """A webhook that takes everything."""

    def __init__(self):
        self.said = []
        super().__init__()

    def take(self, message):
        self.said.append(message)
        return "ok"


class Relay(Listener):
    """The way of S3's events to the bus. ministack, as AWS, lets nobody tell events of a source that begins with `aws.`; so it
    gives them another source, and the rules of the stack's copy wait for that one. What IAM and KMS tell goes no further: the
    rule that waits for repairs of all three is not renamed, so that only the story itself wakes launch."""

    SOURCE = "relayed.aws.s3"

    def __init__(self):
        self.events = None
        super().__init__()

    def take(self, request):
        entries = [entry | {"Source": self.SOURCE} for entry in request["Entries"] if entry["Source"] == "aws.s3"]
        failed = self.events.put_events(Entries=entries)["FailedEntryCount"] if entries else 0
        return {"FailedEntryCount": failed, "Entries": [{"EventId": "relayed"} for _ in request["Entries"]]}


class Keys(Listener):
    """The way of the functions to `resilver local` where policies count. With IAM switched on, ministack gives each function a
    session of its role, which `resilver local` cannot know: so the key of the request is replaced by that of a session of the
    same role there, which judges what the role may do. It checks no signatures then (`--credentials any`)."""

    KEY = re.compile("Credential=(ASIA[0-9A-F]{16})/")

    def __init__(self):
        self.local = self.session_of = None
        super().__init__()

    def serve(self, request):
        body = request.body()
        headers = dict(request.headers.items())
        known = self.KEY.search(headers.get("authorization", ""))
        if not known:
            raise ValueError(f"no function asks for {request.path}: {headers}")
        headers["authorization"] = headers["authorization"].replace(known[1], self.session_of(known[1]))
        connection = http.client.HTTPConnection(self.local.removeprefix("http://"), timeout=60)
        with contextlib.closing(connection):
            connection.request(request.command, request.path, body, headers)
            answer = connection.getresponse()
            kept = [it for it in answer.getheaders() if it[0].lower() not in ("connection", "transfer-encoding", "content-length")]
            content = answer.read()
            length = answer.getheader("content-length") or str(len(content))
            request.answer(answer.status, [*kept, ("content-length", length)], content)
