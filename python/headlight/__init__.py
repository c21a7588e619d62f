"""Exact attention for PyTorch on the CPU.

``attention`` and ``attention_varlen`` are the operator itself, ``MultiheadAttention`` a drop-in for
``torch.nn.MultiheadAttention``, ``sdpa`` reroutes PyTorch's own attention for a while, and
"""

from ._attention import AttentionStatistics, attention, attention_varlen

__all__ = [
    "AttentionStatistics",
    "MultiheadAttention",
    "attention",
    "attention_varlen",
    "sdpa",
]
