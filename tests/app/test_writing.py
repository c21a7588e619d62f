"""headlight translate, summarize and generate: the texts that transformers finds with the same model."""

import json

import pytest

from tiny_models import write_gpt2

WORDS = ["<pad>", "</s>", "<unk>"] + [f"w{i}" for i in range(3, 40)]
LINES = ["w3 w4 w5", "w9", "", "w7 w7 w21 w30 w11 w5 w38 w9", "w12 w3"]


def tokenizer_json(ends):
    """Words with spaces between them; </s> behind a text if `ends`."""
    special = {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}
    frame = {"type": "TemplateProcessing", "special_tokens": special,
             "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}]}
    added = [{"id": i, "content": WORDS[i], "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i in range(3)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": frame if ends else None, "decoder": None,
            "model": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": {w: i for i, w in enumerate(WORDS)}}}


def small_model(kind, transformers, torch):
    sizes = dict(vocab_size=40, d_model=16, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=24,
                 decoder_ffn_dim=24, encoder_attention_heads=4, decoder_attention_heads=4,
                 max_position_embeddings=48, pad_token_id=0, eos_token_id=1, bos_token_id=2,
                 decoder_start_token_id=0, forced_eos_token_id=None, init_std=0.5, dropout=0.0)
    torch.manual_seed(7)
    if kind == "marian":
        return transformers.MarianMTModel(transformers.MarianConfig(**sizes))
    if kind == "pegasus":
        return transformers.PegasusForConditionalGeneration(transformers.PegasusConfig(**sizes))
    if kind == "bart":
        return transformers.BartForConditionalGeneration(transformers.BartConfig(**sizes))
    if kind == "t5":
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(
            vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=4, pad_token_id=0,
            eos_token_id=1, decoder_start_token_id=0, initializer_factor=1.0))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        return model
    if kind == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=40, n_embd=16, n_head=4, n_layer=2, n_positions=48, initializer_range=0.5,
            bos_token_id=1, eos_token_id=1))
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=48,
        initializer_range=0.5, bos_token_id=1, eos_token_id=1, pad_token_id=0))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """(folder, model of transformers) by kind; made once."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    made = {}

    def get(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            model = small_model(kind, transformers, torch).eval()
            model.save_pretrained(folder)
            writes_on = kind in ("gpt2", "llama")
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(not writes_on)))
            made[kind] = folder, model
        return made[kind]

    return get


def ids_of(line, ends):
    return [WORDS.index(word) for word in line.split()] + ([1] if ends else [])


def text_of(ids):
    return " ".join(WORDS[i] for i in ids if i > 2)


def of_transformers(model, line, **how):
    """[(text, score)] of one line, best first; scores as beam search gives them."""
    import torch

    writes_on = not model.config.is_encoder_decoder
    found = model.generate(torch.tensor([ids_of(line, not writes_on)]), max_new_tokens=12,
                           do_sample=False, return_dict_in_generate=True, output_scores=True, **how)
    scores = found.sequences_scores.tolist() if how.get("num_beams", 1) > 1 else [None]
    return list(zip([text_of(row.tolist()) for row in found.sequences], scores))


@pytest.mark.parametrize("kind", ["marian", "pegasus", "bart", "t5", "gpt2", "llama"])
@pytest.mark.parametrize("beams, penalty, early", [(4, 1.0, False), (3, 0.6, True), (5, 2.0, False)])
def test_beam_search_finds_what_transformers_finds(headlight, models, kind, beams, penalty, early):
    folder, model = models(kind)
    verb = "generate" if kind in ("gpt2", "llama") else "translate"
    said = headlight(verb, folder, "--beam", beams, "--length-penalty", penalty, "--tokens", 12,
                     "--nbest", beams, "--json", *(["--early-stopping"] if early else []),
                     input="\n".join(LINES) + "\n").json()["lines"]
    assert len(said) == len(LINES) and said[2] == []
    for line, texts in zip(LINES, said):
        if not line:
            continue
        expected = of_transformers(model, line, num_beams=beams, num_return_sequences=beams,
                                   length_penalty=penalty, early_stopping=early)
        assert [text["text"] for text in texts] == [text for text, _ in expected]
        assert [text["score"] for text in texts] == pytest.approx([s for _, s in expected], abs=1e-4)


@pytest.mark.parametrize("kind", ["marian", "t5", "gpt2"])
def test_greedy_finds_what_transformers_finds(headlight, models, kind):
    folder, model = models(kind)
    verb = "generate" if kind == "gpt2" else "summarize"
    out = headlight(verb, folder, "--beam", 1, "--tokens", 12, input="\n".join(LINES) + "\n").out
    expected = [of_transformers(model, line)[0][0] if line else "" for line in LINES]
    assert out.split("\n")[:-1] == expected


@pytest.fixture
def gpt2(tmp_path):
    write_gpt2(tmp_path / "model", tokenizer=True)
    return tmp_path / "model"


def test_lines_stay_in_order_whatever_their_length_and_batch(headlight, gpt2):
    lines = [" ".join(f"w{(7 * i + j) % 39 + 1}" for j in range(i % 9)) for i in range(60)]
    text = "\n".join(lines) + "\n"
    whole = headlight("generate", gpt2, "--beam", 3, "--tokens", 5, input=text).out.split("\n")[:-1]
    assert len(whole) == 60
    for line, written in zip(lines, whole):
        assert written.startswith(line)
        assert bool(line) == bool(written)
    alone = headlight("generate", gpt2, "--beam", 3, "--tokens", 5, "--batch", 1, input=text).out
    assert alone.split("\n")[:-1] == whole


def test_drawn_texts_depend_on_the_seed_and_the_line_alone(headlight, gpt2):
    def drawn(seed, text, *more):
        return headlight("generate", gpt2, "--temperature", 0.9, "--top-k", 20, "--top-p", 0.95,
                         "--seed", seed, "--tokens", 9, *more, input=text).out.split("\n")[:-1]

    text = "w1 w2\nw3\nw1 w2\n"
    assert drawn(1, text) == drawn(1, text, "--batch", 1)
    assert drawn(1, text) != drawn(2, text)
    assert drawn(1, text)[0] != drawn(1, text)[2]
    assert len(set(drawn(1, "w3\n", "--nbest", 5))) > 1


def test_top_k_of_one_is_greedy(headlight, gpt2):
    greedy = headlight("generate", gpt2, "--tokens", 9, input="w1 w2\n").out
    assert headlight("generate", gpt2, "--tokens", 9, "--top-k", 1, input="w1 w2\n").out == greedy


def test_nbest_and_scores_keep_lines_in_place(headlight, gpt2):
    out = headlight("generate", gpt2, "--beam", 2, "--nbest", 2, "--scores", "--tokens", 4,
                    input="w1\n\nw2\n").out.split("\n")[:-1]
    assert len(out) == 6 and out[2:4] == ["\t", "\t"]
    scores = [float(line.split("\t")[0]) for line in out if line != "\t"]
    assert scores[0] >= scores[1] and scores[2] >= scores[3] and max(scores) < 0


def test_what_cannot_be_is_said(headlight, gpt2, tmp_path):
    refused = headlight("generate", gpt2, input="w1\n" + "w2 " * 40 + "\n", code=3).err
    assert "standard input: line 2" in refused and "--cut" in refused
    assert headlight("generate", gpt2, "--cut", input="w2 " * 40 + "\n").out
    assert "--beam" in headlight("generate", gpt2, "--beam", 2, "--temperature", 1, input="", code=2).err
    assert "--nbest" in headlight("generate", gpt2, "--nbest", 2, input="", code=2).err
    assert "beams" in headlight("generate", gpt2, "--beam", 2, "--nbest", 3, input="", code=2).err
    assert "nowhere" in headlight("translate", "nowhere", input="", code=3).err
    (tmp_path / "in").write_bytes(b"\xff\n")
    assert "line 1" in headlight("generate", gpt2, "in", code=3).err
