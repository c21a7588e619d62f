#!/usr/bin/env python3
"""What is said of heads, put to the models of one study of translation: noise, the gap between
training and validation, time a sentence, and how metrics of heads go with the loss.

    headlight study --kind translate --data train.en train.de --valid val.en val.de --out trial …
    build/venv/bin/python bench/heads_on_trial.py trial val.en val.de train.en train.de [--lines 500]

Prints tables in Markdown; docs/heads-on-trial.md holds them. Every figure is a mean over the seeds
with the standard deviation of the seeds. Greedy translation, one thread.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

program = Path(__file__).resolve().parent.parent / "build" / "headlight"


def run(*arguments, text=None):
    done = subprocess.run([program, *map(str, arguments), "--threads", "1"], input=text, text=True,
                          capture_output=True)
    if done.returncode != 0:
        sys.exit(f"headlight {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout


# A word of a line is left out, changes places with the next, or two of its letters do.

def without_words(words, share, draw):
    return [word for word in words if draw.random() >= share] or words[:1]


def with_swaps(words, share, draw):
    words = list(words)
    for i in range(len(words) - 1):
        if draw.random() < share:
            words[i], words[i + 1] = words[i + 1], words[i]
    return words


def with_typos(words, share, draw):
    def typo(word):
        if len(word) < 2 or draw.random() >= share:
            return word
        i = draw.randrange(len(word) - 1)
        return word[:i] + word[i + 1] + word[i] + word[i + 2:]
    return [typo(word) for word in words]


NOISES = {"words left out": without_words, "words swapped": with_swaps, "typos": with_typos}


def noisy(lines, noise, share):
    draw = random.Random(2025)
    return [" ".join(NOISES[noise](line.split(), share, draw)) for line in lines]


def bleu(model, sources, references, folder):
    (folder / "hypothesis").write_text(run("translate", model, "--beam", 1, "--cut", "--quiet",
                                           text="\n".join(sources) + "\n"))
    (folder / "reference").write_text("\n".join(references) + "\n")
    return json.loads(run("evaluate", "--hypothesis", folder / "hypothesis", "--reference",
                          folder / "reference", "--json"))["bleu"]


def loss(model, sources, targets, folder):
    (folder / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in zip(sources, targets)))
    return json.loads(run("evaluate", "--model", model, "--data", folder / "pairs.tsv",
                          "--json"))["loss"]


def pm(values, digits=1):
    spread = statistics.stdev(values) if len(values) > 1 else 0
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def layer_metric(layer, name):
    """One number of a layer, or None where it is undefined or infinite."""
    if name == "effective_heads":
        value = (layer.get("redundancy") or {}).get("effective_heads")
    elif name == "entropy":
        value = statistics.mean(head["entropy_relative"] for head in layer["structure"])
    else:
        spread = ((layer.get("flow") or {}).get("combined_output_norm") or {}).get(name) or {}
        value = spread.get("mean")
    return value if isinstance(value, (int, float)) else None


def ranks(values):
    order = sorted(values)
    return [statistics.mean(i for i, other in enumerate(order) if other == v) for v in values]


def spearman(x, y):
    x, y = ranks(x), ranks(y)
    mx, my = statistics.mean(x), statistics.mean(y)
    along = sum((a - mx) * (b - my) for a, b in zip(x, y))
    size = (sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y)) ** 0.5
    return along / size if size else None


def interval_of_correlation(x, y, replicates=2000):
    draw = random.Random(2025)
    found = []
    for _ in range(replicates):
        picks = [draw.randrange(len(x)) for _ in x]
        value = spearman([x[i] for i in picks], [y[i] for i in picks])
        if value is not None:
            found.append(value)
    found.sort()
    return found[int(0.025 * len(found))], found[int(0.975 * len(found)) - 1]


def main():
    global program
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("source")
    parser.add_argument("reference")
    parser.add_argument("train_source")
    parser.add_argument("train_reference")
    parser.add_argument("--lines", type=int, default=500, help="of validation, and of training")
    parser.add_argument("--shares", default="0.1,0.2,0.4", help="of words with noise")
    parser.add_argument("--program", type=Path, default=program)
    o = parser.parse_args()
    program = o.program
    report = json.loads((o.study / "report.json").read_text())
    read = lambda file: Path(file).read_text().splitlines()[:o.lines]
    sources, references = read(o.source), read(o.reference)
    train_sources, train_references = read(o.train_source), read(o.train_reference)
    folder = o.study / "on-trial"
    folder.mkdir(exist_ok=True)
    heads = sorted({r["heads"] for r in report["runs"]})
    runs = {h: [r for r in report["runs"] if r["heads"] == h] for h in heads}
    models = {h: [o.study / r["checkpoint"] for r in runs[h]] for h in heads}
    shares = [float(s) for s in o.shares.split(",")]

    clean = {h: [bleu(m, sources, references, folder) for m in models[h]] for h in heads}
    for noise in NOISES:
        rows = []
        for h in heads:
            row = [str(h), pm(clean[h])]
            for share in shares:
                changed = noisy(sources, noise, share)
                scores = [bleu(m, changed, references, folder) for m in models[h]]
                row.append(f"{pm(scores)} ({100 * sum(scores) / sum(clean[h]):.0f} %)")
            rows.append(row)
        table(f"BLEU with {noise} (in brackets: of the score without)",
              ["Heads", "none", *(f"{100 * s:.0f} %" for s in shares)], rows)

    rows = []
    for h in heads:
        train = [loss(m, train_sources, train_references, folder) for m in models[h]]
        valid = [loss(m, sources, references, folder) for m in models[h]]
        rows.append([str(h), pm(train, 3), pm(valid, 3),
                     pm([v - t for t, v in zip(train, valid)], 3)])
    table("Loss in nats a token", ["Heads", "training", "validation", "gap"], rows)

    rows = []
    for h in heads:
        seconds = []
        for model in models[h]:
            start = time.perf_counter()
            run("translate", model, "--beam", 1, "--quiet", text="\n".join(sources[:1]) + "\n")
            one = time.perf_counter() - start
            start = time.perf_counter()
            run("translate", model, "--beam", 1, "--quiet", text="\n".join(sources) + "\n")
            seconds.append((time.perf_counter() - start - one) / (len(sources) - 1))
        rows.append([str(h), pm([r["milliseconds_per_step"] for r in runs[h]]),
                     pm([1e3 * s for s in seconds], 2)])
    table("Time in milliseconds", ["Heads", "a training step", "a sentence, greedy"], rows)

    rows = []
    all_runs = [r for h in heads for r in runs[h]]
    for metric in ("effective_heads", "entropy", "hitting_mean", "mixing_published",
                   "fidelity_published", "fidelity"):
        for stack in ("encoder", "decoder", "cross"):
            pairs = []
            for r in all_runs:
                found = [layer_metric(layer, metric) for layer in r["layers"]
                         if layer["stack"] == stack]
                if found and None not in found:
                    pairs.append((statistics.mean(found), -r["test_loss"]))
            if len(pairs) < 6:
                continue
            x, y = zip(*pairs)
            value = spearman(x, y)
            if value is None:
                continue
            low, high = interval_of_correlation(x, y)
            rows.append([metric, stack, str(len(pairs)), f"{value:+.2f}",
                         f"{low:+.2f} to {high:+.2f}"])
    table("Rank correlation with how well a run did (minus its loss)",
          ["Metric", "Stack", "Runs", "Spearman", "95 % of draws"], rows)


if __name__ == "__main__":
    main()
