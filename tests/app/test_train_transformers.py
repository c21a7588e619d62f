"""Models that headlight train makes, in transformers as they lie: the same numbers and the same texts."""

import json
import re
import shutil
import subprocess

import numpy
import pytest
from safetensors.numpy import load_file

from conftest import PROGRAM, ROOT
from test_trace import same
from test_train import ENGLISH, GERMAN, SMALL, write_pairs, write_stories

transformers = pytest.importorskip("transformers", minversion="5", reason="transformers 5 is absent")
torch = pytest.importorskip("torch", reason="PyTorch is absent")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# Half-learned: where little is sure, a wrong number changes the text.
HOW = [*SMALL, "--layers", 2, "--steps", 60, "--warmup", 20]
WRITES_ON = {"translate": False, "summarize": False, "answer": False, "lm": True}
KINDS = list(WRITES_ON)
LINES = ["Drei vier fünf", "Elf", "null  neun Zehn zwei sieben eins", "Sechs Größe acht"]
QUESTIONS = ["Where is Mary?\tMary went to the hall.", "Where is Ann?\tAnn went to the garden. It is cold there."]


def write_data(kind, folder):
    if kind == "translate":
        return write_pairs(folder)
    if kind == "summarize":
        pairs = zip(*[(folder / name).read_text().splitlines() for name in write_pairs(folder)])
        (folder / "pairs.tsv").write_text("".join(f"{de}\t{en}\n" for de, en in pairs))
        return ["pairs.tsv"]
    if kind == "answer":
        write_stories(folder / "stories.txt", 300, 1)
        return ["stories.txt", "--no-facts"]
    (folder / "lines.txt").write_text("".join(
        " ".join(ENGLISH[(start * i) % 12] for i in range(3, 9)) + "\n" for start in range(12)) * 20)
    return ["lines.txt"]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """The folder with the data and the model of a kind; trained once."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            files = write_data(kind, made[kind])
            subprocess.run([PROGRAM, "train", "--kind", kind, *files, "--out", "model", *map(str, HOW)],
                           cwd=made[kind], check=True, capture_output=True, timeout=300)
        return made[kind]

    return get


def loaded(kind, folder):
    auto = transformers.AutoModelForCausalLM if WRITES_ON[kind] else transformers.AutoModelForSeq2SeqLM
    model, said = auto.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not said["missing_keys"] and not said["unexpected_keys"] and not said["mismatched_keys"], said
    return model.eval()


def batch(kind):
    """Two rows of ids, one of them padded."""
    ids = numpy.random.default_rng(3).integers(4, 280, (2, 9))
    mask = numpy.ones_like(ids)
    ids[1, 6:] = mask[1, 6:] = 0
    if WRITES_ON[kind]:
        return {"input_ids": ids, "attention_mask": mask}
    written = numpy.random.default_rng(4).integers(4, 280, (2, 7))
    written[:, 0] = 3
    return {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": written}


def outputs(model, inputs):
    with torch.no_grad():
        found = model(**{name: torch.from_numpy(array) for name, array in inputs.items()},
                      output_hidden_states=True, output_attentions=True)
    named = {"logits": found.logits}
    for kind in ("hidden_states", "attentions"):
        for stack in ("", "encoder_", "decoder_", "cross_"):
            for layer, tensor in enumerate(found.get(stack + kind) or []):
                named[f"{stack}{kind}.{layer}"] = tensor
    return {name: tensor.numpy() for name, tensor in named.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_a_pass_is_that_of_transformers(headlight, folder_of, tmp_path, kind):
    model, inputs = folder_of(kind) / "model", batch(kind)
    numpy.savez(tmp_path / "in.npz", **inputs)
    headlight("trace", model, "--inputs", "in.npz", "--attentions", "--out", "t.safetensors")
    ours, theirs = load_file(tmp_path / "t.safetensors"), outputs(loaded(kind, model), inputs)
    assert len(theirs) == (6 if WRITES_ON[kind] else 13)
    for name, expected in theirs.items():
        of_source = name.startswith("encoder") or WRITES_ON[kind]
        mask = inputs["attention_mask"] if of_source else numpy.ones_like(inputs["decoder_input_ids"])
        valid = mask[:, None, :, None] if "attentions" in name else mask[:, :, None]
        same(ours[name], expected, valid)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_the_training(folder_of, kind):
    folder = folder_of(kind) / "model"
    model, tokenizer = loaded(kind, folder), transformers.AutoTokenizer.from_pretrained(folder)
    for config in (model.config, model.generation_config):
        assert (config.pad_token_id, config.eos_token_id, config.bos_token_id) == (0, 1, 3)
        if not WRITES_ON[kind]:
            assert config.decoder_start_token_id == 3 and not getattr(config, "forced_eos_token_id", None)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, 3)
    assert tokenizer.unk_token_id == 2
    assert type(model).__name__ == ("LlamaForCausalLM" if WRITES_ON[kind] else "PegasusForConditionalGeneration")


def texts_of_transformers(kind, folder, lines, **how):
    """As docs/applications.md says; without arguments as the folder's generation_config.json says."""
    model, tokenizer = loaded(kind, folder), transformers.AutoTokenizer.from_pretrained(folder)
    target = tokenizer
    if (folder / "target_tokenizer.json").exists():
        target = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "target_tokenizer.json"))
    batches = [[line] for line in lines] if WRITES_ON[kind] else [lines]
    texts = []
    for some in batches:
        ids = model.generate(**tokenizer(some, padding=True, return_tensors="pt"), **how)
        texts += target.batch_decode(ids, skip_special_tokens=True)
    return texts


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_writes_the_same_texts(headlight, folder_of, kind):
    folder = folder_of(kind) / "model"
    verb, given, read = {"answer": ("answer", QUESTIONS, [
        "question: {} context: {}".format(*line.split("\t")) for line in QUESTIONS])}.get(
            kind, ("generate" if kind == "lm" else kind, LINES, LINES))
    if kind == "lm":
        given = read = ["zero four", "five", "two six zero"]
    written = "\n".join(given) + "\n"
    for ours, theirs in ((["--tokens", 12], {}), (["--beam", 1, "--tokens", 12], {"num_beams": 1}),
                         (["--beam", 5, "--tokens", 12], {"num_beams": 5})):
        out = headlight(verb, folder, *ours, input=written).out
        assert out.split("\n")[:-1] == texts_of_transformers(kind, folder, read, max_new_tokens=12, **theirs)


def test_what_transformers_saves_of_it_headlight_reads(headlight, folder_of, tmp_path):
    folder = folder_of("translate") / "model"
    loaded("translate", folder).save_pretrained(tmp_path / "again")
    for name in ("tokenizer.json", "target_tokenizer.json"):
        shutil.copy(folder / name, tmp_path / "again" / name)
    text = "\n".join(LINES) + "\n"
    assert headlight("translate", "again", input=text).out == headlight("translate", folder, input=text).out


def test_the_other_verbs_take_it(headlight, folder_of, tmp_path):
    """A rank, the same heads out in three ways, and what a gate says about it."""
    folder, data = folder_of("translate") / "model", tmp_path / "pairs.tsv"
    pairs = [(" ".join(GERMAN[i % 12] for i in range(a, a + 4)), " ".join(ENGLISH[i % 12] for i in range(a, a + 4)))
             for a in range(12)]
    data.write_text("".join(f"{de}\t{en}.\n" for de, en in pairs))
    worst = headlight("rank", folder, "--data", data, "--json").json()["greedy_order"][0]
    name = worst if isinstance(worst, str) else "{stack}.{layer}.{head}".format(**worst)
    inputs = batch("translate")
    numpy.savez(tmp_path / "in.npz", **inputs)
    logits = {}
    for kind in ("compact", "zeroed"):
        headlight("prune", folder, "--heads", name, "--kind", kind, "--data", data, "--out", kind)
        headlight("trace", kind, "--inputs", "in.npz", "--out", "t.safetensors")
        logits[kind] = load_file(tmp_path / "t.safetensors")["logits"]
        assert headlight("translate", kind, input=LINES[0] + "\n").out.strip()
    same(logits["compact"], logits["zeroed"])
    theirs = outputs(loaded("translate", tmp_path / "zeroed"), inputs)["logits"]
    same(logits["zeroed"], theirs)
    types = {kind: json.loads((tmp_path / kind / "config.json").read_text())["model_type"] for kind in logits}
    assert types == {"compact": "headlight", "zeroed": "pegasus"}
    changed = headlight("diff", folder, "zeroed", "--data", data, "--json").json()["counts"]
    assert changed["died"] == 1
    headlight("check", folder, "--data", data, "--max-loss", 99)
    headlight("inspect", folder, "--pairs", data, "--json")


def test_a_pruned_language_model_is_a_smaller_llama(headlight, folder_of, tmp_path):
    folder, inputs = folder_of("lm") / "model", batch("lm")
    headlight("prune", folder, "--heads", "self.0.1,self.1.0", "--kind", "uniform", "--out", "smaller")
    numpy.savez(tmp_path / "in.npz", **inputs)
    headlight("trace", "smaller", "--inputs", "in.npz", "--out", "t.safetensors")
    model = loaded("lm", tmp_path / "smaller")
    assert model.config.num_attention_heads == 1 and model.config.head_dim == 16
    same(load_file(tmp_path / "t.safetensors")["logits"], outputs(model, inputs)["logits"],
         inputs["attention_mask"][:, :, None])
    (tmp_path / "lines.txt").write_text("zero four five\ntwo six\n")
    said = headlight("evaluate", "--model", "smaller", "--data", "lines.txt", "--json").json()
    assert said["perplexity"] > 1


def test_the_example_of_the_documents_runs(folder_of, tmp_path, monkeypatch, capsys):
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "applications.md").read_text(), re.DOTALL)[1]
    (tmp_path / "en-de").symlink_to(folder_of("translate") / "model")
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert capsys.readouterr().out.startswith("['")
