"""The commands that README and docs show are run as they stand, on small data."""

import re
import shlex
import shutil
import signal
import subprocess
import time

import numpy
import pytest

from conftest import PROGRAM, ROOT, TINY
from test_train import SMALL, write_pairs
from tiny_models import write_gpt2

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands():
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            found += [line.split("  #")[0].split(" # ")[0].strip() for line in block.splitlines()
                      if line.startswith("headlight ")]
    return sorted(set(found))


def made_by(command):
    """The folder that a command writes; it must not be there before."""
    out = re.search(r"--out (\S+)", command)
    return out and out.group(1).rstrip("/")


@pytest.fixture
def material(tmp_path, command):
    (tmp_path / "my.txt").write_text("the cat sat on the mat and looked at the moon. " * 200)
    lines = [f"{a} {b} {c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qr"]
    (tmp_path / "source.txt").write_text("\n".join(lines))
    (tmp_path / "target.txt").write_text("\n".join(line[::-1] for line in lines))
    attention = numpy.tril(numpy.ones((2, 8, 8)))
    numpy.save(tmp_path / "attention.npy", attention / attention.sum(-1, keepdims=True))
    (tmp_path / "lines.txt").write_text("".join(
        " ".join(f"w{1 + (start + 7 * i * i) % 39}" for i in range(22)) + "\n" for start in (3, 8, 20)))
    for model in ("model", "after", "smaller"):
        if model != made_by(command):
            write_gpt2(tmp_path / model, tokenizer=True)
    write_pairs(tmp_path, count=60)
    for german in ("train.de", "test.de"):
        shutil.copy(tmp_path / "de.txt", tmp_path / german)
    for english in ("train.en", "test.en", "test.out"):
        shutil.copy(tmp_path / "en.txt", tmp_path / english)
    if "translate" in command:
        train = ["train", "train.en", "train.de", "--out", "en-de", "--steps", "60"]
        subprocess.run([PROGRAM, *train, *map(str, SMALL)], cwd=tmp_path, check=True)


def test_there_are_commands_to_run():
    assert len(commands()) >= 5


# What makes the work behind a command small enough for a test.
SMALLER = {"study": [*TINY[:TINY.index("--heads")], *TINY[TINY.index("--heads") + 2:], "--dim", "16"],
           "train": ["--steps", "60", *map(str, SMALL)],
           "bench": ["--quick", "--shapes", "tiny32", "--threads", "1"]}


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_documents_works(command, material, tmp_path):
    verb = command.split()[1]
    if verb in SMALLER:
        smaller = SMALLER[verb]
        if "--kind" in command and verb == "study":  # the test set is what is held out
            place = smaller.index("--test-samples")
            smaller = smaller[:place] + smaller[place + 2:]
        command = shlex.join(shlex.split(command) + smaller)
    # A shell, as the reader has one: some commands read and write through < and >.
    process = subprocess.Popen("exec " + command.replace("headlight", shlex.quote(str(PROGRAM)), 1),
                               shell=True, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    if verb == "reproduce":  # long: that it starts, stops and can go on is enough here
        time.sleep(3)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    # A check may find these random models wanting; the reproduction was stopped.
    allowed = {"reproduce": [130], "check": [0, 1]}.get(verb, [0])
    assert process.returncode in allowed, out + err


def test_links_of_the_documents_lead_somewhere():
    for page in PAGES + [ROOT / "CONTRIBUTING.md"]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
