"""attn_implementation="headlight" in transformers 5."""

import headlight
import pytest
import torch

from conftest import SHARED

transformers = pytest.importorskip("transformers", minversion="5", reason="transformers 5 is absent")
numpy = pytest.importorskip("numpy")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

FOLDERS = sorted((SHARED / "models").glob("tiny-*"))
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "decoder_input_ids",
          "decoder_attention_mask", "pixel_values")


@pytest.fixture(autouse=True, scope="module")
def registered():
    headlight.register_with_transformers()


@pytest.fixture
def calls(monkeypatch):
    """How often the registered function ran."""
    from headlight import _transformers

    count = []

    def counted(*arguments, **options):
        count.append(1)
        return _transformers.attention_forward(*arguments, **options)

    monkeypatch.setitem(transformers.AttentionInterface._global_mapping, "headlight", counted)
    return count


def result(model, inputs):
    with torch.no_grad():
        output = model(**inputs)
    return output.logits if "logits" in output else output.last_hidden_state


@pytest.mark.skipif(not FOLDERS, reason=f"no model fixtures below {SHARED}")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda x: x.name)
def test_logits_equal_eager_and_generation_is_the_same(folder, calls):
    config = transformers.AutoConfig.from_pretrained(folder)
    architecture = getattr(transformers, config.architectures[0])
    model = architecture.from_pretrained(folder, attn_implementation="headlight").eval()
    arrays, expected = numpy.load(folder / "inputs.npz"), numpy.load(folder / "expected.npz")
    inputs = {name: torch.from_numpy(arrays[name]) for name in INPUTS if name in arrays}
    got = result(model, inputs)
    assert calls
    if "generated" in expected:
        prompt = torch.from_numpy(arrays["prompt"])
        tokens = model.generate(prompt, max_new_tokens=12, do_sample=False)
        tokens = tokens[:, 1 if config.is_encoder_decoder else prompt.shape[1]:]
        assert tokens.tolist() == expected["generated"].tolist()
    model.set_attn_implementation("eager")
    calls.clear()
    eager = result(model, inputs)
    assert not calls
    # What stands at a padded place follows from how a masked row is filled; nothing reads it.
    valid = inputs.get("decoder_attention_mask", inputs.get("attention_mask"))
    if valid is not None:
        got, eager = got[valid.bool()], eager[valid.bool()]
    torch.testing.assert_close(got, eager, atol=2e-5, rtol=1e-5)


def tiny_llama(**options):
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, attn_implementation="headlight", **options)
    return transformers.LlamaForCausalLM(config)


@pytest.mark.parametrize("padded", [False, True])
def test_a_llama_of_our_own_learns_as_with_eager(padded, calls):
    model = tiny_llama()
    tokens = torch.randint(99, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.int64)
    labels = tokens.clone()
    if padded:
        mask[1, :4] = 0
        labels[1, :5] = -100  # nothing valid stands before the first valid token
    gradients = []
    for implementation in ("headlight", "eager"):
        model.set_attn_implementation(implementation)
        model.zero_grad()
        model(input_ids=tokens, attention_mask=mask, labels=labels).loss.backward()
        gradients.append([x.grad.clone() for x in model.parameters()])
    assert len(calls) == 2
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_generation_with_any_cache_is_that_of_eager(cache, calls):
    model = tiny_llama().eval()
    prompt = torch.randint(99, (2, 5))
    mask = torch.ones_like(prompt)
    mask[0, :2] = 0
    tokens = []
    for implementation in ("headlight", "eager"):
        model.set_attn_implementation(implementation)
        tokens.append(model.generate(prompt, attention_mask=mask, max_new_tokens=8, do_sample=False,
                                     cache_implementation=cache, disable_compile=True))
    assert calls and torch.equal(*tokens)


@pytest.mark.parametrize("side, as_lengths", [("right", True), ("left", False), ("none", True)])
def test_padding_behind_an_encoders_rows_is_read_as_lengths(side, as_lengths, monkeypatch):
    from headlight import _transformers

    seen = []

    def spy(*arguments, **options):
        seen.append(options["key_lengths"] is not None and options["mask"] is None)
        return headlight.attention(*arguments, **options)

    monkeypatch.setattr(_transformers, "attention", spy)
    config = transformers.BertConfig(vocab_size=50, hidden_size=16, intermediate_size=16,
                                     num_hidden_layers=2, num_attention_heads=2,
                                     attn_implementation="headlight")
    model = transformers.BertModel(config).eval()
    mask = torch.ones(3, 9, dtype=torch.int64)
    if side != "none":
        mask[1, slice(4, None) if side == "right" else slice(0, 5)] = 0
    inputs = dict(input_ids=torch.randint(50, (3, 9)), attention_mask=mask)
    got = result(model, inputs)
    assert seen == [as_lengths] * 2
    model.set_attn_implementation("eager")
    torch.testing.assert_close(got[mask.bool()], result(model, inputs)[mask.bool()], atol=1e-5,
                               rtol=1e-5)


def test_learned_sinks_are_those_of_eager():
    config = transformers.GptOssConfig(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=2, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1,
        sliding_window=4, attn_implementation="eager", initializer_range=0.5)
    model = transformers.GptOssForCausalLM(config).eval()
    tokens = torch.randint(50, (1, 9))
    expected = result(model, dict(input_ids=tokens))
    model.set_attn_implementation("headlight")
    torch.testing.assert_close(result(model, dict(input_ids=tokens)), expected, atol=1e-5, rtol=1e-5)


def test_weights_that_it_cannot_give_are_refused():
    model = tiny_llama()
    with pytest.raises(ValueError, match="output_attentions"):
        model(input_ids=torch.tensor([[1, 2]]), output_attentions=True)
