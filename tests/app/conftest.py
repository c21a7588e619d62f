"""The program from outside: runs it as a person would and looks at what comes out."""

import base64
import json
import os
import re
import signal
import subprocess
import time
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("HEADLIGHT_PROGRAM", ROOT / "build" / "headlight"))
SHARED = ROOT.parent / "shared" / "data"

# Small enough to train in well under a second.
TINY = ["--heads", "1,2", "--seeds", "2", "--dim", "8", "--steps", "30", "--evaluate-every", "10",
        "--batch", "8", "--test-samples", "16", "--analysis-sequences", "4"]


class Outcome:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def json(self):
        return json.loads(self.out)


@pytest.fixture
def headlight(tmp_path):
    """Runs the program in an empty folder; fails if the exit code is not the expected one."""

    def run(*arguments, code=0, environment=None, **options):
        done = subprocess.run([str(PROGRAM), *map(str, arguments)], cwd=tmp_path, text=True,
                              capture_output=True, timeout=300,
                              env=dict(os.environ, **(environment or {})), **options)
        outcome = Outcome(done)
        assert outcome.code == code, f"exit code {outcome.code}\n{outcome.out}\n{outcome.err}"
        return outcome

    return run


def validator(verb):
    """valid(report): the report, if it is as the verb's schema says."""
    def valid(report):
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate(report, json.loads((ROOT / "schema" / f"{verb}.schema.json").read_text()))
        return report
    return valid


def page_of(path):
    """The report that a page holds."""
    packed = re.search(r'<script type="text/plain" id="report">(.*?)</script>', path.read_text()).group(1)
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def catches_ctrl_c(pid):
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return int(caught[1], 16) >> (signal.SIGINT - 1) & 1


def wait_for_model(folder, processes):
    """Until a run has written its first model; all of its processes are to be alive till then."""
    while not (folder / "model.safetensors").exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)


def numbers_of(report):
    """A report without what belongs to one sitting: times and dates."""
    kept = json.loads(json.dumps(report))
    kept.pop("made", None)
    kept.pop("command", None)
    for run in kept["runs"]:
        run.pop("seconds")
        run.pop("milliseconds_per_step")
    for row in kept["summary"]:
        row.pop("milliseconds_per_step")
    return kept
