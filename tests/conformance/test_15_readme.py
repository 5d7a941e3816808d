"""What the README tells people to type, typed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
PRINTED = "http://127.0.0.1:9000"


@pytest.fixture
def tutorial(serve, tmp_path):
    """Runs the tutorial in an empty folder, against a server that was started as it says: what it
    printed, and what speaks to the server."""
    _, aws = serve("--speed", "60")
    _, section = README.read_text().split("## An AWS to try it on")
    blocks = re.findall(r"```bash\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    assert len(blocks) == 2 and PRINTED in blocks[0]
    clients = Path(sys.executable).parent
    environment = dict(os.environ, PATH=f"{clients}:{os.environ['PATH']}")
    script = "set -euo pipefail\n" + "\n".join(blocks).replace(PRINTED, aws.endpoint)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, timeout=120,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, aws


def test_the_tutorial_of_the_readme_replicates_what_was_there_before_the_rule(tutorial):
    printed, aws = tutorial
    before, after = printed.split("new.txt", 1)
    assert "old.txt" not in before
    assert '"COMPLETED"\n"REPLICA"\n' in after
    assert re.search(r"^tutorial-source,old.txt,\S+,succeeded,200,,success$", after, re.MULTILINE)
    assert aws.s3.get_object(Bucket="tutorial-replica", Key="old.txt")["Body"].read() \
        == b"I was here before the rule.\n"
