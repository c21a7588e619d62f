"""headlight train --kind answer on stories: models that read them fact by fact."""

import json
import random
import subprocess

import pytest

from conftest import PROGRAM, page_of, validator

NAMES = ["Mary", "John", "Ann"]
PLACES = ["hall", "garden", "kitchen"]
SMALL = ["--layers", 2, "--dim", 32, "--heads", 2, "--ffn", 64, "--dropout", 0, "--vocabulary", 320,
         "--batch", 400, "--learning-rate", 0.005, "--warmup", 40, "--threads", 1]


def write_stories(path, count, seed):
    """Two people go somewhere, one of them is asked for; returns the answers."""
    draw = random.Random(seed)
    lines, answers = [], []
    for _ in range(count):
        names, places = draw.sample(NAMES, 2), draw.choices(PLACES, k=2)
        asked = draw.randrange(2)
        lines += [f"{i + 1} {names[i]} went to the {places[i]}." for i in (0, 1)]
        lines.append(f"3 Where is {names[asked]}? \t{places[asked]}\t{asked + 1}")
        answers.append(places[asked])
    path.write_text("\n".join(lines) + "\n")
    return answers


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder with a model and what it was validated on, what train said, and the right answers."""
    folder = tmp_path_factory.mktemp("reader")
    write_stories(folder / "train.txt", 600, 1)
    answers = write_stories(folder / "test.txt", 60, 2)
    done = subprocess.run([PROGRAM, "train", "--kind", "answer", "train.txt", "--valid", "test.txt",
                           "--out", "model", "--steps", "300", "--evaluate-every", "150", "--json",
                           *map(str, SMALL)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), answers


def test_stories_are_answered_fact_by_fact(headlight, reader):
    folder, said, answers = reader
    validator("train")(said)
    assert said["kind"] == "answer" and said["labels"] == sorted(PLACES) and said["held_out"] == 60
    found = headlight("answer", folder / "model", folder / "test.txt").out.splitlines()
    right = sum(ours == theirs for ours, theirs in zip(found, answers, strict=True))
    assert right > 0.9 * len(answers)
    assert said["exact_match"] == pytest.approx(100 * right / len(answers))
    (folder / "right.txt").write_text("\n".join(answers) + "\n")
    (folder / "found.txt").write_text("\n".join(found) + "\n")
    scores = headlight("evaluate", "--hypothesis", folder / "found.txt", "--reference", folder / "right.txt",
                       "--json").json()
    assert f"{100 * right / len(answers):.4f}" in json.dumps(scores) or right == len(answers)


def test_answers_come_with_what_else_is_likely(headlight, reader):
    model = reader[0] / "model"
    story = "1 Mary went to the hall.\n2 Where is Mary?\n"
    lines = headlight("answer", model, "--nbest", 3, "--scores", input=story).out.splitlines()
    assert sorted(line.split("\t")[1] for line in lines) == sorted(PLACES)
    assert lines[0].endswith("hall") and float(lines[0].split("\t")[0]) > float(lines[1].split("\t")[0])
    for options, said in ((["--beam", 2], "chooses among answers"), (["--unanswerable"], "mark answers"),
                          (["--attention", "a.html"], "headlight inspect")):
        assert said in headlight("answer", model, *options, input=story, code=2).err
    assert "facts of a story" in headlight("answer", model, input="Where?\tIn the hall.\n", code=3).err
    long = "".join(f"{i} Ann went to the garden.\n" for i in range(1, 300)) + "300 Where is Ann?\n"
    assert "299 facts" in headlight("answer", model, input=long, code=3).err
    assert headlight("answer", model, "--cut", input=long).out == "garden\n"


def test_the_places_of_a_story_are_its_sentences(headlight, reader):
    folder = reader[0]
    model = folder / "model"
    story = "1 Mary went to the hall.\n2 Ann went to the garden.\n3 Where is Mary?\n"
    found = validator("inspect")(headlight("inspect", model, "--text", story, "--json", "--html", "h.html").json())
    sentences = ["Where is Mary?", "Ann went to the garden.", "Mary went to the hall."]
    assert found["tokens"] == sentences
    assert found["layers"][0]["keys"] == 3
    many = headlight("inspect", model, "--lines", folder / "test.txt", "--json").json()
    assert many["examples"] == 60
    assert "give them by --text" in headlight("inspect", model, "--tokens", "1,2", code=2).err
    assert "headlight answer" in headlight("classify", model, input="Where?\n", code=2).err
    headlight("trace", model, "--text", story, "--out", "t.safetensors")
    assert "holds no question" in headlight("inspect", model, "--text", "1 Mary left.", code=3).err


def test_heads_are_ranked_pruned_and_held_to_limits_by_the_answers(headlight, reader):
    folder = reader[0]
    model, data = folder / "model", folder / "test.txt"
    ranked = validator("rank")(headlight("rank", model, "--data", data, "--json").json())
    assert ranked["examples"] == 60 and len(ranked["greedy_order"]) == 4
    headlight("prune", model, "--keep", "75%", "--data", data, "--out", "smaller")
    assert headlight("answer", "smaller", data).out.splitlines().count("hall") > 0
    refused = headlight("prune", model, "--heads", "self.0.1", "--kind", "zeroed", "--data", data, "--out",
                        "zeroed", code=2).err
    assert "share their weights" in refused and "compact" in refused
    headlight("check", model, "--lines", data, "--min-effective-heads", "1")
    headlight("diff", model, "smaller", "--data", data)
    judged = headlight("evaluate", "--model", model, "--data", data, "--json").json()
    assert judged["accuracy"] == pytest.approx(reader[1]["exact_match"])


def test_a_run_in_two_parts_is_the_run_in_one(headlight, reader, tmp_path):
    data = ["train", "--kind", "answer", reader[0] / "train.txt", *SMALL, "--steps", 60, "--evaluate-every", 20]
    headlight(*data, "--out", "whole")
    stopped = subprocess.Popen([PROGRAM, *map(str, data), "--out", "parts"], cwd=tmp_path)
    while not (tmp_path / "parts" / "model.safetensors").exists():
        assert stopped.poll() is None
    stopped.terminate()
    stopped.wait()
    headlight("train", "--resume", "parts")
    assert (tmp_path / "parts/model.safetensors").read_bytes() == \
        (tmp_path / "whole/model.safetensors").read_bytes()


def test_what_is_no_story_or_has_an_answer_of_its_own_is_refused(headlight, tmp_path):
    write_stories(tmp_path / "train.txt", 40, 1)
    (tmp_path / "other.txt").write_text("1 Mary went to the cellar.\n2 Where is Mary?\tcellar\t1\n")
    (tmp_path / "told.txt").write_text("1 Mary went to the hall.\n2 John left.\n")
    (tmp_path / "tabs.txt").write_text("Where?\tIn the hall.\thall\n" * 30)
    out = ["--out", "model", "--steps", 60, *SMALL]
    learn = ["train", "--kind", "answer"]
    err = headlight(*learn, "train.txt", "--valid", "other.txt", *out, code=3).err
    assert "other.txt: no question" in err and "cellar" in err and "garden, hall, kitchen" in err
    assert "no question" in headlight(*learn, "told.txt", *out, code=3).err
    assert "numbered" in headlight(*learn, "--facts", "tabs.txt", *out, code=3).err
    assert "every question has 2 facts" in headlight(*learn, "train.txt", "--length", 2, *out, code=3).err
    assert "--kind answer" in headlight("train", "--facts", "train.txt", *out, code=2).err
    assert not (tmp_path / "model").exists()
    # One that nothing is learned about is wrong.
    mixed = "1 Mary went to the hall.\n2 Where is Mary?\thall\t1\n" + (tmp_path / "other.txt").read_text()
    (tmp_path / "mixed.txt").write_text(mixed)
    said = headlight(*learn, "train.txt", "--valid", "mixed.txt", *out, "--json").json()
    assert said["held_out"] == 2 and said["exact_match"] in (0, 50)
