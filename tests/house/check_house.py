#!/usr/bin/env python3
"""Checks that the house stands as CONTRIBUTING.md says: data goes down the floors and nothing
includes upwards, files stay readable, and nothing of one machine is written down."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()

# What each floor may include, besides itself, the public headers and outside libraries.
FLOORS = {
    "attention": [],
    "tensorfile": [],
    "text": ["tensorfile"],
    "score": ["tensorfile", "text"],
    "operator": ["attention"],
    "model": ["attention", "operator", "tensorfile", "text"],
    "task": ["tensorfile", "text", "model"],
    "train": ["tensorfile", "text", "score", "model", "task"],
    "heads": ["tensorfile", "model"],
    "lab": ["tensorfile", "text", "model", "task", "train", "heads"],
    "study": ["tensorfile", "text", "model", "task", "train", "heads", "lab"],
    "report": ["tensorfile", "heads", "lab", "study"],
    "speed": ["attention", "tensorfile", "text", "model"],
    "app": ["attention", "speed", "tensorfile", "text", "score", "model", "task", "train", "heads", "lab", "study",
            "report"],
}
TORCH_FLOORS = {"operator", "model", "task", "train", "lab", "study", "speed", "app"}
LONGEST_FILE = 500
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
CODE = {".cpp", ".h", ".inl", ".ts", ".mjs", ".py"}


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                             cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def includes(path):
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if found:
            yield number, found.group(1)


def no_floor_includes_a_higher_one(files):
    for path in files:
        if path.parts[0] not in ("src", "include") or path.suffix not in CODE:
            continue
        floor = path.parts[1] if path.parts[0] == "src" else "include"
        for number, name in includes(path):
            target = name.split("/")[0]
            if target in FLOORS and target != floor and target not in FLOORS.get(floor, []):
                yield f"{path}:{number}: {floor} must not include {name}"
            if name.startswith(("torch/", "ATen/", "c10/")) and floor not in TORCH_FLOORS:
                yield f"{path}:{number}: {floor} must not include libtorch ({name})"
            if name == "torch/torch.h" and path.suffix == ".h":
                yield f"{path}:{number}: torch/torch.h takes 10 s to compile; keep it out of headers"


def every_floor_is_known(files):
    for floor in {path.parts[1] for path in files if path.parts[0] == "src" and len(path.parts) > 2}:
        if floor not in FLOORS:
            yield f"src/{floor}: not one of the floors {', '.join(FLOORS)}"


def files_hold_one_idea(files):
    for path in files:
        if path.suffix not in CODE:
            continue
        lines = (ROOT / path).read_text().count("\n")
        if lines > LONGEST_FILE:
            yield f"{path}: {lines} lines; is it one idea?"
        if path.stem.lower() in VAGUE_NAMES and path.parts[0] == "src":
            yield f"{path}: the name says the mechanism, not the idea"


def names_are_unique_in_a_floor(files):
    """Several files of a floor are compiled as one, so that what each has in an anonymous namespace
    meets there: most constants and types by name, most functions by name and parameters; the
    compiler finds the rest."""
    seen = {}
    for path in files:
        if path.parts[0] != "src" or path.suffix != ".cpp":
            continue
        anonymous = re.findall(r"^namespace \{\n(.*?)^\}  // namespace$", (ROOT / path).read_text(), re.M | re.S)
        for text in anonymous:
            names = re.findall(r"^(?:struct|class|enum class) (\w+)[^;]*?\{", text, re.M)
            names += re.findall(r"^(?:constexpr|const|thread_local|static) [^(;={]*?\b(\w+)(?:\[\w*\])*(?: =|\{|;)", text, re.M)
            for name, parameters in re.findall(r"^[\w:\[][^\n(;={]*?[ &*](\w+)\(([^)]*)\)[^;]*?\{", text, re.M):
                types = [re.sub(r"\s*\b\w+(\s*=.*)?$", "", one.strip()) for one in parameters.split(",")]
                names.append(f"{name}({', '.join(' '.join(one.split()) for one in types)})")
            for name in names:
                other = seen.setdefault((path.parts[1], name), path)
                if other != path:
                    yield f"{path}: {name} is in {other} too; what a floor hides must differ, it is compiled as one"


def nothing_of_one_machine_is_written_down(files):
    machine_path = re.compile(r"(^|[^A-Za-z0-9_.])/(tmp|work|root|home)/[A-Za-z0-9_]")
    host = re.compile(r"https?://[^ \"]*(registry|pypi|mirror|deb\.)")
    for path in files:
        if path.name in ("package-lock.json", "LICENSE") or path.suffix in (".npy", ".png"):
            continue
        text = (ROOT / path).read_text(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if machine_path.search(line):
                yield f"{path}:{number}: a path of one machine: {line.strip()[:80]}"
            if host.search(line):
                yield f"{path}:{number}: a download host: {line.strip()[:80]}"


def no_large_file_is_tracked(files):
    for path in files:
        size = (ROOT / path).stat().st_size
        if size > 600 * 1024:
            yield f"{path}: {size // 1024} KiB"


def main():
    files = tracked_files()
    suite = ElementTree.Element("testsuite", name="house")
    failures = 0
    for check in (no_floor_includes_a_higher_one, every_floor_is_known, files_hold_one_idea, names_are_unique_in_a_floor,
                  nothing_of_one_machine_is_written_down, no_large_file_is_tracked):
        case = ElementTree.SubElement(suite, "testcase", name=check.__name__)
        problems = list(check(files))
        if problems:
            failures += 1
            print(f"{check.__name__}:", *problems, sep="\n  ")
            ElementTree.SubElement(case, "failure").text = "\n".join(problems)
    output = os.environ.get("GTEST_OUTPUT", "")
    if output.startswith("xml:"):
        ElementTree.ElementTree(suite).write(Path(output[4:]) / "house.xml")
    sys.exit(1 if failures else 0)


main()
