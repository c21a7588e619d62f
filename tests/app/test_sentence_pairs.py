"""Base encoders on pairs of texts that belong together, against PyTorch's autograd."""

import json

import pytest

transformers = pytest.importorskip("transformers", minversion="5", reason="transformers 5 is absent")
torch = pytest.importorskip("torch", reason="PyTorch is absent")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

LAYERS, HEADS, WIDTH = 2, 4, 24
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(1, 27)]
PAIRS = [([5, 6, 7], [8]), ([9, 10], [11, 12, 13, 14]), ([15], [16, 17]), ([5, 20, 21, 22, 23], [24, 25]),
         ([26], [27]), ([28, 29, 30], [5, 5])]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a drawn BERT, the pairs beside it, and the same model in transformers."""
    torch.manual_seed(3)
    config = transformers.BertConfig(vocab_size=len(WORDS), hidden_size=WIDTH, num_hidden_layers=LAYERS,
                                     num_attention_heads=HEADS, intermediate_size=40, max_position_embeddings=32,
                                     initializer_range=0.3, attn_implementation="eager")
    theirs = transformers.BertModel(config).eval()
    folder = tmp_path_factory.mktemp("pairs") / "m"
    theirs.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    pairs = folder.parent / "pairs.tsv"
    pairs.write_text("".join("\t".join(" ".join(WORDS[i] for i in side) for side in pair) + "\n"
                             for pair in PAIRS))
    return folder, pairs, theirs


def nats(theirs, gates, means=0):
    """The summed loss, with gates [LAYERS, HEADS] on what heads hand to their projections; what a gate
    leaves is taken by means [LAYERS, WIDTH]."""
    wide = gates.repeat_interleave(WIDTH // HEADS, 1)
    instead = (1 - wide) * means
    hooks = [layer.attention.output.dense.register_forward_pre_hook(
        lambda _, args, l=l: (args[0] * wide[l] + instead[l], *args[1:]))
        for l, layer in enumerate(theirs.encoder.layer)]
    sides = []
    for side in (0, 1):
        states = [theirs(input_ids=torch.tensor([[2, *pair[side], 3]])).last_hidden_state[0].mean(0) for pair in PAIRS]
        sides.append(torch.nn.functional.normalize(torch.stack(states)))
    for hook in hooks:
        hook.remove()
    return torch.nn.functional.cross_entropy(20 * sides[0] @ sides[1].T, torch.arange(len(PAIRS)), reduction="sum")


def head_means(theirs):
    """[LAYERS, WIDTH]: over all tokens of both texts of every pair."""
    rows = [[] for _ in range(LAYERS)]
    hooks = [layer.attention.output.dense.register_forward_pre_hook(
        lambda _, args, l=l: rows[l].append(args[0][0].detach())) for l, layer in enumerate(theirs.encoder.layer)]
    for text in [side for pair in PAIRS for side in pair]:
        theirs(input_ids=torch.tensor([[2, *text, 3]]))
    for hook in hooks:
        hook.remove()
    return torch.stack([torch.cat(layer).mean(0) for layer in rows])


def test_loss(headlight, model):
    folder, pairs, theirs = model
    found = headlight("evaluate", "--model", folder, "--data", pairs, "--json").json()
    assert found["loss"] == pytest.approx(nats(theirs, torch.ones(LAYERS, HEADS)).item() / len(PAIRS), rel=1e-5)


def test_rank(headlight, model):
    folder, pairs, theirs = model
    found = headlight("rank", folder, "--data", pairs, "--json").json()
    means = head_means(theirs)
    gates = torch.ones(LAYERS, HEADS, requires_grad=True)
    nats(theirs, gates).backward()
    for layer in range(LAYERS):
        for head in range(HEADS):
            assert found["gate_gradient"]["self"][layer][head] == pytest.approx(
                gates.grad[layer, head].item() / len(PAIRS), rel=1e-3, abs=1e-5)
            without = torch.ones(LAYERS, HEADS)
            without[layer, head] = 0
            assert found["ablation_loss"]["self"][layer][head] == pytest.approx(
                nats(theirs, without).item() / len(PAIRS), rel=1e-4)
            assert found["ablation_mean"]["self"][layer][head] == pytest.approx(
                (nats(theirs, without, means) - nats(theirs, torch.ones(LAYERS, HEADS))).item() / len(PAIRS),
                rel=1e-3, abs=1e-5)


def test_no_pair_is_left_over(headlight, model, tmp_path):
    folder, _, theirs = model
    (tmp_path / "many.tsv").write_text("".join(f"w{1 + i % 20} w{1 + i % 7}\tw{1 + i % 11}\n" for i in range(33)))
    found = headlight("evaluate", "--model", folder, "--data", "many.tsv", "--json").json()
    vectors = []
    for side in (lambda i: [5 + i % 20, 5 + i % 7], lambda i: [5 + i % 11]):
        ids = torch.tensor([[2, *side(i), 3] for i in range(33)])
        vectors.append(torch.nn.functional.normalize(theirs(input_ids=ids).last_hidden_state.mean(1)))
    loss = torch.nn.functional.cross_entropy(20 * vectors[0] @ vectors[1].T, torch.arange(33)).item()
    assert found["loss"] == pytest.approx(loss, rel=1e-4)


def test_too_few_pairs_are_refused(headlight, model, tmp_path):
    folder, _, _ = model
    (tmp_path / "one.tsv").write_text("w1\tw2\n")
    assert "at least two" in headlight("evaluate", "--model", folder, "--data", "one.tsv", code=3).err
    (tmp_path / "few.tsv").write_text("".join(f"w{i}\tw{i + 5}\n" for i in range(1, 8)))
    assert "ten pairs" in headlight("prune", folder, "--keep", "50%", "--data", "few.tsv", "--out", "p", code=3).err


def test_prune(headlight, model, tmp_path):
    folder, pairs, theirs = model
    found = headlight("prune", folder, "--heads", "self.0.1,self.1.2", "--data", pairs, "--out",
                      tmp_path / "small", "--json").json()
    without = torch.ones(LAYERS, HEADS)
    without[0, 1] = without[1, 2] = 0
    assert found["loss_after"] == pytest.approx(nats(theirs, without).item() / len(PAIRS), rel=1e-4)


def test_a_text_alone_has_no_loss(headlight, model):
    folder, pairs, _ = model
    assert "pairs of texts" in headlight("rank", folder, "--lines", pairs, code=2).err
