"""Attention as its definition says it, in double precision and with N x N matrices; autograd can
go through it."""

import torch


def offsets(q, k, causal, key_lengths):
    """[B, 1, 1, 1]: key j stands where query j - offset stands."""
    batch, queries, keys = q.shape[0], q.shape[2], k.shape[2]
    if causal != "bottom_right":
        return torch.zeros(batch, 1, 1, 1, dtype=torch.int64)
    lengths = torch.full((batch,), keys) if key_lengths is None else key_lengths.long()
    return (lengths - queries).reshape(batch, 1, 1, 1)


def distances(q, k, causal, key_lengths):
    """[B, 1, Nq, Nk]: how far key j lies behind the position of query i."""
    i = torch.arange(q.shape[2])[:, None]
    j = torch.arange(k.shape[2])[None, :]
    return i + offsets(q, k, causal, key_lengths) - j


def attention(q, k, v, *, mask=None, bias=None, causal="none", window=None, key_lengths=None,
              scale=None, softcap=None, sinks=None):
    """out [B, H, Nq, E], lse [B, H, Nq] and the weights [B, H, Nq, Nk]."""
    q, k, v = q.double(), k.double(), v.double()
    group = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(group, 1) for x in (k, v))
    scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    behind = distances(q, k, causal, key_lengths)
    allowed = torch.ones_like(behind, dtype=torch.bool)
    if causal != "none":
        allowed &= behind >= 0
    left, right = window or (None, None)
    if left is not None and left >= 0:
        allowed &= behind <= left
    if right is not None and right >= 0:
        allowed &= -behind <= right
    if key_lengths is not None:
        allowed &= torch.arange(k.shape[2]) < key_lengths.reshape(-1, 1, 1, 1)
    if bias is not None:
        scores = scores + bias.double()
    if mask is not None and mask.dtype == torch.bool:
        allowed = allowed & mask
    elif mask is not None:
        scores = scores + mask.double()
    scores = scores.masked_fill(~allowed, -torch.inf)
    sink = torch.full((1, q.shape[1], 1, 1), -torch.inf) if sinks is None else (
        sinks.double().reshape(1, -1, 1, 1))
    top = torch.cat([scores, sink.expand(*scores.shape[:-1], 1)], -1).amax(-1, keepdim=True)
    top = top.detach().clamp_min(torch.finfo(torch.double).min)
    weights = (scores - top).exp()
    sum_ = weights.sum(-1, keepdim=True) + (sink - top).exp()
    lse = (top + sum_.log()).squeeze(-1)
    weights = weights / sum_.masked_fill(sum_ == 0, 1)
    return weights @ v, lse, weights


def statistics(q, k, weights, causal="none", key_lengths=None, local_window=8):
    """name -> tensor, of headlight.AttentionStatistics but the sink: shares of what keys get."""
    behind = distances(q, k, causal, key_lengths)
    sums = weights.sum(-1, keepdim=True)
    weights = weights / sums.masked_fill(sums == 0, 1)

    def at(distance):
        return (weights * (behind == distance)).sum(-1)

    empty = weights.sum(-1) == 0
    top, top_key = weights.max(-1)
    return {
        "entropy": -torch.special.xlogy(weights, weights).sum(-1),
        "distance": (weights * behind.abs()).sum(-1),
        "first": weights[..., 0],
        "self": at(0),
        "previous": at(1),
        "next": at(-1),
        "local": (weights * (behind.abs() <= local_window)).sum(-1),
        "top": top,
        "top_key": top_key.masked_fill(empty, -1),
        "received": weights.sum(-2),
    }
