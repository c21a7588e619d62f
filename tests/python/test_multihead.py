"""headlight.MultiheadAttention beside torch.nn.MultiheadAttention."""

import itertools
import warnings

import headlight
import pytest
import torch

EMBED, HEADS, BATCH, QUERIES, KEYS = 8, 2, 3, 4, 5


def pair(**options):
    """PyTorch's module and ours, with the same parameters."""
    theirs = torch.nn.MultiheadAttention(EMBED, HEADS, **options)
    ours = headlight.MultiheadAttention(EMBED, HEADS, **options)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def inputs(batch_first=False, batched=True, kdim=None, vdim=None, keys=KEYS, dtype=torch.float32):
    def one(rows, width):
        if not batched:
            return torch.randn(rows, width, dtype=dtype)
        size = (BATCH, rows, width) if batch_first else (rows, BATCH, width)
        return torch.randn(size, dtype=dtype)

    return [x.requires_grad_() for x in (one(QUERIES, EMBED), one(keys, kdim or EMBED),
                                         one(keys, vdim or EMBED))]


def attention_mask(kind, batched=True, keys=KEYS):
    if kind is None:
        return None
    what, dims = kind.split("_")
    size = (QUERIES, keys) if dims == "2d" else ((BATCH if batched else 1) * HEADS, QUERIES, keys)
    if what == "float":
        return torch.randn(size)
    mask = torch.rand(size) < 0.4
    mask[..., 0] = False
    return mask


def padding(kind, batched=True):
    size = (BATCH, KEYS) if batched else (KEYS,)
    if kind is None:
        return None
    if kind == "float":
        return torch.randn(size)
    mask = torch.rand(size) < 0.4
    mask[..., 0] = False
    return mask


def compare(theirs, ours, arguments, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a boolean mask beside a float one
        expected, expected_weights = theirs(*arguments, **options)
    out, weights = ours(*arguments, **options)
    assert out.shape == expected.shape
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    assert (weights is None) == (expected_weights is None)
    if weights is not None:
        torch.testing.assert_close(weights, expected_weights, atol=1e-6, rtol=1e-5)
    learned = [*theirs.parameters(), *arguments], [*ours.parameters(), *arguments]
    upstream = torch.randn_like(out)
    results = [torch.autograd.grad((o * upstream).sum() + (0 if w is None else w.square().sum()),
                                   x, allow_unused=True)
               for o, w, x in zip((expected, out), (expected_weights, weights), learned)]
    for x, y in zip(*results):
        torch.testing.assert_close(y, x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bias, add_bias_kv, add_zero_attn, batch_first",
                         list(itertools.product([True, False], repeat=4)))
def test_every_way_to_make_one_agrees(bias, add_bias_kv, add_zero_attn, batch_first):
    shape = dict(bias=bias, add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn,
                 batch_first=batch_first)
    for (kdim, vdim), batched, need_weights in itertools.product(
            [(None, None), (6, 7)], [True, False], [True, False]):
        theirs, ours = pair(kdim=kdim, vdim=vdim, **shape)
        compare(theirs, ours, inputs(batch_first, batched, kdim, vdim),
                dict(need_weights=need_weights, attn_mask=attention_mask("bool_3d", batched),
                     key_padding_mask=None))


@pytest.mark.parametrize("mask", [None, "bool_2d", "bool_3d", "float_2d", "float_3d"])
@pytest.mark.parametrize("pad", [None, "bool", "float"])
@pytest.mark.parametrize("need_weights", [True, False])
def test_every_way_to_mask_agrees(mask, pad, need_weights):
    for add_bias_kv, batch_first, batched, average in itertools.product([True, False], repeat=4):
        theirs, ours = pair(add_bias_kv=add_bias_kv, batch_first=batch_first)
        compare(theirs, ours, inputs(batch_first, batched),
                dict(attn_mask=attention_mask(mask, batched), key_padding_mask=padding(pad, batched),
                     need_weights=need_weights, average_attn_weights=average))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("pad", [None, "bool"])
@pytest.mark.parametrize("add_bias_kv", [True, False])
def test_the_causal_hint_is_read_as_pytorch_reads_it(need_weights, pad, add_bias_kv):
    theirs, ours = pair(add_bias_kv=add_bias_kv)
    compare(theirs, ours, inputs(),
            dict(attn_mask=torch.ones(QUERIES, KEYS, dtype=torch.bool).triu(1), is_causal=True,
                 key_padding_mask=padding(pad), need_weights=need_weights))


@pytest.mark.parametrize("same", ["all", "keys_and_values", "none"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_inputs_that_are_one_tensor_agree(same, batch_first):
    theirs, ours = pair(batch_first=batch_first)
    q, k, v = inputs(batch_first)
    q, k, v = {"all": (q, q, q), "keys_and_values": (q, k, k), "none": (q, k, v)}[same]
    out, _ = ours(q, k, v, need_weights=False)
    torch.testing.assert_close(out, theirs(q, k, v, need_weights=False)[0], atol=1e-5, rtol=1e-5)


def test_a_query_that_may_attend_to_nothing_gives_the_bias_with_and_without_weights():
    _, ours = pair(batch_first=True)
    q, k, v = inputs(batch_first=True)
    pad = torch.zeros(BATCH, KEYS, dtype=torch.bool)
    pad[1] = True
    for need_weights in (True, False):
        out, weights = ours(q, k, v, key_padding_mask=pad, need_weights=need_weights)
        torch.testing.assert_close(out[1], ours.out_proj.bias.expand_as(out[1]))
        assert torch.autograd.grad(out.sum(), q)[0].isfinite().all()
        assert weights is None or not weights[1].any()


def test_it_drops_weights_in_training_only():
    _, ours = pair(dropout=0.5)
    q, k, v = inputs()
    first, second = (ours(q, k, v, need_weights=False)[0] for _ in range(2))
    assert not torch.equal(first, second)
    ours.eval()
    assert torch.equal(ours(q, k, v, need_weights=False)[0], ours(q, k, v, need_weights=False)[0])


def test_it_is_a_module_of_pytorch_with_the_same_state():
    theirs, ours = pair(add_bias_kv=True, kdim=5)
    assert isinstance(ours, torch.nn.MultiheadAttention)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_types_work(dtype):
    theirs, ours = (x.to(dtype) for x in pair())
    arguments = inputs(dtype=dtype)
    out, _ = ours(*arguments, need_weights=False)
    assert out.dtype == dtype
    torch.testing.assert_close(out, theirs(*arguments, need_weights=False)[0], atol=0.1, rtol=0.05)


def test_it_compiles_whole():
    _, ours = pair(batch_first=True)
    x, *_ = inputs(batch_first=True)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, x, x, need_weights=False)[0],
                               ours(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("change, error", [
    (dict(is_causal=True), RuntimeError),
    (dict(attn_mask=torch.zeros(QUERIES, KEYS + 1)), RuntimeError),
    (dict(attn_mask=torch.zeros(HEADS, QUERIES, KEYS)), RuntimeError),
    (dict(attn_mask=torch.zeros(QUERIES, KEYS, dtype=torch.int32)), AssertionError),
    (dict(key_padding_mask=torch.zeros(BATCH, KEYS + 1)), AssertionError),
    (dict(query=torch.zeros(QUERIES, EMBED)), AssertionError),
])
def test_what_pytorch_refuses_is_refused_with_the_same_error(change, error):
    theirs, ours = pair()
    arguments = dict(zip(("query", "key", "value"), inputs()), need_weights=False) | change
    for module in (theirs, ours):
        with pytest.raises(error):
            module(**arguments)
