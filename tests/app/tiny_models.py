"""A GPT-2 of two layers in the files of transformers, and its forward pass in NumPy."""

import json
from pathlib import Path

import numpy
from safetensors.numpy import save_file

V, D, H, L, P = 40, 16, 4, 2, 24


def write_gpt2(folder: Path, tokenizer=False, positions=P, **changes):
    random = numpy.random.default_rng(5)

    def draw(*shape):
        return random.normal(0, 0.4, shape).astype(numpy.float32)

    tensors = {"wte.weight": draw(V, D), "wpe.weight": draw(positions, D)}
    for layer in range(L):
        at = f"h.{layer}."
        tensors |= {at + "attn.c_attn.weight": draw(D, 3 * D), at + "attn.c_attn.bias": draw(3 * D),
                    at + "attn.c_proj.weight": draw(D, D), at + "attn.c_proj.bias": draw(D),
                    at + "mlp.c_fc.weight": draw(D, 4 * D), at + "mlp.c_fc.bias": draw(4 * D),
                    at + "mlp.c_proj.weight": draw(4 * D, D), at + "mlp.c_proj.bias": draw(D)}
        for norm in ("ln_1", "ln_2"):
            tensors |= {f"{at}{norm}.weight": 1 + draw(D), f"{at}{norm}.bias": draw(D)}
    tensors |= {"ln_f.weight": 1 + draw(D), "ln_f.bias": draw(D)}
    folder.mkdir(exist_ok=True)
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": V,
              "n_embd": D, "n_head": H, "n_layer": L, "n_positions": positions,
              "activation_function": "relu", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config | changes))
    save_file({"transformer." + name: tensor for name, tensor in tensors.items()},
              folder / "model.safetensors")
    if tokenizer:
        words = ["[UNK]"] + [f"w{i}" for i in range(1, V if tokenizer is True else tokenizer)]
        (folder / "tokenizer.json").write_text(json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
            "decoder": None,
            "model": {"type": "WordPiece", "unk_token": "[UNK]",
                      "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                      "vocab": {word: i for i, word in enumerate(words)}}}))
    return tensors


def norm(w, name, x):
    centred = x - x.mean(-1, keepdims=True)
    return (centred / numpy.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-5)
            * w[name + ".weight"] + w[name + ".bias"])


def queries_keys_values(w, layer, x):
    """[H, N, D // H] each, from what the layer reads [N, D]."""
    at = f"h.{layer}."
    qkv = norm(w, at + "ln_1", x) @ w[at + "attn.c_attn.weight"] + w[at + "attn.c_attn.bias"]
    return [part.reshape(len(x), H, D // H).transpose(1, 0, 2) for part in numpy.split(qkv, 3, -1)]


def forward(tensors, ids):
    """Everything a trace holds, in double precision, for one row of ids."""
    w = {name: tensor.astype(numpy.float64) for name, tensor in tensors.items()}
    n, out = len(ids), {}
    x = w["wte.weight"][ids] + w["wpe.weight"][:n]
    out["hidden_states.0"] = x
    for layer in range(L):
        at = f"h.{layer}."
        q, k, v = queries_keys_values(w, layer, x)
        scores = q @ k.transpose(0, 2, 1) / numpy.sqrt(D // H)
        scores[:, numpy.triu(numpy.ones((n, n), bool), 1)] = -numpy.inf
        lse = numpy.log(numpy.exp(scores).sum(-1))
        weights = numpy.exp(scores - lse[..., None])
        out[f"lse.{layer}"], out[f"attentions.{layer}"] = lse, weights
        heads = (weights @ v).transpose(1, 0, 2).reshape(n, D)
        x = x + heads @ w[at + "attn.c_proj.weight"] + w[at + "attn.c_proj.bias"]
        up = norm(w, at + "ln_2", x) @ w[at + "mlp.c_fc.weight"] + w[at + "mlp.c_fc.bias"]
        x = x + numpy.maximum(up, 0) @ w[at + "mlp.c_proj.weight"] + w[at + "mlp.c_proj.bias"]
        out[f"hidden_states.{layer + 1}"] = x
    out[f"hidden_states.{L}"] = norm(w, "ln_f", x)
    out["last_hidden_state"] = out[f"hidden_states.{L}"]
    out["logits"] = out["last_hidden_state"] @ w["wte.weight"].T
    return out
