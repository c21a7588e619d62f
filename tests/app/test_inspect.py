"""headlight inspect: every head of a model on given text."""

import base64
import json
import math
import re
from xml.etree import ElementTree

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import SHARED, page_of, validator
from tiny_models import D, H, L, forward, queries_keys_values, write_gpt2

IDS = [3, 14, 15, 9, 26, 5, 35, 8, 3, 14]
TOKENS = ",".join(map(str, IDS))
valid = validator("inspect")


@pytest.fixture
def weights(tmp_path):
    return forward(write_gpt2(tmp_path / "m", tokenizer=True), IDS)


def test_the_numbers_are_those_of_the_attention(headlight, weights):
    report = valid(headlight("inspect", "m", "--tokens", TOKENS, "--json").json())
    assert [(layer["stack"], layer["layer"]) for layer in report["layers"]] == [("self", l) for l in range(L)]
    for l, layer in enumerate(report["layers"]):
        for h, head in enumerate(layer["structure"]):
            a = weights[f"attentions.{l}"][h]
            logs = numpy.log(a, where=a > 0, out=numpy.zeros_like(a))
            assert head["entropy_nats"] == pytest.approx(-(a * logs).sum(-1).mean(), rel=1e-4)
            assert head["confidence"] == pytest.approx(a.max(-1).mean(), rel=1e-4)
            assert head["first_token_mass"] == pytest.approx(a[:, 0].mean(), rel=1e-4)
            assert head["previous_mass"] == pytest.approx(numpy.diagonal(a, -1).mean(), rel=1e-4)
        a = weights[f"attentions.{l}"]
        overlap = numpy.einsum("hij,gij->hg", numpy.sqrt(a), numpy.sqrt(a)) / len(IDS)
        assert numpy.allclose(layer["redundancy"]["bhattacharyya"], overlap, atol=1e-4)
        values = numpy.linalg.eigvalsh(overlap / H).clip(1e-15)
        assert layer["redundancy"]["effective_heads"] == pytest.approx(
            math.exp(-(values * numpy.log(values)).sum()), rel=1e-3)


def drawn_map(shown, head):
    return numpy.frombuffer(base64.b64decode(shown["heads"][head]), numpy.uint8).reshape(
        shown["rows"], shown["columns"])


def test_weights_by_norm(headlight, tmp_path, weights):
    tensors = write_gpt2(tmp_path / "m", tokenizer=True)
    plain = headlight("inspect", "m", "--tokens", TOKENS, "--json").json()
    report = valid(headlight("inspect", "m", "--tokens", TOKENS, "--weight", "norm", "--html", "page.html",
                             "--json").json())
    assert (plain["weight"], report["weight"]) == ("attention", "norm")
    maps = [layer["map"] for layer in page_of(tmp_path / "page.html")["layers"]]
    for l, layer in enumerate(report["layers"]):
        _, _, v = queries_keys_values(tensors, l, weights[f"hidden_states.{l}"])
        w_o = tensors[f"h.{l}.attn.c_proj.weight"].reshape(H, D // H, D)
        for h, head in enumerate(layer["structure"]):
            norms = numpy.linalg.norm(v[h] @ w_o[h], axis=1)
            w = weights[f"attentions.{l}"][h] * norms
            w /= w.sum(-1, keepdims=True)
            assert head["confidence"] == pytest.approx(w.max(-1).mean(), rel=1e-4)
            assert head["first_token_mass"] == pytest.approx(w[:, 0].mean(), rel=1e-4)
            assert numpy.abs(drawn_map(maps[l], h) - 255 * numpy.sqrt(w)).max() <= 0.52
        assert layer["redundancy"] == plain["layers"][l]["redundancy"]


def test_many_lines_pool_by_rows_and_have_intervals(headlight, tmp_path, weights):
    lines = ["w3 w14 w15 w9", "w1 w2", "w26 w5 w35 w8 w3 w14 w7"]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    pooled = valid(headlight("inspect", "m", "--lines", "lines.txt", "--json").json())
    alone = [headlight("inspect", "m", "--text", line, "--json").json() for line in lines]
    assert pooled["examples"] == 3
    for l in range(L):
        for h in range(H):
            parts = [one["layers"][l]["structure"][h] for one in alone]
            rows = [part["rows"] for part in parts]
            mean = sum(r * p["confidence"] for r, p in zip(rows, parts)) / sum(rows)
            head = pooled["layers"][l]["structure"][h]
            assert head["rows"] == sum(rows) == 13
            assert head["confidence"] == pytest.approx(mean, rel=1e-4)
            interval = pooled["layers"][l]["intervals"]["confidence"][h]
            assert interval["low"] <= interval["mean"] <= interval["high"]
            assert interval["mean"] == pytest.approx(sum(p["confidence"] for p in parts) / 3, rel=1e-4)


def test_padding_changes_nothing(headlight, tmp_path, weights):
    numpy.savez(tmp_path / "plain.npz", input_ids=numpy.array([IDS]))
    padded = numpy.array([IDS + [1, 1, 1]])
    numpy.savez(tmp_path / "padded.npz", input_ids=padded,
                attention_mask=numpy.array([[1] * len(IDS) + [0] * 3]))
    plain, padded = (headlight("inspect", "m", "--inputs", f"{name}.npz", "--json").json()["layers"]
                     for name in ("plain", "padded"))
    for one, other in zip(plain, padded):
        assert one["structure"][0]["entropy_nats"] == pytest.approx(other["structure"][0]["entropy_nats"], rel=1e-4)
        assert one["flow"]["tokens"] == other["flow"]["tokens"]


def test_only_the_layers_asked_for(headlight, weights):
    report = headlight("inspect", "m", "--tokens", TOKENS, "--layers", "1", "--json").json()
    assert [layer["layer"] for layer in report["layers"]] == [1]
    assert "0 to 1" in headlight("inspect", "m", "--tokens", TOKENS, "--layers", "2", code=2).err


def test_a_probe_can_be_left_out_and_is_repeatable(headlight, weights):
    first = headlight("inspect", "m", "--tokens", TOKENS, "--json").out
    assert first == headlight("inspect", "m", "--tokens", TOKENS, "--json").out
    assert "probe" in json.loads(first)["layers"][0]
    without = valid(headlight("inspect", "m", "--tokens", TOKENS, "--random-repeat", "0", "--json").json())
    assert without["random_repeat"] == 0 and "probe" not in without["layers"][0]


def test_the_table_fits_and_has_no_colour_in_a_pipe(headlight, weights):
    out = headlight("inspect", "m", "--tokens", TOKENS).out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 100
    rows = re.findall(r"^ +[01]  ([A-Z]\d*\s+){4}", out, re.MULTILINE)
    assert len(rows) == L
    assert "letters" in out and "effective" in out


@pytest.mark.parametrize("change, code", [("nan", 3), ("cut", 3), ("no config", 3)])
def test_damaged_models_are_refused(headlight, tmp_path, change, code):
    from safetensors.numpy import load_file, save_file
    write_gpt2(tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    if change == "nan":
        tensors = load_file(path)
        tensors["transformer.h.1.attn.c_attn.weight"][0, 0] = numpy.nan
        save_file(tensors, path)
    elif change == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    else:
        (tmp_path / "m" / "config.json").unlink()
    err = headlight("inspect", "m", "--tokens", TOKENS, code=code).err
    assert {"nan": "h.1.attn.c_attn.weight", "cut": "model.safetensors", "no config": "config.json"}[change] in err


MODELS = sorted(path.parent for path in (SHARED / "models").glob("*/inputs.npz"))


@pytest.mark.skipif(not MODELS, reason="no shared data beside the checkout")
@pytest.mark.parametrize("folder", MODELS, ids=[path.name for path in MODELS])
def test_every_architecture_is_inspected_on_its_own_attention(headlight, folder):
    """Windows, softcaps, padding, grouped keys and biases: against the probabilities of transformers."""
    report = valid(headlight("inspect", folder, "--inputs", folder / "inputs.npz", "--json").json())
    given, expected = numpy.load(folder / "inputs.npz"), numpy.load(folder / "expected.npz")
    two = "decoder_input_ids" in given
    assert report["layers"]
    for layer in report["layers"]:
        prefix = "" if layer["stack"] == "self" else layer["stack"] + "_"
        a = expected[f"{prefix}attentions.{layer['layer']}"].astype(float)
        name = "attention_mask" if layer["stack"] == "encoder" or not two else "decoder_attention_mask"
        used = given[name].astype(bool) if name in given else numpy.ones((a.shape[0], a.shape[2]), bool)
        logs = numpy.log(a, where=a > 0, out=numpy.zeros_like(a))
        entropy = -(a * logs).sum(-1)
        for h, head in enumerate(layer["structure"]):
            assert head["rows"] == used.sum()
            assert head["entropy_nats"] == pytest.approx(entropy[:, h][used].mean(), rel=2e-4, abs=1e-5)
            assert head["confidence"] == pytest.approx(a[:, h].max(-1)[used].mean(), rel=2e-4)


def test_a_page_and_a_picture_are_written_beside_the_table(headlight, tmp_path, weights):
    said = headlight("inspect", "m", "--tokens", "3,14,15,9,26,5", "--html", "page.html", "--svg",
                     "grid.svg", "--json").json()
    assert all("map" not in layer for layer in said["layers"])
    report = page_of(tmp_path / "page.html")
    trace = headlight("trace", "m", "--tokens", "3,14,15,9,26,5", "--attentions", "--out", "t.safetensors")
    attention = load_file(tmp_path / "t.safetensors")
    for layer in report["layers"]:
        shown = layer["map"]
        for head in range(H):
            drawn = drawn_map(shown, head)
            exact = attention[f"attentions.{layer['layer']}"][0, head]
            assert numpy.abs(drawn - 255 * numpy.sqrt(exact)).max() <= 0.51
        layer.pop("map")
    assert report == said
    picture = ElementTree.parse(tmp_path / "grid.svg").getroot()
    assert len(picture.findall(".//{*}title")) >= sum(len(layer["structure"]) for layer in said["layers"])


def test_large_maps_are_pooled_by_their_largest_weight(headlight, tmp_path):
    write_gpt2(tmp_path / "long", positions=300)
    tokens = ",".join(str(i * 7 % 40) for i in range(200))
    headlight("inspect", "long", "--tokens", tokens, "--html", "page.html", "--random-repeat", "0")
    headlight("trace", "long", "--tokens", tokens, "--attentions", "--out", "t.safetensors")
    shown = page_of(tmp_path / "page.html")["layers"][0]["map"]
    exact = load_file(tmp_path / "t.safetensors")["attentions.0"][0, 0]
    rows, keys = shown["rows"], shown["queries"]
    assert rows < keys == 200
    drawn = drawn_map(shown, 0)
    for r in range(rows):
        for c in range(rows):
            block = exact[r * keys // rows:-(-(r + 1) * keys // rows), c * keys // rows:-(-(c + 1) * keys // rows)]
            assert abs(drawn[r, c] - 255 * numpy.sqrt(block.max())) <= 0.51


def test_rows_of_a_long_text_are_sampled_and_the_output_says_so(headlight, tmp_path):
    length = 3000
    write_gpt2(tmp_path / "m", positions=length)
    tokens = ",".join(str(i * i % 37) for i in range(length))

    def inspected(*more):
        return headlight("inspect", "m", "--tokens", tokens, "--json", "--random-repeat", "0", *more)

    every, some = (valid(inspected("--rows-up-to", str(n)).json()) for n in (0, 1024))
    said = "1024 queries, 64 runs of 16"
    assert any(said in note for note in some["notes"]) and not any(said in note for note in every["notes"])
    terminal = headlight("inspect", "m", "--tokens", tokens, "--random-repeat", "0", "--rows-up-to", "1024").out
    assert said in " ".join(terminal.split())
    for whole, sampled in zip(every["layers"], some["layers"]):
        assert "flow" in whole and "flow" not in sampled and "rows_left_out" not in whole
        assert sampled["rows_left_out"] == length - 1024
        for one, other in zip(whole["structure"], sampled["structure"]):
            assert (one["rows"], one["empty_rows"]) == (length, 0)
            assert (other["rows"], other["empty_rows"]) == (1024, 0)
            assert other["entropy_relative"] == pytest.approx(one["entropy_relative"], abs=0.02)
            assert other["first_token_mass"] == pytest.approx(one["first_token_mass"], abs=0.02)


def test_biases_by_distance_are_part_of_the_scores(headlight, tmp_path):
    numpy.savez(tmp_path / "in.npz", input_ids=numpy.arange(3, 40)[None],
                decoder_input_ids=numpy.arange(0, 20)[None])
    model = SHARED / "models" / "tiny-t5"
    headlight("trace", model, "--inputs", "in.npz", "--attentions", "--out", "t.safetensors")
    weights = load_file(tmp_path / "t.safetensors")
    for layer in headlight("inspect", model, "--inputs", "in.npz", "--json").json()["layers"]:
        for head, found in enumerate(layer["structure"]):
            p = weights[f"{layer['stack']}_attentions.{layer['layer']}"][0, head].astype(float)
            entropy = -(p * numpy.log(numpy.where(p > 0, p, 1))).sum(1).mean()
            assert found["entropy_nats"] == pytest.approx(entropy, abs=1e-5)
            assert found["confidence"] == pytest.approx(p.max(1).mean(), abs=1e-5)
