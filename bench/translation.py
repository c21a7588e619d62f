#!/usr/bin/env python3
"""headlight translate beside generate() of transformers: the same folder, sentences and number of tokens
at most, interleaved.

    build/venv/bin/python bench/translation.py en-de test.en [--threads 1] [--batches 1,32] [--beams 1,5]
        [--dtypes float32,bfloat16] [--tokens 100] [--rounds 5] [--lines 200] [--cache static]

transformers runs as its manual makes it fast on a processor: sdpa, keys and values kept, inference_mode,
sentences of about one length together, which headlight does as well. Time is that of the work alone on
both sides, from text to text: starting, reading the model and reading the file are left out. (headlight,
a new process every time, has no other warm-up; transformers translates a few sentences before.) Reported
are medians of sentences a second, the ratio to the faster type of transformers, and for each type the
share of lines whose text is the same.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import transformers


def headlight(options, lines, batch, beams):
    """Seconds and texts."""
    command = [options.program, "translate", options.model, "--batch", batch, "--beam", beams, "--tokens",
               options.tokens, "--threads", options.threads, "--json", "--quiet"]
    done = subprocess.run([str(word) for word in command], input="\n".join(lines), capture_output=True,
                          text=True)
    if done.returncode != 0:
        sys.exit(f"headlight translate ended with {done.returncode}: {done.stderr}")
    said = json.loads(done.stdout)
    return said["seconds"], [line["text"] for line in said["lines"]]


class Translator:
    """The folder as transformers loads it; reads and writes as docs/applications.md says."""

    def __init__(self, folder, dtype, cache):
        self.model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), attn_implementation="sdpa").eval()
        self.source = self.target = transformers.AutoTokenizer.from_pretrained(folder)
        written = folder / "target_tokenizer.json"
        if written.exists():
            self.target = transformers.PreTrainedTokenizerFast(tokenizer_file=str(written))
        self.cache = {"cache_implementation": "static"} if cache == "static" else {}

    @torch.inference_mode()
    def __call__(self, lines, batch, beams, tokens):
        start = time.perf_counter()
        ids = self.source(lines).input_ids
        order = sorted(range(len(lines)), key=lambda i: -len(ids[i]))
        texts = [""] * len(lines)
        for first in range(0, len(order), batch):
            rows = order[first:first + batch]
            inputs = self.source.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt")
            found = self.model.generate(**inputs, num_beams=beams, do_sample=False, max_length=None,
                                        max_new_tokens=tokens, **self.cache)
            for i, text in zip(rows, self.target.batch_decode(found, skip_special_tokens=True)):
                texts[i] = text
        return time.perf_counter() - start, texts


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    numbers = lambda text: [int(one) for one in text.split(",")]
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", type=numbers, default=[1, 32])
    parser.add_argument("--beams", type=numbers, default=[1, 5])
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32", "bfloat16"])
    parser.add_argument("--tokens", type=int, default=100, help="new ones a sentence at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=200, help="of the file, from its beginning")
    parser.add_argument("--cache", choices=("dynamic", "static"), default="dynamic", help="of transformers")
    parser.add_argument("--program", default="build/headlight")
    return parser.parse_args()


def main():
    options = arguments()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    if json.loads((options.model / "config.json").read_text()).get("model_type") == "headlight":
        sys.exit(f"{options.model}: is in headlight's own form, which transformers does not load; a folder of "
                 "headlight train is written anew by headlight train --resume")
    lines = [line for line in options.file.read_text().splitlines() if line.strip()][:options.lines]
    theirs = {dtype: Translator(options.model, dtype, options.cache) for dtype in options.dtypes}
    heads = "".join(f" transformers {dtype} | same |" for dtype in theirs)
    print(f"{len(lines)} sentences, {options.threads} thread(s), sentences a second\n")
    print(f"| Batch | Beams | headlight |{heads} × |\n|{'---|' * (4 + 2 * len(theirs))}")
    for batch in options.batches:
        for beams in options.beams:
            seconds, texts = {name: [] for name in ("headlight", *theirs)}, {}
            for translate in theirs.values():
                translate(lines[:3], batch, beams, options.tokens)
            for _ in range(options.rounds):
                for name in seconds:
                    took, texts[name] = (headlight(options, lines, batch, beams) if name == "headlight" else
                                         theirs[name](lines, batch, beams, options.tokens))
                    seconds[name].append(took)
            speed = {name: len(lines) / statistics.median(took) for name, took in seconds.items()}
            cells = [f"{batch}", f"{beams}", f"{speed['headlight']:.1f}"]
            for dtype in theirs:
                same = sum(a == b for a, b in zip(texts["headlight"], texts[dtype], strict=True))
                cells += [f"{speed[dtype]:.1f}", f"{100 * same / len(lines):.0f} %"]
            cells.append(f"{speed['headlight'] / max(speed[dtype] for dtype in theirs):.2f}")
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
