"""headlight evaluate: the same numbers as the public Python packages."""

import collections
import json
import math
import random
import re
import string

import pytest

from conftest import ROOT
from tiny_models import write_gpt2

PIECES = ["the", "a", "cat", "Katze", "größer", "İstanbul", "3.5", "4,000", "e.g.", "it's", "x-y", "5-",
          "...", "“quote”", "&quot;", "&amp;lt;", "<skipped>", "naïve", "日本語", "don't", "(see", "p.3)",
          "U.S.", "…", "™", "½", "ΌΔΟΣ", "\u00a0", "\u2028", "\u200b", "-", ",", ".", "!", "_", "an", "The"]


def random_lines(count, seed):
    """Pairs of lines that share some of their words, with odd spaces and empty ones among them."""
    draw = random.Random(seed)
    ours, theirs = [], []
    for _ in range(count):
        right = [draw.choice(PIECES) for _ in range(draw.randrange(0, 14))]
        made = [draw.choice(PIECES) if draw.random() < 0.3 else word for word in right]
        if made and draw.random() < 0.4:
            del made[draw.randrange(len(made))]
        theirs.append(draw.choice([" ", "  ", ""]).join(right))
        ours.append(draw.choice([" ", " ", "\t"]).join(made))
    return ours, theirs


def write(folder, ours, theirs):
    (folder / "ours.txt").write_bytes("".join(line + "\n" for line in ours).encode())
    (folder / "theirs.txt").write_bytes("".join(line + "\n" for line in theirs).encode())
    return "--hypothesis", "ours.txt", "--reference", "theirs.txt"


def squad(ours, theirs):
    """Exact match and F1 as SQuAD's evaluation describes them."""
    def normal(text):
        text = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    exact, f1 = 0, 0
    for one, other in zip(ours, theirs):
        a, b = normal(one).split(), normal(other).split()
        exact += a == b
        both = sum((collections.Counter(a) & collections.Counter(b)).values())
        f1 += (a == b) if not a or not b else 2 * both / (len(a) + len(b))
    return 100 * exact / len(ours), 100 * f1 / len(ours)


@pytest.mark.parametrize("count, seed", [(1, 0), (1, 3), (7, 1), (300, 2)])
def test_scores_equal_those_of_the_public_packages(headlight, tmp_path, count, seed):
    sacrebleu = pytest.importorskip("sacrebleu")
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    ours, theirs = random_lines(count, seed)
    said = headlight("evaluate", *write(tmp_path, ours, theirs), "--json").json()
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    assert said["bleu"] == pytest.approx(bleu.corpus_score(ours, [theirs]).score, abs=1e-9)
    assert said["chrf"] == pytest.approx(chrf.corpus_score(ours, [theirs]).score, abs=1e-9)
    without_version = lambda signature: str(signature).rsplit("|version", 1)[0]
    assert without_version(said["signature"]) == without_version(bleu.get_signature())
    assert without_version(said["chrf_signature"]) == without_version(chrf.get_signature())
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    lines = [scorer.score(right, made) for made, right in zip(ours, theirs)]
    for name in ("rouge1", "rouge2", "rougeL"):
        mean = 100 * sum(line[name].fmeasure for line in lines) / count
        assert said[name] == pytest.approx(mean, abs=1e-9)
    assert (said["exact_match"], said["f1"]) == pytest.approx(squad(ours, theirs), abs=1e-9)


def test_scores_of_a_small_case_are_known(headlight, tmp_path):
    # Numbers of sacrebleu 2.6.0 and rouge-score 0.1.2.
    ours = ["The cat sat on the mat.", "He didn't trust him, because he knew.", "Ein Hund läuft."]
    theirs = ["The cat sat on a mat.", "He did not trust him because he knew.", "Der Hund läuft!"]
    said = headlight("evaluate", *write(tmp_path, ours, theirs), "--json").json()
    pytest.importorskip("jsonschema").validate(
        said, json.loads((ROOT / "schema" / "evaluate.schema.json").read_text()))
    assert said["lines"] == 3
    golden = {"bleu": 37.89710450980445, "chrf": 72.06094510309944, "rouge1": 700 / 9,
              "rouge2": 61.26984126984126, "rougeL": 700 / 9, "exact_match": 100 / 3,
              "f1": 82.22222222222223}
    assert {name: said[name] for name in golden} == pytest.approx(golden, abs=1e-6)
    for name, (low, high) in said["intervals"].items():
        assert low <= said[name] <= high


def test_a_person_sees_every_score_within_80_columns(headlight, tmp_path):
    files = write(tmp_path, ["a b c d"], ["a b c d"])
    out = headlight("evaluate", *files, environment={"COLUMNS": "80"}).out
    for name in ("bleu", "chrf", "rougeL", "exact_match", "100.00", "tok:13a"):
        assert name in out
    assert max(map(len, out.splitlines())) <= 80


def test_lines_can_come_from_standard_input(headlight, tmp_path):
    write(tmp_path, ["a b c d"], ["a b c d"])
    said = headlight("evaluate", "--hypothesis", "-", "--reference", "theirs.txt", "--json",
                     input="a b c d\r\n").json()
    assert said["bleu"] == pytest.approx(100)


def test_perplexity_is_that_of_the_loss_a_model_is_checked_with(headlight, tmp_path):
    write_gpt2(tmp_path / "model", tokenizer=True)
    (tmp_path / "lines.txt").write_text("w1 w5 w9 w2 w2\nw3 w8\nw7 w1 w2 w30 w4 w11\n")
    said = headlight("evaluate", "--model", "model", "--data", "lines.txt", "--json").json()
    pytest.importorskip("jsonschema").validate(
        said, json.loads((ROOT / "schema" / "evaluate.schema.json").read_text()))
    checked = headlight("check", "model", "--data", "lines.txt", "--max-loss", 100, "--json").json()
    assert said["loss"] == pytest.approx(checked["loss"], rel=1e-6)
    assert said["perplexity"] == pytest.approx(math.exp(said["loss"]))
    assert (said["lines"], said["tokens"]) == (3, 4 + 1 + 5)
    for name, (low, high) in said["intervals"].items():
        assert low <= said[name] <= high
    assert "perplexity" in headlight("evaluate", "--model", "model", "--data", "lines.txt").out
    assert "--reference" in headlight("evaluate", code=2).err


def test_what_is_wrong_is_named(headlight, tmp_path):
    files = write(tmp_path, ["a", "b"], ["a"])
    error = headlight("evaluate", *files, code=3).err
    assert "ours.txt has 2 lines" in error and "theirs.txt has 1 line" in error
    assert "no lines" in headlight("evaluate", *write(tmp_path, [], []), code=3).err
    (tmp_path / "ours.txt").write_bytes(b"fine\ngr\xf6sser\n")
    assert "line 2" in headlight("evaluate", *files, code=3).err
    (tmp_path / "ours.txt").write_bytes(b"\x1f\x8b\x08\x00")
    assert "gzip, and damaged" in headlight("evaluate", *files, code=3).err
    (tmp_path / "ours.txt").unlink()
    assert "ours.txt" in headlight("evaluate", *files, code=3).err
