"""headlight train: small models that learn to write in seconds."""

import json
import random
import signal
import subprocess

import pytest

from conftest import PROGRAM, ROOT, wait_for_model

GERMAN = "null eins zwei drei vier fünf sechs sieben acht neun zehn elf".split()
ENGLISH = "zero one two three four five six seven eight nine ten eleven".split()
SMALL = ["--layers", 1, "--dim", 32, "--heads", 2, "--ffn", 64, "--dropout", 0, "--vocabulary", 320,
         "--batch", 600, "--learning-rate", 0.01, "--warmup", 40, "--threads", 1]


def write_pairs(folder, count=500, seed=0):
    """Numbers in words, German to English, in the same order."""
    draw = random.Random(seed)
    numbers = [[draw.randrange(12) for _ in range(draw.randrange(2, 7))] for _ in range(count)]
    write = lambda name, words, change: (folder / name).write_text(
        "".join(change(" ".join(words[n] for n in line)) + "\n" for line in numbers))
    write("de.txt", GERMAN, str.capitalize)
    write("en.txt", ENGLISH, lambda line: line + ".")
    return "de.txt", "en.txt"


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """A folder with data and a model that was trained on it, and what train said."""
    folder = tmp_path_factory.mktemp("translator")
    files = write_pairs(folder)
    done = subprocess.run([PROGRAM, "train", *files, "--out", "model", "--steps", "300",
                           "--evaluate-every", "150", "--json", *map(str, SMALL)], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_a_translator_learns_in_seconds(headlight, translator):
    folder, said = translator
    pytest.importorskip("jsonschema").validate(
        said, json.loads((ROOT / "schema" / "train.schema.json").read_text()))
    assert said["kind"] == "translate" and said["steps"] == 300
    assert said["valid_loss"] < 0.3 and said["bleu"] > 80
    assert [point["step"] for point in said["curve"]] == [150, 300]
    out = headlight("translate", folder / "model", input="Drei vier fünf\n\nelf null\n").out
    assert out == "three four five.\n\neleven zero.\n"


def test_a_page_shows_what_the_words_of_a_translation_looked_at(headlight, translator, tmp_path):
    model = translator[0] / "model"
    out = headlight("translate", model, "--attention", "page.html", input="\nZwei drei vier\nElf\n").out
    (tmp_path / "pair.tsv").write_text(f"Zwei drei vier\t{out.splitlines()[1]}\n")
    headlight("inspect", model, "--pairs", "pair.tsv", "--html", "same.html")
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "same.html").read_bytes()
    assert "--attention" in headlight("translate", model, "--attention", "p.html", input="\n", code=3).err


def test_its_folder_is_a_model_for_the_other_verbs(headlight, translator):
    model = translator[0] / "model"
    tokens = json.loads(headlight("tokenize", model, input="Zwei drei\n").out)["tokens"]
    assert tokens[-1] == "</s>" and "".join(tokens[:-1]) == "▁zwei▁drei"
    heads = headlight("inspect", model, "--text", "zwei drei vier", "--json").json()["layers"]
    assert {layer["stack"] for layer in heads} == {"encoder", "decoder", "cross"}
    headlight("trace", model, "--text", "zwei drei vier", "--out", "trace.safetensors")


def test_its_tokenizers_are_those_of_the_tokenizers_library(headlight, translator):
    tokenizers = pytest.importorskip("tokenizers")
    model = translator[0] / "model"
    lines = ["Drei  vier Fünf", " zehn", "Größe 3.5 ☃ elf", "İÇ", "zero. one"]
    for name in ("tokenizer.json", "target_tokenizer.json"):
        theirs = tokenizers.Tokenizer.from_file(str(model / name))
        out = headlight("tokenize", model / name, input="\n".join(lines) + "\n").out
        for line, ours in zip(lines, map(json.loads, out.split("\n")[:-1])):
            encoded = theirs.encode(line)
            assert (ours["ids"], ours["tokens"]) == (encoded.ids, encoded.tokens)
        assert theirs.decode(theirs.encode("zero. one").ids) == "zero. one"


def test_a_run_that_was_stopped_ends_with_the_numbers_of_one_that_was_not(headlight, tmp_path):
    files = write_pairs(tmp_path, 200)
    how = ["--steps", 900, "--evaluate-every", 300, *SMALL]
    headlight("train", *files, "--out", "whole", *how)
    process = subprocess.Popen([PROGRAM, "train", *files, "--out", "parts", *map(str, how)],
                               cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for_model(tmp_path / "parts", [process])
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume parts" in error
    headlight("train", "--resume", "parts")
    ours, theirs = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("parts", "whole"))
    assert ours == theirs


def test_a_run_keeps_its_precision_and_one_of_before_there_was_a_choice_is_float32(headlight, tmp_path):
    files, loss = write_pairs(tmp_path, 100), {}
    for precision in ("float32", "bfloat16"):
        loss[precision] = headlight("train", *files, "--out", precision, "--steps", 60, "--precision",
                                    precision, *SMALL, "--json").json()["valid_loss"]
        file = tmp_path / precision / "run.json"
        said = json.loads(file.read_text())
        assert said["run"].pop("precision") == precision
        again = headlight("train", "--resume", precision, "--json").json()
        assert again["valid_loss"] == loss[precision]
    assert 0 < abs(loss["bfloat16"] - loss["float32"]) < 0.05 * loss["float32"]
    file.write_text(json.dumps(said))
    assert "linear_backend" in headlight("train", "--resume", "bfloat16", code=3).err


def test_a_budget_ends_a_run(headlight, tmp_path):
    said = headlight("train", *write_pairs(tmp_path, 100), "--out", "model", "--budget-minutes", 0.02,
                     *SMALL, "--json").json()
    assert 0 < said["steps"] < 10_000 and said["curve"][-1]["step"] == said["steps"]


def test_tabs_can_stand_between_source_and_target(headlight, tmp_path):
    write_pairs(tmp_path, 120)
    pairs = zip((tmp_path / "de.txt").read_text().splitlines(), (tmp_path / "en.txt").read_text().splitlines())
    (tmp_path / "pairs.tsv").write_text("".join(f"{de}\t{en}\n" for de, en in pairs) + "\t\n")
    said = headlight("train", "--kind", "summarize", "pairs.tsv", "--out", "model", "--steps", 20,
                     *SMALL, "--warmup", 5, "--json").json()
    assert said["left_out"] == {"empty": 1, "too_long": 0} and "rougeL" in said
    assert said["pairs"] + said["held_out"] == 120
    assert not (tmp_path / "model" / "target_tokenizer.json").exists()
    assert headlight("summarize", "model", input="Eins\n").out.count("\n") == 1


def test_pairs_can_be_json_lines(headlight, tmp_path):
    write_pairs(tmp_path, 80)
    pairs = zip((tmp_path / "de.txt").read_text().splitlines(), (tmp_path / "en.txt").read_text().splitlines())
    (tmp_path / "pairs.jsonl").write_text("".join(
        json.dumps({"source": de, "target": en, "id": 7}) + "\n" for de, en in pairs))
    said = headlight("train", "pairs.jsonl", "--out", "model", "--steps", 10, *SMALL, "--warmup", 5,
                     "--json").json()
    assert said["pairs"] + said["held_out"] == 80
    (tmp_path / "pairs.jsonl").write_text('{"source": "a", "target": "b"}\n{"source": "a"}\n')
    assert "line 2" in headlight("train", "pairs.jsonl", "--out", "other", code=3).err


def write_stories(path, count, seed):
    """Somebody goes to a place and is asked for; returns the answers."""
    draw = random.Random(seed)
    lines, answers = [], []
    for _ in range(count):
        name, place = draw.choice(["Mary", "John", "Ann"]), draw.choice(["hall", "garden", "kitchen"])
        lines += [f"1 {name} went to the {place}.", f"2 It is {draw.choice(['warm', 'cold'])} there.",
                  f"3 Where is {name}? \t{place}\t1"]
        answers.append(place)
    path.write_text("\n".join(lines) + "\n")
    return answers


def test_a_reader_of_stories_writes_answers_to_questions_about_others(headlight, tmp_path):
    write_stories(tmp_path / "train.txt", 600, 1)
    answers = write_stories(tmp_path / "test.txt", 60, 2)
    said = headlight("train", "--kind", "answer", "train.txt", "--valid", "test.txt", "--out", "model",
                     "--no-facts", "--steps", 300, "--evaluate-every", 150, *SMALL, "--json").json()
    assert said["kind"] == "answer" and said["held_out"] == len(answers)
    found = headlight("answer", "model", "test.txt").out.splitlines()
    right = sum(ours == theirs for ours, theirs in zip(found, answers, strict=True))
    # Always the same place would be right a third of the time.
    assert right > 0.9 * len(answers)
    assert said["exact_match"] == pytest.approx(100 * right / len(answers))
    questions = "Where is Mary?\tMary went to the hall.\n\n"
    assert headlight("answer", "model", input=questions).out.count("\n") == 2


def test_a_language_model_goes_on_with_what_it_has_learned(headlight, tmp_path):
    (tmp_path / "lines.txt").write_text("".join(
        " ".join(ENGLISH[(start + i) % 12] for i in range(8)) + "\n" for start in range(12)) * 30)
    said = headlight("train", "--kind", "lm", "lines.txt", "--valid", "lines.txt", "--out", "model",
                     "--steps", 150, *SMALL, "--json").json()
    assert said["kind"] == "lm" and said["perplexity"] < 2
    assert headlight("generate", "model", input="three four\n").out == "three four five six seven eight nine ten\n"


def test_bad_data_is_named_and_leaves_nothing(headlight, tmp_path):
    files = write_pairs(tmp_path, 50)

    def refused(*arguments, code=3):
        error = headlight("train", *SMALL, "--steps", 50, *arguments, code=code).err
        assert not (tmp_path / "model").exists()
        return error

    out = ["--out", "model"]
    (tmp_path / "short.txt").write_text("one\n")
    assert "50 lines" in refused(files[0], "short.txt", *out)
    assert "line 1" in refused("short.txt", *out)
    (tmp_path / "latin1.txt").write_bytes(b"f\xfcnf\n")
    assert "latin1.txt: line 1" in refused("latin1.txt", "short.txt", *out)
    (tmp_path / "empty.txt").write_text("")
    assert "empty.txt" in refused("empty.txt", "empty.txt", *out)
    assert "nowhere.txt" in refused("nowhere.txt", files[1], *out)
    assert "--out" in refused(*files, code=2)
    assert "DATA" in refused(*out, code=2)
    assert "divide dim" in refused(*files, *out, "--heads", 5, code=2)
    assert "nowhere" in refused("--resume", "nowhere")


def test_a_folder_keeps_to_one_run(headlight, tmp_path):
    files = write_pairs(tmp_path, 60)
    how = [*files, "--out", "model", *SMALL, "--warmup", 2]
    headlight("train", *how, "--steps", 5)
    error = headlight("train", *how, "--steps", 6, code=3).err
    assert "other settings" in error
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    assert "another model" in headlight("train", *files, "--out", "other", *SMALL, code=3).err


def test_a_loss_that_is_no_number_stops_with_a_word(headlight, tmp_path):
    error = headlight("train", *write_pairs(tmp_path, 60), "--out", "model", "--steps", 200,
                      *SMALL, "--learning-rate", 1e30, code=3).err
    assert "diverged" in error and "learning rate" in error
