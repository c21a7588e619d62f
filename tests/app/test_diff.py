"""headlight diff: which heads changed between two models."""

import itertools
import json
import shutil

import numpy
import pytest
from safetensors.numpy import load_file, save_file

from conftest import page_of, validator
from tiny_models import D, H, L, forward, write_gpt2

LINES = ["w3 w14 w15 w9 w26 w5 w35 w8 w3 w14", "w1 w2 w1 w2 w7", "w26 w5 w35 w8 w3 w14 w7", "w9 w8 w7 w6"]
DIFF = ["diff", "a", "b", "--data", "lines.txt"]
W = D // H  # width of a head


@pytest.fixture(autouse=True)
def material(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    return write_gpt2(tmp_path / "a", tokenizer=True)


def second(tmp_path, change=lambda tensors: None):
    """Model b: a with other tensors. Returns them under the names of tiny_models."""
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    path = tmp_path / "b" / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file({name: numpy.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
valid = validator("diff")


def matches(report):
    return [{match["a"]: match for match in layer["matches"] if match["a"] is not None}
            for layer in report["layers"]]


def permuted(tensors, orders):
    """Head h of layer l becomes head orders[l].index(h): another order of the same heads."""
    for layer, order in enumerate(orders):
        at = f"transformer.h.{layer}.attn."
        for part in ("weight", "bias"):
            tensor = tensors[at + "c_attn." + part]
            wide = tensor.reshape(-1, 3, H, W)
            tensors[at + "c_attn." + part] = wide[:, :, order].reshape(tensor.shape)
        tensors[at + "c_proj.weight"] = tensors[at + "c_proj.weight"].reshape(H, W, D)[order].reshape(D, D)


def test_a_model_does_not_differ_from_itself(headlight, tmp_path):
    second(tmp_path)
    report = valid(headlight(*DIFF, "--max-shift", 1e-6, "--json").json())
    assert report["counts"] == {"same": L * H, "moved": 0, "died": 0, "appeared": 0, "renumbered": 0}
    for layer in matches(report):
        for head, match in layer.items():
            assert match["b"] == head and match["distance"] < 1e-6
    assert "Every head is where and what it was." in headlight(*DIFF).out


def test_another_order_of_the_heads_is_found_exactly(headlight, tmp_path):
    orders = [[2, 0, 3, 1], [3, 2, 1, 0]]
    second(tmp_path, lambda tensors: permuted(tensors, orders))
    for by in ("both", "pattern", "output"):
        report = valid(headlight(*DIFF, "--by", by, "--json").json())
        for layer, order in zip(matches(report), orders):
            for head, match in layer.items():
                assert match["b"] == order.index(head)
                assert match["distance"] < 1e-3 and match["change"] == "same"
                assert match["runner_up"] > 0.05
        assert report["counts"]["renumbered"] == L * H - sum(
            order[h] == h for order in orders for h in range(H))


def gram(weights, values, output):
    """U-centred Gram matrix of the rows that a head adds to the stream (Szekely & Rizzo 2014)."""
    y = weights @ values @ output
    k = y @ y.T
    n = len(k)
    numpy.fill_diagonal(k, 0)
    sums = k.sum(0)
    k = k - sums[:, None] / (n - 2) - sums[None] / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    numpy.fill_diagonal(k, 0)
    return k


def heads_of(tensors, ids):
    """Patterns and centred Gram matrices of every head, [layer][head], in double precision."""
    trace = forward(tensors, ids)
    patterns, grams = [], []
    for layer in range(L):
        at = f"h.{layer}."
        x = trace[f"hidden_states.{layer}"]
        centred = x - x.mean(-1, keepdims=True)
        x = (centred / numpy.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5)
             * tensors[at + "ln_1.weight"] + tensors[at + "ln_1.bias"])
        v = (x @ tensors[at + "attn.c_attn.weight"] + tensors[at + "attn.c_attn.bias"])[:, 2 * D:]
        weights = trace[f"attentions.{layer}"]
        patterns.append(weights)
        grams.append([gram(weights[h], v[:, h * W:(h + 1) * W],
                           tensors[at + "attn.c_proj.weight"][h * W:(h + 1) * W].astype(float)) for h in range(H)])
    return patterns, grams


def test_distances_and_matches_are_those_of_whole_matrices(headlight, tmp_path, material):
    random = numpy.random.default_rng(1)

    def moved(tensors):
        for name, tensor in tensors.items():
            tensors[name] = tensor + random.normal(0, 0.2, tensor.shape).astype(numpy.float32)

    other = second(tmp_path, moved)
    report = valid(headlight(*DIFF, "--apart", 1, "--json").json())
    assert report["examples"] == len(LINES) and report["rows"] == sum(len(line.split()) for line in LINES)
    apart = numpy.zeros((L, H, H))
    hsic = numpy.zeros((3, L, H, H))
    for line in LINES:
        ids = [int(word[1:]) for word in line.split()]
        n = len(ids)
        (pa, ga), (pb, gb) = heads_of(material, ids), heads_of(other, ids)
        for l, h, g in itertools.product(range(L), range(H), range(H)):
            apart[l, h, g] += ((numpy.sqrt(pa[l][h]) - numpy.sqrt(pb[l][g])) ** 2).sum() / 2
            for term, (one, two) in enumerate(((ga[l][h], gb[l][g]), (ga[l][h], ga[l][h]), (gb[l][g], gb[l][g]))):
                hsic[term, l, h, g] += (one * two).sum() / (n * (n - 3))
    pattern = numpy.sqrt(apart / report["rows"])
    output = numpy.sqrt(numpy.clip(1 - hsic[0] / numpy.sqrt(hsic[1] * hsic[2]), 0, 1))
    both = numpy.sqrt((pattern ** 2 + output ** 2) / 2)
    for l, layer in enumerate(report["layers"]):
        assert numpy.allclose(layer["pattern_distance"], pattern[l], atol=1e-3)
        assert numpy.allclose(layer["output_distance"], output[l], atol=1e-3)
        assert numpy.allclose(layer["distance"], both[l], atol=1e-3)
        cost = numpy.array(layer["distance"]) ** 2
        best = min(itertools.permutations(range(H)), key=lambda order: sum(cost[h, order[h]] for h in range(H)))
        for head, match in matches(report)[l].items():
            assert match["b"] == best[head]
            assert match["interval"]["low"] <= match["distance"] <= match["interval"]["high"]
            assert match["runner_up"] == pytest.approx(numpy.delete(layer["distance"][head], best[head]).min())


def test_one_head_that_learnt_something_else_stands_out(headlight, tmp_path):
    def learnt(tensors):
        tensors["transformer.h.0.attn.c_attn.weight"][:, 2 * W:3 * W] *= -3

    second(tmp_path, learnt)
    report = headlight(*DIFF, "--json").json()
    first = matches(report)[0]
    assert first[2]["distance"] > 0.1 and first[2]["change"] in ("moved", "died")
    for head in (0, 1, 3):
        assert first[head]["distance"] < 1e-6 and first[head]["change"] == "same"
    out = headlight(*DIFF).out
    assert "self.0.2" in out and max(map(len, out.splitlines())) <= 100


def test_a_head_that_falls_silent_died_and_one_that_speaks_up_appeared(headlight, tmp_path):
    def silent(tensors):
        tensors["transformer.h.1.attn.c_proj.weight"][W:2 * W] = 0

    second(tmp_path, silent)
    report = valid(headlight(*DIFF, "--json").json())
    dead = matches(report)[1][1]
    assert dead["change"] == "died" and dead["pattern_distance"] < 1e-6 and dead["output_distance"] == 1
    assert report["layers"][1]["relative_norm_b"][1] == 0
    assert report["counts"] == {"same": L * H - 1, "moved": 0, "died": 1, "appeared": 0, "renumbered": 0}
    back = headlight("diff", "b", "a", "--data", "lines.txt", "--json").json()
    assert matches(back)[1][1]["change"] == "appeared" and back["counts"]["appeared"] == 1


def test_heads_too_far_apart_are_no_match(headlight, tmp_path):
    random = numpy.random.default_rng(3)

    def another(tensors):
        for name, tensor in tensors.items():
            if "attn" in name:
                tensors[name] = random.normal(0, 2, tensor.shape).astype(numpy.float32)

    second(tmp_path, another)
    report = valid(headlight(*DIFF, "--apart", 0.2, "--json").json())
    assert report["counts"]["died"] == report["counts"]["appeared"] > 0
    for layer in report["layers"]:
        for match in layer["matches"]:
            if match["change"] == "died":
                assert match["b"] is None and match["distance"] > 0.2
            if match["change"] == "appeared":
                assert match["a"] is None
        assert sorted(m["a"] for m in layer["matches"] if m["a"] is not None) == list(range(H))
        assert sorted(m["b"] for m in layer["matches"] if m["b"] is not None) == list(range(H))


def test_more_movement_than_allowed_is_exit_code_1(headlight, tmp_path):
    def learnt(tensors):
        tensors["transformer.h.0.attn.c_attn.weight"][:, 2 * W:3 * W] *= -3

    second(tmp_path, learnt)
    far = max(m["distance"] for layer in matches(headlight(*DIFF, "--json").json()) for m in layer.values())
    assert headlight(*DIFF, "--max-shift", far + 1e-6, "--json").json()["passed"]
    broken = headlight(*DIFF, "--max-shift", far - 1e-6, "--json", code=1)
    assert not valid(broken.json())["passed"] and "more than --max-shift" in broken.err


def test_the_page_holds_the_report(headlight, tmp_path):
    second(tmp_path)
    report = headlight(*DIFF, "--html", "diff.html", "--json").json()
    assert page_of(tmp_path / "diff.html") == report
    assert "<title>Headlight diff</title>" in (tmp_path / "diff.html").read_text()


def test_numbers_depend_on_the_seed_and_threads_in_no_other_way(headlight, tmp_path):
    second(tmp_path, lambda tensors: permuted(tensors, [[1, 0, 3, 2]] * L))
    assert headlight(*DIFF, "--json", "--threads", 1).out == headlight(*DIFF, "--json", "--threads", 1).out


def test_texts_of_three_tokens_are_compared_by_patterns_alone(headlight, tmp_path):
    second(tmp_path)
    report = valid(headlight("diff", "a", "b", "--text", "w1 w2 w3", "--json").json())
    assert report["layers"][0]["matches"][0]["output_distance"] is None
    assert report["layers"][0]["matches"][0]["interval"] is None
    assert len(report["notes"]) == 2
    assert "four tokens" in headlight("diff", "a", "b", "--text", "w1 w2 w3", "--by", "output", code=3).err


def test_other_vocabularies_and_shapes_are_refused_with_the_reason(headlight, tmp_path):
    write_gpt2(tmp_path / "b", tokenizer=True)
    tokenizer = json.loads((tmp_path / "b" / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["w7"], vocabulary["w8"] = vocabulary["w8"], vocabulary["w7"]
    (tmp_path / "b" / "tokenizer.json").write_text(json.dumps(tokenizer))
    err = headlight(*DIFF, "--html", "no.html", code=3).err
    assert "id 7 is 'w7' in the first and 'w8' in the second" in err and not (tmp_path / "no.html").exists()
    assert headlight("diff", "a", "b", "--tokens", "1,2,3,4", "--json").json()["counts"]["same"] == L * H
    (tmp_path / "b" / "tokenizer.json").unlink()
    assert any("its own was not read" in note for note in headlight(*DIFF, "--json").json()["notes"])
    tensors = load_file(tmp_path / "b" / "model.safetensors")
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"n_layer": 1}))
    save_file({n: t for n, t in tensors.items() if ".h.1." not in n}, tmp_path / "b" / "model.safetensors")
    assert "2 layers in its decoder, the second 1" in headlight(*DIFF, code=3).err


@pytest.mark.parametrize("arguments, code", [(["--by", "hope"], 2), (["--max-shift", "2"], 2),
                                             (["--moved", "0.8"], 2), (["--device", "cuda"], 2)])
def test_wrong_usage_is_refused(headlight, tmp_path, arguments, code):
    second(tmp_path)
    headlight(*DIFF, *arguments, code=code)
    headlight("diff", "a", "--data", "lines.txt", code=2)
    headlight("diff", "a", "missing", "--data", "lines.txt", code=3)
