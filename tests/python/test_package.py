"""What a user installs and imports."""

import re
import subprocess
import sys
import typing

import headlight
import pytest
import torch

from conftest import PACKAGE, ROOT


def test_the_library_needs_nothing_but_libtorch_and_the_runtime_of_cpp():
    listing = subprocess.run(["readelf", "-d", PACKAGE / "headlight" / "libheadlight_operator.so"],
                             capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", listing))
    assert needed <= {"libtorch_cpu", "libc10", "libstdc++", "libgcc_s", "libm", "libc",
                      "ld-linux-x86-64"}


def test_another_pytorch_is_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.14.1")
    monkeypatch.delitem(sys.modules, "headlight._operator")
    with pytest.raises(ImportError, match=r"built for PyTorch 2\.13\.x and this is PyTorch 2\.14\.1"):
        import headlight._operator  # noqa: F401


def test_the_wheel_is_for_the_pytorch_that_the_package_asks_for():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    minor = re.search(r'_BUILT_FOR = "(\d+\.\d+)\.', (ROOT / "python" / "headlight" / "_operator.py")
                      .read_text()).group(1)
    assert project["project"]["dependencies"] == [f"torch=={minor}.*"]
    assert f"torch=={minor}.*" in project["build-system"]["requires"]
    version = project["tool"]["scikit-build"]["metadata"]["version"]
    assert version["result"] == f"{{value}}+torch{minor}"
    assert re.search(version["regex"], (ROOT / version["input"]).read_text())


def test_importing_it_imports_no_transformers():
    code = "import sys, headlight; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(PACKAGE)}).returncode == 0


def test_without_transformers_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="pip install"):
        headlight.register_with_transformers()


def test_type_hints_can_be_read():
    for name in ("attention", "attention_varlen", "sdpa", "register_with_transformers"):
        assert typing.get_type_hints(getattr(headlight, name))
    assert (PACKAGE / "headlight" / "py.typed").exists()
