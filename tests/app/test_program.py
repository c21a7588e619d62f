"""What every verb has in common."""

import re
import subprocess

import pytest

from conftest import PROGRAM


def verbs():
    listing = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True).stdout
    return re.findall(r"^  ([a-z]+) ", listing.split("Subcommands:")[-1], re.MULTILINE)


def test_the_version_names_what_decides_the_numbers(headlight):
    out = headlight("--version").out
    for word in ("headlight", "attention", "linear", "libtorch"):
        assert word in out


@pytest.mark.parametrize("verb", verbs())
def test_help_of_every_verb_has_an_example(headlight, verb):
    out = headlight(verb, "--help").out
    assert f"headlight {verb}" in out.split("Example", 1)[1]
    assert "--json" in out


@pytest.mark.parametrize("verb", verbs())
def test_help_fits_80_columns_and_says_what_a_path_is(headlight, verb):
    out = headlight(verb, "--help").out
    assert [line for line in out.splitlines() if len(line) > 80] == []
    assert "TEXT" not in out and "INT" not in out
    shown = {"measure": "PATH", "tokenize": "MODEL", "trace": "--out FILE", "inspect": "--lines FILE",
             "rank": "--data FILE", "diff": "--data FILE", "check": "--data FILE", "bench": "--csv FILE",
             "translate": "MODEL", "summarize": "MODEL", "answer": "MODEL", "caption": "MODEL", "generate": "MODEL", "classify": "MODEL",
             "evaluate": "--reference FILE"}
    assert shown.get(verb, "--out FOLDER") in out


def test_the_help_of_study_explains_every_argument_of_every_task(headlight):
    out = headlight("study", "--help").out
    for form in ("copy(T,V)", "fetch(n,V,m)", "lookback(T,V,OFFSETS)", "recall(T,V,P)"):
        after = out.split(form)[1].split("\n")[1]
        for argument in re.findall(r"\b[A-Za-z]\b", form.split("(")[1]):
            assert re.search(rf"\b{argument}\b", after) or argument in "TV", form


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_is_a_whole_number_in_its_range(headlight, seed):
    err = headlight("study", f"--seed={seed}", code=2).err
    assert "--seed" in err and "0 to 18446744073709551615" in err


def test_control_bytes_of_the_user_are_spelled_out(headlight):
    for arguments in (["study", "--task", "a\x1b[31m"], ["measure", "\x1b]0;title\x07.npy"],
                      ["st\x1b[2Judy"], ["study", "--\x07"], ["study", "--out", "\x1b", "--dim", "5"]):
        outcome = subprocess.run([PROGRAM, *arguments], capture_output=True)
        assert outcome.returncode in (2, 3)
        assert not set(outcome.stderr) & (set(range(32)) - {10} | {127})
        assert outcome.stderr.count(b"\n") <= 2


def test_a_mistyped_verb_is_answered_with_the_nearest(headlight):
    assert "study" in headlight("stduy", code=2).err


def test_a_mistyped_option_is_answered_with_the_nearest(headlight):
    assert "--heads" in headlight("study", "--haeds", "4", code=2).err


def test_an_instruction_set_that_does_not_exist_is_refused(headlight):
    headlight("--version", code=2, environment={"HEADLIGHT_ISA": "abacus"})


def test_what_the_file_system_refuses_names_the_path(headlight):
    name = "a" * 300  # no file system takes it
    err = headlight("inspect", name, "--text", "x", code=3).err
    assert name in err.replace("\n", "") and "too long" in err
