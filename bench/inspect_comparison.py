#!/usr/bin/env python3
"""What the usual way to the same numbers costs: headlight inspect beside transformers with eager
attention, output_attentions and NumPy, on one text. Random weights in the shape of all-MiniLM-L6-v2
(with as many positions as asked for), each side in a process of its own, interleaved.

    build/venv/bin/python bench/inspect_comparison.py [--lengths 128,512,2048,8192] [--rounds 3]

The other side computes what inspect does without walks of many steps (docs/metrics.md, A, B, C): per
row entropy, mean distance, first-token, self, previous and next mass and the largest weight, of
attention and of attention by norm; Bhattacharyya coefficients, up to 1,024 tokens Jensen-Shannon
divergences, and cosine and CKA of what heads write; hitting times of every head and of two mixtures.
Time is processor time of the work alone, on one thread:
loading libraries and weights is left out on both sides, by subtracting a run on 8 tokens.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LAYERS, HEADS, WIDTH, VOCABULARY = 6, 12, 384, 4096


def write_model(folder, positions):
    import transformers
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH, max_position_embeddings=positions)
    transformers.BertModel(config).save_pretrained(folder)


def tokens(length):
    return [(7919 * i) % VOCABULARY for i in range(length)]


def usual_way(folder, length):
    import torch
    import transformers
    torch.set_num_threads(1)
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        out = model(torch.tensor([tokens(length)]), output_attentions=True, output_hidden_states=True)
        for layer, block in enumerate(model.encoder.layer):
            p = out.attentions[layer][0].numpy()
            values = block.attention.self.value(out.hidden_states[layer][0]).numpy()
            numbers_of_layer(p, values, block.attention.output.dense.weight.numpy())


def numbers_of_layer(p, values, w_o):
    import numpy
    length, width = p.shape[-1], values.shape[-1] // HEADS
    written = numpy.stack([values[:, h * width:(h + 1) * width] @ w_o[:, h * width:(h + 1) * width].T
                           for h in range(HEADS)])
    norms = numpy.linalg.norm(written, axis=-1)[:, None, :]
    by_norm = p * norms
    by_norm /= by_norm.sum(-1, keepdims=True)
    found = [structure(p), structure(by_norm)]
    del by_norm
    root = numpy.sqrt(p).reshape(HEADS, -1)
    found.append(root @ root.T / length)
    if length <= 1024:
        own = entropy(p).mean(-1)
        found.append([[entropy((p[g] + p[h]) / 2).mean() - (own[g] + own[h]) / 2 for g in range(h)]
                      for h in range(HEADS)])
    outputs = p @ written
    flat = outputs.reshape(HEADS, -1)
    lengths = numpy.linalg.norm(flat, axis=1)
    found.append(flat @ flat.T / numpy.outer(lengths, lengths))
    centred = outputs - outputs.mean(1, keepdims=True)
    cross = [[numpy.square(centred[g].T @ centred[h]).sum() for g in range(h + 1)] for h in range(HEADS)]
    found.append(cross)
    weights = numpy.linalg.norm(w_o.reshape(WIDTH, HEADS, width), axis=(0, 2))
    for graph in [*p, p.mean(0), numpy.tensordot(weights / weights.sum(), p, 1)]:
        found.append(hitting_times(graph.astype(numpy.float64)))
    return found


def entropy(p):
    import numpy
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return -numpy.where(p > 0, p * numpy.log(p), 0).sum(-1)


def structure(p):
    import numpy
    place = numpy.arange(p.shape[-1])
    distance = numpy.abs(place[:, None] - place[None, :]).astype(numpy.float32)
    return [entropy(p).mean(-1), (p * distance).sum(-1).mean(-1), p[:, :, 0].mean(-1),
            p[:, place, place].mean(-1), p[:, place[1:], place[:-1]].mean(-1),
            p[:, place[:-1], place[1:]].mean(-1), p.max(-1).mean(-1), p.argmax(-1)]


def hitting_times(a):
    """Of the walk from a token to its readers, until it meets the last one."""
    import numpy
    steps = (a / a.sum(0)).T[:-1, :-1]
    return numpy.linalg.solve(numpy.eye(len(steps)) - steps, numpy.ones(len(steps)))


def measured(command):
    """Processor seconds and peak memory in bytes of a process; nothing where it fails for want of memory."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        if "memory" in error.lower() or process.returncode == -9:
            return None
        sys.exit(f"{command[0]} ended with {process.returncode}: {error[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lengths", default="128,512,2048,8192")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default="build/headlight")
    parser.add_argument("--memory", type=float, default=16, help="GB that the usual way may use")
    parser.add_argument("--usual-way", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--write-model", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write_model:
        return write_model(options.write_model[0], int(options.write_model[1]))
    if options.usual_way:
        limit = int(options.memory * 1e9)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return usual_way(options.usual_way[0], int(options.usual_way[1]))
    lengths = [int(one) for one in options.lengths.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        # In another process: a child's peak memory counts what its parent had when it was started.
        subprocess.run([sys.executable, __file__, "--write-model", folder, str(max(lengths))], check=True,
                       stderr=subprocess.DEVNULL)

        def ours(length):
            return [options.program, "inspect", folder, "--tokens", ",".join(map(str, tokens(length))),
                    "--random-repeat", "0", "--steps-up-to", "0", "--threads", "1", "--json"]

        def theirs(length):
            return [sys.executable, str(Path(__file__).resolve()), "--memory", str(options.memory),
                    "--usual-way", folder, str(length)]

        start = {way: min(measured(way(8)) for _ in range(2)) for way in (ours, theirs)}
        print("| Tokens | headlight | memory | transformers and NumPy | memory | times faster |")
        print("|---|---|---|---|---|---|")
        for length in lengths:
            found = {ours: [], theirs: []}
            for _ in range(options.rounds):
                for way in found:
                    found[way].append(measured(way(length)))
            cells, seconds = [], {}
            for way, runs in found.items():
                if None in runs:
                    cells += [f"needs over {options.memory:.0f} GB", ""]
                    continue
                seconds[way] = statistics.median(run[0] for run in runs) - start[way][0]
                memory = statistics.median(run[1] for run in runs)
                cells += [f"{seconds[way]:.2f} s", f"{memory / 1e6:,.0f} MB"]
            faster = f"{seconds[theirs] / seconds[ours]:.1f}" if len(seconds) == 2 else ""
            print("| " + " | ".join([f"{length:,}", *cells, faster]) + " |", flush=True)


if __name__ == "__main__":
    main()
