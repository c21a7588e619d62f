"""The public operator vectors of ONNX through the Python operator."""

import json

import headlight
import numpy
import pytest
import torch

from conftest import SHARED

FOLDER = SHARED / "onnx" / "attention"
CASES = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []


def read(folder, slots):
    arrays = {}
    for slot in slots:
        array = torch.from_numpy(numpy.load(folder / slot["file"]))
        arrays[slot["name"]] = array.bool() if slot["dtype"] == "bool" else array
    return arrays


def as_heads(x, heads):
    return x if x.dim() == 4 else x.unflatten(-1, (heads, -1)).transpose(1, 2)


@pytest.mark.skipif(not CASES, reason=f"no public vectors at {FOLDER}")
@pytest.mark.parametrize("folder", CASES, ids=lambda x: x.name)
def test_public_vectors_agree(folder):
    case = json.loads((folder / "case.json").read_text())
    attributes = case["attributes"]
    given, expected = read(folder, case["inputs"]), read(folder, case["outputs"])
    q = as_heads(given["Q"], attributes.get("q_num_heads"))
    k, v = (as_heads(given[name], attributes.get("kv_num_heads")) for name in "KV")
    past = 0
    if "past_key" in given:
        past = given["past_key"].shape[2]
        k = torch.cat([given["past_key"], k], 2)
        v = torch.cat([given["past_value"], v], 2)
    mask = given.get("attn_mask")
    # Keys up to that of the query's own position, which lies behind the past.
    window = (None, past) if attributes.get("is_causal") else None
    out = headlight.attention(q, k, v, mask=mask, window=window, scale=attributes.get("scale"),
                              softcap=attributes.get("softcap"))
    wanted = next(iter(expected.values()))
    if wanted.dim() == 3:
        out = out.transpose(1, 2).flatten(2)
    tolerance = 2e-3 if wanted.dtype == torch.float16 else 2e-6
    torch.testing.assert_close(out, wanted.to(out.dtype), atol=tolerance, rtol=tolerance)
