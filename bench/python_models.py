#!/usr/bin/env python3
"""Whole models of transformers with attn_implementation="headlight" beside "sdpa": random weights
in the shapes of real models, interleaved, one thread, CPU time.

    PYTHONPATH=build/release/python bench/python_models.py [--rounds 5] [--dtype float32]
"""

import argparse
import time

import headlight
import torch
import transformers

IMPLEMENTATIONS = ("sdpa", "headlight")


def encoder():
    """The shape of all-MiniLM-L6-v2."""
    config = transformers.BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                                     intermediate_size=1536, attn_implementation="sdpa")
    return transformers.BertModel(config, add_pooling_layer=False).eval()


def decoder():
    """A small Llama: 8 layers, 8 query and 2 KV heads of 64."""
    config = transformers.LlamaConfig(
        vocab_size=4096, hidden_size=512, intermediate_size=1376, num_hidden_layers=8,
        num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=16384,
        attn_implementation="sdpa", eos_token_id=None)
    return transformers.LlamaForCausalLM(config).eval()


def encode(model, batch, length, padded=False):
    tokens = torch.randint(1000, (batch, length))
    mask = torch.ones_like(tokens)
    if padded:
        mask[:, length // 2:] = torch.rand(batch, 1) < 0.5
    return lambda: model(tokens, attention_mask=mask), batch * length


def prefill(model, length):
    tokens = torch.randint(4096, (1, length))
    return lambda: model(tokens, logits_to_keep=1, use_cache=False), length


def decode(model, length, count=16):
    """Tokens one after the other behind a cache of `length`; the prompt is not counted."""
    tokens = torch.randint(4096, (1, length))
    caches = {}

    def run():
        name = model.config._attn_implementation
        if name not in caches:
            caches[name] = model(tokens, logits_to_keep=1).past_key_values
        cache, token = caches[name], tokens[:, :1]
        for _ in range(count):
            token = model(token, past_key_values=cache).logits[:, -1:].argmax(-1)
        cache.crop(-count)

    return run, count


def measure(model, work, rounds):
    """Tokens a second of each implementation, in the best of interleaved rounds."""
    run, tokens = work
    best = dict.fromkeys(IMPLEMENTATIONS, float("inf"))
    for turn in range(rounds + 1):
        for name in IMPLEMENTATIONS:
            model.set_attn_implementation(name)
            start = time.process_time()
            run()
            if turn > 0:  # the first fills caches
                best[name] = min(best[name], time.process_time() - start)
    return [tokens / best[name] for name in IMPLEMENTATIONS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    headlight.register_with_transformers()
    dtype = getattr(torch, options.dtype)
    bert, llama = encoder().to(dtype), decoder().to(dtype)
    print(f"| {options.dtype}, one thread | sdpa, tokens/s | headlight, tokens/s | × |\n|---|---|---|---|")
    with torch.no_grad():
        for name, model, work in (
                ("encode 32 × 128", bert, encode(bert, 32, 128)),
                ("encode 8 × 512", bert, encode(bert, 8, 512)),
                ("encode 8 × 512, half of them padded", bert, encode(bert, 8, 512, padded=True)),
                ("prompt of 512", llama, prefill(llama, 512)),
                ("prompt of 4096", llama, prefill(llama, 4096)),
                ("generate behind 512", llama, decode(llama, 512)),
                ("generate behind 4096", llama, decode(llama, 4096))):
            sdpa, ours = measure(model, work, options.rounds)
            print(f"| {name} | {sdpa:,.0f} | {ours:,.0f} | {ours / sdpa:.2f} |", flush=True)


if __name__ == "__main__":
    main()
