"""headlight train --kind caption, and headlight caption: small pictures that are named in seconds."""

import json
import subprocess

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import PROGRAM, ROOT
from test_trace import png
from test_train import SMALL
from tiny_models import write_gpt2

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "yellow": (230, 220, 20)}
SIDES = ["left", "right"]
HOW = [*SMALL, "--image-size", 8, "--patch", 4, "--length", 40, "--label-smoothing", 0]


def square(draw, colour, side):
    """A square of about this colour on one side of a grey picture of any size."""
    height, width = draw.integers(10, 24, 2)
    pixels = numpy.full((height, width, 3), 128, numpy.uint8)
    half = slice(None, width // 2) if side == "left" else slice((width + 1) // 2, None)
    pixels[:, half] = numpy.clip(numpy.array(COLOURS[colour]) + draw.integers(-20, 21, 3), 0, 255)
    return pixels


def write_squares(folder, name, count, seed):
    """A .tsv of pictures beside it; returns the captions."""
    draw = numpy.random.default_rng(seed)
    (folder / "pictures").mkdir(exist_ok=True)
    lines, captions = [], []
    for i in range(count):
        colour, side = draw.choice(list(COLOURS)), draw.choice(SIDES)
        captions.append(f"A {colour} square on the {side}.")
        path = f"pictures/{name}{i}.png"
        (folder / path).write_bytes(png(square(draw, colour, side)))
        lines.append(f"{path}\t{captions[-1]}\n")
    (folder / f"{name}.tsv").write_text("".join(lines))
    return captions


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    """A folder with pictures, a model that was trained on them, what train said, and test captions."""
    folder = tmp_path_factory.mktemp("captioner")
    write_squares(folder, "train", 500, 1)
    captions = write_squares(folder, "test", 40, 2)
    done = subprocess.run([PROGRAM, "train", "--kind", "caption", "train.tsv", "--out", "model", "--steps", "500",
                           "--evaluate-every", "250", "--json", *map(str, HOW)], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), captions


def test_a_captioner_learns_in_seconds(headlight, captioner):
    folder, said, captions = captioner
    # No class of transformers has its shape.
    assert json.loads((folder / "model" / "config.json").read_text())["model_type"] == "headlight"
    pytest.importorskip("jsonschema").validate(
        said, json.loads((ROOT / "schema" / "train.schema.json").read_text()))
    assert said["kind"] == "caption" and said["chrf"] > 80
    assert said["left_out"] == {"empty": 0, "too_long": 0, "bad_images": 0}
    assert said["pairs"] + said["held_out"] == 500
    found = headlight("caption", folder / "model", folder / "test.tsv").out.splitlines()
    right = sum(ours == theirs for ours, theirs in zip(found, captions, strict=True))
    assert right > 0.9 * len(captions)
    # Paths in another order, greedily and one by one.
    paths = [folder / "pictures" / f"test{i}.png" for i in (7, 3, 11)]
    out = headlight("caption", folder / "model", *paths, "--beam", 1, "--batch", 1).out
    assert out.splitlines() == [found[i] for i in (7, 3, 11)]


def test_captions_come_with_scores_and_alternatives(headlight, captioner):
    folder, _, captions = captioner
    model, picture = folder / "model", folder / "pictures" / "test0.png"
    said = headlight("caption", model, picture, picture, "--nbest", 3, "--json").json()["lines"]
    assert len(said) == 2 and said[0][0]["text"] == captions[0] and said[0] == said[1]
    assert said[0][0]["score"] > said[0][1]["score"] > said[0][2]["score"]
    line = headlight("caption", model, picture, "--scores").out.splitlines()
    assert len(line) == 1 and line[0].split("\t")[1] == captions[0] and float(line[0].split("\t")[0]) < 0


def test_its_folder_is_a_model_for_the_other_verbs(headlight, captioner, tmp_path):
    folder, _, captions = captioner
    model, picture = folder / "model", folder / "pictures" / "test0.png"
    said = headlight("inspect", model, "--image", picture, "--json").json()
    assert {layer["stack"] for layer in said["layers"]} == {"encoder", "decoder", "cross"}
    assert "".join(said["target_tokens"][1:]).replace("▁", " ").strip() == captions[0]
    headlight("inspect", model, "--image", picture, "--html", "heads.html")

    def traced(*arguments):
        headlight("trace", model, *arguments, "--out", "t.safetensors", "--attentions")
        return load_file(tmp_path / "t.safetensors")

    trace = traced("--image", picture)
    assert trace["encoder_hidden_states.0"].shape == (1, 5, 32)
    assert trace["cross_attentions.0"].shape[-1] == 5
    assert trace["loss"] < 0.1
    # Transparent pixels are laid over white.
    transparent, white = numpy.zeros((8, 8, 4), numpy.uint8), numpy.full((8, 8, 3), 255, numpy.uint8)
    (tmp_path / "transparent.png").write_bytes(png(transparent))
    (tmp_path / "white.png").write_bytes(png(white))
    numpy.savez(tmp_path / "in.npz", pixel_values=numpy.ones((1, 3, 8, 8), numpy.float32),
                decoder_input_ids=[[1, 5]])
    ours = [traced(*source)["encoder_hidden_states.0"] for source in
            (["--image", "transparent.png"], ["--image", "white.png"], ["--inputs", "in.npz"])]
    assert numpy.array_equal(ours[0], ours[1]) and numpy.allclose(ours[0], ours[2], atol=1e-5)


def test_images_that_cannot_be_read_are_named_or_skipped(headlight, tmp_path):
    write_squares(tmp_path, "train", 60, 3)
    whole = (tmp_path / "pictures" / "train0.png").read_bytes()
    (tmp_path / "pictures" / "cut.png").write_bytes(whole[:60])
    bad = "pictures/cut.png\tbroken\npictures/cut.png\tbroken too\nnowhere.png\tgone\n"
    (tmp_path / "bad.tsv").write_text((tmp_path / "train.tsv").read_text() + bad + "\t\n")
    how = ["train", "--kind", "caption", "bad.tsv", "--out", "model", "--steps", 5, *HOW, "--warmup", 2]
    refused = headlight(*how, code=3).err
    assert "cut.png" in refused and "line 61" in refused and "--skip-bad" in refused
    assert not (tmp_path / "model").exists()
    said = headlight(*how, "--skip-bad", "--json").json()
    assert said["left_out"] == {"empty": 1, "too_long": 0, "bad_images": 2}
    assert said["pairs"] + said["held_out"] == 60
    refused = headlight("caption", "model", "pictures/train0.png", "pictures/cut.png", code=3)
    assert "cut.png" in refused.err and refused.out == ""
    (tmp_path / "text.tsv").write_text("one column\n")
    assert "line 1" in headlight(*how[:3], "text.tsv", "--out", "other", *how[6:], code=3).err


def test_equal_pictures_are_held_out_together(headlight, tmp_path):
    write_squares(tmp_path, "train", 50, 4)
    lines = (tmp_path / "train.tsv").read_text().splitlines()
    (tmp_path / "copies").mkdir()
    for i in range(50):
        (tmp_path / "copies" / f"{i}.png").write_bytes((tmp_path / "pictures" / f"train{i}.png").read_bytes())
        lines += [lines[i].replace(".\n", "!"), f"copies/{i}.png\tagain"]
    (tmp_path / "all.tsv").write_text("\n".join(lines) + "\n")
    said = headlight("train", "--kind", "caption", "all.tsv", "--out", "model", "--steps", 5, *HOW,
                     "--warmup", 2, "--json").json()
    assert said["pairs"] + said["held_out"] == 150
    assert said["held_out"] > 0 and said["held_out"] % 3 == 0


def test_a_run_goes_on_where_it_was(headlight, tmp_path):
    write_squares(tmp_path, "train", 60, 5)
    write_squares(tmp_path, "valid", 10, 6)
    how = ["--kind", "caption", "train.tsv", "--valid", "valid.tsv", *HOW, "--warmup", 2]
    said = headlight("train", *how, "--out", "model", "--budget-minutes", 0.02, "--json").json()
    assert said["held_out"] == 10
    more = headlight("train", "--resume", "model", "--budget-minutes", 0.04, "--json").json()
    assert more["steps"] > said["steps"] and more["curve"][0] == said["curve"][0]


def test_what_cannot_be_is_said(headlight, captioner, tmp_path):
    folder = captioner[0]
    model, picture = folder / "model", folder / "pictures" / "test0.png"
    assert "headlight caption" in headlight("translate", model, input="a\n", code=2).err
    assert "--image" in headlight("inspect", model, "--text", "a", code=2).err
    write_gpt2(tmp_path / "gpt2", tokenizer=True)
    assert "no images" in headlight("caption", "gpt2", picture, code=2).err
    assert "nowhere.png" in headlight("caption", model, "nowhere.png", code=3).err
    assert "IMAGE" in headlight("caption", model, code=2).err
    (tmp_path / "lines.txt").write_text("one\n")
    assert "--kind caption" in headlight("train", "lines.txt", "--kind", "lm", "--out", "m", "--patch", 2,
                                         code=2).err
    assert "do not divide" in headlight("train", "--kind", "caption", folder / "train.tsv", "--out", "m",
                                        "--patch", 5, code=2).err
