"""headlight check: limits that a model must keep."""

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy
import pytest
from safetensors.numpy import load_file, save_file

from conftest import validator
from tiny_models import D, H, L, forward, write_gpt2

LINES = ["w3 w14 w15 w9 w26 w5 w35 w8 w3 w14", "w1 w2 w1 w2 w7", "w26 w5 w35 w8 w3 w14 w7"]
CHECK = ["check", "m", "--data", "lines.txt"]


@pytest.fixture(autouse=True)
def material(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    return write_gpt2(tmp_path / "m", tokenizer=True)
valid = validator("check")


def rules(report):
    return {rule["rule"]: rule for rule in report["rules"]}


def changed(tmp_path, change):
    """The model with other tensors, as folder "other"."""
    shutil.copytree(tmp_path / "m", tmp_path / "other")
    path = tmp_path / "other" / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def all_heads_alike(tensors):
    for layer in range(L):
        for part in ("weight", "bias"):
            tensor = tensors[f"transformer.h.{layer}.attn.c_attn.{part}"]
            wide = tensor.reshape(-1, 3, H, D // H)
            wide[:, :2] = wide[:, :2, :1]


def test_the_values_are_those_of_inspect(headlight):
    layers = headlight("inspect", "m", "--lines", "lines.txt", "--json").json()["layers"]
    report = valid(headlight(*CHECK, "--min-effective-heads", 1, "--max-sink-rate", 1, "--max-redundant", 99,
                             "--min-role", "mixed=0", "--json").json())
    found = rules(report)
    effective = [layer["redundancy"]["effective_heads"] for layer in layers]
    assert found["min_effective_heads"]["value"] == pytest.approx(min(effective), rel=1e-5)
    assert found["min_effective_heads"]["where"] == [{"stack": "self", "layer": effective.index(min(effective))}]
    sinks = [(layer["layer"], h) for layer in layers for h, head in enumerate(layer["structure"]) if head["is_sink"]]
    assert found["max_sink_rate"]["value"] == pytest.approx(len(sinks) / (L * H))
    assert [(place["layer"], place["heads"]) for place in found["max_sink_rate"]["where"]] == [
        (layer, [head]) for layer, head in sinks]
    assert found["max_redundant"]["value"] == sum(H - len(set(layer["redundancy"]["clusters"])) for layer in layers)
    assert found["min_role.mixed"]["value"] == sum(roles[0] == "mixed" for layer in layers for roles in layer["roles"])


def test_the_loss_is_the_mean_over_all_predicted_tokens(headlight, material):
    nats = scored = 0
    for line in LINES:
        ids = [int(word[1:]) for word in line.split()]
        logits = forward(material, ids)["logits"]
        logs = logits - numpy.log(numpy.exp(logits).sum(-1, keepdims=True))
        nats -= sum(logs[i, ids[i + 1]] for i in range(len(ids) - 1))
        scored += len(ids) - 1
    report = valid(headlight(*CHECK, "--max-loss", 1000, "--json").json())
    assert report["loss"] == pytest.approx(nats / scored, rel=1e-5)
    assert rules(report)["max_loss"]["value"] == report["loss"]


@pytest.mark.parametrize("option, better", [("--min-effective-heads", -1e-6), ("--max-loss", 1e-6)])
def test_a_value_may_stand_on_its_limit_and_not_beyond(headlight, option, better):
    report = headlight(*CHECK, option, 1000, "--json", code=1 if "min" in option else 0).json()
    value = report["rules"][0]["value"]
    assert headlight(*CHECK, option, repr(value), "--json").json()["passed"]
    assert headlight(*CHECK, option, repr(value + better), "--json").json()["passed"]
    broken = headlight(*CHECK, option, repr(value - better), "--json", code=1)
    assert not broken.json()["passed"] and "1 of 1 rule broken" in broken.err


def test_a_broken_rule_is_named_with_value_limit_and_place(headlight, tmp_path):
    changed(tmp_path, all_heads_alike)
    out = headlight("check", "other", "--data", "lines.txt", "--min-effective-heads", 2, "--max-redundant", 0,
                    "--max-sink-rate", 1, code=1).out
    lines = {line.split()[1]: line for line in out.splitlines() if line.startswith(("ok", "BROKEN"))}
    assert lines["min_effective_heads"].startswith("BROKEN") and " ≥ 2 " in lines["min_effective_heads"]
    assert re.search(r" 1(\.00)? ≥ .* self\.[01]", lines["min_effective_heads"])
    assert lines["max_redundant"].startswith("BROKEN") and "self.0.0+1+2+3" in lines["max_redundant"]
    assert lines["max_sink_rate"].startswith("ok")
    assert max(map(len, out.splitlines())) <= 100


LIMITS = {"min_effective_heads": 3.9, "max_sink_rate": 1, "max_redundant": 2, "max_loss": 100.0,
          "min_role": {"induction": 1, "mixed": 0}}
TOML = """
# what the model must keep
min_effective_heads = 3.9
max_sink_rate = 1
max_redundant = 2
max_loss = 100.0
[min_role]
induction = 1
mixed = 0
"""


def test_limits_come_from_a_file_and_the_command_line_wins(headlight, tmp_path):
    (tmp_path / "limits.json").write_text(json.dumps(LIMITS))
    (tmp_path / "limits.toml").write_text(TOML)
    reports = [headlight(*CHECK, "--limits", f"limits.{kind}", "--json", code=1).json() for kind in ("json", "toml")]
    assert reports[0] == reports[1]
    assert list(rules(reports[0])) == ["min_effective_heads", "max_sink_rate", "max_redundant", "min_role.induction",
                                       "min_role.mixed", "max_loss"]
    over = headlight(*CHECK, "--limits", "limits.toml", "--min-effective-heads", 1, "--min-role", "induction=0",
                     "--json").json()
    assert rules(over)["min_effective_heads"]["limit"] == 1 and rules(over)["max_redundant"]["limit"] == 2


@pytest.mark.parametrize("text, complaint", [
    ("min_effective_head = 3", "min_effective_head is not known"), ("max_redundant = 2.5", "whole number"),
    ("max_sink_rate = 'much'", "max_sink_rate must be a number"), ("max_sink_rate = inf", "line 1"),
    ("max_sink_rate =", "line 1"), ("min_role = 1", "induction = 1"), ("[min_role]\ninducton = 1", "no role inducton"),
    ("max_loss = -1", "from 0 on"), ("baseline = 3", "name of a file"), ("max_loss = 1\nmax_loss = 2", "line 2"),
    ("\xff\xfe", "line 1")])
def test_a_wrong_limits_file_is_refused_with_its_place(headlight, tmp_path, text, complaint):
    (tmp_path / "limits.toml").write_bytes(text.encode("latin-1"))
    err = headlight(*CHECK, "--limits", "limits.toml", "--save", "saved.json", code=3).err
    assert "limits.toml" in err and complaint in err
    assert not (tmp_path / "saved.json").exists()


def test_today_s_numbers_are_a_baseline(headlight, tmp_path):
    saved = headlight(*CHECK, "--save", "baseline.json", "--json").json()
    assert valid(json.loads((tmp_path / "baseline.json").read_text())) == saved and saved["rules"] == []
    report = valid(headlight(*CHECK, "--baseline", "baseline.json", "--tolerance", 0, "--max-loss-increase", 0,
                             "--json").json())
    assert list(rules(report)) == ["baseline.effective_heads", "baseline.sink_rate", "baseline.redundant",
                                   "baseline.loss", "max_loss_increase"]
    for rule in report["rules"][:-1]:
        assert rule["value"] == pytest.approx(rule["baseline"], rel=1e-9)
    changed(tmp_path, all_heads_alike)
    worse = headlight("check", "other", "--data", "lines.txt", "--baseline", "baseline.json", "--json", code=1).json()
    assert not rules(worse)["baseline.effective_heads"]["passed"]
    assert rules(worse)["baseline.effective_heads"]["value"] == pytest.approx(1, abs=1e-6)
    assert not rules(worse)["baseline.redundant"]["passed"]


def test_a_report_of_inspect_is_a_baseline_too(headlight, tmp_path):
    (tmp_path / "before.json").write_text(headlight("inspect", "m", "--lines", "lines.txt", "--json").out)
    report = headlight(*CHECK, "--baseline", "before.json", "--tolerance", 0, "--json").json()
    assert list(rules(report)) == ["baseline.effective_heads", "baseline.sink_rate", "baseline.redundant"]
    assert report["passed"]
    err = headlight(*CHECK, "--baseline", "before.json", "--max-loss-increase", 1, code=3).err
    assert "before.json: has no loss" in err and "--save" in err
    (tmp_path / "fewer.txt").write_text(LINES[0])
    other = headlight("check", "m", "--data", "fewer.txt", "--baseline", "before.json", "--tolerance", 9, "--json")
    assert any("other data" in note for note in other.json()["notes"])


@pytest.mark.parametrize("damage", ["cut", "schema", "layers", "lists", "labels"])
def test_a_wrong_baseline_is_refused_with_its_place(headlight, tmp_path, damage):
    headlight(*CHECK, "--save", "b.json")
    report = json.loads((tmp_path / "b.json").read_text())
    if damage == "schema":
        report["schema"] = "headlight.trace/1"
    elif damage == "layers":
        report["layers"].pop()
    elif damage == "lists":
        report["layers"][1]["sink"].pop()
    elif damage == "labels":
        report["layers"][0]["alike"] = [[7, 9]]
    text = json.dumps(report)
    (tmp_path / "b.json").write_text(text[:len(text) // 2] if damage == "cut" else text)
    assert "b.json" in headlight(*CHECK, "--baseline", "b.json", code=3).err


def test_junit_xml_has_a_case_for_every_rule(headlight, tmp_path):
    headlight(*CHECK, "--max-loss", 0, "--max-sink-rate", 1, "--junit", "out.xml", code=1)
    suite = ElementTree.parse(tmp_path / "out.xml").getroot().find("testsuite")
    assert suite.attrib["tests"] == "2" and suite.attrib["failures"] == "1"
    failed = {case.attrib["name"]: case.find("failure") for case in suite.iter("testcase")}
    assert failed["max_sink_rate"] is None and "≤ 0" in failed["max_loss"].attrib["message"]


def test_scores_that_are_no_numbers_break_every_rule_about_them(headlight, tmp_path):
    def overflow(tensors):
        tensors["transformer.h.1.attn.c_attn.weight"][:, :D // H] = 1e30
        tensors["transformer.h.1.attn.c_attn.weight"][:, D:D + D // H] = 1e30

    changed(tmp_path, overflow)
    report = valid(headlight("check", "other", "--data", "lines.txt", "--min-effective-heads", 1, "--max-sink-rate", 1,
                             "--max-redundant", 99, "--max-loss", 1e9, "--json", code=1).json())
    for name in ("min_effective_heads", "max_sink_rate", "max_redundant"):
        assert rules(report)[name]["value"] is None and not rules(report)[name]["passed"]
        assert rules(report)[name]["where"][0]["layer"] == 1
    assert rules(report)["max_sink_rate"]["where"][0]["heads"] == [0]


@pytest.mark.parametrize("arguments, complaint", [
    ([], "nothing to check"), (["--tolerance", "0.1"], "--baseline"), (["--max-loss-increase", "0.1"], "--baseline"),
    (["--max-loss", "nan"], "nan is not a number"), (["--max-redundant", "-1"], "max-redundant"),
    (["--min-role", "inducton=1"], "did you mean induction"), (["--min-role", "induction"], "induction=1"),
    (["--min-role", "induction=x"], "induction=1"), (["--max-sink-rat", "1"], "--max-sink-rate")])
def test_wrong_usage_is_answered_with_what_would_be_right(headlight, arguments, complaint):
    assert complaint in headlight(*CHECK, *arguments, code=2).err


def test_data_without_a_loss_is_checked_without_it(headlight, tmp_path):
    (tmp_path / "words.txt").write_text("w3\nw5\n")  # nothing follows that could be predicted
    words = ["check", "m", "--data", "words.txt"]
    report = valid(headlight(*words, "--max-redundant", 99, "--json").json())
    assert report["loss"] is None and any("no loss" in note for note in report["notes"])
    assert "could be scored" in headlight(*words, "--max-loss", 1, code=3).err


def test_texts_so_short_that_any_head_is_a_sink_are_pointed_out(headlight, tmp_path):
    assert any("uniform attention" in note for note in headlight(*CHECK, "--max-sink-rate", 1, "--json").json()["notes"])
    (tmp_path / "long.txt").write_text(" ".join(f"w{i}" for i in range(1, 24)) + "\n")
    assert headlight("check", "m", "--data", "long.txt", "--max-sink-rate", 1, "--json").json()["notes"] == []
