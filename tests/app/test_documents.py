"""The commands that README and docs show are run as they stand, on small data."""

import re
import shlex
import signal
import subprocess
import time

import numpy
import pytest

from conftest import PROGRAM, ROOT, TINY
from tiny_models import write_gpt2

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands():
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            found += [line.split("  #")[0].split(" # ")[0].strip() for line in block.splitlines()
                      if line.startswith("headlight ")]
    return sorted(set(found))


@pytest.fixture
def material(tmp_path):
    (tmp_path / "my.txt").write_text("the cat sat on the mat and looked at the moon. " * 200)
    lines = [f"{a} {b} {c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qr"]
    (tmp_path / "source.txt").write_text("\n".join(lines))
    (tmp_path / "target.txt").write_text("\n".join(line[::-1] for line in lines))
    attention = numpy.tril(numpy.ones((2, 8, 8)))
    numpy.save(tmp_path / "attention.npy", attention / attention.sum(-1, keepdims=True))
    (tmp_path / "lines.txt").write_text("".join(
        " ".join(f"w{1 + (start + 7 * i * i) % 39}" for i in range(22)) + "\n" for start in (3, 8, 20)))
    for model in ("model", "after"):
        write_gpt2(tmp_path / model, tokenizer=True)


def test_there_are_commands_to_run():
    assert len(commands()) >= 5


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_documents_works(command, material, tmp_path):
    arguments = shlex.split(command)[1:]
    if arguments[0] == "study":
        heads = TINY.index("--heads")
        arguments += TINY[:heads] + TINY[heads + 2:] + ["--dim", "16"]
    process = subprocess.Popen([PROGRAM, *arguments], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if arguments[0] == "reproduce":  # long: that it starts, stops and can go on is enough here
        time.sleep(3)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == (130 if arguments[0] == "reproduce" else 0), out + err


def test_links_of_the_documents_lead_somewhere():
    for page in PAGES + [ROOT / "CONTRIBUTING.md"]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
