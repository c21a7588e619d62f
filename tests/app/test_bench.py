"""headlight bench: what it measures and says; never how fast anything is."""

import csv

import pytest

from tiny_models import write_gpt2


def test_attention_is_timed_beside_libtorch_with_the_machine_s_peaks(headlight, tmp_path):
    said = headlight("bench", "attention", "--shapes", "tiny32", "--directions", "forward", "--dtypes",
                     "fp32,bf16", "--threads", "1", "--quick", "--csv", "rows.csv", "--json").json()
    assert said["schema"] == "headlight.bench/1" and said["work"] == "attention"
    assert said["peaks"][0]["gflops"] > 0 and said["peaks"][0]["gigabytes_per_second"] > 0
    assert {(row["implementation"], row["dtype"]) for row in said["rows"]} == {
        (name, dtype) for name in ("headlight", "pytorch") for dtype in ("fp32", "bf16")}
    work = 64 * 8 * 32 * 32 * 16 * 4
    for row in said["rows"]:
        assert row["shape"] == "tiny32" and row["direction"] == "forward" and row["threads"] == 1
        assert row["gflops"] == pytest.approx(work / row["milliseconds"] / 1e6)
        assert row["fastest_milliseconds"] <= row["milliseconds"]
    written = list(csv.DictReader(open(tmp_path / "rows.csv")))
    assert [float(row["milliseconds"]) for row in written] == [row["milliseconds"] for row in said["rows"]]


def test_decode_is_set_beside_the_memory_s_bandwidth_and_has_no_backward(headlight):
    said = headlight("bench", "attention", "--shapes", "decode", "--dtypes", "bf16", "--threads", "1",
                     "--quick", "--json").json()
    assert {row["direction"] for row in said["rows"]} == {"forward"}
    assert all(row["share_of_bandwidth"] > 0 for row in said["rows"])


def test_the_table_fits_a_terminal(headlight):
    lines = headlight("bench", "attention", "--shapes", "tiny32", "--directions", "backward", "--dtypes",
                      "fp32", "--threads", "1", "--quick").out.splitlines()
    assert any("ratio" in line for line in lines) and any("tiny32" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_a_training_step_is_timed_for_every_head_count(headlight):
    said = headlight("bench", "training-step", "--models", "small", "--heads", "1,4", "--threads", "1",
                     "--peers", "none", "--quick", "--json").json()
    assert [(row["heads"], row["threads"], row["implementation"]) for row in said["rows"]] == [
        (1, 1, "headlight"), (4, 1, "headlight")]
    assert all(row["milliseconds"] > 0 for row in said["rows"])


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(headlight):
    said = headlight("bench", "training-step", "--models", "small", "--heads", "1", "--threads", "1",
                     "--peers", "eager", "--python", "/nowhere/python", "--quick").out
    assert "eager: no PyTorch" in said


def test_tokenizing_counts_bytes_and_tokens(headlight, tmp_path):
    write_gpt2(tmp_path / "m", tokenizer=True)
    (tmp_path / "lines.txt").write_text("w1 w2 w3\nw4\n" * 100)
    said = headlight("bench", "tokenize", "--tokenizer", "m", "--file", "lines.txt", "--threads", "2",
                     "--quick", "--json").json()
    assert said["rows"][0]["tokens"] == 400
    assert said["rows"][0]["megabytes_per_second"] == pytest.approx(
        1200 / said["rows"][0]["milliseconds"] / 1e3)


@pytest.mark.parametrize("arguments, words", [
    (["attention", "--shapes", "bert9"], ["bert9", "bert128"]),
    (["attention", "--dtypes", "fp8"], ["--dtypes", "fp8"]),
    (["training-step", "--models", "huge"], ["huge", "published"]),
    (["training-step", "--heads", "3", "--peers", "none"], ["heads", "divide"]),
    (["tokenize"], ["--tokenizer", "--file"]),
    (["everything"], ["everything", "attention"]),
])
def test_wrong_usage_is_refused_with_what_there_is(headlight, arguments, words):
    refused = headlight("bench", *arguments, code=2)
    assert all(word in refused.err for word in words)
