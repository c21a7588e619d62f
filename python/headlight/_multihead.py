"""headlight.MultiheadAttention."""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ._attention import attention
from ._sdpa import TYPES


class MultiheadAttention(torch.nn.MultiheadAttention):
    """``torch.nn.MultiheadAttention`` with the same arguments, parameters and state dict.

    With ``need_weights=False`` attention runs on headlight and makes no N x N matrix. With
    ``need_weights=True``, PyTorch's default, the weights are such a matrix and are calculated as
    one. Either way a query that may attend to nothing gives 0 before the output projection, where
    PyTorch may give NaN. Other devices and types, and nested tensors, run on PyTorch's own module.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Optional[Tensor] = None,
        need_weights: bool = True,
        attn_mask: Optional[Tensor] = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Optional[Tensor]]:
        """Arguments and results of ``torch.nn.MultiheadAttention.forward``."""
        if not query.is_cpu or query.dtype not in TYPES or query.is_nested:
            return super().forward(query, key, value, key_padding_mask, need_weights, attn_mask,
                                   average_attn_weights, is_causal)
        batched = F._mha_shape_check(  # type: ignore[attr-defined]
            query, key, value, key_padding_mask, attn_mask, self.num_heads)
        if is_causal and attn_mask is None:
            raise RuntimeError("MultiheadAttention: is_causal is a hint that attn_mask is causal; "
                               "it needs attn_mask.")
        rows = 1 if batched and self.batch_first else 0
        q, k, v = self._projections(query, key, value)
        if not batched:
            q, k, v = (x.unsqueeze(1) for x in (q, k, v))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        keys = k.shape[rows]
        k, v = self._with_extra_keys(k, v, rows)
        extra = k.shape[rows] - keys
        q, k, v = (self._heads(x, rows) for x in (q, k, v))

        # As PyTorch reads the hint: without padding it takes the place of the mask.
        causal = is_causal and key_padding_mask is None and not need_weights
        attn_mask = None if causal else self._attention_mask(attn_mask, q.shape[0], q.shape[2], keys)
        masks = [_padded(x, extra) for x in (attn_mask, _key_mask(key_padding_mask, q.shape[0], keys))
                 if x is not None]
        dropout_p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            out, weights = _attention_with_weights(q, k, v, masks, dropout_p)
            if average_attn_weights:
                weights = weights.mean(1)
            if not batched:
                weights = weights.squeeze(0)
        else:
            mask = masks.pop() if masks else None
            bias = _additive(masks.pop(), q.dtype) if masks else None
            out = attention(q, k, v, mask=mask, bias=bias, causal="top_left" if causal else "none",
                            dropout_p=dropout_p)
        out = (out.transpose(1, 2) if rows == 1 else out.permute(2, 0, 1, 3)).flatten(2)
        out = F.linear(out, self.out_proj.weight, self.out_proj.bias)
        return out if batched else out.squeeze(1), weights

    def _projections(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """q, k and v, all heads side by side: views of one product where the inputs are one."""
        width = self.embed_dim
        bias = self.in_proj_bias
        if not self._qkv_same_embed_dim:
            biases = (None,) * 3 if bias is None else bias.chunk(3)
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            return tuple(map(F.linear, (query, key, value), weights, biases))
        weight = self.in_proj_weight
        parts = [(query, 0, 3)] if query is key is value else (
            [(query, 0, 1), (key, 1, 3)] if key is value else
            [(query, 0, 1), (key, 1, 2), (value, 2, 3)])
        results: list[Tensor] = []
        for x, first, last in parts:
            span = slice(first * width, last * width)
            results += F.linear(x, weight[span], None if bias is None else bias[span]).chunk(
                last - first, -1)
        return tuple(results)

    def _with_extra_keys(self, k: Tensor, v: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """The learned key of add_bias_kv and the zero key of add_zero_attn, behind the others."""
        size = [1, k.shape[1], self.embed_dim] if rows == 0 else [k.shape[0], 1, self.embed_dim]
        more: list[tuple[Tensor, Tensor]] = []
        if self.bias_k is not None and self.bias_v is not None:
            more.append((self.bias_k, self.bias_v))
        if self.add_zero_attn:
            more.append((k.new_zeros(1, 1, 1), v.new_zeros(1, 1, 1)))
        if more:
            k = torch.cat([k, *(x.expand(size) for x, _ in more)], rows)
            v = torch.cat([v, *(x.expand(size) for _, x in more)], rows)
        return k, v

    def _heads(self, x: Tensor, rows: int) -> Tensor:
        """[B, N, E] or [N, B, E] as [B, H, N, D], without a copy."""
        x = x.unflatten(-1, (self.num_heads, self.head_dim))
        return x.transpose(1, 2) if rows == 1 else x.permute(1, 2, 0, 3)

    def _attention_mask(self, mask: Optional[Tensor], batch: int, queries: int,
                        keys: int) -> Optional[Tensor]:
        """Broadcasts to [B, H, Nq, Nk]; boolean: true may attend, the opposite of PyTorch's."""
        if mask is None:
            return None
        full = (queries, keys) if mask.dim() == 2 else (batch * self.num_heads, queries, keys)
        if mask.shape != full:
            raise RuntimeError(f"The shape of the {mask.dim()}D attn_mask is {tuple(mask.shape)}, "
                               f"but should be {full}.")
        mask = _allowed(mask)
        return mask if mask.dim() == 2 else mask.unflatten(0, (batch, self.num_heads))


def _allowed(mask: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return ~mask
    if not mask.is_floating_point():
        raise AssertionError("only bool and floating types of masks are supported")
    return mask


def _key_mask(mask: Optional[Tensor], batch: int, keys: int) -> Optional[Tensor]:
    """[B, Nk] as [B, 1, 1, Nk]."""
    if mask is None:
        return None
    if mask.shape != (batch, keys):
        raise AssertionError(f"Expected key_padding_mask.shape to be {(batch, keys)}, "
                             f"but got {tuple(mask.shape)}")
    return _allowed(mask)[:, None, None]


def _padded(mask: Tensor, extra: int) -> Tensor:
    """Extra keys may be attended to by all."""
    return F.pad(mask, (0, extra), value=mask.dtype == torch.bool) if extra else mask


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, -torch.inf)


def _attention_with_weights(q: Tensor, k: Tensor, v: Tensor, masks: list[Tensor],
                            dropout_p: float) -> tuple[Tensor, Tensor]:
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    for mask in masks:
        scores = scores + _additive(mask, q.dtype)
    empty = (scores == -torch.inf).all(-1, keepdim=True)
    weights = scores.masked_fill(empty, 0).softmax(-1).masked_fill(empty, 0)
    weights = F.dropout(weights, dropout_p)
    return weights @ v, weights
