"""The scripts that make data to learn from: what they read, without the network."""

import importlib.util
import subprocess
import sys

from conftest import ROOT

STANZAS = """Package: antiword
Description-md5: 0123
Description-en: Converts MS Word files
 Antiword is a free
 MS Word reader.
 .
 It converts.

Package: list
Description-en: Only a list
  * one
  * two

Package: no-description
Version: 1

Package: tabs
Description-en: a\tb
 c\td
"""


def script(name):
    specification = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_summary_is_the_synopsis_of_a_first_paragraph():
    pairs = list(script("debian_descriptions").pairs_of(STANZAS))
    assert pairs == [("Antiword is a free MS Word reader.", "Converts MS Word files"), ("c d", "a b")]


def test_equal_paragraphs_are_in_one_part_and_one_in_twenty_is_for_each_test():
    part_of = script("debian_descriptions").part_of
    parts = [part_of(f"paragraph {i}") for i in range(4000)]
    assert parts == [part_of(f"paragraph {i}") for i in range(4000)]
    assert 150 < parts.count("test") < 250 and 150 < parts.count("valid") < 250


def test_all_skin_tones_of_an_emoji_and_all_emoji_of_one_picture_are_in_one_part():
    emoji = script("emoji_captions")
    assert emoji.base_name("woman: medium-light skin tone, blond hair") == "woman: blond hair"
    assert emoji.base_name("waving hand: dark skin tone") == "waving hand"
    assert emoji.base_name("flag: Norway") == "flag: Norway"
    names = {f"{i}{tone}": f"thing {i}" + (f": {tone} skin tone" if tone else "")
             for i in range(600) for tone in ("", "light", "dark")}
    pictures = {one: one.encode() for one in names}
    for one, other in (("7", "8light"), ("8", "9")):  # a chain
        pictures[one] = pictures[other]
    parts = emoji.parts_of(pictures, names)
    for i in range(600):
        assert parts[str(i)] == parts[f"{i}light"] == parts[f"{i}dark"]
    assert parts["7"] == parts["8"] == parts["9"]
    shares = [list(parts.values()).count(part) / len(parts) for part in ("train", "valid", "test")]
    assert abs(shares[1] - 0.05) < 0.03 and abs(shares[2] - 0.1) < 0.04


def test_the_emoji_script_says_which_package_is_missing(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "scripts" / "emoji_captions.py", "out", "--cldr", "nowhere"],
                          cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "apt-get install unicode-cldr-core" in done.stderr
