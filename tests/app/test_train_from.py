"""headlight train --from: going on from checkpoints of transformers and from models of its own."""

import json
import shutil
import subprocess

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import PROGRAM
from test_train import SMALL, write_pairs

transformers = pytest.importorskip("transformers", minversion="5", reason="transformers 5 is absent")
torch = pytest.importorskip("torch", reason="PyTorch is absent")
tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is absent")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

WORDS = [f"w{i}" for i in range(40)]
SIZES = dict(vocab_size=48, pad_token_id=0, bos_token_id=1, eos_token_id=2)
ENCODER = dict(vocab_size=48, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
               intermediate_size=32, max_position_embeddings=64, hidden_dropout_prob=0.0,
               attention_probs_dropout_prob=0.0, pad_token_id=0)
SEQ = dict(SIZES, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
           decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
           dropout=0.0, attention_dropout=0.0, activation_dropout=0.0)
# kind, model, and whether its tokenizer begins and ends a text
MODELS = {
    "t5": ("summarize", lambda t: t.T5ForConditionalGeneration(t.T5Config(
        vocab_size=48, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.0,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=2)), False, True),
    "bart": ("summarize", lambda t: t.BartForConditionalGeneration(t.BartConfig(
        **SEQ, decoder_start_token_id=2, forced_eos_token_id=2)), True, True),
    "marian": ("translate", lambda t: t.MarianMTModel(t.MarianConfig(
        **SEQ, decoder_start_token_id=0, forced_eos_token_id=2)), False, True),
    "gpt2": ("lm", lambda t: t.GPT2LMHeadModel(t.GPT2Config(
        vocab_size=48, n_positions=64, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=2, eos_token_id=2)), False, False),
    "llama": ("lm", lambda t: t.LlamaForCausalLM(t.LlamaConfig(
        **SIZES, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64)), True, False),
    "bert": ("classify", lambda t: t.BertForSequenceClassification(t.BertConfig(
        **ENCODER, id2label={0: "red", 1: "blue"}, label2id={"red": 0, "blue": 1})), True, True),
    "roberta": ("classify", lambda t: t.RobertaForSequenceClassification(t.RobertaConfig(
        **{**ENCODER, "pad_token_id": 1}, id2label={0: "red", 1: "blue"}, label2id={"red": 0, "blue": 1})), True, True),
}
ONE = {"classify": "w5 w6 w7\tblue\nw2 w9 w1\tred\nw3 w3 w8\tblue\n", "lm": "w1 w2 w3 w4 w5\n"}
HOW = ["--threads", "1", "--warmup", "0", "--label-smoothing", "0"]


def write_tokenizer(folder, begins, ends):
    special = ["<pad>", "<s>", "</s>", "[UNK]"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(
        {word: i for i, word in enumerate(special + WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(special[:3])
    around = f"{'<s> ' if begins else ''}$A{' </s>' if ends else ''}"
    pair = around + (" $B </s>" if ends else " $B")
    if begins or ends:
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single=around, pair=pair, special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """name: folder, tokenizer."""
    made = {}
    for name, (_, build, begins, ends) in MODELS.items():
        torch.manual_seed(3)
        made[name] = tmp_path_factory.mktemp("checkpoints") / name
        build(transformers).save_pretrained(made[name])
        (made[name] / "README.md").write_text("mine\n")
        made[name] = made[name], write_tokenizer(made[name], begins, ends)
    return made


def went_on(headlight, model, kind, *more, out="out", data="data.txt"):
    return headlight("train", "--kind", kind, "--from", model, data, "--valid", data, "--out", out, *HOW,
                     *more, "--json").json()


@pytest.mark.parametrize("name", MODELS)
def test_the_first_loss_is_that_of_transformers_and_no_rate_changes_nothing(headlight, tmp_path,
                                                                            checkpoints, name):
    folder, tokenizer = checkpoints[name]
    kind = MODELS[name][0]
    (tmp_path / "data.txt").write_text(ONE.get(kind, "w1 w2 w3 w4\tw5 w6 w7\n"))
    said = went_on(headlight, folder, kind, "--steps", 1, "--learning-rate", 1e-30)
    auto = {"lm": transformers.AutoModelForCausalLM,
            "classify": transformers.AutoModelForSequenceClassification}.get(
                kind, transformers.AutoModelForSeq2SeqLM)
    model, loading = auto.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    before = auto.from_pretrained(folder).state_dict()
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=1e-25, msg=key)
    texts, targets = zip(*((line.split("\t") + [""])[:2] for line in
                           (tmp_path / "data.txt").read_text().splitlines()))
    ids = torch.tensor([tokenizer.encode(text).ids for text in texts])
    if kind == "classify":
        assert said["labels"] == ["red", "blue"]
        labels = torch.tensor([said["labels"].index(target) for target in targets])
    elif kind == "lm":
        begin = [] if name == "llama" else [2]
        labels = ids = torch.tensor([begin + ids[0].tolist() + [2]])
    else:
        labels = torch.tensor([tokenizer.encode(target).ids for target in targets])
    with torch.no_grad():
        loss = model.eval()(input_ids=ids, labels=labels).loss.item()
    assert said["train_loss"] == pytest.approx(loss, rel=1e-5)
    assert said["valid_loss"] == pytest.approx(loss, rel=1e-5)
    assert (tmp_path / "out/README.md").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["t5", "llama", "bert"])
def test_it_learns_and_a_stopped_run_goes_on(headlight, tmp_path, checkpoints, name):
    folder, _ = checkpoints[name]
    kind = MODELS[name][0]
    draw = numpy.random.default_rng(1)
    with (tmp_path / "data.txt").open("w") as file:
        for _ in range(60):
            first = int(draw.integers(0, 30))
            words = [WORDS[first + i] for i in range(5)]
            target = {"classify": "\tred" if first < 15 else "\tblue", "lm": ""}.get(kind, "\t" + words[2])
            file.write(" ".join(words) + target + "\n")
    how = ["--steps", 60, "--learning-rate", 0.01, "--evaluate-every", 20]
    whole = went_on(headlight, folder, kind, *how, out="whole")
    losses = [point["test_loss"] for point in whole["curve"]]
    assert losses[-1] < 0.7 * losses[0] or losses[-1] < 0.1
    went_on(headlight, folder, kind, *how, "--budget-minutes", 1e-6, out="parts")
    run = json.loads((tmp_path / "parts/run.json").read_text())
    assert run["run"]["from"] == str(folder) and run["run"]["dim"] == 16
    again = headlight("train", "--resume", "parts", "--budget-minutes", 100, "--json").json()
    assert again["steps"] == 60


def test_labels_of_its_own_make_a_new_output(headlight, tmp_path, checkpoints):
    folder, _ = checkpoints["bert"]
    (tmp_path / "data.txt").write_text("".join(
        f"w{i} w{i + 1}\t{'even' if i % 2 == 0 else 'odd'}\n" for i in range(30)) * 3)
    said = went_on(headlight, folder, "classify", "--steps", 80, "--learning-rate", 0.01)
    assert said["labels"] == ["even", "odd"] and said["accuracy"] > 80
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "even", "1": "odd"}
    classes = transformers.pipeline("text-classification", model=transformers.AutoModelForSequenceClassification
                                    .from_pretrained(tmp_path / "out"),
                                    tokenizer=transformers.PreTrainedTokenizerFast(
                                        tokenizer_file=str(tmp_path / "out/tokenizer.json"), pad_token="<pad>"))
    lines = ["w2 w3", "w7 w8"]
    ours = headlight("classify", "out", input="\n".join(lines) + "\n").out.split()
    assert ours == [one["label"] for one in classes(lines)]


def test_a_model_of_its_own_goes_on_with_other_data(headlight, tmp_path):
    files = write_pairs(tmp_path)
    subprocess.run([PROGRAM, "train", *files, "--out", "model", *map(str, SMALL), "--steps", "120"],
                   cwd=tmp_path, check=True, capture_output=True)
    first = headlight("train", *files, "--from", "model", "--out", "more", *HOW, "--steps", 1,
                      "--learning-rate", 1e-30, "--json").json()
    before, after = (load_file(tmp_path / folder / "model.safetensors") for folder in ("model", "more"))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        numpy.testing.assert_allclose(after[name], tensor, rtol=0, atol=1e-25, err_msg=name)
    more = headlight("train", *files, "--from", "model", "--out", "most", "--threads", 1, "--steps", 60,
                     "--learning-rate", 0.003, "--json").json()
    assert more["valid_loss"] < first["valid_loss"]
    assert headlight("translate", "most", input="Drei vier fünf\n").out.strip()
    # A run of an older version says nothing of a checkpoint.
    run = json.loads((tmp_path / "model/run.json").read_text())
    del run["run"]["from"]
    (tmp_path / "model/run.json").write_text(json.dumps(run))
    assert headlight("train", "--resume", "model", "--json").json()["steps"] == 120


@pytest.mark.parametrize("arguments, words", [
    (["--kind", "lm", "--from", "t5"], ["goes on from", "a language model"]),
    (["--kind", "translate", "--from", "llama"], ["goes on from", "an encoder-decoder"]),
    (["--kind", "classify", "--from", "gpt2"], ["an encoder of text"]),
    (["--from", "nowhere"], ["nowhere", "cannot be read"]),
])
def test_what_it_cannot_go_on_from_is_said(headlight, tmp_path, checkpoints, arguments, words):
    (tmp_path / "data.txt").write_text("w1 w2\tred\nw3 w4\tblue\nw5 w6\tred\n" * 9)
    if arguments[-1] in checkpoints:
        arguments = [*arguments[:-1], checkpoints[arguments[-1]][0]]
    err = headlight("train", *arguments, "data.txt", "--out", "out", code=3).err
    for word in words:
        assert word in err.replace("\n", " "), err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments, word", [
    (["--layers", 2], "--layers"), (["--kind", "mlm"], "mlm"), (["--kind", "caption"], "caption"),
    (["--length", 65], "--length 65"), (["--out", "tuned"], "--out tuned")])
def test_what_makes_no_sense_beside_a_checkpoint_is_refused(headlight, tmp_path, checkpoints, arguments, word):
    (tmp_path / "data.txt").write_text("a\tb\n")
    name = "." if "--out" in arguments else checkpoints["bart"][0]
    if name == ".":
        shutil.copytree(checkpoints["bart"][0], tmp_path, dirs_exist_ok=True)
    err = headlight("train", "--kind", "summarize", "data.txt", "--from", name, "--out", "out", *arguments,
                    code=2).err
    assert word in err and not (tmp_path / "out").exists() and not (tmp_path / "tuned").exists()


def test_a_base_model_writes_nothing_and_a_file_of_its_own_stays(headlight, tmp_path, checkpoints):
    folder, _ = checkpoints["bart"]
    transformers.BartModel(transformers.AutoConfig.from_pretrained(folder)).save_pretrained(tmp_path / "base")
    write_tokenizer(tmp_path / "base", True, True)
    (tmp_path / "data.txt").write_text("w1 w2\tw3\nw4 w5\tw6\nw7 w8\tw9\n" * 9)
    err = headlight("train", "--kind", "summarize", "data.txt", "--from", "base", "--out", "out", code=3).err
    assert "base: --kind summarize goes on from" in err and not (tmp_path / "out").exists()
    headlight("train", "--kind", "summarize", "data.txt", "--from", folder, "--out", "out", *HOW, "--steps", 4,
              "--budget-minutes", 1e-6)
    (tmp_path / "out/README.md").write_text("edited\n")
    headlight("train", "--resume", "out", "--budget-minutes", 10)
    assert (tmp_path / "out/README.md").read_text() == "edited\n"
    assert not list((tmp_path / "out").glob("*.part"))


def test_labels_for_validation_may_be_any_of_the_checkpoint(headlight, tmp_path, checkpoints):
    (tmp_path / "data.txt").write_text("w1 w2\tred\nw3 w4\tblue\nw5 w6\tred\n")
    said = went_on(headlight, checkpoints["bert"][0], "classify", "--steps", 1)
    assert said["labels"] == ["red", "blue"]
    torch.manual_seed(1)
    several = transformers.BertConfig(**ENCODER, num_labels=2, problem_type="multi_label_classification")
    transformers.BertForSequenceClassification(several).save_pretrained(tmp_path / "several")
    write_tokenizer(tmp_path / "several", True, True)
    err = headlight("train", "--kind", "classify", "data.txt", "--valid", "data.txt", "--from", "several", "--out",
                    "more", code=3).err
    assert "exclude one another" in err


def test_an_encoder_of_its_own_becomes_a_classifier(headlight, tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"w{i % 30} w{(i + 1) % 30} end\n" for i in range(200)))
    small = [*SMALL[:SMALL.index("--learning-rate")], "--learning-rate", 0.003]
    headlight("train", "--kind", "mlm", "lines.txt", "--out", "bert", *small, "--steps", 30)
    (tmp_path / "data.txt").write_text("".join(
        f"w{i} w{i + 1} end\t{'even' if i % 2 == 0 else 'odd'}\n" for i in range(29)) * 3)
    said = went_on(headlight, "bert", "classify", "--steps", 100, "--learning-rate", 0.01)
    assert said["accuracy"] > 80
    assert json.loads((tmp_path / "out/run.json").read_text())["run"]["kind"] == "classify"
    assert headlight("classify", "out", input="w2 w3 end\n").out == "even\n"


def squad(path, questions):
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [
        {"context": context, "qas": [{"id": str(i), "question": question, "answers":
                                      [{"text": answer, "answer_start": start}] if answer else []}]}
        for i, (question, context, answer, start) in enumerate(questions)]}]}))


SPANS = {"bert": transformers.BertForQuestionAnswering, "roberta": transformers.RobertaForQuestionAnswering}


@pytest.mark.parametrize("name", SPANS)
def test_the_first_loss_of_spans_is_that_of_transformers(headlight, tmp_path, checkpoints, name):
    folder, tokenizer = checkpoints[name]
    torch.manual_seed(5)
    SPANS[name](transformers.AutoConfig.from_pretrained(folder)).save_pretrained(tmp_path / "reader")
    write_tokenizer(tmp_path / "reader", True, True)
    # The second "w7 w8" is meant.
    context = " w7 w8 w1 w2 w3 w7 w8 w4"
    squad(tmp_path / "data.txt", [("w5 w6", context, "w7 w8", context.rindex("w7"))])
    said = went_on(headlight, "reader", "answer", "--steps", 1, "--learning-rate", 1e-30)
    ids = tokenizer.encode("w5 w6", context.strip()).ids
    first = max(i for i, one in enumerate(ids) if one == tokenizer.token_to_id("w7"))
    model, loading = SPANS[name].from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    types = tokenizer.encode("w5 w6", context.strip()).type_ids if name == "bert" else [0] * len(ids)
    with torch.no_grad():
        loss = model.eval()(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]),
                            start_positions=torch.tensor([first]), end_positions=torch.tensor([first + 1])).loss
    assert said["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert said["valid_loss"] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("file", ["data.json", "data.tsv"])
def test_an_encoder_learns_to_mark_answers(headlight, tmp_path, checkpoints, file):
    draw = numpy.random.default_rng(2)

    def questions(count):
        """One word below w4 in every text, and w10 to w39 around it, so that it is part of others too."""
        for _ in range(count):
            words = [f"w{i}" for i in draw.integers(10, 40, draw.integers(3, 12))]
            answer = f"w{draw.integers(0, 4)}"
            words.insert(draw.integers(0, len(words)), answer)
            text = " ".join(words)
            yield "w9", text, answer, (" " + text + " ").index(f" {answer} ")

    def write(path, all):
        if path.suffix == ".json":
            return squad(path, all)
        path.write_text("".join(f"{question}\t{text}\t{answer}\n" for question, text, answer, _ in all))

    write(tmp_path / file, questions(300))
    write(tmp_path / f"valid-{file}", questions(40))
    said = headlight("train", "--kind", "answer", "--from", checkpoints["bert"][0], file, "--valid",
                     f"valid-{file}", "--out", "out", "--threads", 1, "--steps", 150, "--learning-rate", 0.01,
                     "--batch", 1000, "--json").json()
    assert said["exact_match"] == 100 and said["pairs"] == 300 and said["held_out"] == 40
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["architectures"] == ["BertForQuestionAnswering"] and "id2label" not in config
    assert headlight("answer", "out", input="w9\tw20 w21 w3 w30\n").out == "w3\n"
    # Without --valid about a twentieth of the texts is held out.
    part = headlight("train", "--kind", "answer", "--from", "out", file, "--out", "more", "--threads", 1,
                     "--steps", 2, "--json").json()
    assert part["pairs"] + part["held_out"] == 300 and part["held_out"] >= 1


def test_windows_without_the_answer_are_told_by_the_first_token(headlight, tmp_path, checkpoints):
    # Positions for 64 tokens: several windows, of which some hold the answer.
    text = " ".join(f"w{i % 30}" for i in range(120)) + " w35"
    squad(tmp_path / "data.txt", [("w9", text, "w35", len(text) - 3), ("w9", "w1 w2", "", 0)] * 3)
    said = went_on(headlight, checkpoints["bert"][0], "answer", "--steps", 60, "--learning-rate", 0.01)
    assert said["exact_match"] == 100
    assert headlight("answer", "out", "--unanswerable", input=f"w9\t{text}\nw9\tw1 w2\n").out == "w35\n\n"


def test_questions_without_any_answer_teach_nothing(headlight, tmp_path, checkpoints):
    (tmp_path / "data.tsv").write_text("w1\tw2 w3\n\nw4\tw5 w6\n")
    err = headlight("train", "--kind", "answer", "--from", checkpoints["bert"][0], "data.tsv", "--out", "out",
                    code=3).err
    assert "data.tsv: holds no question with an answer" in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("question, more, words", [
    (("w1", "w2 w3", "w7", 0), [], ["question 2", '"w7"', "not in its text"]),
    (("w1 " * 70, "w2 w3", "w3", 0), [], ["question 2", "no room"]),
    (("w1", "w2 w3", "w3", 3), ["--label-smoothing", 0.1], ["--label-smoothing"]),
])
def test_questions_that_mark_no_span_are_named(headlight, tmp_path, checkpoints, question, more, words):
    squad(tmp_path / "data.json", [("w1", "w2 w3", "w2", 0), question])
    err = headlight("train", "--kind", "answer", "--from", checkpoints["bert"][0], "data.json", "--valid",
                    "data.json", "--out", "out", *more, code=2 if more else 3).err
    for word in words:
        assert word in err.replace("\n", " "), err
