"""headlight.sdpa(): PyTorch's own test grid of scaled_dot_product_attention, our code."""

import threading

import headlight
import pytest
import torch
import torch.nn.functional as F

ORIGINAL = F.scaled_dot_product_attention
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


def masks(kind, batch, heads, queries, keys, dtype):
    if kind is None:
        return None
    what, *size = kind.split("_")
    full = {"2d": (queries, keys), "4d": (batch, heads, queries, keys),
            "heads": (1, heads, queries, keys), "keys": (batch, 1, 1, keys),
            "rows": (batch, heads, queries, 1)}[size[0]]
    if what == "bool":
        return torch.rand(full) < 0.6
    return torch.randn(full, dtype=dtype)


def check(q, k, v, **options):
    """Result and gradients agree with PyTorch's plain path in double precision."""
    mask = options.pop("attn_mask", None)
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    exact_mask = mask.double() if mask is not None and mask.is_floating_point() else mask
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = ORIGINAL(*exact, attn_mask=exact_mask, **options)
    with headlight.sdpa():
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **options)
    tolerance = TOLERANCE[q.dtype]
    assert out.shape == expected.shape and out.dtype == q.dtype
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)
    if not q.requires_grad:
        return
    assert reached_headlight(out.grad_fn)
    upstream = torch.randn_like(out)
    for x, y in zip(torch.autograd.grad(out, (q, k, v), upstream),
                    torch.autograd.grad(expected, exact, upstream.double())):
        size = y.abs().max().clamp_min(1)
        torch.testing.assert_close(x.double() / size, y / size, atol=tolerance, rtol=tolerance)


def reached_headlight(node):
    """Whether headlight's operator is in the graph of a result."""
    return "headlight" in node.name() or any(
        reached_headlight(other) for other, _ in node.next_functions if other is not None)


STRIDES = {
    "contiguous": lambda x: x,
    "interleaved": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "dim_first": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("batch, queries, keys", [(2, 67, 67), (1, 130, 267), (3, 1, 40)])
@pytest.mark.parametrize("heads, head_dim", [(1, 8), (3, 16)])
@pytest.mark.parametrize("mask, causal", [
    (None, False), (None, True), ("bool_2d", False), ("bool_4d", False), ("bool_keys", False),
    ("float_2d", False), ("float_4d", False), ("float_heads", False), ("float_rows", False)])
def test_pytorchs_grid_of_shapes_masks_and_types(batch, queries, keys, heads, head_dim, mask, causal,
                                                 dtype):
    q = torch.randn(batch, heads, queries, head_dim, dtype=dtype).requires_grad_()
    k, v = (torch.randn(batch, heads, keys, head_dim, dtype=dtype).requires_grad_()
            for _ in range(2))
    check(q, k, v, attn_mask=masks(mask, batch, heads, queries, keys, dtype), is_causal=causal)


@pytest.mark.parametrize("q_strides", STRIDES)
@pytest.mark.parametrize("kv_strides", STRIDES)
@pytest.mark.parametrize("mask", [None, "bool_4d", "float_2d"])
def test_pytorchs_grid_of_strides(q_strides, kv_strides, mask):
    q = STRIDES[q_strides](torch.randn(2, 3, 33, 16)).requires_grad_()
    k, v = (STRIDES[kv_strides](torch.randn(2, 3, 41, 16)).requires_grad_() for _ in range(2))
    check(q, k, v, attn_mask=masks(mask, 2, 3, 33, 41, torch.float32))


@pytest.mark.parametrize("heads, kv_heads", [(8, 2), (4, 1), (6, 6)])
@pytest.mark.parametrize("causal", [False, True])
def test_grouped_heads(heads, kv_heads, causal):
    q = torch.randn(2, heads, 20, 8).requires_grad_()
    k, v = (torch.randn(2, kv_heads, 30, 8).requires_grad_() for _ in range(2))
    check(q, k, v, enable_gqa=True, is_causal=causal)


@pytest.mark.parametrize("lead, mask", [
    ((), None), ((), (5, 6)), ((3,), None), ((3,), (3, 5, 6)), ((3,), (5, 6)), ((2, 3), (3, 5, 6)),
    ((2, 2, 3), None), ((2, 2, 3), (2, 1, 3, 5, 6)), ((2, 2, 3), (1, 5, 6)),
    ((2, 1, 2, 3), (2, 1, 1, 1, 5, 1))])
def test_any_number_of_dimensions(lead, mask):
    q = torch.randn(*lead, 5, 4).requires_grad_()
    k, v = (torch.randn(*lead, 6, 4).requires_grad_() for _ in range(2))
    check(q, k, v, attn_mask=None if mask is None else torch.rand(mask) < 0.7)


@pytest.mark.parametrize("of_q, of_k", [((1, 3), (2, 3)), ((2, 3), (1, 3)), ((2, 1), (2, 3)),
                                        ((2, 3), (2, 1)), ((2, 1, 3), (1, 2, 3))])
def test_batches_and_heads_that_broadcast(of_q, of_k):
    q = torch.randn(*of_q, 5, 4).requires_grad_()
    k, v = (torch.randn(*of_k, 6, 4).requires_grad_() for _ in range(2))
    check(q, k, v)


@pytest.mark.parametrize("scale", [None, 0.0, 0.3, -1.0])
def test_scales(scale):
    check(*(torch.randn(1, 2, 9, 4).requires_grad_() for _ in range(3)), scale=scale)


@pytest.mark.parametrize("mask", ["bool_2d", "float_2d"])
def test_rows_that_are_masked_whole_are_zero_as_in_pytorch(mask):
    q, k, v = (torch.randn(2, 2, 9, 4).requires_grad_() for _ in range(3))
    mask = masks(mask, 2, 2, 9, 9, torch.float32)
    mask[3] = False if mask.dtype == torch.bool else -torch.inf
    check(q, k, v, attn_mask=mask)


def test_a_mask_that_learns_gets_its_gradient():
    q, k, v = (torch.randn(2, 2, 9, 4) for _ in range(3))
    mask = torch.randn(2, 9, 9).requires_grad_()
    expected, = torch.autograd.grad(ORIGINAL(q, k, v, attn_mask=mask).square().sum(), mask)
    with headlight.sdpa():
        got, = torch.autograd.grad(
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask).square().sum(), mask)
    torch.testing.assert_close(got, expected)


def test_dropout_has_the_right_mean():
    q, k = (torch.randn(1, 2, 64, 4) for _ in range(2))
    v = torch.ones(1, 2, 64, 1)
    with headlight.sdpa():
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    assert abs(out.mean().item() - 1) < 0.03 and out.std() > 0.01


def test_autocast_is_that_of_pytorch():
    q, k, v = (torch.randn(1, 2, 9, 4) for _ in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16), headlight.sdpa():
        assert F.scaled_dot_product_attention(q, k, v.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("arguments, options", [
    ((torch.zeros(1, 2, 3, 4, dtype=torch.int32),) * 3, {}),
    ((torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5), torch.zeros(1, 2, 3, 4)), {}),
    ((torch.zeros(1, 4, 3, 4), *[torch.zeros(1, 2, 3, 4)] * 2), {}),
    ((torch.zeros(1, 2, 3, 4),) * 3, dict(attn_mask=torch.ones(3, 3, dtype=torch.int32))),
    ((torch.zeros(4),) * 3, {}),
])
def test_what_pytorch_refuses_is_refused_as_before(arguments, options):
    with pytest.raises((RuntimeError, IndexError)) as expected:
        ORIGINAL(*arguments, **options)
    with headlight.sdpa(), pytest.raises(type(expected.value)) as got:
        F.scaled_dot_product_attention(*arguments, **options)
    assert str(got.value) == str(expected.value)


def test_other_devices_go_to_pytorch():
    q = torch.zeros(1, 2, 3, 4, device="meta")
    with headlight.sdpa():
        assert F.scaled_dot_product_attention(q, q, q).is_meta


def test_modules_of_pytorch_are_rerouted():
    layer = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    x = torch.randn(2, 7, 16)
    expected, _ = layer(x, x, x, need_weights=False)
    with headlight.sdpa():
        out, _ = layer(x, x, x, need_weights=False)
    assert reached_headlight(out.grad_fn)
    torch.testing.assert_close(out, expected)


def test_it_ends_with_the_block_even_nested_in_threads_and_after_an_error():
    inside = F.scaled_dot_product_attention
    with headlight.sdpa():
        rerouted = F.scaled_dot_product_attention
        assert rerouted is not inside
        with headlight.sdpa():
            pass
        assert F.scaled_dot_product_attention is rerouted
        thread = threading.Thread(target=headlight.sdpa()(lambda: None))
        thread.start()
        thread.join()
        assert F.scaled_dot_product_attention is rerouted
    assert F.scaled_dot_product_attention is ORIGINAL
    with pytest.raises(KeyError), headlight.sdpa():
        raise KeyError
    assert F.scaled_dot_product_attention is ORIGINAL
