"""Loads the operator headlight::exact_attention into PyTorch."""

from pathlib import Path

import torch

# libtorch promises no binary interface from one minor version to the next.
_BUILT_FOR = "2.13."

if not torch.__version__.startswith(_BUILT_FOR):
    raise ImportError(
        f"headlight was built for PyTorch {_BUILT_FOR}x and this is PyTorch {torch.__version__}; "
        f"install torch=={_BUILT_FOR}*, or build headlight again from its sources.")

torch.ops.load_library(Path(__file__).with_name("libheadlight_operator.so"))

exact_attention = torch.ops.headlight.exact_attention.default
