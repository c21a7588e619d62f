"""headlight.attention against its definition: options, strides, types, gradients, threads."""

import itertools

import definition
import headlight
import pytest
import torch

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


def tensors(batch=2, heads=4, kv_heads=2, queries=19, keys=23, head_dim=8, value_dim=6,
            dtype=torch.float64):
    sizes = [(batch, heads, queries, head_dim), (batch, kv_heads, keys, head_dim),
             (batch, kv_heads, keys, value_dim)]
    return [torch.randn(size, dtype=dtype).requires_grad_() for size in sizes]


def close(got, expected, dtype=torch.float64):
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(got.double(), expected.double(), atol=tolerance, rtol=tolerance)


def check(q, k, v, **options):
    """Out, lse and all gradients agree with those of the definition."""
    learned = [x for x in (q, k, v, *options.values())
               if isinstance(x, torch.Tensor) and x.requires_grad]
    out, lse = headlight.attention(q, k, v, return_lse=True, **options)
    expected, expected_lse, _ = definition.attention(q, k, v, **options)
    assert out.dtype == q.dtype and out.shape == expected.shape
    assert not lse.requires_grad
    close(out, expected, q.dtype)
    close(lse, expected_lse, torch.float32 if q.dtype != torch.float64 else q.dtype)
    upstream = torch.randn_like(expected).to(q.dtype)
    got = torch.autograd.grad(out, learned, upstream)
    wanted = torch.autograd.grad(expected, learned, upstream.double())
    for gradient, reference, tensor in zip(got, wanted, learned):
        assert gradient.dtype == tensor.dtype
        close(gradient / reference.abs().max().clamp_min(1), reference / reference.abs().max()
              .clamp_min(1), q.dtype)


OPTIONS = {
    "plain": lambda: {},
    "top_left": lambda: dict(causal="top_left"),
    "bottom_right": lambda: dict(causal="bottom_right"),
    "window": lambda: dict(window=(3, 2)),
    "one_sided_window": lambda: dict(window=(None, 4)),
    "minus_one_is_no_limit": lambda: dict(window=(5, -1), causal="top_left"),
    "causal_window": lambda: dict(causal="bottom_right", window=(4, None)),
    "key_lengths": lambda: dict(key_lengths=torch.tensor([23, 9])),
    "int32_lengths_bottom_right": lambda: dict(
        key_lengths=torch.tensor([20, 5], dtype=torch.int32), causal="bottom_right"),
    "no_keys_at_all": lambda: dict(key_lengths=torch.tensor([0, 23])),
    "scale": lambda: dict(scale=0.7),
    "negative_scale": lambda: dict(scale=-0.3),
    "zero_scale": lambda: dict(scale=0.0, causal="top_left"),
    "softcap": lambda: dict(softcap=1.5),
    "sinks": lambda: dict(sinks=torch.randn(4, dtype=torch.float64).requires_grad_()),
    "boolean_mask": lambda: dict(mask=torch.rand(2, 4, 19, 23) < 0.4),
    "boolean_mask_2d": lambda: dict(mask=torch.rand(19, 23) < 0.4),
    "boolean_mask_of_keys": lambda: dict(mask=torch.rand(2, 1, 1, 23) < 0.4),
    "float_mask": lambda: dict(mask=torch.randn(4, 19, 23)),
    "float_mask_with_infinity": lambda: dict(
        mask=torch.zeros(19, 23).masked_fill(torch.rand(19, 23) < 0.5, -torch.inf)),
    "learned_mask": lambda: dict(mask=torch.randn(2, 1, 19, 23).requires_grad_()),
    "learned_mask_and_bias": lambda: dict(mask=torch.randn(19, 1).requires_grad_(),
                                          bias=torch.randn(4, 19, 23).requires_grad_()),
    "bias": lambda: dict(bias=torch.randn(2, 4, 19, 23).requires_grad_()),
    "bias_of_heads": lambda: dict(bias=torch.randn(4, 1, 23).requires_grad_()),
    "expanded_bias": lambda: dict(bias=torch.randn(1, 4, 1, 23).requires_grad_()
                                  .expand(2, 4, 19, 23)),
    "transposed_bias": lambda: dict(bias=torch.randn(23, 19, 4).requires_grad_().permute(2, 1, 0)),
    "all_at_once": lambda: dict(
        bias=torch.randn(4, 19, 23).requires_grad_(), mask=torch.rand(2, 1, 19, 23) < 0.6,
        causal="bottom_right", window=(9, None), key_lengths=torch.tensor([21, 23]), scale=0.4,
        softcap=3.0, sinks=torch.randn(4).requires_grad_()),
}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_agrees_with_the_definition(name, dtype):
    check(*tensors(dtype=dtype), **OPTIONS[name]())


@pytest.mark.parametrize("queries, keys, head_dim, value_dim", [
    (1, 1, 1, 1), (1, 70, 64, 64), (3, 200, 16, 16), (65, 33, 20, 12), (130, 257, 8, 8),
    (33, 129, 80, 72), (5, 40, 128, 128), (9, 40, 256, 32)])
@pytest.mark.parametrize("heads, kv_heads", [(1, 1), (6, 2), (4, 1)])
def test_sizes_around_the_tiles_agree(queries, keys, head_dim, value_dim, heads, kv_heads):
    check(*tensors(2, heads, kv_heads, queries, keys, head_dim, value_dim, torch.float32),
          causal="bottom_right")


@pytest.mark.parametrize("batch, queries, keys", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_empty_tensors_give_empty_or_zero_results(batch, queries, keys):
    q, k, v = tensors(batch=batch, queries=queries, keys=keys)
    out, lse, statistics = headlight.attention(q, k, v, return_lse=True, return_statistics=True)
    assert out.shape == (batch, 4, queries, 6) and not out.any()
    assert lse.shape == (batch, 4, queries) and (lse == -torch.inf).all()
    assert statistics.received.shape == (batch, 4, keys)
    out.sum().backward()
    assert not q.grad.any() and not k.grad.any() and not v.grad.any()


LAYOUTS = {
    "interleaved": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    "batch_last": lambda x: x.permute(1, 2, 0, 3).contiguous().permute(2, 0, 1, 3),
    "dim_first": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "every_other_row": lambda x: torch.cat([x, x], 3).reshape(*x.shape[:2], -1, x.shape[3])[:, :, ::2],
    "part_of_wider_rows": lambda x: torch.cat([x, x], 3)[..., :x.shape[3]],
    "every_other_number": lambda x: torch.stack([x, x], 4).flatten(3)[..., ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_strides_give_the_same_bits(layout):
    q, k, v = tensors(dtype=torch.float32)
    views = [LAYOUTS[layout](x.detach()).requires_grad_() for x in (q, k, v)]
    out = headlight.attention(q, k, v, causal="top_left")
    again = headlight.attention(*views, causal="top_left")
    assert torch.equal(out, again)
    upstream = torch.randn_like(out)
    for x, y in zip(torch.autograd.grad(out, (q, k, v), upstream),
                    torch.autograd.grad(again, views, LAYOUTS[layout](upstream))):
        assert torch.equal(x, y)


def test_keys_that_are_expanded_over_heads_and_batch_are_read_in_place():
    q, k, v = tensors(kv_heads=4, dtype=torch.float32)
    k, v = (x[:1, :1].expand(2, 4, -1, -1) for x in (k, v))
    check(q, k, v)


def test_the_result_is_ready_for_the_output_projection():
    out = headlight.attention(*tensors())
    assert out.transpose(1, 2).is_contiguous()


def test_only_wanted_gradients_are_made():
    q, k, v = tensors()
    for wanted in itertools.product([False, True], repeat=3):
        if any(wanted):
            inputs = [x.detach().requires_grad_(w) for x, w in zip((q, k, v), wanted)]
            headlight.attention(*inputs).sum().backward()
            assert [x.grad is not None for x in inputs] == list(wanted)
    assert not headlight.attention(*(x.detach() for x in (q, k, v))).requires_grad


def test_gradients_of_a_sum_and_of_a_broadcast_are_right():
    q, k, v = tensors()
    got = torch.autograd.grad(headlight.attention(q, k, v).sum(), (q, k, v))
    expected = torch.autograd.grad(definition.attention(q, k, v)[0].sum(), (q, k, v))
    for x, y in zip(got, expected):
        close(x, y)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_number_of_threads_does_not_change_a_bit(dtype, threads):
    q, k, v = tensors(batch=3, queries=150, keys=300, head_dim=32, value_dim=32, dtype=dtype)
    bias = torch.randn(4, 150, 300).requires_grad_()
    results = []
    for count in (1, 2, 5):
        threads(count)
        out, statistics = headlight.attention(q, k, v, bias=bias, causal="bottom_right",
                                              dropout_p=0.2, seed=5, return_statistics=True)
        results.append([out, *statistics,
                        *torch.autograd.grad(out.float().square().sum(), (q, k, v, bias))])
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other))


def test_dropout_keeps_the_mean_and_drops_what_the_seed_says():
    q, k, _ = tensors(heads=2, queries=64, keys=64, dtype=torch.float32)
    v = torch.eye(64).expand(2, 2, 64, 64)
    weights = definition.attention(q, k, v)[2].float()
    dropped = headlight.attention(q, k, v, dropout_p=0.25, seed=7)
    kept = dropped != 0
    assert 0.72 < kept.float().mean() < 0.78
    torch.testing.assert_close(dropped[kept], weights[kept] / 0.75, atol=1e-5, rtol=1e-4)
    assert torch.equal(dropped, headlight.attention(q, k, v, dropout_p=0.25, seed=7))
    assert not torch.equal(dropped, headlight.attention(q, k, v, dropout_p=0.25, seed=8))


def test_without_a_seed_dropout_follows_the_generator_of_pytorch():
    q, k, v = tensors()
    first, second = (headlight.attention(q, k, v, dropout_p=0.5) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    first = headlight.attention(q, k, v, dropout_p=0.5)
    torch.manual_seed(3)
    assert torch.equal(first, headlight.attention(q, k, v, dropout_p=0.5))


def test_autocast_calculates_in_its_type():
    q, k, v = tensors(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = headlight.attention(q, k, v)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, headlight.attention(q.bfloat16(), k.bfloat16(), v.bfloat16()))
    out.float().sum().backward()
    assert q.grad.dtype == torch.float32


def test_a_second_derivative_is_refused():
    q, k, v = tensors()
    gradient, = torch.autograd.grad(headlight.attention(q, k, v).sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


def test_a_forward_mode_derivative_is_refused():
    q, k, v = (x.detach() for x in tensors())
    with pytest.raises(NotImplementedError, match="no forward-mode derivative"):
        torch.func.jvp(lambda x: headlight.attention(x, k, v), (q,), (q,))
    with torch.autograd.forward_ad.dual_level(), pytest.raises(NotImplementedError):
        headlight.attention(q, torch.autograd.forward_ad.make_dual(k, k), v)


@pytest.mark.parametrize("change, message", [
    (dict(q=torch.zeros(4, 19, 8)), "q has 3 dimensions"),
    (dict(k=torch.zeros(2, 3, 23, 8)), "heads of v is 2 but in k it is 3"),
    (dict(k=torch.zeros(1, 2, 23, 8)), "batch of k is 1 but in q it is 2"),
    (dict(k=torch.zeros(2, 2, 23, 9)), "head dimension of k is 9"),
    (dict(v=torch.zeros(2, 2, 22, 6)), "keys of v is 22"),
    (dict(v=torch.zeros(2, 2, 23, 6, dtype=torch.float64)), "v is Double and q is Float"),
    (dict(q=torch.zeros(2, 4, 19, 8, dtype=torch.int32)), "q is Int"),
    (dict(q=torch.zeros(2, 3, 19, 8)), "q has 3 heads"),
    (dict(mask=torch.zeros(19, 22)), r"mask \[19, 22\] does not broadcast"),
    (dict(mask=torch.zeros(19, 23, dtype=torch.int64)), "must be boolean or float"),
    (dict(bias=torch.zeros(3, 19, 23)), "bias .* does not broadcast"),
    (dict(bias=torch.zeros(1, 1, 1, 19, 23)), "bias has 5 dimensions"),
    (dict(sinks=torch.zeros(2)), r"sinks \[2\] must be \[4\]"),
    (dict(key_lengths=torch.tensor([1, 24])), r"key_lengths\[1\] is 24"),
    (dict(key_lengths=torch.tensor([1, -1])), r"key_lengths\[1\] is -1"),
    (dict(key_lengths=torch.tensor([1.0, 2.0])), "int32 or int64"),
    (dict(key_lengths=torch.tensor([1])), r"key_lengths \[1\] must be \[2\]"),
    (dict(causal="bottom"), "causal is 'bottom'"),
    (dict(window=(1, 2, 3)), "too many values"),
    (dict(softcap=-1.0), "softcap is -1"),
    (dict(scale=float("nan")), "scale must be finite"),
    (dict(dropout_p=1.0), "dropout is 1"),
    (dict(dropout_p=-0.1), "dropout is -0.1"),
])
def test_what_makes_no_sense_is_a_value_error(change, message):
    q, k, v = (x.detach() for x in tensors(dtype=torch.float32))
    arguments = dict(q=q, k=k, v=v) | change
    with pytest.raises(ValueError, match=message):
        headlight.attention(**arguments)


def test_shapes_work_without_data_and_devices_may_not_be_mixed():
    q, k, v = (x.detach().to("meta") for x in tensors())
    assert headlight.attention(q, k, v).is_meta
    with pytest.raises(ValueError, match="k is on cpu and q on meta"):
        headlight.attention(q, *(x.detach() for x in tensors()[1:]))
