"""headlight prune: smaller models, what they compute, and what is refused."""

import json
import os
import resource
import signal
import subprocess
import time

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import PROGRAM, SHARED, catches_ctrl_c, validator
from tiny_models import D, H, L, V, forward, write_gpt2

IDS = [3, 14, 15, 9, 26, 5, 35, 8]
valid = validator("prune")


def names(report):
    return [f"{head['stack']}.{head['layer']}.{head['head']}" for head in report["removed"]]


def logits(headlight, tmp_path, folder, *inputs):
    headlight("trace", folder, *inputs, "--out", "t.safetensors")
    return load_file(tmp_path / "t.safetensors")["logits"]


def zeroed(tensors, heads):
    """The weights of a tiny GPT-2 with heads silenced, as the definition has it."""
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    for name in heads:
        _, layer, head = name.split(".")
        rows = slice(int(head) * D // H, (int(head) + 1) * D // H)
        tensors[f"h.{layer}.attn.c_proj.weight"][rows] = 0
    return tensors


def write_lines(path, count=12, seed=3):
    random = numpy.random.default_rng(seed)
    lines = [" ".join(f"w{i}" for i in random.integers(1, V, random.integers(4, 12)))
             for _ in range(count)]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("kind", ["compact", "zeroed"])
@pytest.mark.parametrize("heads", [["self.0.1"], ["self.0.0", "self.0.2", "self.1.3"],
                                   [f"self.1.{h}" for h in range(H)]])
def test_a_pruned_model_computes_what_numpy_does_without_the_heads(headlight, tmp_path, kind, heads):
    weights = write_gpt2(tmp_path / "m")
    said = valid(headlight("prune", "m", "--heads", ",".join(heads), "--out", "p", "--kind", kind,
                           "--json").json())
    assert names(said) == heads
    assert said["loss_before"] is None and said["heads_after"] == H * L - len(heads)
    expected = forward(zeroed(weights, heads), IDS)["logits"]
    ours = logits(headlight, tmp_path, "p", "--tokens", ",".join(map(str, IDS)))[0]
    assert numpy.abs(ours - expected).max() <= 2e-5 * numpy.abs(expected).max()
    d = D // H
    smaller = kind == "compact"
    assert said["parameters_before"] - said["parameters_after"] == smaller * len(heads) * (4 * D * d + 3 * d)
    assert (said["bytes_after"] < said["bytes_before"]) == smaller
    assert said["bytes_after"] == os.path.getsize(tmp_path / "p" / "model.safetensors")


def test_zeroing_changes_the_silenced_columns_and_nothing_else(headlight, tmp_path):
    weights = write_gpt2(tmp_path / "m")
    headlight("prune", "m", "--heads", "self.1.2", "--out", "p", "--kind", "zeroed")
    ours = load_file(tmp_path / "p" / "model.safetensors")
    expected = zeroed(weights, ["self.1.2"])
    assert set(ours) == {"transformer." + name for name in expected}
    for name, tensor in expected.items():
        assert numpy.array_equal(ours["transformer." + name], tensor), name
    config = json.loads((tmp_path / "p" / "config.json").read_text())
    record = config.pop("pruned_by_headlight")
    assert record == [{"from": "m", "kind": "zeroed", "removed": ["self.1.2"]}]
    assert config == json.loads((tmp_path / "m" / "config.json").read_text())


def test_other_files_come_along_and_weights_do_not(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    (tmp_path / "m" / "README.md").write_text("about")
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"pickle")
    (tmp_path / "m" / "1_Pooling").mkdir()
    (tmp_path / "m" / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "m" / ".git").mkdir()
    (tmp_path / "m" / ".git" / "HEAD").write_text("ref")
    headlight("prune", "m", "--heads", "self.0.0", "--out", "p")
    assert sorted(str(path.relative_to(tmp_path / "p")) for path in (tmp_path / "p").rglob("*")) == [
        "1_Pooling", "1_Pooling/config.json", "README.md", "config.json", "model.safetensors",
        "tokenizer.json"]
    headlight("inspect", "p", "--text", "w1 w2 w3")


def test_a_pruned_model_can_be_pruned_again(headlight, tmp_path):
    weights = write_gpt2(tmp_path / "m")
    headlight("prune", "m", "--heads", "self.0.1,self.1.0", "--out", "once")
    headlight("prune", "once", "--heads", "self.0.1", "--out", "twice")  # which was self.0.2
    expected = forward(zeroed(weights, ["self.0.1", "self.0.2", "self.1.0"]), IDS)["logits"]
    ours = logits(headlight, tmp_path, "twice", "--tokens", ",".join(map(str, IDS)))[0]
    assert numpy.abs(ours - expected).max() <= 2e-5 * numpy.abs(expected).max()
    config = json.loads((tmp_path / "twice" / "config.json").read_text())
    assert [layer["numbers"] for layer in config["decoder_attention"]] == [[0, 3], [1, 2, 3]]
    assert [step["from"] for step in config["pruned_by_headlight"]] == ["m", "once"]


def test_the_list_may_come_from_a_file(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    (tmp_path / "heads.json").write_text('["self.1.1", {"stack": "self", "layer": 0, "head": 3}]')
    said = headlight("prune", "m", "--heads", "@heads.json", "--out", "p", "--json").json()
    assert names(said) == ["self.0.3", "self.1.1"]


def test_the_loss_is_that_of_the_data(headlight, tmp_path):
    weights = write_gpt2(tmp_path / "m")
    numpy.savez(tmp_path / "in.npz", input_ids=numpy.array([IDS]), labels=numpy.array([IDS]))

    def loss(tensors):
        scores = forward(tensors, IDS)["logits"][:-1]
        logs = scores - numpy.log(numpy.exp(scores).sum(-1, keepdims=True))
        return -logs[numpy.arange(len(IDS) - 1), IDS[1:]].mean()

    heads = ["self.0.1", "self.1.2"]
    said = valid(headlight("prune", "m", "--heads", ",".join(heads), "--data", "in.npz", "--out", "p",
                           "--json").json())
    assert said["loss_before"] == pytest.approx(loss(weights), rel=1e-5)
    assert said["loss_after"] == pytest.approx(loss(zeroed(weights, heads)), rel=1e-5)
    assert said["examples_chosen_on"] == 0 and said["examples_measured_on"] == 1


@pytest.mark.parametrize("keep, left", [("60%", 5), ("50%", 4), ("3", 3), ("100%", 8), ("1%", 1)])
def test_so_many_heads_are_kept(headlight, tmp_path, keep, left):
    write_gpt2(tmp_path / "m", tokenizer=True)
    write_lines(tmp_path / "lines.txt")
    said = valid(headlight("prune", "m", "--keep", keep, "--data", "lines.txt", "--out", "p",
                           "--json").json())
    assert said["heads_after"] == left and len(said["removed"]) == H * L - left
    assert said["examples_chosen_on"] == 10 and said["examples_measured_on"] == 2
    # The first to go are those that the ranking lets go first.
    kept_lines = (tmp_path / "lines.txt").read_text().splitlines()
    (tmp_path / "chosen.txt").write_text(
        "\n".join(line for i, line in enumerate(kept_lines) if i % 5 != 4) + "\n")
    order = headlight("rank", "m", "--data", "chosen.txt", "--json").json()["greedy_order"]
    assert {(head["layer"], head["head"]) for head in said["removed"]} == {
        (head["layer"], head["head"]) for head in order[:H * L - left]}


def test_the_loss_grows_by_no_more_than_allowed(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    write_lines(tmp_path / "lines.txt", count=20)
    counts = []
    for limit in (0, 0.05, 0.3, 100):
        said = valid(headlight("prune", "m", "--max-loss-increase", limit, "--data", "lines.txt",
                               "--out", f"p{limit}", "--json").json())
        assert said["loss_after"] <= said["loss_before"] + limit + 1e-6
        counts.append(len(said["removed"]))
    assert counts == sorted(counts) and counts[-1] == H * L - 1


def write_twins(folder, scale=1.0):
    """Head 1 of layer 0 attends as head 0 does, and reads the same values."""
    from safetensors.numpy import save_file
    tensors = {"transformer." + name: tensor for name, tensor in write_gpt2(folder, tokenizer=True).items()}
    d = D // H
    for part in ("weight", "bias"):
        packed = tensors[f"transformer.h.0.attn.c_attn.{part}"]
        for first in (0, D, 2 * D):
            packed[..., first + d:first + 2 * d] = packed[..., first:first + d] * (scale if first == 2 * D else 1)
    save_file(tensors, folder / "model.safetensors")


def test_of_twins_one_stays_and_does_the_work_of_both(headlight, tmp_path):
    write_twins(tmp_path / "m", scale=-0.7)
    write_lines(tmp_path / "lines.txt")
    said = valid(headlight("prune", "m", "--redundant", "--data", "lines.txt", "--out", "p", "--json").json())
    assert len(said["removed"]) >= 1 and {"stack": "self", "layer": 0} == {
        key: said["removed"][0][key] for key in ("stack", "layer")}
    assert said["removed"][0]["head"] in (0, 1) and said["removed"][0] in said["merged"]
    if len(said["removed"]) == 1:  # then nothing is lost
        assert said["loss_after"] == pytest.approx(said["loss_before"], rel=1e-5)


def test_training_on_lowers_the_loss(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    (tmp_path / "lines.txt").write_text("w1 w2 w3 w4 w5 w6\n" * 10)
    common = ["prune", "m", "--keep", "4", "--data", "lines.txt", "--json"]
    plain = headlight(*common, "--out", "a").json()
    trained = valid(headlight(*common, "--out", "b", "--finetune", "20", "--learning-rate", "0.01").json())
    assert trained["loss_before"] == plain["loss_before"] and trained["removed"] == plain["removed"]
    assert trained["loss_after"] < plain["loss_after"] - 0.5
    again = headlight(*common, "--out", "c", "--finetune", "20", "--learning-rate", "0.01").json()
    assert again["loss_after"] == trained["loss_after"]
    shapes = headlight(*common, "--out", "d", "--finetune", "20", "--learning-rate", "0.01",
                       "--kind", "zeroed").json()
    assert shapes["loss_after"] == pytest.approx(trained["loss_after"], rel=1e-5)


def test_the_page_of_help_and_the_table_fit(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    write_lines(tmp_path / "lines.txt")
    out = headlight("prune", "m", "--keep", "50%", "--data", "lines.txt", "--out", "p",
                    environment={"COLUMNS": "80"}).out
    assert "parameters" in out and "loss" in out and "Removed: self." in out and "held out" in out
    assert max(map(len, headlight("prune", "--help").out.splitlines())) <= 80


@pytest.mark.parametrize("arguments, code, words", [
    (["--heads", "self.0.9"], 2, ["self.0.9", "4 heads"]),
    (["--heads", "cross.0.1"], 2, ["cross.0.1"]),
    (["--heads", "self.0"], 2, ["self.0", "STACK.LAYER.HEAD"]),
    (["--heads", "@none.json"], 3, ["none.json"]),
    (["--heads", ",".join(f"self.{l}.{h}" for l in range(L) for h in range(H))], 2, ["every head"]),
    (["--keep", "60%"], 2, ["--data"]),
    (["--keep", "0", "--data", "lines.txt"], 2, ["--keep 0", "1 to 8"]),
    (["--keep", "9", "--data", "lines.txt"], 2, ["--keep 9"]),
    (["--keep", "1.5", "--data", "lines.txt"], 2, ["--keep 1.5"]),
    (["--keep", "120%", "--data", "lines.txt"], 2, ["120%"]),
    (["--keep", "many", "--data", "lines.txt"], 2, ["many"]),
    (["--max-loss-increase", "-1", "--data", "lines.txt"], 2, ["--max-loss-increase"]),
    (["--heads", "self.0.1", "--keep", "3"], 2, ["exactly one"]),
    ([], 2, ["exactly one"]),
    (["--heads", "self.0.1", "--finetune", "5"], 2, ["--finetune", "--data"]),
    (["--heads", "self.0.1", "--kind", "round"], 2, ["--kind"]),
    (["--heads", "self.0.1", "--kind", "uniform"], 2, ["uniform", "gpt2", "compact"]),
    (["--heads", "self.0.1", "--data", "none.txt"], 3, ["none.txt"]),
    (["--heads", "self.0.1", "--device", "cuda"], 2, ["CPU"]),
])
def test_what_cannot_be_pruned_is_refused_and_nothing_is_written(headlight, tmp_path, arguments, code, words):
    write_gpt2(tmp_path / "m", tokenizer=True)
    write_lines(tmp_path / "lines.txt")
    err = headlight("prune", "m", *arguments, "--out", "p", code=code).err
    for word in words:
        assert word in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.txt", "m"]


def test_a_folder_in_the_way_is_left_alone(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine.txt").write_text("mine")
    assert "p" in headlight("prune", "m", "--heads", "self.0.0", "--out", "p", code=3).err
    (tmp_path / "file").write_text("mine")
    headlight("prune", "m", "--heads", "self.0.0", "--out", "file", code=3)
    headlight("prune", "m", "--heads", "self.0.0", "--out", "m", code=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "m", "p"]
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["mine.txt"]
    (tmp_path / "p" / "mine.txt").unlink()
    headlight("prune", "m", "--heads", "self.0.0", "--out", "p")  # an empty one is no loss


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_is_named(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    (tmp_path / "locked").mkdir(mode=0o500)
    err = headlight("prune", "m", "--heads", "self.0.0", "--out", "locked/p", code=3).err
    assert "locked" in err


def test_after_ctrl_c_nothing_is_left(tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    write_lines(tmp_path / "lines.txt", 3000)
    process = subprocess.Popen([PROGRAM, "prune", "m", "--keep", "50%", "--data", "lines.txt", "--out", "p"],
                               cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not catches_ctrl_c(process.pid):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and out == "", out + err
    assert sorted(os.listdir(tmp_path)) == ["lines.txt", "m"]


def test_a_full_disk_is_named_and_nothing_is_left(headlight, tmp_path):
    write_gpt2(tmp_path / "m")

    def files_of_4_kb():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    err = headlight("prune", "m", "--heads", "self.0.1", "--out", "p", code=4, preexec_fn=files_of_4_kb).err
    assert "model.safetensors" in err and "no room on the disk" in err
    assert os.listdir(tmp_path) == ["m"]


def test_a_place_below_a_file_is_named(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    (tmp_path / "file").write_text("")
    assert "file" in headlight("prune", "m", "--heads", "self.0.0", "--out", "file/p", code=3).err


MODELS = sorted(path.parent for path in (SHARED / "models").glob("tiny-*/inputs.npz"))
public = pytest.mark.skipif(not MODELS, reason="no shared data beside the checkout")
by_model = pytest.mark.parametrize("folder", MODELS, ids=[path.name for path in MODELS])


def pruned_heads(expected):
    return [f"{key.split('.')[1]}.{layer}.{head}" for key in sorted(expected)
            if key.startswith("pruned_heads.") for layer, head in expected[key]]


def same_logits(ours, folder):
    given, expected = numpy.load(folder / "inputs.npz"), numpy.load(folder / "expected.npz")
    theirs = expected["pruned_logits"]
    difference = numpy.abs(ours - theirs)
    mask = "decoder_attention_mask" if "decoder_attention_mask" in given else "attention_mask"
    if theirs.ndim == 3:
        difference *= given[mask][..., None]
    assert difference.max() <= 2e-5 * numpy.abs(theirs).max()


@public
@by_model
@pytest.mark.parametrize("kind", ["compact", "zeroed"])
def test_public_checkpoints_are_pruned_as_expected(headlight, tmp_path, folder, kind):
    expected = numpy.load(folder / "expected.npz")
    said = valid(headlight("prune", folder, "--heads", ",".join(pruned_heads(expected)), "--inputs",
                           folder / "inputs.npz", "--kind", kind, "--out", "p", "--json").json())
    assert said["loss_before"] == pytest.approx(expected["loss"][0], rel=2e-5)
    assert said["loss_after"] == pytest.approx(expected["pruned_loss"][0], rel=2e-5)
    assert (said["parameters_after"] < said["parameters_before"]) == (kind == "compact")
    same_logits(logits(headlight, tmp_path, "p", "--inputs", folder / "inputs.npz"), folder)
