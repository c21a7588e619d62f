"""The scripts that make data to learn from: what they read, without the network."""

import importlib.util

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
