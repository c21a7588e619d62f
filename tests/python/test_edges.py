"""NaN, infinity, huge scores, rows that may attend to nothing."""

import headlight
import pytest
import torch

TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def tensors(dtype, queries=20, keys=40):
    return [torch.randn(1, 2, rows, 16, dtype=dtype) for rows in (queries, keys, keys)]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", ["boolean", "float", "lengths", "window"])
def test_a_row_that_may_attend_to_nothing_is_zero_and_has_no_gradient(dtype, kind):
    q, k, v = (x.requires_grad_() for x in tensors(dtype))
    allowed = torch.ones(20, 40, dtype=torch.bool)
    allowed[5] = False
    options = {
        "boolean": dict(mask=allowed),
        "float": dict(mask=torch.zeros(20, 40).masked_fill(~allowed, -torch.inf)),
        "lengths": dict(key_lengths=torch.tensor([0])),
        "window": dict(window=(0, 0), causal="bottom_right", key_lengths=torch.tensor([14])),
    }[kind]
    empty = 5 if kind != "lengths" else slice(None)
    out, lse, statistics = headlight.attention(q, k, v, return_lse=True, return_statistics=True,
                                               **options)
    out.float().square().sum().backward()
    assert not out[:, :, empty].any() and not q.grad[:, :, empty].any()
    assert (lse[:, :, empty] == -torch.inf).all()
    assert (statistics.top_key[:, :, empty] == -1).all()
    assert not statistics.entropy[:, :, empty].any()
    assert all(x.grad.isfinite().all() for x in (q, k, v))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_what_may_not_be_attended_to_has_no_influence_even_as_nan(dtype):
    q, k, v = tensors(dtype)
    mask = torch.rand(20, 40) < 0.5
    mask[:, 7] = False
    dirty_k, dirty_v = k.clone(), v.clone()
    dirty_k[:, :, 7] = torch.nan
    dirty_v[:, :, 7] = torch.inf
    results = []
    for pair in ((k, v), (dirty_k, dirty_v)):
        inputs = [x.clone().requires_grad_() for x in (q, *pair)]
        out = headlight.attention(*inputs, mask=mask)
        results.append((out, *torch.autograd.grad(out.float().sum(), inputs)))
    for clean, dirty in zip(*results):
        torch.testing.assert_close(clean, dirty)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_nan_that_may_be_attended_to_is_visible(dtype):
    q, k, v = tensors(dtype)
    v[0, 1, 30, 3] = torch.nan
    out = headlight.attention(q, k, v, causal="bottom_right")
    assert out[0, 1, 10:, 3].isnan().all() and out[0, 1, :10].isfinite().all()
    assert out[0, 0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_huge_scores_choose_the_largest(dtype):
    q, k, v = tensors(dtype)
    q = q * 1e15
    k = k * 1e15
    best = (q.double() @ k.double().transpose(-2, -1)).argmax(-1)
    expected = v.gather(2, best[..., None].expand(-1, -1, -1, 16))
    torch.testing.assert_close(headlight.attention(q, k, v), expected, atol=0, rtol=1e-5)


def test_denormal_numbers_are_numbers():
    q, k, v = tensors(torch.float32)
    out = headlight.attention(q, k, v * 1e-40)
    torch.testing.assert_close(out * 2.0**100, headlight.attention(q, k, v * 1e-40 * 2.0**100),
                               atol=4 * 2.0**(100 - 149), rtol=0)


def test_an_infinite_score_makes_its_row_nan():
    q, k, v = tensors(torch.float32)
    bias = torch.zeros(20, 40)
    bias[3, 4] = torch.inf
    out = headlight.attention(q, k, v, bias=bias)
    assert out[:, :, 3].isnan().all() and out[:, :, 4:].isfinite().all()
