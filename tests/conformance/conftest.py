"""One emulator for the whole run, and an empty world for every test."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cloud import Cloud

# No profile, proxy or Region of the machine may decide where a request goes.
for name in list(os.environ):
    if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
        del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.fixture(scope="session")
def binary():
    """The binary that is tested."""
    built = Path(__file__).parents[2] / "target" / "debug" / "resilver"
    return os.environ.get("RESILVER") or built


@pytest.fixture(scope="session")
def cloud(binary):
    """The running emulator. It has to end with exit code 0 when it is told to stop."""
    command = [binary, "local", "--listen", "127.0.0.1:0", "--json"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                pytest.exit(f"{binary} did not get ready: {log.read()}", returncode=3)
            yield Cloud(json.loads(line), Path(sys.executable).with_name("aws"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def serve(binary):
    """Starts servers of the test's own, as processes and what speaks to them; they end with it."""
    started = []

    def start(*options):
        command = [binary, "local", "--listen", "127.0.0.1:0", "--json", *options]
        # What Python ignores they ignore too: a file that may grow no more is an error, no signal.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True, restore_signals=False)
        started.append(process)
        line = process.stdout.readline()
        assert line, f"it ended with {process.wait()}"
        return process, Cloud(json.loads(line), Path(sys.executable).with_name("aws"))

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def aws(cloud):
    """An empty world with the settings that the emulator starts with."""
    cloud.reset()
    return cloud


@pytest.fixture
def pair(aws):
    """A source, a destination, a bucket for manifests and reports, and the documented roles; no
    replication configuration yet."""
    aws.make_pair()
    return aws
