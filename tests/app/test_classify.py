"""headlight train --kind classify and mlm, and headlight classify: encoders that learn in seconds, and
the labels that transformers finds with the same model."""

import json
import random
import signal
import subprocess

import pytest

from conftest import PROGRAM, validator, wait_for_model
from test_train import ENGLISH

KEYS = {"animal": "dog cat horse mouse".split(), "colour": "red green blue black".split(),
        "food": "bread soup rice apple".split()}
FILLERS = "the a we saw some very old new big in on of there then".split()
SMALL = ["--layers", 1, "--dim", 32, "--heads", 2, "--ffn", 64, "--dropout", 0, "--vocabulary", 320,
         "--batch", 600, "--learning-rate", 0.003, "--warmup", 30, "--threads", 1]
LINES = ["we saw a dog", "", "some very old soup of the new", "red", "then there the horse"]


def write_lines(path, count, seed, labels=sorted(KEYS)):
    """Lines that one word tells the label of; returns the labels."""
    draw = random.Random(seed)
    right = [draw.choice(labels) for _ in range(count)]
    with path.open("w") as file:
        for label in right:
            words = [draw.choice(FILLERS) for _ in range(draw.randrange(1, 9))]
            words.insert(draw.randrange(len(words) + 1), draw.choice(KEYS[label]))
            file.write(" ".join(words) + f"\t{label}\n")
    return right


def write_counting(path, count, seed):
    """Numbers in their order, from anywhere."""
    draw = random.Random(seed)
    lines = [[ENGLISH[(start + i) % 12] for i in range(draw.randrange(5, 11))]
             for start in (draw.randrange(12) for _ in range(count))]
    path.write_text("".join(" ".join(line) + "\n" for line in lines))


def trained(folder, *arguments):
    done = subprocess.run([PROGRAM, "train", *map(str, arguments), *map(str, SMALL), "--out", "model",
                           "--json"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A folder with data and a model that was trained on it, and what train said."""
    folder = tmp_path_factory.mktemp("classifier")
    write_lines(folder / "train.tsv", 500, 1)
    write_lines(folder / "test.tsv", 80, 2)
    return folder, trained(folder, "--kind", "classify", "train.tsv", "--valid", "test.tsv",
                           "--steps", 200, "--evaluate-every", 100)


@pytest.fixture(scope="module")
def guesser(tmp_path_factory):
    """The same for a masked language model."""
    folder = tmp_path_factory.mktemp("guesser")
    write_counting(folder / "train.txt", 400, 1)
    write_counting(folder / "test.txt", 60, 2)
    return folder, trained(folder, "--kind", "mlm", "train.txt", "--valid", "test.txt", "--steps", 500,
                           "--evaluate-every", 250)


def test_a_classifier_learns_in_seconds(headlight, classifier):
    folder, said = classifier
    assert validator("train")(said)["labels"] == ["animal", "colour", "food"]
    assert said["kind"] == "classify" and said["pairs"] == 500 and said["held_out"] == 80
    assert said["accuracy"] == 100 and said["valid_loss"] < 0.1
    right = [line.split("\t")[1] for line in (folder / "test.tsv").read_text().splitlines()]
    assert headlight("classify", folder / "model", folder / "test.tsv").out.splitlines() == right


def test_labels_stay_in_order_whatever_the_batch(headlight, classifier):
    model = classifier[0] / "model"
    text = "\n".join(LINES) + "\n"
    out = headlight("classify", model, input=text).out
    assert out == "animal\n\nfood\ncolour\nanimal\n"
    assert headlight("classify", model, "-", "--batch", 1, input=text).out == out
    ranked = headlight("classify", model, "--nbest", 3, "--scores", input=text).out.splitlines()
    assert ranked[3:6] == ["\t"] * 3 and ranked[0].endswith("\tanimal")
    for line in (0, 2, 3, 4):
        scores, labels = zip(*(part.split("\t") for part in ranked[3 * line:3 * line + 3]))
        assert sorted(labels) == sorted(KEYS) and list(scores) == sorted(scores, reverse=True)
        assert sum(map(float, scores)) == pytest.approx(1, abs=2e-4)


def test_files_follow_one_another_and_json_says_the_same(headlight, classifier, tmp_path):
    (tmp_path / "one.txt").write_text("a dog\n\n")
    (tmp_path / "two.tsv").write_text("red\tthe label is not read: dog dog dog\n")
    said = validator("classify")(
        headlight("classify", classifier[0] / "model", "one.txt", "two.tsv", "--json").json())
    assert [line["label"] for line in said["lines"]] == ["animal", None, "colour"]
    assert said["lines"][1]["probability"] is None and said["lines"][0]["probability"] > 0.5
    several = validator("classify")(
        headlight("classify", classifier[0] / "model", "one.txt", "--nbest", 2, "--json").json())
    assert [len(line) for line in several["lines"]] == [2, 0]


def test_a_classifier_is_a_model_for_the_other_verbs(headlight, classifier, tmp_path):
    folder, said = classifier
    model, data = folder / "model", folder / "test.tsv"
    told = validator("evaluate")(headlight("evaluate", "--model", model, "--data", data, "--json").json())
    assert told["accuracy"] == 100 and told["loss"] == pytest.approx(said["valid_loss"], abs=1e-5)
    assert "accuracy" in headlight("evaluate", "--model", model, "--data", data).out
    assert len(headlight("inspect", model, "--text", "we saw a dog", "--json").json()["layers"]) == 1
    headlight("trace", model, "--text", "we saw a dog", "--out", "trace.safetensors")
    tokens = json.loads(headlight("tokenize", model, input="a dog\n").out)["tokens"]
    assert (tokens[0], tokens[-1]) == ("<s>", "</s>")
    worth = headlight("rank", model, "--data", data, "--json").json()
    assert worth["loss"] == pytest.approx(said["valid_loss"], abs=1e-5)
    headlight("check", model, "--data", data, "--max-loss", 0.1)
    headlight("check", model, "--data", data, "--max-loss", 1e-9, code=1)
    for kind in ("compact", "zeroed"):
        headlight("prune", model, "--heads", "self.0.1", "--kind", kind, "--data", data, "--out", kind)
        out = headlight("classify", kind, data).out.splitlines()
        assert len(out) == 80 and set(out) <= set(KEYS)
    assert headlight("classify", "compact", data).out == headlight("classify", "zeroed", data).out
    headlight("diff", model, "zeroed", "--data", data)


def test_a_guesser_of_masked_tokens_learns_in_seconds(headlight, guesser):
    folder, said = guesser
    assert validator("train")(said)["kind"] == "mlm" and said["held_out"] == 60
    # Of 12 numbers in words, one in 12 would be right by chance.
    assert said["accuracy"] > 60 and said["accuracy"] > 3 * 100 / 12
    assert "labels" not in said
    tokens = json.loads(headlight("tokenize", folder / "model", input="one <mask> three\n").out)["tokens"]
    assert "<mask>" in tokens and (tokens[0], tokens[-1]) == ("<s>", "</s>")


def test_a_guesser_is_a_model_for_the_other_verbs(headlight, guesser):
    model, data = guesser[0] / "model", guesser[0] / "test.txt"
    told = validator("evaluate")(headlight("evaluate", "--model", model, "--data", data, "--json").json())
    assert told["accuracy"] > 50
    assert headlight("rank", model, "--data", data, "--json").json()["loss"] == pytest.approx(told["loss"])
    headlight("check", model, "--data", data, "--max-loss", 2)
    headlight("inspect", model, "--text", "one two three", "--json")
    headlight("prune", model, "--heads", "self.0.1", "--data", data, "--out", "smaller")
    headlight("diff", model, "smaller", "--data", data)
    assert "no class" in headlight("classify", model, data, code=2).err


@pytest.mark.parametrize("kind", ["classify", "mlm"])
def test_a_run_that_was_stopped_ends_with_the_numbers_of_one_that_was_not(headlight, tmp_path, kind):
    write_lines(tmp_path / "lines.txt", 200, 3)
    how = ["--kind", kind, "lines.txt", "--steps", 600, "--evaluate-every", 200, *SMALL, "--dropout", 0.1]
    headlight("train", *how, "--out", "whole")
    process = subprocess.Popen([PROGRAM, "train", *map(str, how), "--out", "parts"], cwd=tmp_path,
                               stderr=subprocess.PIPE, text=True)
    wait_for_model(tmp_path / "parts", [process])
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume parts" in error
    headlight("train", "--resume", "parts")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_text_and_label_can_be_two_files_or_json(headlight, tmp_path):
    write_lines(tmp_path / "both.tsv", 60, 4)
    texts, labels = zip(*(line.split("\t") for line in (tmp_path / "both.tsv").read_text().splitlines()))
    (tmp_path / "texts").write_text("\n".join(texts) + "\n")
    (tmp_path / "labels").write_text("\n".join(labels) + "\n")
    (tmp_path / "lines.jsonl").write_text("".join(
        json.dumps({"source": text, "target": label}) + "\n" for text, label in zip(texts, labels)))
    how = ["--kind", "classify", "--steps", 5, *SMALL, "--warmup", 2]
    for out, data in {"a": ["both.tsv"], "b": ["texts", "labels"], "c": ["lines.jsonl"]}.items():
        headlight("train", *data, "--out", out, *how)
    weights = [(tmp_path / out / "model.safetensors").read_bytes() for out in "abc"]
    assert weights[0] == weights[1] == weights[2]
    text = headlight("train", "both.tsv", "--out", "d", *how).out
    assert "animal, colour, food" in text and "headlight classify d" in text


def test_labels_that_teach_nothing_are_refused(headlight, tmp_path):
    def refused(*arguments):
        error = headlight("train", "--kind", "classify", *arguments, *SMALL, "--steps", 50, "--out", "model",
                          code=3).err
        assert not (tmp_path / "model").exists()
        return error

    write_lines(tmp_path / "train.tsv", 40, 5)
    write_lines(tmp_path / "one.tsv", 40, 5, ["food"])
    assert 'every line has the label "food"' in refused("one.tsv")
    (tmp_path / "own.tsv").write_text("".join(f"animal\tline {i}\n" for i in range(40)))
    assert "a label of its own" in refused("own.tsv")
    (tmp_path / "valid.tsv").write_text("a dog\tanimal\n\t\na dog\tAnimal\n")
    error = refused("train.tsv", "--valid", "valid.tsv")
    assert 'valid.tsv: line 3: the label "Animal"' in error and "animal, colour, food" in error
    (tmp_path / "plain.txt").write_text("a dog\n")
    assert "plain.txt: line 1" in refused("plain.txt")


def test_what_cannot_be_classified_is_said(headlight, classifier, tmp_path):
    model = classifier[0] / "model"
    error = headlight("classify", model, input="a dog\n" + "very " * 300 + "\n", code=3).err
    assert "standard input: line 2" in error and "--cut" in error
    assert headlight("classify", model, "--cut", input="a dog " + "very " * 300 + "\n").out.count("\n") == 1
    assert "--nbest" in headlight("classify", model, "--nbest", 4, input="", code=2).err
    assert "nowhere" in headlight("classify", "nowhere", input="", code=3).err
    (tmp_path / "in").write_bytes(b"\xff\n")
    assert "line 1" in headlight("classify", model, "in", code=3).err


def small_model(kind, transformers, torch):
    torch.manual_seed(7)
    names = ["bad", "good", "so so", "x"]
    labels = dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
    bert = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=24, max_position_embeddings=48, initializer_range=0.5, pad_token_id=0)
    if kind == "bert":
        return transformers.BertForSequenceClassification(transformers.BertConfig(**bert, **labels))
    if kind == "several":  # labels that do not exclude one another
        return transformers.BertForSequenceClassification(transformers.BertConfig(
            **bert, **labels, problem_type="multi_label_classification"))
    if kind == "unnamed":
        return transformers.BertForSequenceClassification(transformers.BertConfig(**bert))
    if kind == "roberta":
        return transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**bert, **labels))
    if kind == "distilbert":
        return transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(
            vocab_size=40, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=48,
            initializer_range=0.5, pad_token_id=0, **labels))
    return transformers.GPT2ForSequenceClassification(transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_head=4, n_layer=2, n_positions=48, initializer_range=0.5,
        pad_token_id=0, bos_token_id=1, eos_token_id=1, **labels))


@pytest.mark.parametrize("kind", ["bert", "several", "unnamed", "roberta", "distilbert", "gpt2"])
def test_labels_and_probabilities_are_those_of_transformers(headlight, tmp_path, kind):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from test_writing import LINES as TEXTS, ids_of, tokenizer_json

    model = small_model(kind, transformers, torch).eval()
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text(json.dumps(tokenizer_json(True)))
    count = model.config.num_labels
    said = headlight("classify", "model", "--nbest", count, "--json", input="\n".join(TEXTS) + "\n").json()
    assert said["lines"][2] == []
    for text, line in zip(TEXTS, said["lines"]):
        if not text:
            continue
        with torch.no_grad():
            logits = model(torch.tensor([ids_of(text, True)])).logits[0].double()
        theirs = torch.sigmoid(logits) if kind == "several" else torch.softmax(logits, 0)
        order = torch.argsort(theirs, descending=True).tolist()
        assert [one["label"] for one in line] == [model.config.id2label[i] for i in order]
        assert [one["probability"] for one in line] == pytest.approx(theirs[order].tolist(), abs=1e-5)


def test_a_regression_gives_no_class(headlight, tmp_path):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    model = transformers.BertForSequenceClassification(transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=4, intermediate_size=24,
        max_position_embeddings=48, num_labels=1))
    model.save_pretrained(tmp_path / "model")
    assert "regression" in headlight("classify", "model", input="w3\n", code=2).err


def test_transformers_loads_what_train_wrote(headlight, classifier, guesser, tmp_path):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from safetensors.numpy import load_file

    folder = classifier[0] / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, told = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    texts = [line for line in LINES if line]
    with torch.no_grad():
        logits = model.eval()(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    theirs = torch.softmax(logits.double(), 1)
    said = headlight("classify", folder, "--nbest", 3, "--json", input="\n".join(texts) + "\n").json()
    for ours, row in zip(said["lines"], theirs):
        assert ours[0]["label"] == model.config.id2label[int(row.argmax())]
        assert [one["probability"] for one in ours] == pytest.approx(sorted(row.tolist(), reverse=True), abs=1e-5)

    folder = guesser[0] / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.mask_token == "<mask>"
    model, told = transformers.AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    batch = tokenizer("four five <mask> seven eight nine", return_tensors="pt")
    with torch.no_grad():
        guessed = model.eval()(**batch).logits[batch.input_ids == tokenizer.mask_token_id]
    assert len(guessed) == 1
    headlight("trace", folder, "--text", "four five <mask> seven eight nine", "--out", "t.safetensors")
    ours = load_file(tmp_path / "t.safetensors")["logits"][0]
    place = batch.input_ids[0].tolist().index(tokenizer.mask_token_id)
    assert ours[place] == pytest.approx(guessed[0].numpy(), abs=1e-4)
    assert tokenizer.decode(guessed[0].argmax()).strip() == "six"
