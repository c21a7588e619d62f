"""headlight as an attention implementation of transformers 5."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from ._attention import attention


def register_with_transformers(name: str = "headlight") -> None:
    """Makes ``attn_implementation="headlight"`` work in ``from_pretrained`` and
    ``set_attn_implementation`` of every model that takes registered implementations.

    Windows, padding and caches come as the boolean masks that transformers makes for its own
    "sdpa", padding at the end of an encoder's rows as lengths; grouped heads, softcaps, sinks and
    position biases are read as they are.

    Args:
        name: under which it is registered.

    Raises:
        ImportError: where transformers 5 is not installed.
    """
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import bidirectional_mask_function, sdpa_mask
    except ImportError as error:
        raise ImportError(
            "register_with_transformers needs transformers 5: pip install 'transformers>=5'."
        ) from error

    def mask(**options: Any) -> Optional[Tensor]:
        """transformers' own mask, but padding alone is not written out for every query."""
        padding = options.get("attention_mask")
        if (padding is not None and options.get("mask_function") is bidirectional_mask_function and
                options.get("allow_is_bidirectional_skip") and not options.get("kv_offset") and
                padding.shape[-1] == options["kv_length"]):
            return padding[:, None, None].expand(-1, -1, options["q_length"], -1)
        return sdpa_mask(**options)

    AttentionInterface.register(name, attention_forward)
    AttentionMaskInterface.register(name, mask)


def attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Optional[Tensor],
    dropout: float = 0.0,
    scaling: Optional[float] = None,
    is_causal: Optional[bool] = None,
    softcap: Optional[float] = None,
    s_aux: Optional[Tensor] = None,
    position_bias: Optional[Tensor] = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls: [B, H, N, D] in, [B, N, H, D] out, and no weights."""
    for name in ("cache", "output_attentions"):
        if options.get(name):
            raise ValueError(f'attn_implementation="headlight" does not support `{name}`; '
                             'choose attn_implementation="eager".')
    if query.shape[0] != key.shape[0]:  # one set of learned queries for the whole batch
        query = query.expand(key.shape[0], -1, -1, -1)
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    # Without a mask transformers means the keys up to the query's own: all of them for a single
    # query with a cache, the upper left triangle for a whole prompt.
    causal = is_causal and attention_mask is None and query.shape[2] > 1
    key_lengths = None if attention_mask is None else _lengths(attention_mask, query.shape[0])
    out = attention(
        query, key, value, mask=attention_mask if key_lengths is None else None,
        bias=position_bias, causal="top_left" if causal else "none", key_lengths=key_lengths,
        scale=scaling, softcap=softcap, sinks=s_aux, dropout_p=dropout)
    return out.transpose(1, 2), None


def _lengths(mask: Tensor, batch: int) -> Optional[Tensor]:
    """[B], if a mask says of every query alike that keys end there: padding then costs nothing."""
    if torch.compiler.is_compiling() or mask.dtype != torch.bool or mask.dim() != 4:
        return None
    if mask.shape[:2] != (batch, 1) or mask.shape[2] < 2 or mask.stride(2) != 0:
        return None
    keys = mask[:, 0, 0]
    lengths = keys.sum(-1)
    in_front = torch.arange(keys.shape[1]) < lengths[:, None]
    return lengths if torch.equal(keys, in_front) else None
