"""headlight study, from the command line to the report."""

import json
import os
import random
import resource
import shlex
import signal
import subprocess
import time

import jsonschema
import pytest

from conftest import PROGRAM, ROOT, TINY, numbers_of


def test_a_small_study_writes_a_report_that_fits_its_schema(headlight, tmp_path):
    outcome = headlight("study", "--task", "copy(8,8)", "cycle(8,8)", *TINY, "--out", "s", "--json")
    report = outcome.json()
    schema = json.loads((ROOT / "schema" / "study.schema.json").read_text())
    jsonschema.validate(report, schema)
    assert report == json.loads((tmp_path / "s" / "report.json").read_text())
    assert len(report["runs"]) == 2 * 2 * 2
    assert (tmp_path / "s" / "report.html").stat().st_size > 10_000
    curves = (tmp_path / "s" / "curves.csv").read_text().splitlines()
    assert len(curves) == 1 + 8 * 3
    for run in report["runs"]:
        assert (tmp_path / "s" / run["checkpoint"] / "model.safetensors").exists()
        assert 0 <= run["test_accuracy"] <= 1


def test_tables_and_sentences_in_a_pipe_fit_a_page(headlight):
    out = headlight("study", "--task", "fetch(8,2,3)", *TINY).out
    assert max(len(line) for line in out.splitlines()) <= 100
    assert "not shown at this width" in out


def test_every_head_count_has_the_same_number_of_parameters(headlight):
    report = headlight("study", "--task", "copy(8,8)", *TINY, "--heads", "1,2,4,8", "--seeds", "1",
                       "--json").json()
    assert len({run["parameters"] for run in report["runs"]}) == 1


# Of a kind of train: short, and with a batch that counts tokens.
OF_KIND = ["--heads", "1,2", "--seeds", "2", "--dim", "16", "--ffn", "32", "--layers", "1", "--steps",
           "40", "--evaluate-every", "20", "--batch", "200", "--vocabulary", "300", "--dropout", "0",
           "--threads", "1", "--analysis-sequences", "2"]


def test_what_train_learns_is_compared_by_loss_and_by_its_own_measure(headlight, tmp_path):
    words = "one two three four five".split()
    for name, order in (("train", 1), ("valid", -1)):
        lines = [f"{a} {b} {c}\t{c} {b} {a}\n" for a in words for b in words for c in words][::order]
        (tmp_path / f"{name}.tsv").write_text("".join(lines[:100] if order > 0 else lines[:25]))
    command = ["study", "--kind", "translate", "--data", "train.tsv", "--valid", "valid.tsv", *OF_KIND]
    report = headlight(*command, "--out", "s", "--json").json()
    jsonschema.validate(report, json.loads((ROOT / "schema" / "study.schema.json").read_text()))
    assert len({run["parameters"] for run in report["runs"]}) == 1
    assert [row["heads"] for row in report["summary"]] == [1, 2]
    assert all(0 <= row["score_mean"] <= 100 for row in report["summary"])
    assert all(row["loss_low"] < row["loss_mean"] < row["loss_high"] for row in report["summary"])
    assert report["settings"]["tasks"][0]["score"] == "bleu"
    assert report["settings"]["tasks"][0]["measure"] == "nats"
    stacks = {layer["stack"] for layer in report["runs"][0]["layers"]}
    assert stacks == {"encoder", "decoder", "cross"}
    # Every run is a model that translates, as good as the report says, and as train makes it.
    run = report["runs"][0]
    heads, seed = run["heads"], run["seed"]
    sources, targets = zip(*(line.split("\t") for line in
                             (tmp_path / "valid.tsv").read_text().splitlines()))
    (tmp_path / "right").write_text("\n".join(targets) + "\n")
    out = headlight("translate", tmp_path / "s" / run["checkpoint"], "--beam", "1",
                    input="\n".join(sources) + "\n").out
    (tmp_path / "out").write_text(out)
    said = headlight("evaluate", "--hypothesis", "out", "--reference", "right", "--json").json()
    assert said["bleu"] == pytest.approx(run["curve"][-1]["score"], abs=1e-9)
    alone = headlight("train", "train.tsv", "--valid", "valid.tsv", "--heads", heads, "--seed", seed,
                      *OF_KIND[4:-2], "--out", "alone", "--json").json()
    assert alone["curve"] == run["curve"]
    table = headlight("study", "--resume", "s").out
    assert "bleu" in table and "headlight train --kind translate" in table


@pytest.mark.parametrize("kind, measure", [("classify", "accuracy"), ("mlm", "nats"), ("lm", "nats")])
def test_what_only_reads_or_goes_on_is_compared_too(headlight, tmp_path, kind, measure):
    numbers, letters = "one two three four".split(), "alpha beta gamma delta".split()
    lines = [f"{a} {b} {c}" + ("\tnumbers" if words is numbers else "\tletters")
             for words in (numbers, letters) for a in words for b in words for c in words]
    if kind != "classify":
        lines = [line.split("\t")[0] for line in lines]
    (tmp_path / "data.tsv").write_text("\n".join(lines) + "\n")
    report = headlight("study", "--kind", kind, "--data", "data.tsv", *OF_KIND, "--rates",
                       "0.003,0.01", "--out", "s", "--json").json()
    jsonschema.validate(report, json.loads((ROOT / "schema" / "study.schema.json").read_text()))
    task = report["settings"]["tasks"][0]
    assert (task["measure"], task["score"]) == (measure, None)
    assert task["classes"] == (2 if kind == "classify" else task["symbols"])
    assert len(report["runs"]) == 2 * 2 * 2 and len(report["summary"]) == 2
    words = report["runs"][0]["maps"][0]["tokens"]
    assert any(word.strip("▁").isalpha() for word in words)
    headlight("inspect", tmp_path / "s" / report["runs"][0]["checkpoint"], "--text", "one two three")


@pytest.mark.parametrize("arguments, said", [
    (["--kind", "translate"], "--data is missing"),
    (["--kind", "lm", "--data", "a", "--task", "copy"], "--task does not go with --kind"),
    (["--kind", "lm", "--data", "a", "--noise", "0.1"], "--noise does not go with --kind"),
    (["--kind", "lm", "--data", "a", "--test-samples", "9"], "--test-samples does not go"),
    (["--data", "a"], "--kind is missing"),
    (["--kind", "lm", "--data", "a", "--dim", "10", "--heads", "4"], "10"),
])
def test_kinds_of_train_refuse_what_is_not_theirs(headlight, arguments, said):
    assert said in headlight("study", *arguments, code=2).err


def test_a_file_that_is_missing_leaves_no_folder(headlight, tmp_path):
    assert "gone.tsv" in headlight("study", "--kind", "translate", "--data", "gone.tsv", "--out", "s",
                                   code=3).err
    assert not (tmp_path / "s").exists()


def test_a_budget_is_met_from_below(headlight):
    report = headlight("study", "--task", "copy(8,8)", *TINY, "--budget", "5000", "--json").json()
    assert 4500 <= report["runs"][0]["parameters"] <= 5000


def test_the_same_command_gives_the_same_numbers(headlight):
    one = headlight("study", "--task", "fetch(4,2,2)", *TINY, "--out", "a", "--json").json()
    two = headlight("study", "--task", "fetch(4,2,2)", *TINY, "--out", "b", "--json",
                    "--threads", "1").json()
    assert numbers_of(one) == numbers_of(two)


def test_a_killed_study_resumes_to_the_same_numbers(headlight, tmp_path):
    arguments = ["study", "--task", "fetch(8,2,3)", *TINY, "--steps", "400", "--dim", "32"]
    whole = headlight(*arguments, "--out", "whole", "--json").json()
    moments = random.Random(1)
    for _ in range(3):
        process = subprocess.Popen([PROGRAM, *arguments, "--out", "killed", "--quiet"], cwd=tmp_path,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (tmp_path / "killed" / "study.json").exists():  # starting takes its time
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0.2, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed = headlight("study", "--resume", "killed", "--json").json()
    assert numbers_of(resumed) == numbers_of(whole)


def test_the_report_names_the_command_that_began_the_study(headlight, tmp_path):
    settings = ["--task", "copy(8,8)", *TINY, "--seed", "3"]
    begun = headlight("study", *settings, "--out", "s", "--json").json()["command"]
    assert "--task 'copy(8,8)'" in begun and "--seed 3" in begun and "--out" not in begun
    assert headlight("study", "--resume", "s", "--json").json()["command"] == begun
    for i in (1, 2):
        headlight("study", *settings, "--shard", f"{i}/2", "--out", f"part{i}")
    joined = headlight("study", "--merge", "part1", "part2", "--out", "joined", "--json").json()
    assert joined["command"] == begun
    again = headlight(*shlex.split(begun)[1:], "--out", "again", "--json").json()
    assert numbers_of(again) == numbers_of(joined)


@pytest.mark.parametrize("verb, go_on", [
    (["study", "--task", "fetch(16,2,6)", "--steps", "9000", "--shard", "1/2"],
     "headlight study --resume 'my folder' --shard 1/2"),
    (["reproduce", "beyond-parallelism", "--tasks", "copy", "--heads", "1"],
     "headlight reproduce beyond-parallelism --resume 'my folder'"),
])
def test_after_ctrl_c_the_hint_is_a_command_that_goes_on(tmp_path, verb, go_on):
    process = subprocess.Popen([PROGRAM, *verb, "--out", "my folder", "--threads", "1"], text=True,
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert err.rstrip().endswith(go_on)


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(headlight, tmp_path):
    arguments = ["study", "--task", "fetch(16,2,6)", *TINY, "--steps", "3000", "--dim", "32"]
    process = subprocess.Popen([PROGRAM, *arguments, "--out", "s"], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "--resume s" in err
    assert list((tmp_path / "s" / "runs").glob("*/training.safetensors"))


def test_shards_join_to_the_whole_study(headlight):
    arguments = ["study", "--task", "copy(8,8)", *TINY]
    whole = headlight(*arguments, "--out", "whole", "--json").json()
    for i in (1, 2, 3):
        headlight(*arguments, "--shard", f"{i}/3", "--out", f"part{i}")
    joined = headlight("study", "--merge", "part1", "part2", "part3", "--out", "joined",
                       "--json").json()
    assert numbers_of(joined) == numbers_of(whole)


def test_parts_of_different_studies_do_not_join(headlight):
    headlight("study", "--task", "copy(8,8)", *TINY, "--out", "a")
    headlight("study", "--task", "copy(8,4)", *TINY, "--out", "b")
    outcome = headlight("study", "--merge", "a", "b", "--out", "c", code=3)
    assert "another study" in outcome.err


def test_each_head_count_can_take_its_best_rate(headlight):
    report = headlight("study", "--task", "copy(8,8)", *TINY, "--rates", "0.0001,0.01",
                       "--json").json()
    assert len(report["runs"]) == 2 * 2 * 2
    assert "lowest validation loss" in report["settings"]["rate_choice"]
    assert all(row["learning_rate"] == 0.01 for row in report["summary"])


def test_text_of_the_user_becomes_a_language_model(headlight, tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on the mat and looked at the moon. " * 60)
    report = headlight("study", "--text", "t.txt", "--length", "16", *TINY, "--json").json()
    assert report["settings"]["tasks"][0]["measure"] == "nats"
    assert "nats" in report["verdict"]["text"] and "right" not in report["verdict"]["text"]
    one, two = report["summary"]
    compared = report["comparisons"][0]
    assert compared["margin"] == 0.01
    assert compared["difference"] == pytest.approx(two["loss_mean"] - one["loss_mean"], rel=1e-6)
    assert one["loss_low"] <= one["loss_mean"] <= one["loss_high"]
    assert report["settings"]["tasks"][0]["symbols"] >= 256
    pieces = headlight("study", "--text", "t.txt", "--length", "16", "--vocabulary", "280", *TINY,
                       "--out", "pieces", "--json").json()
    assert pieces["settings"]["tasks"][0]["symbols"] != report["settings"]["tasks"][0]["symbols"]


def test_pairs_of_the_user_become_an_encoder_decoder(headlight, tmp_path):
    words = ["red", "blue", "green", "old", "new", "house", "tree", "car"]
    lines = [f"{a} {b}" for a in words for b in words]
    (tmp_path / "a").write_text("\n".join(lines) + "\n")
    (tmp_path / "b").write_text("\n".join(line[::-1] for line in lines) + "\n")
    report = headlight("study", "--pairs", "a", "b", *TINY, "--test-samples", "8", "--json").json()
    stacks = {layer["stack"] for layer in report["runs"][0]["layers"]}
    assert stacks == {"encoder", "decoder", "cross"}


@pytest.mark.parametrize("arguments, code, words", [
    (["--dim", "10", "--heads", "4"], 2, ["10", "4"]),
    (["--heads", "0"], 2, ["head"]),
    (["--task", "fetch(16,2"], 2, ["fetch"]),
    (["--task", "fecth(16,2,6)"], 2, ["fetch"]),
    (["--task", "copy(0,4)"], 2, ["copy"]),
    (["--seeds", "0"], 2, ["seeds"]),
    (["--learning-rate", "-1"], 2, ["learning rate"]),
    (["--steps", "5", "--warmup", "9"], 2, ["warmup"]),
    (["--weight-decay", "0.1"], 2, ["adamw"]),
    (["--shard", "3/2"], 2, ["shard"]),
    (["--budget", "10"], 2, ["budget", "parameters"]),
    (["--sedes", "3"], 2, ["--seeds"]),
    (["--text", "absent.txt"], 3, ["absent.txt"]),
    (["--pairs", "absent.a", "absent.b"], 3, ["absent.a"]),
    (["--resume", "absent"], 3, ["absent"]),
])
def test_wrong_settings_are_refused_with_what_to_do(headlight, tmp_path, arguments, code, words):
    outcome = headlight("study", *arguments, code=code)
    for word in words:
        assert word in outcome.err
    assert "bug" not in outcome.err
    assert not (tmp_path / "headlight-study").exists()


def test_empty_text_and_unequal_pairs_are_refused(headlight, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("eins\n")
    assert "empty.txt" in headlight("study", "--text", "empty.txt", code=3).err
    outcome = headlight("study", "--pairs", "a", "b", code=3)
    assert "2" in outcome.err and "1" in outcome.err


def test_a_folder_with_another_study_is_left_alone(headlight):
    headlight("study", "--task", "copy(8,8)", *TINY, "--out", "s")
    outcome = headlight("study", "--task", "copy(8,4)", *TINY, "--out", "s", code=3)
    assert "another study" in outcome.err and "--resume" in outcome.err


def test_a_folder_with_other_files_is_left_alone(headlight, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    headlight("study", "--task", "copy(8,8)", *TINY, "--out", "mine", code=3)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(headlight, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in headlight("study", "--task", "copy(8,8)", "--out", "locked/s", code=3).err


def test_a_damaged_checkpoint_is_named(headlight, tmp_path):
    headlight("study", "--task", "copy(8,8)", *TINY, "--out", "s")
    run = next((tmp_path / "s" / "runs").iterdir())
    (run / "result.json").unlink()
    whole = (run / "training.safetensors").read_bytes()
    (run / "training.safetensors").write_bytes(whole[:len(whole) // 2])
    assert "training.safetensors" in headlight("study", "--resume", "s", code=3).err


@pytest.mark.parametrize("name", ["result.json", "model.safetensors", "config.json"])
def test_a_damaged_file_of_a_finished_run_is_named_with_the_way_out(headlight, tmp_path, name):
    whole = headlight("study", "--task", "copy(8,8)", *TINY, "--out", "s", "--json").json()
    damaged = next((tmp_path / "s" / "runs").iterdir()) / name
    bytes_of_it = damaged.read_bytes()
    for content in (bytes_of_it[:len(bytes_of_it) // 2], b"", b"{}", b"\x07 garbled"):
        damaged.write_bytes(content)
        outcome = headlight("study", "--resume", "s", code=3)
        assert f"{damaged.relative_to(tmp_path)}: " in outcome.err
        assert "Delete that file and go on with --resume" in outcome.err
        assert "json.exception" not in outcome.err and "\x07" not in outcome.err
    damaged.unlink()
    assert numbers_of(headlight("study", "--resume", "s", "--json").json()) == numbers_of(whole)
    assert damaged.read_bytes()[:20] == bytes_of_it[:20]


def test_what_fits_into_no_memory_leaves_no_folder(headlight, tmp_path):
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    outcome = headlight("study", "--task", "copy(8,8)", *TINY, "--batch", "9000000", code=4,
                        preexec_fn=limit)
    assert "memory" in outcome.err and "--batch" not in outcome.out
    assert not (tmp_path / "headlight-study").exists()


def test_a_rate_that_diverges_stops_with_what_to_do(headlight):
    outcome = headlight("study", "--task", "copy(8,8)", *TINY, "--learning-rate", "1e38", code=3)
    assert "diverged" in outcome.err and "learning rate" in outcome.err


def test_a_part_that_is_not_done_is_not_joined_in_silence(headlight, tmp_path):
    headlight("study", "--task", "copy(8,8)", *TINY, "--shard", "1/2", "--out", "part1")
    outcome = headlight("study", "--merge", "part1", "--out", "whole", code=3)
    assert "2 of 4 runs" in outcome.err
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize("option, value", [
    ("--batch", "9223372036854775807"), ("--test-samples", "1000000000000"),
    ("--budget", "999999999999"), ("--budget", "-5")])
def test_sizes_that_fit_into_no_machine_are_refused(headlight, tmp_path, option, value):
    outcome = headlight("study", "--task", "copy(8,8)", *TINY, option, value, code=2)
    assert option in outcome.err
    assert not (tmp_path / "headlight-study").exists()
