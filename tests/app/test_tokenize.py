"""headlight tokenize: lines in, ids and offsets out, and back."""

import json

import pytest

from conftest import ROOT

TOKENIZERS = ROOT / "tests" / "text" / "tokenizers"


def golden(name):
    return [json.loads(line) for line in (TOKENIZERS / f"{name}.golden.jsonl").read_text().split("\n") if line]


def described(out):
    return [json.loads(line) for line in out.split("\n") if line]


@pytest.mark.parametrize("name", ["bert", "llama3", "t5"])
def test_jsonl_gives_ids_offsets_and_tokens_of_every_line(headlight, tmp_path, name):
    lines = golden(name)
    asked = [{key: line[key] for key in ("text", "pair") if key in line} for line in lines]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    out = headlight("tokenize", TOKENIZERS / f"{name}.json", "--jsonl", "--file", "in.jsonl").out
    keys = ("ids", "offsets", "tokens")
    assert described(out) == [{key: line[key] for key in keys} for line in lines]


def test_lines_from_stdin_and_back(headlight):
    model = TOKENIZERS / "llama2.json"
    text = "The cat sat on the mat.\n\n größer ☃\n"
    lines = described(headlight("tokenize", model, input=text).out)
    assert len(lines) == 3
    ids = "".join(" ".join(map(str, line["ids"])) + "\n" for line in lines)
    assert headlight("tokenize", model, "--decode", input=ids).out == text
    kept = headlight("tokenize", model, "--decode", "--keep-special-tokens", input=ids).out
    assert kept.startswith("<s>")


def test_json_is_one_object(headlight):
    model = TOKENIZERS / "bert.json"
    lines = headlight("tokenize", model, "--json", input="the cat\n\n").json()["lines"]
    assert [len(line["ids"]) > 2 for line in lines] == [True, False]
    assert headlight("tokenize", model, "--json", "--decode", input="2\n").json() == {"lines": [""]}


def test_special_tokens_can_be_left_out(headlight):
    model = TOKENIZERS / "bert.json"
    with_them = described(headlight("tokenize", model, input="the cat").out)[0]["ids"]
    bare = headlight("tokenize", model, "--no-special-tokens", input="the cat").out
    assert described(bare)[0]["ids"] == with_them[1:-1]


def test_what_is_wrong_is_named_with_its_line(headlight, tmp_path):
    model = TOKENIZERS / "bert.json"
    assert "line 2" in headlight("tokenize", model, "--decode", input="2\nx\n", code=3).err
    assert "line 1" in headlight("tokenize", model, "--decode", input="99999\n", code=2).err
    assert "line 1" in headlight("tokenize", model, "--jsonl", input="{}\n", code=3).err
    (tmp_path / "latin1.txt").write_bytes(b"gr\xf6sser\n")
    assert "UTF-8" in headlight("tokenize", model, "--file", "latin1.txt", code=3).err
    assert "nowhere" in headlight("tokenize", "nowhere", input="", code=3).err
