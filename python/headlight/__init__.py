"""Exact attention for PyTorch on the CPU.

``attention`` and ``attention_varlen`` are the operator itself, ``MultiheadAttention`` a drop-in for
``torch.nn.MultiheadAttention``, ``sdpa`` reroutes PyTorch's own attention for a while, and
``register_with_transformers`` adds ``attn_implementation="headlight"``.
"""

from ._attention import AttentionStatistics, attention, attention_varlen
from ._multihead import MultiheadAttention
from ._sdpa import sdpa
from ._transformers import register_with_transformers

__all__ = [
    "AttentionStatistics",
    "MultiheadAttention",
    "attention",
    "attention_varlen",
    "register_with_transformers",
    "sdpa",
]
