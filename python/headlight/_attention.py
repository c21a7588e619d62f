"""headlight.attention and headlight.attention_varlen."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union, overload

import torch
from torch import Tensor
from typing_extensions import Unpack

from ._operator import exact_attention

Causal = Literal["none", "top_left", "bottom_right"]
Window = tuple[Optional[int], Optional[int]]


class AttentionStatistics(NamedTuple):
    """What the rows of the attention matrix look like, in the type that is calculated in (float32
    for 16-bit tensors). [B, H, Nq] each, except ``received``; [H, total] for packed sequences.

    Of the weights p before dropout, as shares of what the keys get: with a sink they are divided by
    their sum. Query i stands at position i + offset, where the offset is that of the causal
    alignment (0 without one). A row that may attend to nothing has 0 everywhere and ``top_key`` -1.
    Statistics have no gradient.
    """

    entropy: Tensor  #: -sum p ln p, in nats
    distance: Tensor  #: sum p_j |j - position|, in keys
    first: Tensor  #: p of key 0
    self: Tensor  #: p of the key at the position
    previous: Tensor  #: p of the key before it
    next: Tensor  #: p of the key after it
    local: Tensor  #: sum of p within 8 keys of the position
    top: Tensor  #: the largest p
    top_key: Tensor  #: its key, the first among equals; int64
    sink: Tensor  #: what the sink takes of the row
    received: Tensor  #: [B, H, Nk]: sum over queries of p


class PackedOptions(TypedDict, total=False):
    """For type checkers: the options of ``attention_varlen``."""

    causal: Causal
    window: Optional[Window]
    scale: Optional[float]
    softcap: Optional[float]
    sinks: Optional[Tensor]
    dropout_p: float
    seed: Optional[int]


class Options(PackedOptions, total=False):
    """For type checkers: the options of ``attention``."""

    mask: Optional[Tensor]
    bias: Optional[Tensor]
    key_lengths: Optional[Tensor]


No = Literal[False]
Yes = Literal[True]
WithLse = tuple[Tensor, Tensor]
WithStatistics = tuple[Tensor, AttentionStatistics]
WithBoth = tuple[Tensor, Tensor, AttentionStatistics]


@overload
def attention(q: Tensor, k: Tensor, v: Tensor, *, return_lse: No = ..., return_statistics: No = ...,
              **options: Unpack[Options]) -> Tensor: ...
@overload
def attention(q: Tensor, k: Tensor, v: Tensor, *, return_lse: Yes, return_statistics: No = ...,
              **options: Unpack[Options]) -> WithLse: ...
@overload
def attention(q: Tensor, k: Tensor, v: Tensor, *, return_lse: No = ..., return_statistics: Yes,
              **options: Unpack[Options]) -> WithStatistics: ...
@overload
def attention(q: Tensor, k: Tensor, v: Tensor, *, return_lse: Yes, return_statistics: Yes,
              **options: Unpack[Options]) -> WithBoth: ...
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    causal: Causal = "none",
    window: Optional[Window] = None,
    key_lengths: Optional[Tensor] = None,
    scale: Optional[float] = None,
    softcap: Optional[float] = None,
    sinks: Optional[Tensor] = None,
    dropout_p: float = 0.0,
    seed: Optional[int] = None,
    return_lse: bool = False,
    return_statistics: bool = False,
) -> Union[Tensor, WithLse, WithStatistics, WithBoth]:
    """Exact softmax attention in O(N) memory, with gradients for q, k, v, bias, sinks and mask.

    Scores are ``scale * <q_i, k_j>``, then ``softcap * tanh(s / softcap)``, then plus bias and
    mask; weights are their softmax over the keys that query i may attend to. A query that may
    attend to none gives 0. What may not be attended to has no influence, not even as NaN.

    Args:
        q: [B, H, Nq, D]; float32, float64, bfloat16 or float16, on the CPU, of any stride.
        k: [B, G, Nk, D], of q's type; H is a multiple of G and head h reads KV head h // (H / G).
        v: [B, G, Nk, E].
        mask: broadcasts to [B, H, Nq, Nk]; boolean: true may attend; float: added to the scores.
        bias: broadcasts to [B, H, Nq, Nk]; added to the scores.
        causal: query i may attend to keys j <= i ("top_left") or j <= i + Nk - Nq ("bottom_right";
            with key_lengths: that length - Nq).
        window: (left, right): keys from i - left to i + right, both included, in the alignment of
            ``causal`` (top-left without one); None or a negative number: no limit on that side.
        key_lengths: [B] int32 or int64, from 0 to Nk; keys from there on do not exist.
        scale: of the scores; 1 / sqrt(D) if None.
        softcap: of the scores; None or 0: none.
        sinks: [H] logits that join the denominator of every row of their head.
        dropout_p: probability, below 1, that a weight is set to 0; the others grow to match.
        seed: of the dropout, from 0 to 2**63 - 1; drawn from PyTorch's generator if None. The same
            seed drops the same weights, for any number of threads.
        return_lse: also return ln(denominator), [B, H, Nq], -inf where nothing is attended to. It
            has no gradient.
        return_statistics: also return ``AttentionStatistics`` of the same pass.

    Returns:
        out [B, H, Nq, E], of q's type, which lies in memory as [B, Nq, H, E]; or a tuple of out,
        lse and statistics, as far as they were asked for.

    Raises:
        ValueError: for shapes, types and options that make no sense.
        RuntimeError: for a second derivative, which does not exist.
    """
    _check_device(q)
    if mask is not None and mask.requires_grad:
        exact = torch.float64 if q.dtype == torch.float64 else torch.float32
        bias = mask if bias is None else bias.to(exact) + mask
        mask = None
    given = _given(causal, window, scale, softcap, sinks, dropout_p, seed)
    if mask is not None:
        given["mask"] = mask
    if bias is not None:
        given["bias"] = bias
    if key_lengths is not None:
        given["key_lengths"] = key_lengths
    if return_statistics:
        given["statistics"] = True
    out, lse, *statistics = exact_attention(q, k, v, **given)
    if not return_statistics:
        return (out, lse) if return_lse else out
    named = _statistics(*statistics)
    return (out, lse, named) if return_lse else (out, named)


@overload
def attention_varlen(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, *,
                     return_lse: No = ..., return_statistics: No = ...,
                     **options: Unpack[PackedOptions]) -> Tensor: ...
@overload
def attention_varlen(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, *,
                     return_lse: Yes, return_statistics: No = ...,
                     **options: Unpack[PackedOptions]) -> WithLse: ...
@overload
def attention_varlen(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, *,
                     return_lse: No = ..., return_statistics: Yes,
                     **options: Unpack[PackedOptions]) -> WithStatistics: ...
@overload
def attention_varlen(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, *,
                     return_lse: Yes, return_statistics: Yes,
                     **options: Unpack[PackedOptions]) -> WithBoth: ...
def attention_varlen(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    *,
    causal: Causal = "none",
    window: Optional[Window] = None,
    scale: Optional[float] = None,
    softcap: Optional[float] = None,
    sinks: Optional[Tensor] = None,
    dropout_p: float = 0.0,
    seed: Optional[int] = None,
    return_lse: bool = False,
    return_statistics: bool = False,
) -> Union[Tensor, WithLse, WithStatistics, WithBoth]:
    """``attention`` of sequences of uneven lengths that lie one after the other, without padding.

    Sequence b is rows ``cu_seqlens_q[b]`` up to ``cu_seqlens_q[b + 1]`` of q and of the result, and
    rows ``cu_seqlens_k[b]`` up to ``cu_seqlens_k[b + 1]`` of k and v. Positions, causality and
    windows count from the start of each sequence.

    Args:
        q: [total of queries, H, D].
        k: [total of keys, G, D].
        v: [total of keys, G, E].
        cu_seqlens_q: [sequences + 1] int32 or int64, from 0, never falling.
        cu_seqlens_k: [sequences + 1], the same for keys.

    The other arguments are those of ``attention``.

    Returns:
        out [total of queries, H, E]; lse and statistics are [H, total of queries].
    """
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.dim() != 3:
            raise ValueError(f"attention_varlen: {name} has {x.dim()} dimensions; "
                             "it must be [rows, heads, dim].")
    _check_device(q)
    out, lse, *statistics = exact_attention(
        *(x.transpose(0, 1).unsqueeze(0) for x in (q, k, v)), query_starts=cu_seqlens_q,
        key_starts=cu_seqlens_k, statistics=return_statistics,
        **_given(causal, window, scale, softcap, sinks, dropout_p, seed))
    out, lse = out.squeeze(0).transpose(0, 1), lse.squeeze(0)
    if not return_statistics:
        return (out, lse) if return_lse else out
    named = AttentionStatistics._make(x.squeeze(0) for x in _statistics(*statistics))
    return (out, lse, named) if return_lse else (out, named)


def _check_device(q: Tensor) -> None:
    if not (q.is_cpu or q.is_meta):
        raise ValueError(f"attention: q is on {q.device}; headlight calculates on the CPU.")


def _given(causal: str, window: Optional[Window], scale: Optional[float],
           softcap: Optional[float], sinks: Optional[Tensor], dropout_p: float,
           seed: Optional[int]) -> dict[str, Any]:
    """Arguments of the operator. What has its default is left out: PyTorch takes a microsecond to
    read each."""
    given: dict[str, Any] = {}
    if causal != "none":
        given["causal"] = causal
    if window is not None:
        left, right = window
        given["window"] = [-1 if left is None else left, -1 if right is None else right]
    if scale is not None:
        given["scale"] = scale
    if softcap is not None:
        given["softcap"] = softcap
    if sinks is not None:
        given["sinks"] = sinks
    if dropout_p != 0:
        given["dropout"] = dropout_p
        given["seed"] = _seed(seed)
    return given


def _seed(seed: Optional[int]) -> Tensor:
    """A tensor, so that a compiled program draws a new one in every run."""
    if seed is None:
        return torch.randint(2**63 - 1, (), device="cpu")
    return torch.tensor(seed, dtype=torch.int64, device="cpu")


def _statistics(rows: Tensor, top_key: Tensor, received: Tensor) -> AttentionStatistics:
    *most, sink = rows.unbind(0)
    return AttentionStatistics._make((*most, top_key, sink, received))
