"""What a request costs to serve: `resilver local` beside moto and ministack.

Each server gets the same signed load over a kept connection, and is charged the CPU time that its
processes spend on it. CPU time and not latency, because that is what a test suite pays for an
emulator on a machine that is busy with the tests, and because it hardly depends on what else runs.

    python3 tests/bench/serving.py [--resilver PATH] [--requests N] [--json]

Exits with 1 if a request to resilver costs more than a fifth of what it costs at a peer, and with 2
if that could not be measured. Linux only: CPU time of other processes is read in Linux's ways.
"""

import argparse
import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "bench"
VENV = WORK / "venv"
REQUIREMENTS = HERE / "requirements.txt"

RATIO_MAX = 0.2
ROUNDS = 3
WARM_UP = 200
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 5
ANSWER_SECONDS_MAX = 30

REGION = "us-east-1"
ACCOUNT = "111122223333"
READ_BUCKET = "bench-read"
WRITE_BUCKET = "bench-write"
READ_KEYS = 1000
PAGE_KEYS = 100
BODY = bytes(range(256)) * 4
OPERATIONS = ["PUT", "GET", "HEAD", "LIST"]


class Failed(Exception):
    """The measurement is void, and why."""


# ---- The environment of the peers --------------------------------------------------------------


def enter_venv():
    """Goes on in the environment of the peers, which is made if it is missing or out of date."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    python = VENV / "bin" / "python"
    # Written last, so that an installation that broke off is not mistaken for a whole one.
    installed = VENV / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        print(f"installing the peers into {VENV}", file=sys.stderr)
        venv.create(VENV, clear=True, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS]
        # Standard output is for the result alone.
        if subprocess.run(pip, stdout=sys.stderr).returncode != 0:
            raise Failed(f"pip could not install {REQUIREMENTS.name}; see what it says above")
        installed.write_text(wanted)
    os.execv(python, [str(python), str(Path(__file__).resolve()), *sys.argv[1:]])


# ---- The servers -------------------------------------------------------------------------------


class Server:
    """A server that runs: where it listens, what it is signed for with, and its first process."""

    def __init__(self, name, pid, endpoint, access_key, secret_key):
        self.name = name
        self.pid = pid
        self.host = urlsplit(endpoint).netloc
        self.address = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        self.access_key = access_key
        self.secret_key = secret_key


@contextlib.contextmanager
def running(name, command, environment=None):
    """Runs a command for as long as the block does; gives its process and its output's file."""
    output = WORK / f"{name}.out"
    errors = WORK / f"{name}.err"
    # Files and not pipes: nobody has to drain them, and they are there when a start fails.
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=WORK,
            env={**os.environ, **(environment or {})},
            # A group of its own, so that its children are stopped with it.
            start_new_session=True,
        )
    try:
        yield process, output
    finally:
        stop(process)


def stop(process):
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS_MAX)


def wait_for(name, process, ready):
    """What `ready` gives, as soon as it gives anything."""
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failed(f"{name} exited with {process.returncode}; see {WORK}/{name}.err")
        found = ready()
        if found:
            return found
        time.sleep(0.05)
    raise Failed(f"{name} was not ready in {START_SECONDS_MAX} s; see {WORK}/{name}.err")


def answers(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def resilver(path):
    command = [path, "local", "--listen", "127.0.0.1:0", "--region", REGION, "--json"]
    command += ["--account", ACCOUNT]
    with running("resilver", command) as (process, output):

        def ready_line():
            text = output.read_text()
            return json.loads(text.splitlines()[0]) if "\n" in text else None

        ready = wait_for("resilver", process, ready_line)
        keys = (ready["access_key_id"], ready["secret_access_key"])
        yield Server("resilver", process.pid, ready["endpoint"], *keys)


@contextlib.contextmanager
def moto():
    port = free_port()
    command = [VENV / "bin" / "moto_server", "-H", "127.0.0.1", "-p", port]
    with running("moto", command) as (process, _):
        wait_for("moto", process, lambda: answers(port, "/moto-api/data.json"))
        yield peer("moto", process, port)


@contextlib.contextmanager
def ministack():
    port = free_port()
    environment = {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
    }
    with running("ministack", [VENV / "bin" / "ministack"], environment) as (process, _):
        wait_for("ministack", process, lambda: answers(port, "/_ministack/health"))
        yield peer("ministack", process, port)


def peer(name, process, port):
    # The peers take any key; these have the form and the length of resilver's.
    endpoint = f"http://127.0.0.1:{port}"
    return Server(name, process.pid, endpoint, "AKIABENCHMARKPEER000", "benchmark-peer-secret")


# ---- The load ----------------------------------------------------------------------------------


class Signer:
    """Writes whole requests, signed, as the bytes that go over the wire."""

    def __init__(self, server):
        # Here because botocore is in the environment of the peers alone.
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        keys = Credentials(server.access_key, server.secret_key)
        self.auth = S3SigV4Auth(keys, "s3", REGION)
        self.request = AWSRequest
        self.host = server.host

    def write(self, method, target, body=b""):
        url = f"http://{self.host}{target}"
        request = self.request(method, url, headers={"Host": self.host}, data=body)
        self.auth.add_auth(request)
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if method == "PUT":
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def load(self, operation, count, label):
        """So many requests of an operation. The label keeps the keys of one PUT load apart."""
        match operation:
            case "PUT":
                targets = (f"/{WRITE_BUCKET}/{label}/{number:06}" for number in range(count))
                return [self.write("PUT", target, BODY) for target in targets]
            case "LIST":
                target = f"/{READ_BUCKET}?list-type=2&max-keys={PAGE_KEYS}"
                return [self.write("GET", target) for _ in range(count)]
            case _:
                targets = (read_target(number) for number in range(count))
                return [self.write(operation, target) for target in targets]


def read_target(number):
    return f"/{READ_BUCKET}/key/{number % READ_KEYS:06}"


class Connection:
    """One connection that is kept alive, and made anew after it was closed, by either side."""

    def __init__(self, address):
        self.address = address
        self.socket = None
        # How often the server closed it.
        self.closed = 0

    def send(self, method, request):
        if self.socket is None:
            self.socket = socket.create_connection(self.address, ANSWER_SECONDS_MAX)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # In one piece: http.client would send the body by itself, which costs servers a read more.
        self.socket.sendall(request)
        # A server that writes head and body apart has its body held back until the head is
        # acknowledged; the kernel forgets this option, so it is set for each answer.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        body = response.read()
        if response.will_close:
            self.closed += 1
            self.close()
        return response, body

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def run_load(connection, operation, requests):
    method = "GET" if operation == "LIST" else operation
    for request in requests:
        response, body = connection.send(method, request)
        fault = wrong(operation, response, body)
        if fault:
            raise Failed(f"{operation}: {fault}: {body[:300]!r}")


def wrong(operation, response, body):
    """What is wrong with an answer, if anything."""
    if response.status != 200:
        return f"status {response.status}"
    match operation:
        case "PUT" if body:
            return f"a body of {len(body)} bytes"
        case "GET" if len(body) != len(BODY):
            return f"a body of {len(body)} bytes"
        case "HEAD" if response.getheader("Content-Length") != str(len(BODY)):
            return f"a length of {response.getheader('Content-Length')}"
        case "LIST" if body.count(b"<Contents>") != PAGE_KEYS:
            return f"{body.count(b'<Contents>')} keys in a page"
    return None


def prepare(connection, signer):
    """Makes the buckets and what is read from them."""
    for bucket in (READ_BUCKET, WRITE_BUCKET):
        response, body = connection.send("PUT", signer.write("PUT", f"/{bucket}"))
        if response.status != 200:
            raise Failed(f"making {bucket}: status {response.status}: {body[:300]!r}")
    keys = [signer.write("PUT", read_target(number), BODY) for number in range(READ_KEYS)]
    run_load(connection, "PUT", keys)


def check_signatures_count(connection, server):
    """That a request with a wrong secret is refused, or resilver is measured at less than it does.

    The peers take any secret, and are measured as they come.
    """
    stranger = Server("", 0, f"http://{server.host}", server.access_key, "not-the-secret")
    response, _ = connection.send("GET", Signer(stranger).write("GET", read_target(0)))
    if response.status != 403:
        raise Failed(f"resilver answered {response.status} to a wrong signature, and not 403")


# ---- CPU time ----------------------------------------------------------------------------------

LIBC = ctypes.CDLL(None)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process, of its children and theirs, the ended ones included."""
    stats = process_stats()
    family, spent = [pid], 0.0
    for member in family:
        family += [child for child, stat in stats.items() if stat["parent"] == member]
        if member in stats:
            spent += own_cpu_seconds(member) + stats[member]["ended_children_seconds"]
    return spent


def own_cpu_seconds(pid):
    """By the process's CPU clock, in nanoseconds: /proc/<pid>/stat has the same sum in hundredths
    of a second, which is too coarse for a load that takes less than a tenth."""
    clock = ctypes.c_int()
    if LIBC.clock_getcpuclockid(ctypes.c_int(pid), ctypes.byref(clock)) != 0:
        return 0.0  # It ended just now; its parent's children hold its time.
    return time.clock_gettime(clock.value)


def process_stats():
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue  # It ended while the folder was being read.
        # The name, in parentheses, may itself have spaces and parentheses.
        fields = text[text.rindex(")") + 2 :].split()
        ticks = int(fields[13]) + int(fields[14])
        stats[int(path.parent.name)] = {
            "parent": int(fields[1]),
            "ended_children_seconds": ticks / TICKS_PER_SECOND,
        }
    return stats


# ---- The measurement and its result ------------------------------------------------------------


def measure(server, requests):
    """By operation: CPU microseconds a request in the best of the rounds, and how often the server
    closed the connection in it. Moto does after each answer, ministack after a thousand. What that
    costs them stays in, as it is a part of what they cost whoever uses them."""
    connection, signer = Connection(server.address), Signer(server)
    prepare(connection, signer)
    if server.name == "resilver":
        check_signatures_count(connection, server)
    best = {}
    for number in range(ROUNDS):
        for operation in OPERATIONS:
            print(f"{server.name}: round {number + 1}: {operation}", file=sys.stderr)
            # Signing many takes a while, in which a server may close a connection that is idle.
            connection.close()
            warm_up = signer.load(operation, WARM_UP, f"warm-up-{number}")
            load = signer.load(operation, requests, f"load-{number}")
            run_load(connection, operation, warm_up)
            closed, before = connection.closed, cpu_seconds(server.pid)
            run_load(connection, operation, load)
            spent = (cpu_seconds(server.pid) - before) / requests * 1e6
            cost = {"cpu_us_per_request": spent, "closed": connection.closed - closed}
            # The least, as noise only ever adds.
            best[operation] = min(cost, best.get(operation, cost), key=cpu_us)
    connection.close()
    return best


def cpu_us(cost):
    return cost["cpu_us_per_request"]


def compare(costs):
    """One row an operation and server, with resilver's share of a peer's cost."""
    rows = []
    for operation in OPERATIONS:
        ours = cpu_us(costs["resilver"][operation])
        for server in costs:
            cost = costs[server][operation]
            ratio = None if server == "resilver" else ours / cpu_us(cost)
            rows.append({"server": server, "operation": operation, **cost, "ratio": ratio})
    return rows


def print_table(rows, worst):
    print(f"{'server':<10} {'operation':<10} {'CPU us/request':>14} {'resilver/peer':>14}")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3f}"
        line = f"{row['server']:<10} {row['operation']:<10} {cpu_us(row):>14.1f}"
        print(f"{line} {ratio:>14}".rstrip())
    for server in sorted({row["server"] for row in rows}):
        closed = sum(row["closed"] for row in rows if row["server"] == server)
        if closed:
            print(f"{server} closed its connection {closed} times; what that costs it is included")
    verdict = "within" if worst["ratio"] <= RATIO_MAX else "above"
    what = f"{worst['operation']} beside {worst['server']}"
    print(f"worst ratio: {worst['ratio']:.3f} ({what}), {verdict} {RATIO_MAX}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    built = ROOT / "target" / "release" / "resilver"
    parser.add_argument("--resilver", type=Path, default=built, help="the binary to measure")
    parser.add_argument("--requests", type=int, default=2000, help="of each operation, a round")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    if given.requests < 1:
        parser.error("--requests has to be at least 1")
    if not given.resilver.is_file():
        parser.error(f"{given.resilver} is no file; run `cargo build --release -p resilver`")
    return given


def main():
    given = arguments()
    enter_venv()
    # So that the servers are stopped then too: by itself, SIGTERM ends Python on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    costs = {}
    for start in (lambda: resilver(given.resilver.resolve()), moto, ministack):
        # One at a time, so that none is measured beside another's housekeeping.
        with start() as server:
            costs[server.name] = measure(server, given.requests)
    rows = compare(costs)
    worst = max((row for row in rows if row["ratio"] is not None), key=lambda row: row["ratio"])
    passed = worst["ratio"] <= RATIO_MAX
    if given.json:
        result = {"requests": given.requests, "rounds": ROUNDS, "ratio_max": RATIO_MAX}
        result.update(rows=rows, worst=worst, passed=passed)
        print(json.dumps(result, indent=2))
    else:
        print_table(rows, worst)
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, OSError, http.client.HTTPException) as error:
        print(f"serving.py: {error}", file=sys.stderr)
        sys.exit(2)
