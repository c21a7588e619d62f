"""The models of `headlight bench training-step` in PyTorch, as a user who knows it would write them.

Reads one request a line, {"heads", "threads", "implementation", "steps", "model"}, and answers with
the mean milliseconds of a training step, or with {"error"}.
"""

import json
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


def make_step(m, heads, implementation):
    torch.manual_seed(0)
    model = Model(m, heads)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(0, m["vocabulary"], (m["batch"], m["length"]))
    labels = torch.randint(0, m["classes"], (m["batch"], m["length"]))
    labels[:, :m["length"] - m["scored"]] = -100

    def loss_of():
        return F.cross_entropy(model(tokens).flatten(0, 1), labels.flatten())

    if implementation == "compile":
        loss_of = torch.compile(loss_of)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of().backward()
        optimizer.step()

    for _ in range(3):
        step()
    return step


def main():
    steps = {}
    for line in sys.stdin:
        r = json.loads(line)
        torch.set_num_threads(r["threads"])
        key = (json.dumps(r["model"]), r["heads"], r["threads"], r["implementation"])
        try:
            if key not in steps:
                steps[key] = make_step(r["model"], r["heads"], r["implementation"])
            start = time.perf_counter()
            for _ in range(r["steps"]):
                steps[key]()
            answer = {"milliseconds": (time.perf_counter() - start) / r["steps"] * 1e3}
        except Exception as error:
            answer = {"error": str(error).splitlines()[0]}
        print(json.dumps(answer), flush=True)


main()
