#!/usr/bin/env python3
"""Package descriptions of Debian as pairs to learn summaries from: a first paragraph and the synopsis.

    scripts/debian_descriptions.py OUT_FOLDER

Any Debian or Ubuntu with its package sources set can run it, without root: apt fetches the English
descriptions into a folder of their own. Writes train.tsv, valid.tsv and test.tsv (about 5 % each for
the last two), a paragraph, a tab and its synopsis on every line. Which part a pair goes to depends
on its paragraph alone, so that equal paragraphs are never on two sides.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path


def fetched(folder):
    """The text of every English translation list that this machine's sources offer."""
    own = []
    for key, name in (("Dir::State", "state"), ("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")):
        (folder / name / "partial").mkdir(parents=True, exist_ok=True)
        own += ["-o", f"{key}={folder / name}"]
    try:
        subprocess.run(["apt-get", "update", "-qq", *own, "-o", "Acquire::Languages=en",
                        "-o", "APT::Sandbox::User="], check=True)
    except FileNotFoundError:
        sys.exit("apt-get is not here: this script needs Debian or a system made from it")
    except subprocess.CalledProcessError as problem:
        sys.exit(f"apt-get update failed with {problem.returncode}; what it says stands above")
    lists = sorted((folder / "lists").glob("*_Translation-en*"))
    if not lists:
        sys.exit("apt fetched no Translation-en list: do the package sources of this machine offer one?")
    for path in lists:
        yield subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True,
                             stdout=subprocess.PIPE).stdout.decode()


def pairs_of(text):
    """(first paragraph, synopsis) of every stanza."""
    for stanza in text.split("\n\n"):
        lines = iter(stanza.splitlines())
        for line in lines:
            if not line.startswith("Description-en:"):
                continue
            synopsis = line.split(":", 1)[1].strip()
            paragraph = []
            for more in lines:
                # A line of its own space ends a paragraph, two spaces begin a list.
                if not more.startswith(" ") or more.strip() == "." or more.startswith("  "):
                    break
                paragraph.append(more.strip())
            paragraph = " ".join(paragraph).replace("\t", " ").strip()
            if paragraph and synopsis:
                yield paragraph, synopsis.replace("\t", " ")
            break


def part_of(paragraph):
    share = int.from_bytes(hashlib.sha256(paragraph.encode()).digest()[:8]) / 2**64
    return "test" if share < 0.05 else "valid" if share < 0.1 else "train"


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    parts = {"train": {}, "valid": {}, "test": {}}  # pairs in the order of the lists, each once
    with tempfile.TemporaryDirectory() as folder:
        for text in fetched(Path(folder)):
            for pair in pairs_of(text):
                parts[part_of(pair[0])][pair] = None
    out.mkdir(parents=True, exist_ok=True)
    for name, pairs in parts.items():
        (out / f"{name}.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
        print(f"{out / name}.tsv: {len(pairs):,} pairs of {len({source for source, _ in pairs}):,} paragraphs")


if __name__ == "__main__":
    main()
