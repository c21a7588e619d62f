"""headlight rank: what every head is worth to the loss, against the model's formulas in NumPy."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import numpy
import pytest

from conftest import PROGRAM, SHARED, catches_ctrl_c, validator
from tiny_models import D, H, L, forward, queries_keys_values, write_gpt2

LINES = [[3, 14, 15, 9, 26, 5], [35, 8, 3], [1, 2, 3, 4, 5, 6, 7, 8], [30, 31, 30, 31, 30], [9, 17]]
valid = validator("rank")


@pytest.fixture
def tensors(tmp_path):
    (tmp_path / "lines.txt").write_text(
        "\n".join(" ".join(f"w{i}" for i in line) for line in LINES) + "\n")
    return write_gpt2(tmp_path / "m", tokenizer=True)


def with_gates(tensors, gates, means=None):
    """The same model with the outputs of heads scaled, and (1 - gate) means added."""
    changed = dict(tensors)
    for layer in range(L):
        at = f"h.{layer}.attn.c_proj."
        rows = tensors[at + "weight"].astype(float).reshape(H, D // H, D)
        changed[at + "weight"] = (rows * gates[layer][:, None, None]).reshape(D, D)
        if means is not None:
            left = (1 - gates[layer])[:, None] * means[layer]
            changed[at + "bias"] = tensors[at + "bias"] + numpy.einsum("hd,hde->e", left, rows)
    return changed


def nats_of(tensors, line):
    logits = forward(tensors, line)["logits"][:-1]
    logs = logits - numpy.log(numpy.exp(logits).sum(-1, keepdims=True))
    return -logs[numpy.arange(len(line) - 1), line[1:]].sum()


LABELS = sum(len(line) - 1 for line in LINES)


def loss_of(tensors):
    return sum(nats_of(tensors, line) for line in LINES) / LABELS


def without(*heads):
    gates = numpy.ones((L, H))
    for layer, head in heads:
        gates[layer, head] = 0
    return gates


def head_means(tensors):
    """What every head hands over on average, from the attention of each line."""
    sums = numpy.zeros((L, H, D // H))
    for line in LINES:
        out = forward(tensors, line)
        for layer in range(L):
            _, _, v = queries_keys_values(tensors, layer, out[f"hidden_states.{layer}"])
            sums[layer] += (out[f"attentions.{layer}"] @ v).sum(1)
    return sums / sum(map(len, LINES))


def test_gradients_and_removals_are_those_of_the_formulas(headlight, tensors):
    report = valid(headlight("rank", "m", "--data", "lines.txt", "--json").json())
    loss, means = loss_of(tensors), head_means(tensors)
    assert report["examples"] == len(LINES) and report["scored_labels"] == LABELS
    assert report["loss"] == pytest.approx(loss, rel=1e-5)
    step = 1e-4
    for layer in range(L):
        for head in range(H):
            gone = without((layer, head))
            removed = loss_of(with_gates(tensors, gone))
            at = lambda key: report[key]["self"][layer][head]
            assert at("ablation_loss") == pytest.approx(removed, abs=2e-5)
            assert at("ablation_zero") == pytest.approx(removed - loss, abs=2e-5)
            assert at("ablation_mean") == pytest.approx(
                loss_of(with_gates(tensors, gone, means)) - loss, abs=2e-5)
            slopes = []
            for line in LINES:
                up, down = numpy.ones((L, H)), numpy.ones((L, H))
                up[layer, head] += step
                down[layer, head] -= step
                slopes.append((nats_of(with_gates(tensors, up), line)
                               - nats_of(with_gates(tensors, down), line)) / (2 * step))
            assert at("gate_gradient") == pytest.approx(sum(slopes) / LABELS, abs=2e-5)
            assert at("gate_gradient_absolute") == pytest.approx(abs(sum(slopes)) / LABELS, abs=2e-5)
            assert at("gate_gradient_per_example") == pytest.approx(
                numpy.mean([abs(s) / (len(x) - 1) for s, x in zip(slopes, LINES)]), abs=2e-5)
    for layer in range(L):
        scores = numpy.array(report["gate_gradient_per_example"]["self"][layer])
        assert numpy.allclose(report["gate_gradient_per_example_l2"]["self"][layer],
                              scores / numpy.linalg.norm(scores), atol=1e-6)


def test_curves_are_losses_without_the_heads_named(headlight, tensors):
    report = headlight("rank", "m", "--data", "lines.txt", "--json", "--tolerance", "0.05").json()
    for way in ("gate", "greedy"):
        order = [(head["layer"], head["head"]) for head in report[way + "_order"]]
        assert sorted(order) == [(layer, head) for layer in range(L) for head in range(H)]
        curve = report[way + "_curve"]
        for k in range(L * H + 1):
            assert curve[k] == pytest.approx(loss_of(with_gates(tensors, without(*order[:k]))), abs=3e-5)
        assert report[way + "_free"] == max(
            k for k, loss in enumerate(curve) if loss <= curve[0] + 0.05)
    scores = [report["gate_gradient_per_example"]["self"][head["layer"]][head["head"]]
              for head in report["gate_order"]]
    assert scores == sorted(scores)
    first = report["greedy_order"][0]
    costs = report["ablation_zero"]["self"]
    assert costs[first["layer"]][first["head"]] == min(map(min, costs))


def test_agreement_and_intervals(headlight, tensors):
    report = headlight("rank", "m", "--data", "lines.txt", "--json").json()
    flat = lambda key: numpy.array(report[key]["self"]).ravel()
    ranks = lambda values: numpy.argsort(numpy.argsort(values))
    for key, other in (("spearman_gate_zero", "ablation_zero"), ("spearman_gate_mean", "ablation_mean")):
        expected = numpy.corrcoef(ranks(flat("gate_gradient_per_example")), ranks(flat(other)))[0, 1]
        assert report[key] == pytest.approx(expected, abs=1e-9)
    for key in ("gate_gradient_per_example", "ablation_zero", "ablation_mean"):
        for value, interval in zip(flat(key), sum(report["intervals"][key]["self"], [])):
            assert interval["low"] <= value <= interval["high"]
    assert report == {**headlight("rank", "m", "--data", "lines.txt", "--json").json(), "made": report["made"]}


def test_one_example_has_no_intervals(headlight, tensors):
    report = valid(headlight("rank", "m", "--tokens", "3,14,15,9", "--json").json())
    assert "intervals" not in report
    assert any("more than one example" in note for note in report["notes"])


def test_a_greedy_curve_that_costs_too_much_is_left_out_and_said_so(headlight, tensors):
    report = valid(headlight("rank", "m", "--data", "lines.txt", "--json", "--greedy", "35").json())
    assert report["greedy_order"] is None and report["greedy_curve"] is None
    assert len(report["gate_curve"]) == L * H + 1
    assert any("--greedy 36" in note for note in report["notes"])
    assert headlight("rank", "m", "--data", "lines.txt", "--json", "--greedy", "36").json()["greedy_curve"]


def test_the_table_fits_a_terminal_and_a_pipe_has_no_colour(headlight, tensors, tmp_path):
    out = headlight("rank", "m", "--data", "lines.txt").out
    assert "\x1b" not in out and "Spearman" in out and "self.1" in out
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    done = subprocess.Popen([PROGRAM, "rank", "m", "--data", "lines.txt", "--quiet"], cwd=tmp_path,
                            stdout=there, env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
    os.close(there)
    shown = b""
    while True:
        try:
            part = os.read(here, 1 << 16)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert done.wait() == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert plain != shown.decode().replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 80


def long_work(tmp_path):
    random = numpy.random.default_rng(1)
    (tmp_path / "many.txt").write_text("\n".join(
        " ".join(f"w{i}" for i in random.integers(1, 40, 20)) for _ in range(150)) + "\n")
    return ["rank", "m", "--data", "many.txt", "--json", "--quiet"]


@pytest.mark.parametrize("named", [True, False])
def test_after_ctrl_c_it_goes_on_to_the_same_numbers(headlight, tensors, tmp_path, named):
    command = long_work(tmp_path)
    resume = ["--resume", "state.json"] if named else []
    process = subprocess.Popen([PROGRAM, *command, *resume], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not catches_ctrl_c(process.pid):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert out == ""
    state = re.search(r"headlight rank m --data many.txt --resume (\S+)", err)[1]
    assert not named or state == "state.json"
    losses = json.loads((tmp_path / state).read_text())["losses"]
    report = headlight(*command, "--resume", state).json()
    whole = headlight(*command).json()
    assert len(losses) < 1 + 3 * L * H + 28
    assert {**report, "made": 0} == {**whole, "made": 0}


def test_a_state_of_something_else_is_refused(headlight, tensors, tmp_path):
    headlight("rank", "m", "--data", "lines.txt", "--resume", "s.json", "--quiet")
    kept = (tmp_path / "s.json").read_text()
    err = headlight("rank", "m", "--tokens", "1,2,3", "--resume", "s.json", code=3).err
    assert "s.json" in err and "another model or other data" in err
    assert (tmp_path / "s.json").read_text() == kept
    for text in ("{}", "[1]", "not json", kept[:-20], kept.replace('"loss":', '"lost":')):
        (tmp_path / "s.json").write_text(text)
        assert "s.json" in headlight("rank", "m", "--data", "lines.txt", "--resume", "s.json", code=3).err
        assert (tmp_path / "s.json").read_text() == text
    assert "nowhere" in headlight("rank", "m", "--data", "lines.txt", "--resume", "nowhere/s.json", code=3).err


def test_the_page_is_written_whole_or_not_at_all(headlight, tensors, tmp_path):
    out = headlight("rank", "m", "--data", "lines.txt", "--html", "rank.html").out
    assert "rank.html" in out
    page = (tmp_path / "rank.html").read_text()
    assert page.startswith("<!doctype html>") and "__HEADLIGHT_REPORT__" not in page
    assert "nowhere" in headlight("rank", "m", "--data", "lines.txt", "--html", "nowhere/r.html", code=3).err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.txt", "m", "rank.html"]


@pytest.mark.parametrize("arguments, code, words", [
    (["m"], 2, "nothing to read"),
    (["m", "--data", "lines.txt", "--greedy", "-1"], 2, "--greedy"),
    (["m", "--data", "lines.txt", "--tolerance", "-1"], 2, "--tolerance"),
    (["m", "--data", "none.txt"], 3, "none.txt"),
    (["m", "--tokens", "5"], 3, "label"),
    (["m", "--data", "lines.txt", "--device", "cuda"], 2, "CPU")])
def test_what_cannot_be_ranked_is_refused(headlight, tensors, arguments, code, words):
    assert words in headlight("rank", *arguments, code=code).err


MODELS = sorted(path.parent for path in (SHARED / "models").glob("*/inputs.npz"))


@pytest.mark.skipif(not MODELS, reason="no shared data beside the checkout")
@pytest.mark.parametrize("folder", MODELS, ids=[path.name for path in MODELS])
def test_every_architecture_has_the_expected_gradients_and_losses(headlight, folder):
    report = valid(headlight("rank", folder, "--inputs", folder / "inputs.npz", "--json",
                             "--greedy", "0").json())
    expected = numpy.load(folder / "expected.npz")
    assert report["loss"] == pytest.approx(float(expected["loss"].reshape(())), rel=1e-5)
    for key in ("gate_gradient", "ablation_loss"):
        for name in expected.files:
            if not name.startswith(key + "."):
                continue
            ours = numpy.array(report[key][name.split(".")[1]])
            assert ours.shape == expected[name].shape
            assert abs(ours - expected[name]).max() <= 1e-4 * abs(expected[name]).max()
    if "groups" in report:
        for stack, layers in report["groups"]["heads"].items():
            for layer, groups in enumerate(layers):
                for group, heads in enumerate(groups):
                    signed = report["gate_gradient"][stack][layer]
                    assert report["groups"]["gate_gradient"][stack][layer][group] == pytest.approx(
                        sum(signed[head] for head in heads), abs=1e-9)
