"""The models of `headlight bench training-step` in PyTorch, as a user who knows it would write them.

Reads one request a line, {"heads", "threads", "implementation", "steps", "model"}, and answers with
the mean milliseconds of a training step, or with {"error"}. "tuned" is "eager" in a process whose
allocator keeps what is freed, as headlight's does: the system's hands it back after every step.
"""

import json
import math
import os
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim, heads, ffn, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.RMSNorm(dim, eps=1e-6), nn.RMSNorm(dim, eps=1e-6)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, ffn), nn.Linear(ffn, dim)

    def forward(self, x):
        b, n, d = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        a = self.out(a.transpose(1, 2).reshape(b, n, d))
        x = x + F.dropout(a, self.dropout, self.training)
        h = self.down(F.relu(self.up(self.norm2(x))))
        return x + F.dropout(h, self.dropout, self.training)


class Model(nn.Module):
    def __init__(self, m, heads):
        super().__init__()
        self.tokens = nn.Embedding(m["vocabulary"], m["dim"])
        self.positions = nn.Parameter(torch.randn(m["length"], m["dim"]))
        self.blocks = nn.Sequential(
            *[Block(m["dim"], heads, m["ffn"], m["dropout"]) for _ in range(m["layers"])])
        self.output = nn.Linear(m["dim"], m["classes"])

    def forward(self, x):
        return self.output(self.blocks(self.tokens(x) + self.positions))


class Attention(nn.Module):
    """To the same sequence, or to another one."""

    def __init__(self, dim, heads, crosses):
        super().__init__()
        self.heads = heads
        self.inputs = nn.ModuleList([nn.Linear(dim, n * dim) for n in ((1, 2) if crosses else (3,))])
        self.out = nn.Linear(dim, dim)

    def forward(self, *sequences, causal=False):
        parts = []
        for layer, x in zip(self.inputs, sequences):
            b, n, d = x.shape
            parts += layer(x).view(b, n, -1, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(*parts, is_causal=causal)
        return self.out(a.transpose(1, 2).flatten(2))


class TranslatorBlock(nn.Module):
    """Of the encoder, or of the decoder, which also reads `memory`."""

    def __init__(self, m, heads, decodes):
        super().__init__()
        dim = m["dim"]
        self.dropout, self.decodes = m["dropout"], decodes
        self.attention = Attention(dim, heads, False)
        self.cross = Attention(dim, heads, True) if decodes else None
        self.up, self.down = nn.Linear(dim, m["ffn"]), nn.Linear(m["ffn"], dim)
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(2 + decodes)])

    def forward(self, x, memory=None):
        def add(branch):
            return x + F.dropout(branch, self.dropout, self.training)

        x = add(self.attention(self.norms[0](x), causal=self.decodes))
        if self.decodes:
            x = add(self.cross(self.norms[1](x), memory))
        return add(self.down(F.relu(self.up(self.norms[-1](x)))))


class Translator(nn.Module):
    """Vaswani et al. 2017 with the norms before the parts, one table for source, target and output."""

    def __init__(self, m, heads):
        super().__init__()
        dim = m["dim"]
        self.table = nn.Parameter(torch.randn(m["vocabulary"], dim) / math.sqrt(dim))
        self.bias = nn.Parameter(torch.zeros(m["vocabulary"]))
        angles = torch.arange(max(m["length"], m["source_length"]))[:, None] * torch.exp(
            torch.arange(0, dim, 2) * (-math.log(10000) / dim))
        self.register_buffer("positions", torch.cat((angles.sin(), angles.cos()), 1))
        self.encoder = nn.ModuleList([TranslatorBlock(m, heads, False) for _ in range(m["layers"])])
        self.decoder = nn.ModuleList([TranslatorBlock(m, heads, True) for _ in range(m["layers"])])
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout, self.scale = m["dropout"], math.sqrt(dim)

    def start(self, tokens):
        x = F.embedding(tokens, self.table) * self.scale + self.positions[:tokens.shape[1]]
        return F.dropout(x, self.dropout, self.training)

    def forward(self, source, tokens):
        memory = self.start(source)
        for block in self.encoder:
            memory = block(memory)
        memory = self.encoder_norm(memory)
        x = self.start(tokens)
        for block in self.decoder:
            x = block(x, memory)
        return F.linear(self.decoder_norm(x), self.table, self.bias)


def make_step(m, heads, implementation):
    torch.manual_seed(0)
    translates = m["source_length"] > 0
    model = Translator(m, heads) if translates else Model(m, heads)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    inputs = [torch.randint(0, m["vocabulary"], (m["batch"], m["length"]))]
    if translates:
        inputs.insert(0, torch.randint(0, m["vocabulary"], (m["batch"], m["source_length"])))
    labels = torch.randint(0, m["classes"], (m["batch"], m["length"]))
    labels[:, :m["length"] - m["scored"]] = -100

    def loss_of():
        return F.cross_entropy(model(*inputs).flatten(0, 1), labels.flatten(),
                               label_smoothing=m["label_smoothing"])

    if implementation == "compile":
        loss_of = torch.compile(loss_of)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of().backward()
        optimizer.step()

    for _ in range(3):
        step()
    return step


KEEPS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(2047 << 20),
                "MALLOC_TOP_PAD_": str(64 << 20)}


def tuned():
    return subprocess.Popen([sys.executable, __file__], env=os.environ | KEEPS_MEMORY,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer(steps, r):
    torch.set_num_threads(r["threads"])
    key = (json.dumps(r["model"]), r["heads"], r["threads"], r["implementation"])
    try:
        if key not in steps:
            steps[key] = make_step(r["model"], r["heads"], r["implementation"])
        start = time.perf_counter()
        for _ in range(r["steps"]):
            steps[key]()
        return {"milliseconds": (time.perf_counter() - start) / r["steps"] * 1e3}
    except Exception as error:
        return {"error": str(error).splitlines()[0]}


def main():
    steps, other = {}, None
    for line in sys.stdin:
        r = json.loads(line)
        if r["implementation"] == "tuned":
            other = other or tuned()
            print(json.dumps(r | {"implementation": "eager"}), file=other.stdin, flush=True)
            print(other.stdout.readline(), end="", flush=True)
        else:
            print(json.dumps(answer(steps, r)), flush=True)


main()
