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
    q, k, v, mask = query, key, value, attn_mask
    dims = q.dim()
    if dims != 4 or q.shape[0] != k.shape[0] or q.shape[1] == 1:
        q, k, v, mask = _as_batches(q, k, v, mask)
    out = attention(q, k, v, mask=mask, causal="top_left" if is_causal else "none", scale=scale,
                    dropout_p=dropout_p)
    if dims == 4:
        return out
    if dims < 4:
        return out[(0,) * (4 - dims)]
    return out.unflatten(0, torch.broadcast_shapes(query.shape[:-3], key.shape[:-3]))


def _as_batches(q: Tensor, k: Tensor, v: Tensor, mask: Optional[Tensor]) -> tuple[
        Tensor, Tensor, Tensor, Optional[Tensor]]:
    """Any number of dimensions as [B, H, N, D], with batches and one query head that broadcast."""
    q, k, v = (x[(None,) * max(0, 4 - x.dim())] for x in (q, k, v))
    batch = torch.broadcast_shapes(q.shape[:-3], k.shape[:-3])
    heads = k.shape[-3] if q.shape[-3] == 1 else q.shape[-3]
    q = q.expand(*batch, heads, *q.shape[-2:])
    k, v = (x.expand(*batch, *x.shape[-3:]) for x in (k, v))
    if mask is not None and mask.dim() > 4:
        mask = mask.expand(*batch, *mask.shape[-3:]).flatten(0, -4)
    return q.flatten(0, -4), k.flatten(0, -4), v.flatten(0, -4), mask


def _is_ours(q: Tensor, k: Tensor, v: Tensor, mask: Optional[Tensor], dropout_p: float,
             is_causal: bool, enable_gqa: bool) -> bool:
    """Whether headlight has a kernel, and PyTorch would not refuse."""
    dims = q.dim()
    if not (q.is_cpu and k.is_cpu and v.is_cpu) or dims < 2 or not dims == k.dim() == v.dim():
        return False
    if q.is_nested or k.is_nested or v.is_nested or not 0 <= dropout_p < 1:
        return False
    if not (q.dtype == k.dtype == v.dtype in TYPES or torch.is_autocast_enabled("cpu")):
        return False
    if mask is not None and (is_causal or not mask.is_cpu or mask.dim() > dims or
                             mask.dtype not in (torch.bool, q.dtype, torch.float32)):
        return False
    q_shape, k_shape, v_shape = q.shape, k.shape, v.shape
    head_dim = q_shape[-1]
    if k_shape[:-1] != v_shape[:-1] or head_dim != k_shape[-1] or 0 in (head_dim, v_shape[-1]):
        return False
    if dims == 2:
        return True
    heads, kv_heads = q_shape[-3], k_shape[-3]
    if heads == 0 or kv_heads == 0:
        return False
    return heads == kv_heads or 1 in (heads, kv_heads) or (enable_gqa and heads % kv_heads == 0)
