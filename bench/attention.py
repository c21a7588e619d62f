#!/usr/bin/env python3
"""Attention of headlight beside other libraries, interleaved in one process.

    build/bench-venv/bin/python bench/attention.py [--build build/release] [--shapes bert128,decode]
        [--directions forward,backward] [--dtypes fp32,bf16] [--threads 1,2] [--peers pytorch]
        [--quick] [--json] [--out FOLDER]

Every implementation is run in every way it has, and its fastest way then goes through rounds with
the others, so that whatever else the machine does meets all alike. Reported are medians; shares of
the machine's peaks are of the fastest round, because the peaks are too. Results are compared with
ours before anything is timed. Writes attention.csv and attention.svg to FOLDER.
"""

import argparse
import csv
import importlib
import json
import math
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import chart
from peers import Unsupported

ROOT = Path(__file__).resolve().parent.parent
IMPLEMENTATIONS = ["headlight", "pytorch", "onnxruntime", "openvino"]
LONG = 8  # seconds: what takes longer runs once, for its first run has warmed it up
TOLERANCE = {"fp32": 2e-4, "bf16": 3e-2, "fp16": 4e-3}


@dataclass(frozen=True)
class Case:
    name: str
    shape: dict
    direction: str
    dtype: str
    threads: int

    def operations(self):
        s = self.shape
        cells = s["batch"] * s["heads"] * s["queries"] * s["keys"] * s["dim"]
        return cells * (10 if self.direction == "backward" else 4) * (0.5 if s["causal"] else 1)

    def bytes_read(self):
        s = self.shape
        size = 4 if self.dtype == "fp32" else 2
        return 2 * s["batch"] * s["kv_heads"] * s["keys"] * s["dim"] * size


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])

    def some_of(*known):
        def words(text):
            for word in text.split(","):
                if known and word not in known:
                    raise argparse.ArgumentTypeError(f"{word}: there are {', '.join(known)}")
            return text.split(",")
        return words

    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--shapes", type=some_of())
    parser.add_argument("--directions", type=some_of("forward", "backward"),
                        default=["forward", "backward"])
    parser.add_argument("--dtypes", type=some_of(*TOLERANCE), default=["fp32", "bf16"])
    parser.add_argument("--threads", type=some_of(), default=["1", "2"])
    parser.add_argument("--peers", type=some_of(*IMPLEMENTATIONS[1:]), default=IMPLEMENTATIONS[1:])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    return parser.parse_args()


SAID = set()


def remark(text):
    if text not in SAID:
        SAID.add(text)
        print(text, file=sys.stderr, flush=True)


def installed(names):
    """The modules of the implementations that can be loaded here."""
    found = []
    for name in names:
        try:
            module = importlib.import_module(f"peers.{name}")
            remark(f"{module.NAME} {module.version()}")
            found.append(module)
        except ImportError as error:
            remark(f"{name} left out: {error}")
    return found


def random_arrays(shape):
    random = np.random.default_rng(1)

    def normal(heads, rows):
        return random.standard_normal((shape["batch"], heads, rows, shape["dim"]), np.float32)

    return {"q": normal(shape["heads"], shape["queries"]),
            "k": normal(shape["kv_heads"], shape["keys"]),
            "v": normal(shape["kv_heads"], shape["keys"]),
            "grad_out": normal(shape["heads"], shape["queries"])}


def seconds(step, repeats=1):
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def fastest_way(module, case, arrays):
    """(seconds, label, step, result as an array) of the way with the least time."""
    ways = []
    for label, step, fetch in module.ways(case, arrays):
        start = time.perf_counter()
        result = np.asarray(fetch(step()), np.float32)
        first = time.perf_counter() - start
        least = first if first > LONG else min(seconds(step) for _ in range(3))
        ways.append((least, label, step, result))
    return min(ways, key=lambda way: way[0])


def measure(case, modules, quick):
    """implementation -> (way, median, fastest), in seconds."""
    arrays = random_arrays(case.shape)
    steps, ours = {}, None
    for module in modules:
        try:
            least, label, step, result = fastest_way(module, case, arrays)
        except Unsupported as reason:
            remark(f"{module.NAME}, {case.direction} {case.dtype}: {reason}")
            continue
        if ours is None:
            ours = result
        difference = float(np.max(np.abs(result - ours) / (1 + np.abs(ours))))
        if not difference <= TOLERANCE[case.dtype]:
            remark(f"{module.NAME} ({label}), {case.name}: differs from ours by {difference:.2g}; left out")
            continue
        steps[module.NAME] = (label, step, least)
    slot = 0.005 if quick else 0.02  # what one implementation runs for in a round, at least
    least = max(min(t, LONG) for _, _, t in steps.values())
    rounds = max(3, min(7 if quick else 15, int((3 if quick else 20) / least / len(steps))))
    times = {name: [] for name in steps}
    for i in range(rounds):
        for name, (_, step, expected) in steps.items():
            if expected > LONG and i > 0:
                continue
            if expected < 0.05:
                step()  # wakes threads, and brings back what the others threw out of the caches
            times[name].append(seconds(step, max(1, min(100, int(slot / expected)))))
    return {name: (steps[name][0], statistics.median(t), min(t)) for name, t in times.items()}


def row_of(case, implementation, way, median, fastest, peak):
    row = {"shape": case.name, "direction": case.direction, "dtype": case.dtype,
           "threads": case.threads, "implementation": implementation, "way": way,
           "milliseconds": round(median * 1e3, 4), "fastest_milliseconds": round(fastest * 1e3, 4),
           "gflops": round(case.operations() / median / 1e9, 2)}
    if case.shape["queries"] == 1:
        row["share_of_bandwidth"] = round(
            case.bytes_read() / fastest / 1e9 / peak["gigabytes_per_second"], 3)
    else:
        row["share_of_peak"] = round(case.operations() / fastest / 1e9 / peak["gflops"], 3)
    return row


def print_line(rows, names):
    ours, others = rows[0], {row["implementation"]: row for row in rows[1:]}
    share = ours.get("share_of_peak", ours.get("share_of_bandwidth"))
    line = (f"{ours['shape']:<8} {ours['direction']:<8} {ours['dtype']:<5} {ours['threads']:>7} "
            f"{ours['milliseconds']:>10.3f} {ours['gflops']:>8.1f} {share * 100:>4.0f} %")
    for name in names:
        ratio = others[name]["milliseconds"] / ours["milliseconds"] if name in others else None
        line += f" {ratio:>12.2f}" if ratio else f" {'–':>12}"
    print(line, flush=True)


def write(described, folder):
    """After every case, so that a run that is stopped leaves what it has."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = described["rows"]
    with open(folder / "attention.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "attention.svg").write_text(chart.svg(described))


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def print_means(rows, names):
    by_case = {}
    for row in rows:
        key = (row["direction"], row["dtype"], row["threads"])
        by_case.setdefault(key, {}).setdefault(row["shape"], {})[row["implementation"]] = row["milliseconds"]
    print("\nGeometric means of peer / headlight over the shapes that both ran; decode apart")
    for (direction, dtype, threads), shapes in by_case.items():
        prefill = [times for shape, times in shapes.items() if shape != "decode"]
        if not prefill:
            continue
        line = f"{'':<8} {direction:<8} {dtype:<5} {threads:>7} {'':>26}"
        for name in names:
            ratios = [t[name] / t["headlight"] for t in prefill if name in t]
            line += f" {geometric_mean(ratios):>12.2f}" if ratios else f" {'–':>12}"
        best = [min(ms for name, ms in t.items() if name != "headlight") / t["headlight"]
                for t in prefill if len(t) > 1]
        print(line + (f"   best of them {geometric_mean(best):.2f}" if best else ""))


def main():
    options = arguments()
    importlib.import_module("peers.headlight").LIBRARY = str(options.build / "libheadlight_attention.so")
    described = json.loads(subprocess.run(
        [options.build / "headlight", "bench", "attention", "--describe"],
        check=True, capture_output=True, text=True).stdout)
    shapes = described.pop("shapes")
    unknown = set(options.shapes or []) - set(shapes)
    if unknown:
        sys.exit(f"there is no shape {', '.join(unknown)}; there are {', '.join(shapes)}")
    modules = installed(["headlight"] + options.peers)
    if not modules or modules[0].NAME != "headlight":
        sys.exit(1)
    names = [module.NAME for module in modules[1:]]
    described["peaks"] = [peak for peak in described["peaks"] if str(peak["threads"]) in options.threads]
    peaks = {peak["threads"]: peak for peak in described["peaks"]}
    if not options.json:
        print(f"{described['machine']}, {described['isa']}")
        for peak in peaks.values():
            print(f"{peak['threads']} threads: {peak['gflops']:.1f} GFLOP/s, reads "
                  f"{peak['gigabytes_per_second']:.1f} GB/s")
        print(f"\n{'shape':<8} {'pass':<8} {'dtype':<5} {'threads':>7} {'ms':>10} {'GFLOP/s':>8} {'share':>6}"
              + "".join(f" {name:>12}" for name in names) + "   (peer / headlight)")

    rows = []
    for name in options.shapes or shapes:
        for direction in options.directions:
            if direction == "backward" and shapes[name]["queries"] == 1:
                continue
            for dtype in options.dtypes:
                for threads in peaks:
                    case = Case(name, shapes[name], direction, dtype, threads)
                    found = measure(case, modules, options.quick)
                    own = [row_of(case, who, *found[who], peaks[threads])
                           for who in ["headlight"] + names if who in found]
                    rows += own
                    if not options.json:
                        print_line(own, names)
                    write(described | {"rows": rows}, options.out)
    described["rows"] = rows
    if options.json:
        print(json.dumps(described))
    else:
        print_means(rows, names)
        print(f"\n{options.out / 'attention.csv'}, {options.out / 'attention.svg'}")


if __name__ == "__main__":
    main()
