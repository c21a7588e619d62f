"""Pruned models in transformers: they load as they are, and compute what hooks that silence the same
heads in the whole model compute."""

import os

import numpy
import pytest

transformers = pytest.importorskip("transformers", minversion="5", reason="transformers 5 is absent")
torch = pytest.importorskip("torch", reason="PyTorch is absent")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

USUAL = dict(vocab_size=31, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
             intermediate_size=40, max_position_embeddings=32)
GROUPED = dict(USUAL, hidden_size=16, num_attention_heads=8, num_key_value_heads=4, head_dim=6, pad_token_id=0,
               bos_token_id=1, eos_token_id=2)
TWO = dict(vocab_size=31, d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
           decoder_attention_heads=4, encoder_ffn_dim=40, decoder_ffn_dim=40, max_position_embeddings=32,
           pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3, forced_eos_token_id=2)

# Class, its config, the module behind attention of every stack.
CASES = {
    "bert": ("BertForMaskedLM", USUAL, {"self": "bert.encoder.layer.{}.attention.output.dense"}),
    "roberta": ("RobertaForMaskedLM", dict(USUAL, pad_token_id=1),
                {"self": "roberta.encoder.layer.{}.attention.output.dense"}),
    "distilbert": ("DistilBertForMaskedLM", dict(vocab_size=31, dim=24, n_layers=2, n_heads=4, hidden_dim=40,
                                                 max_position_embeddings=32),
                   {"self": "distilbert.transformer.layer.{}.attention.out_lin"}),
    "gpt2": ("GPT2LMHeadModel", dict(vocab_size=31, n_embd=24, n_layer=2, n_head=4, n_positions=32,
                                     bos_token_id=1, eos_token_id=2), {"self": "transformer.h.{}.attn.c_proj"}),
    "gpt_neox": ("GPTNeoXForCausalLM", dict(USUAL, rotary_pct=1.0, bos_token_id=1, eos_token_id=2),
                 {"self": "gpt_neox.layers.{}.attention.dense"}),
    "llama": ("LlamaForCausalLM", GROUPED, {"self": "model.layers.{}.self_attn.o_proj"}),
    "mistral": ("MistralForCausalLM", GROUPED, {"self": "model.layers.{}.self_attn.o_proj"}),
    "qwen2": ("Qwen2ForCausalLM", GROUPED, {"self": "model.layers.{}.self_attn.o_proj"}),
    "qwen3": ("Qwen3ForCausalLM", GROUPED, {"self": "model.layers.{}.self_attn.o_proj"}),
    "gemma2": ("Gemma2ForCausalLM", dict(GROUPED, query_pre_attn_scalar=6),
               {"self": "model.layers.{}.self_attn.o_proj"}),
    "gemma3_text": ("Gemma3ForCausalLM", dict(GROUPED, query_pre_attn_scalar=6),
                    {"self": "model.layers.{}.self_attn.o_proj"}),
    "t5": ("T5ForConditionalGeneration",
           dict(vocab_size=31, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_heads=4, pad_token_id=0,
                eos_token_id=2, decoder_start_token_id=0, relative_attention_num_buckets=8),
           {"encoder": "encoder.block.{}.layer.0.SelfAttention.o",
            "decoder": "decoder.block.{}.layer.0.SelfAttention.o",
            "cross": "decoder.block.{}.layer.1.EncDecAttention.o"}),
    "bart": ("BartForConditionalGeneration", TWO,
             {"encoder": "model.encoder.layers.{}.self_attn.out_proj",
              "decoder": "model.decoder.layers.{}.self_attn.out_proj",
              "cross": "model.decoder.layers.{}.encoder_attn.out_proj"}),
    "marian": ("MarianMTModel", dict(TWO, decoder_vocab_size=31),
               {"encoder": "model.encoder.layers.{}.self_attn.out_proj",
                "decoder": "model.decoder.layers.{}.self_attn.out_proj",
                "cross": "model.decoder.layers.{}.encoder_attn.out_proj"}),
    "pegasus": ("PegasusForConditionalGeneration", TWO,
                {"encoder": "model.encoder.layers.{}.self_attn.out_proj",
                 "decoder": "model.decoder.layers.{}.self_attn.out_proj",
                 "cross": "model.decoder.layers.{}.encoder_attn.out_proj"}),
    "vit": ("ViTForImageClassification",
            dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
                 image_size=8, patch_size=4, num_channels=1, num_labels=5), {"self": "o_proj"}),
}
# Whole groups where there are some; any heads where the config can say how many.
SOME = {"self": [(0, 1), (1, 0), (1, 3)]}
SOME_GROUPS = {"self": [(0, 2), (0, 3), (1, 0), (1, 1), (1, 6), (1, 7)]}
SOME_OF_TWO = {"encoder": [(0, 1)], "decoder": [(1, 0), (1, 2)], "cross": [(0, 3)]}
ALIKE = {"self": [(0, 1), (1, 3)]}
ALIKE_GROUPS = {"self": [(0, 2), (0, 3), (1, 6), (1, 7), (0, 0), (0, 1), (1, 0), (1, 1)]}
ALIKE_OF_TWO = {"encoder": [(0, 1), (1, 1)], "decoder": [(0, 2), (1, 2)], "cross": [(0, 3), (1, 0)]}
UNIFORM = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "t5", "vit"]


def heads_for(kind, uniform):
    _, config, stacks = CASES[kind]
    if len(stacks) == 3:
        return ALIKE_OF_TWO if uniform else SOME_OF_TWO
    if "num_key_value_heads" in config:
        return ALIKE_GROUPS if uniform else SOME_GROUPS
    return ALIKE if uniform else SOME


def made(kind, folder, dtype=torch.float32):
    name, config, _ = CASES[kind]
    torch.manual_seed(7)
    model_class = getattr(transformers, name)
    model = model_class(model_class.config_class(**config))
    with torch.no_grad():  # away from initial values that hide mistakes
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.to(dtype).save_pretrained(folder)
    return loaded(kind, folder)


def loaded(kind, folder):
    model, said = getattr(transformers, CASES[kind][0]).from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32, attn_implementation="eager")
    assert not said["missing_keys"] and not said["unexpected_keys"] and not said["mismatched_keys"], said
    return model.eval()


def inputs_for(kind):
    random = torch.Generator().manual_seed(3)
    if kind == "vit":
        return {"pixel_values": torch.randn(2, 1, 8, 8, generator=random)}
    inputs = {"input_ids": torch.randint(4, 31, (2, 9), generator=random)}
    if len(CASES[kind][2]) == 3:
        inputs["decoder_input_ids"] = torch.randint(4, 31, (2, 7), generator=random)
    return inputs


def logits(model, inputs, kind=None, silenced=()):
    """With the slices of these heads zeroed where they enter the projection behind attention."""
    hooks = []
    for stack, heads in dict(silenced).items():
        pattern = CASES[kind][2][stack]
        behind = [module for name, module in model.named_modules() if name.endswith(".o_proj")]
        for layer, head in heads:
            module = behind[layer] if kind == "vit" else model.get_submodule(pattern.format(layer))
            heads_of_layer = 8 if "num_key_value_heads" in CASES[kind][1] else 4

            def zero(_, arguments, head=head, count=heads_of_layer):
                x = arguments[0].clone()
                d = x.shape[-1] // count
                x[..., head * d:(head + 1) * d] = 0
                return (x, *arguments[1:])

            hooks.append(module.register_forward_pre_hook(zero))
    with torch.no_grad():
        result = model(**inputs).logits
    for hook in hooks:
        hook.remove()
    return result


def prune(headlight, heads, kind, *more):
    names = ",".join(f"{stack}.{layer}.{head}" for stack, places in heads.items() for layer, head in places)
    return headlight("prune", "m", "--heads", names, "--kind", kind, "--out", "p", *more)


@pytest.mark.parametrize("kind", CASES)
def test_zeroed_models_load_and_compute_what_silenced_heads_leave(headlight, tmp_path, kind):
    model, inputs, heads = made(kind, tmp_path / "m"), inputs_for(kind), heads_for(kind, False)
    prune(headlight, heads, "zeroed")
    ours = logits(loaded(kind, tmp_path / "p"), inputs)
    expected = logits(model, inputs, kind, heads)
    assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (expected - logits(model, inputs)).abs().max() > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("kind", UNIFORM)
def test_uniform_models_load_smaller_and_compute_the_same(headlight, tmp_path, kind):
    model, inputs, heads = made(kind, tmp_path / "m"), inputs_for(kind), heads_for(kind, True)
    prune(headlight, heads, "uniform")
    smaller = loaded(kind, tmp_path / "p")
    expected = logits(model, inputs, kind, heads)
    assert (logits(smaller, inputs) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in model.parameters())
    # And headlight takes its own work up again.
    headlight("inspect", "p", *(["--inputs", write_inputs(tmp_path, inputs)]))


def write_inputs(folder, inputs):
    numpy.savez(folder / "in.npz", **{name: tensor.numpy() for name, tensor in inputs.items()})
    return folder / "in.npz"


@pytest.mark.parametrize("kind", sorted(set(CASES) - set(UNIFORM)))
def test_where_no_config_can_say_it_uniform_is_refused_with_the_reason(headlight, tmp_path, kind):
    made(kind, tmp_path / "m")
    err = headlight("prune", "m", "--heads", next(iter(CASES[kind][2])) + ".0.0", "--kind", "uniform",
                    "--out", "p", code=2).err
    assert kind in err and "width of a head" in err


@pytest.mark.parametrize("kind, heads, words", [
    ("qwen3", {"self": [(0, 0), (0, 1)]}, ["layer self.1", "8 heads"]),
    ("llama", {"self": [(0, 0), (0, 1), (1, 2), (1, 3)]}, ["hidden_size 16", "6 heads"]),
    ("llama", {"self": [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]}, ["self.0.2 to self.0.3"]),
    ("t5", {"encoder": [(0, 1), (1, 2)], "decoder": [(0, 2), (1, 2)], "cross": [(0, 3), (1, 0)]},
     ["relative", "encoder"]),
])
def test_heads_that_no_uniform_model_can_lose_are_refused(headlight, tmp_path, kind, heads, words):
    made(kind, tmp_path / "m")
    names = ",".join(f"{stack}.{layer}.{head}" for stack, places in heads.items() for layer, head in places)
    err = headlight("prune", "m", "--heads", names, "--kind", "uniform", "--out", "p", code=2).err
    for word in words:
        assert word in err
    assert not os.path.exists(tmp_path / "p")


@pytest.mark.parametrize("kind", ["gemma2", "t5", "vit"])
def test_half_precision_stays_half(headlight, tmp_path, kind):
    from safetensors.torch import load_file
    made(kind, tmp_path / "m", torch.bfloat16)
    prune(headlight, heads_for(kind, True), "uniform")
    before, after = load_file(tmp_path / "m" / "model.safetensors"), load_file(tmp_path / "p" / "model.safetensors")
    assert set(before) == set(after)
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    same = [name for name in after if after[name].shape == before[name].shape]
    assert same and all(torch.equal(after[name], before[name]) for name in same)


@pytest.mark.parametrize("kind, share", [("mistral", "50%"), ("llama", "70%"), ("t5", "50%")])
def test_a_share_is_kept_in_every_layer(headlight, tmp_path, kind, share):
    model, inputs = made(kind, tmp_path / "m"), inputs_for(kind)
    if kind == "t5":
        inputs = dict(inputs, labels=torch.randint(4, 31, (2, 7)))
    else:
        inputs = dict(inputs, labels=inputs["input_ids"])
    said = headlight("prune", "m", "--keep", share, "--kind", "uniform", "--data",
                     write_inputs(tmp_path, inputs), "--out", "p", "--json").json()
    heads = {}
    for head in said["removed"]:
        heads.setdefault(head["stack"], []).append((head["layer"], head["head"]))
    inputs.pop("labels")
    expected = logits(model, inputs, kind, heads)
    assert (logits(loaded(kind, tmp_path / "p"), inputs) - expected).abs().max() <= 1e-5 * expected.abs().max()
    # llama has no config for 6 of 8 heads when its width is 16.
    assert said["heads_after"] == (16 if share == "70%" else said["heads_before"] // 2)
