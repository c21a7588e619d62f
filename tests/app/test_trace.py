"""headlight trace: all internals of a forward pass, and what it refuses."""

import json
import os
import struct
import subprocess
import zlib

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import PROGRAM, SHARED
from tiny_models import P, V, forward, write_gpt2

IDS = [3, 14, 15, 9, 26, 5, 35, 8]


def same(ours, theirs, valid=1.0):
    assert ours.shape == theirs.shape
    difference = numpy.abs(ours.astype(float) - theirs) * valid
    assert difference.max() <= 1e-5 * numpy.abs(theirs).max()


def test_a_tiny_model_is_traced_as_numpy_computes_it(headlight, tmp_path):
    expected = forward(write_gpt2(tmp_path / "m"), IDS)
    headlight("trace", "m", "--tokens", ",".join(map(str, IDS)), "--attentions", "--out", "t.safetensors")
    ours = load_file(tmp_path / "t.safetensors")
    assert set(ours) == set(expected)
    for name, theirs in expected.items():
        same(ours[name][0], theirs)


def test_attentions_are_there_only_when_asked_for(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    headlight("trace", "m", "--tokens", "1,2,3", "--out", "t.safetensors")
    assert not [name for name in load_file(tmp_path / "t.safetensors") if "attentions" in name]


def test_lines_are_padded_and_equal_each_line_alone(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    (tmp_path / "lines.txt").write_text("w1 w2 w3 w4 w5\nw7 w8\n")
    headlight("trace", "m", "--lines", "lines.txt", "--out", "all.safetensors")
    headlight("trace", "m", "--text", "w7 w8", "--out", "one.safetensors")
    every, one = (load_file(tmp_path / name) for name in ("all.safetensors", "one.safetensors"))
    assert every["logits"].shape == (2, 5, V)
    same(every["logits"][1, :2], one["logits"][0])


def test_json_says_what_was_written(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    said = headlight("trace", "m", "--tokens", "1,2", "--out", "t.safetensors", "--json").json()
    assert said["schema"] == "headlight.trace/1"
    assert said["tensors"] == len(load_file(tmp_path / "t.safetensors"))


@pytest.mark.parametrize("arguments, code, words", [
    (["--tokens", "1,2,99"], 3, ["--tokens", "token 2", "99", str(V - 1)]),
    (["--tokens", "1,,2"], 2, ["--tokens", "101,2002,102"]),
    (["--tokens", "1,9999999999999999999999"], 2, ["--tokens"]),
    (["--tokens", ",".join(["1"] * (P + 1))], 3, [f"{P + 1} tokens", f"{P} positions", "--lines"]),
    (["--text", "hello"], 3, ["tokenizer", "--tokens"]),
    (["--text", ""], 2, ["empty"]),
    ([], 2, ["--text", "--tokens"]),
    (["--text", "a", "--tokens", "1"], 2, ["--text"]),
])
def test_inputs_that_the_model_cannot_read_are_refused(headlight, tmp_path, arguments, code, words):
    write_gpt2(tmp_path / "m")
    err = headlight("trace", "m", *arguments, "--out", "t.safetensors", code=code).err
    for word in words:
        assert word in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


@pytest.mark.parametrize("content, words", [
    (b"", ["empty"]), (b"\n\n", ["line 1"]), (b"w1 \xff\xfe", ["UTF-8", "line 1"])])
def test_lines_without_text_are_refused_with_their_number(headlight, tmp_path, content, words):
    write_gpt2(tmp_path / "m", tokenizer=True)
    (tmp_path / "lines.txt").write_bytes(content)
    err = headlight("trace", "m", "--lines", "lines.txt", "--out", "t.safetensors", code=3).err
    for word in ["lines.txt", *words]:
        assert word in err
    missing = headlight("trace", "m", "--file", "nowhere.txt", "--out", "t.safetensors", code=3).err
    assert "nowhere.txt" in missing


def test_a_tokenizer_may_know_more_than_the_model_but_no_text_may_use_it(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=V + 10)
    headlight("trace", "m", "--text", "w1 w2", "--out", "t.safetensors")
    err = headlight("trace", "m", "--text", f"w1 w{V + 3}", "--out", "t.safetensors", code=3).err
    assert f"token 1 (from 0) is {V + 3} ('w{V + 3}'" in err and f"0 to {V - 1}" in err


@pytest.mark.parametrize("arrays, words", [
    ({}, ["input_ids"]),
    ({"input_ids": numpy.array([[1, 2, V]])}, ["input_ids[0, 2]", str(V)]),
    ({"input_ids": numpy.array([[1.5, 2]])}, ["input_ids", "whole numbers"]),
    ({"input_ids": numpy.array([1, 2])}, ["input_ids", "[2]", "any, any"]),
    ({"input_ids": numpy.array([[1, 2]]), "attention_mask": numpy.array([[1]])}, ["attention_mask"]),
    ({"input_ids": numpy.array([[1, 2]]), "attention_mask": numpy.array([[0, 0]])}, ["row 0"]),
    ({"input_ids": numpy.array([[1, 2]]), "labels": numpy.array([[1, V]])}, ["labels[0, 1]"]),
    ({"input_ids": numpy.array([[1, 2]]), "pixel_values": numpy.zeros((1, 3, 4, 4))}, ["pixel_values"]),
])
def test_wrong_arrays_are_named(headlight, tmp_path, arrays, words):
    write_gpt2(tmp_path / "m")
    numpy.savez(tmp_path / "in.npz", **arrays)
    err = headlight("trace", "m", "--inputs", "in.npz", "--out", "t.safetensors", code=3).err
    for word in ["in.npz", *words]:
        assert word in err
    assert not (tmp_path / "t.safetensors").exists()


def test_a_file_is_not_written_where_it_cannot_be(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    err = headlight("trace", "m", "--tokens", "1", "--out", "no/where/t.safetensors", code=3).err
    assert "no/where" in err


MODELS = sorted(path.parent for path in (SHARED / "models").glob("*/inputs.npz"))


@pytest.mark.skipif(not MODELS, reason="no shared data beside the checkout")
@pytest.mark.parametrize("folder", MODELS, ids=[path.name for path in MODELS])
def test_a_public_checkpoint_is_traced_as_transformers_ran_it(headlight, tmp_path, folder):
    headlight("trace", folder, "--inputs", folder / "inputs.npz", "--attentions", "--out", "t.safetensors")
    ours = load_file(tmp_path / "t.safetensors")
    given, expected = numpy.load(folder / "inputs.npz"), numpy.load(folder / "expected.npz")
    two = "decoder_input_ids" in given
    compared = 0
    for name in expected:
        kind = name.split(".")[0]
        if not (kind in ("logits", "loss", "last_hidden_state", "pooler_output")
                or kind.endswith("hidden_states") or kind.endswith("attentions")):
            continue
        theirs, valid = expected[name], 1.0
        mask = "attention_mask" if kind.startswith("encoder") or not two else "decoder_attention_mask"
        if mask in given and theirs.ndim > 2:
            places = given[mask]
            at = 2 if kind.endswith("attentions") else 1
            valid = places.reshape([len(places)] + [1] * (at - 1) + [places.shape[1]] + [1] * (theirs.ndim - at - 1))
        same(ours[name], theirs, valid)
        compared += 1
    assert compared >= 7


def png(pixels):
    """An 8-bit picture as PNG: red, green, blue and perhaps how opaque it is."""
    height, width, channels = pixels.shape

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_an_image_is_read_as_its_preprocessor_says(headlight, tmp_path):
    source = SHARED / "models" / "tiny-vit"
    if not source.is_dir():
        pytest.skip("no shared data")
    model = tmp_path / "vit"
    model.mkdir()
    for file in source.iterdir():
        (model / file.name).symlink_to(file)
    pixels = numpy.random.default_rng(3).integers(0, 256, (16, 16, 3)).astype(numpy.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))

    def traced(*arguments):
        headlight("trace", "vit", *arguments, "--out", "t.safetensors")
        return load_file(tmp_path / "t.safetensors")["last_hidden_state"]

    def expected(mean, deviation):
        values = (pixels / 255 - mean) / deviation
        numpy.savez(tmp_path / "in.npz",
                    pixel_values=values.transpose(2, 0, 1)[None].astype(numpy.float32))
        return traced("--inputs", "in.npz")

    same(traced("--image", "a.png"), expected(0.5, 0.5))
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    settings = {"do_resize": True, "size": {"height": 16, "width": 16}, "resample": 2,
                "image_mean": mean, "image_std": deviation}
    (model / "preprocessor_config.json").write_text(json.dumps(settings))
    same(traced("--image", "a.png"), expected(mean, deviation))
    # A picture of one colour stays one when it is resized, cropped or not.
    for shape, changes in (((40, 24, 3), {}), ((7, 9, 3), {"resample": 3}),
                           ((50, 30, 3), {"size": {"shortest_edge": 20}, "do_center_crop": True,
                                          "crop_size": 16})):
        (model / "preprocessor_config.json").write_text(json.dumps(settings | changes))
        pixels = numpy.full(shape, 77, numpy.uint8)
        (tmp_path / "b.png").write_bytes(png(pixels))
        pixels = numpy.full((16, 16, 3), 77, numpy.uint8)
        same(traced("--image", "b.png"), expected(mean, deviation))
    for name, value in (("resample", 1), ("image_std", [0, 1, 1]), ("size", {"width": 3}),
                        ("image_mean", "no")):
        (model / "preprocessor_config.json").write_text(json.dumps(settings | {name: value}))
        refused = headlight("trace", "vit", "--image", "a.png", "--out", "t.safetensors", code=3)
        assert "preprocessor_config.json" in refused.err and name in refused.err


def test_a_model_of_text_reads_no_image(headlight, tmp_path):
    write_gpt2(tmp_path / "m")
    (tmp_path / "a.png").write_bytes(png(numpy.zeros((2, 2, 3), numpy.uint8)))
    refused = headlight("trace", "m", "--image", "a.png", "--out", "t.safetensors", code=2)
    assert "text" in refused.err


def test_a_long_text_needs_no_matrix_of_biases_by_distance(tmp_path):
    length, heads = 6000, 4
    numpy.savez(tmp_path / "in.npz", input_ids=numpy.arange(length)[None] % 50 + 3,
                decoder_input_ids=numpy.array([[0, 3]]))
    process = subprocess.Popen([PROGRAM, "trace", SHARED / "models" / "tiny-t5", "--inputs", "in.npz", "--out",
                                "t.safetensors"], cwd=tmp_path)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss * 1024 < 4 * heads * length**2
