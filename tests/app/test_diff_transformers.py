"""Differences between models of every architecture that transformers writes."""

import pytest

from test_prune_transformers import CASES, inputs_for, made, write_inputs

from conftest import validator

valid = validator("diff")


@pytest.mark.parametrize("kind", CASES)
def test_what_falls_silent_is_the_only_change(headlight, tmp_path, kind):
    """In the last layer, behind which no other head reads what has changed."""
    made(kind, tmp_path / "a")
    inputs = write_inputs(tmp_path, inputs_for(kind))
    stack = list(CASES[kind][2])[-1]
    heads = [0, 1] if "num_key_value_heads" in CASES[kind][1] else [0]
    headlight("prune", "a", "--heads", ",".join(f"{stack}.1.{head}" for head in heads), "--kind", "zeroed", "--out", "b")
    same = valid(headlight("diff", "a", "a", "--data", inputs, "--json").json())
    assert same["counts"]["same"] == sum(same["counts"].values())
    report = valid(headlight("diff", "a", "b", "--data", inputs, "--json").json())
    died = [(layer["stack"], layer["layer"], match["a"]) for layer in report["layers"]
            for match in layer["matches"] if match["change"] == "died"]
    assert died == [(stack, 1, head) for head in heads]
    assert report["counts"]["same"] == same["counts"]["same"] - len(heads)
