"""headlight in the place of torch.nn.functional.scaled_dot_product_attention."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Optional

import torch
from torch import Tensor

from ._attention import attention

TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

_original = torch.nn.functional.scaled_dot_product_attention
_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def sdpa() -> Iterator[None]:
    """Within it, calls of ``torch.nn.functional.scaled_dot_product_attention`` run on headlight.

    Also a decorator. Calls that headlight cannot answer (tensors that are not on the CPU, other
    types, nested tensors, shapes that PyTorch would refuse) go to PyTorch as before. Dropout drops
    other weights than PyTorch's, at the same rate. It holds for all threads of the program, and
    for callers that look the function up when they call it, as modules of PyTorch and transformers
    do; a name imported before stays what it was.
    """
    global _users
    with _lock:
        _users += 1
        torch.nn.functional.scaled_dot_product_attention = scaled_dot_product_attention
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                torch.nn.functional.scaled_dot_product_attention = _original


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Optional[Tensor] = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Optional[float] = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The arguments and result of PyTorch's function of this name."""
    if not _is_ours(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa):
        return _original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale,
                         enable_gqa=enable_gqa)
    dims = query.dim()
    q, k, v = (x if dims >= 4 else x[(None,) * (4 - dims)] for x in (query, key, value))
    lead = q.shape[:-3]
    if not lead == k.shape[:-3] == v.shape[:-3]:
        lead = torch.broadcast_shapes(lead, k.shape[:-3], v.shape[:-3])
        q, k, v = (x.expand(*lead, *x.shape[-3:]) for x in (q, k, v))
    if q.shape[-3] == 1 < k.shape[-3]:
        q = q.expand(*lead, *k.shape[-3:-2], *q.shape[-2:])
    if attn_mask is not None and attn_mask.dim() > 4:
        attn_mask = attn_mask.expand(*lead, *attn_mask.shape[-3:]).flatten(0, -4)
    if dims > 4:
        q, k, v = (x.flatten(0, -4) for x in (q, k, v))
    out = attention(q, k, v, mask=attn_mask, causal="top_left" if is_causal else "none",
                    scale=scale, dropout_p=dropout_p)
    if dims > 4:
        return out.unflatten(0, lead)
    return out[(0,) * (4 - dims)] if dims < 4 else out


def _is_ours(q: Tensor, k: Tensor, v: Tensor, mask: Optional[Tensor], dropout_p: float,
             is_causal: bool, enable_gqa: bool) -> bool:
    tensors = (q, k, v) if mask is None else (q, k, v, mask)
    if not all(x.is_cpu and not x.is_nested for x in tensors) or not 0 <= dropout_p < 1:
        return False
    if not (q.dtype == k.dtype == v.dtype in TYPES or torch.is_autocast_enabled("cpu")):
        return False
    if q.dim() < 2 or not q.dim() == k.dim() == v.dim():
        return False
    if mask is not None and (is_causal or mask.dim() > q.dim() or mask.dtype not in
                             (torch.bool, q.dtype, torch.float32)):
        return False
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or 0 in (q.shape[-1], v.shape[-1]):
        return False
    heads, kv_heads, v_heads = (x.shape[-3] if x.dim() > 2 else 1 for x in (q, k, v))
    if kv_heads != v_heads or 0 in (heads, kv_heads):
        return False
    return heads == kv_heads or 1 in (heads, kv_heads) or (enable_gqa and heads % kv_heads == 0)
