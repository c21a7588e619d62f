"""The examples of docs/python.md run as they stand, one after the other."""

import importlib.util
import re

import pytest

from conftest import ROOT

PAGE = ROOT / "docs" / "python.md"


def test_the_examples_of_the_page_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 6
    names = {}
    for block in blocks:
        needed = re.match(r"# needs: (\w+)", block)
        if needed and importlib.util.find_spec(needed.group(1)) is None:
            continue
        exec(compile(block, str(PAGE), "exec"), names)


def test_every_public_name_is_told():
    import headlight

    page = PAGE.read_text()
    missing = [name for name in headlight.__all__ if name not in page]
    assert missing in ([], ["AttentionStatistics"])


@pytest.mark.parametrize("name", ["attention", "attention_varlen", "sdpa", "MultiheadAttention",
                                  "register_with_transformers", "AttentionStatistics"])
def test_every_public_name_has_a_docstring(name):
    import headlight

    assert len(getattr(headlight, name).__doc__) > 100
