"""headlight.attention_varlen: every sequence as if it were alone."""

import headlight
import pytest
import torch

QUERIES = [5, 0, 17, 1, 40]
KEYS = [7, 3, 17, 0, 65]


def starts(lengths, dtype=torch.int32):
    return torch.tensor([0, *lengths], dtype=dtype).cumsum(0, dtype=dtype)


def tensors(dtype=torch.float64):
    return [torch.randn(sum(rows), heads, 8, dtype=dtype).requires_grad_()
            for rows, heads in ((QUERIES, 4), (KEYS, 2), (KEYS, 2))]


def one_by_one(q, k, v, **options):
    outs, lses, statistics = [], [], []
    for x, y, z in zip(q.split(QUERIES), k.split(KEYS), v.split(KEYS)):
        parts = (part.transpose(0, 1)[None] for part in (x, y, z))
        out, lse, rows = headlight.attention(*parts, return_lse=True, return_statistics=True,
                                             **options)
        outs.append(out[0].transpose(0, 1))
        lses.append(lse[0])
        statistics.append([row[0] for row in rows])
    return torch.cat(outs), torch.cat(lses, 1), [torch.cat(x, 1) for x in zip(*statistics)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16],
                         ids=str)
@pytest.mark.parametrize("options", [
    {}, dict(causal="top_left"), dict(causal="bottom_right"), dict(window=(4, 3)),
    dict(causal="bottom_right", window=(6, None), scale=0.3, softcap=2.0)], ids=str)
def test_every_sequence_is_as_if_it_were_alone(dtype, options):
    q, k, v = tensors(dtype)
    sinks = torch.randn(4).requires_grad_()
    learned = (q, k, v, sinks)
    out, lse, statistics = headlight.attention_varlen(
        q, k, v, starts(QUERIES), starts(KEYS), sinks=sinks, return_lse=True,
        return_statistics=True, **options)
    expected, expected_lse, expected_statistics = one_by_one(q, k, v, sinks=sinks, **options)
    assert out.shape == (sum(QUERIES), 4, 8) and out.dtype == dtype
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(lse, expected_lse)
    for x, y in zip(statistics, expected_statistics):
        torch.testing.assert_close(x, y)
    upstream = torch.randn_like(out)
    for x, y in zip(torch.autograd.grad(out, learned, upstream),
                    torch.autograd.grad(expected, learned, upstream)):
        torch.testing.assert_close(x, y)


def test_starts_may_be_of_either_integer_type_and_strides_are_free():
    q, k, v = tensors()
    out = headlight.attention_varlen(q, k, v, starts(QUERIES), starts(KEYS))
    wide = torch.stack([q, q], 1).detach()[:, 1]
    assert torch.equal(out, headlight.attention_varlen(
        wide, k, v, starts(QUERIES, torch.int64), starts(KEYS, torch.int64)))


def test_gradients_pass_gradcheck():
    q, k, v = tensors()
    assert torch.autograd.gradcheck(
        lambda *x: headlight.attention_varlen(*x, starts(QUERIES), starts(KEYS), causal="top_left",
                                              dropout_p=0.2, seed=1), (q, k, v), fast_mode=True)


@pytest.mark.parametrize("queries, keys, message", [
    ([0, 5, 63], [0, 7, 91], "3 .*must be|ends with"),
    ([0, 5, 4, 22, 23, 63], [0, 7, 10, 27, 27, 92], "less than the one before"),
    ([1, 5, 5, 22, 23, 63], [0, 7, 10, 27, 27, 92], "not 0"),
    ([0, 5, 5, 22, 23, 63], [0, 7, 10, 27, 92], r"starts of keys \[5\] must be \[6\]"),
])
def test_starts_that_do_not_fit_are_a_value_error(queries, keys, message):
    with pytest.raises(ValueError, match=message):
        headlight.attention_varlen(*tensors(), torch.tensor(queries), torch.tensor(keys))


def test_tensors_of_another_rank_are_a_value_error():
    q, k, v = tensors()
    with pytest.raises(ValueError, match="q has 4 dimensions"):
        headlight.attention_varlen(q[None], k, v, starts(QUERIES), starts(KEYS))
