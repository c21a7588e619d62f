"""The Python package of the build folder, as a user of PyTorch sees it."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
PACKAGE = Path(os.environ.get("HEADLIGHT_PYTHON", ROOT / "build" / "release" / "python"))
sys.path.insert(0, str(PACKAGE))

import torch  # noqa: E402

# On a shared machine two threads wait for each other longer than they calculate.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_numbers_every_time():
    torch.manual_seed(0)


@pytest.fixture
def threads():
    """Sets the number of PyTorch's threads, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
