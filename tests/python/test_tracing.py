"""What PyTorch asks of an operator: gradcheck, opcheck, torch.compile, torch.export."""

import headlight
import pytest
import torch

OPERATOR = torch.ops.headlight.exact_attention.default


def tensors(queries=6, keys=7, dtype=torch.float64):
    sizes = [(2, 4, queries, 3), (2, 2, keys, 3), (2, 2, keys, 5), (4, queries, keys), (4,)]
    return [torch.randn(size, dtype=dtype).requires_grad_() for size in sizes]


@pytest.mark.parametrize("options", [
    {}, dict(causal="bottom_right", window=(3, 1)), dict(softcap=1.3, scale=0.8),
    dict(dropout_p=0.3, seed=2), dict(key_lengths=torch.tensor([7, 0]))], ids=str)
def test_gradients_pass_gradcheck(options):
    def function(q, k, v, bias, sinks):
        return headlight.attention(q, k, v, bias=bias, sinks=sinks, **options)

    assert torch.autograd.gradcheck(function, tensors(), fast_mode=True)


def test_gradients_of_a_mask_pass_gradcheck():
    q, k, v, mask, _ = tensors()
    assert torch.autograd.gradcheck(lambda *x: headlight.attention(*x[:3], mask=x[3]),
                                    (q, k, v, mask), fast_mode=True)


def all_arguments(*, q, k, v, bias=None, sinks=None, mask=None, key_lengths=None, starts=None,
                  seed=None, dropout=0.0, statistics=False):
    return (q, k, v, bias, sinks, mask, key_lengths, starts, starts, seed, "bottom_right", [3, -1],
            0.5, 2.0, dropout, statistics)


@pytest.mark.parametrize("kind", ["plain", "all", "sinks_alone", "packed", "half", "no_gradient"])
def test_the_operator_passes_opcheck(kind):
    q, k, v, bias, sinks = tensors()
    packed = [torch.randn(1, 4, 9, 3).requires_grad_() for _ in range(3)]
    arguments = {
        "plain": dict(q=q, k=k, v=v),
        "all": dict(q=q, k=k, v=v, bias=bias, sinks=sinks, mask=torch.rand(6, 7) < 0.7,
                    key_lengths=torch.tensor([7, 3]), seed=torch.tensor(4), dropout=0.2,
                    statistics=True),
        "sinks_alone": dict(q=q, k=k, v=v, sinks=sinks),
        "packed": dict(zip("qkv", packed), starts=torch.tensor([0, 4, 9])),
        "half": dict(q=q.detach().half().requires_grad_(), k=k.detach().half(),
                     v=v.detach().half().requires_grad_(), bias=bias),
        "no_gradient": dict(q=q.detach(), k=k.detach(), v=v.detach(), statistics=True),
    }[kind]
    done = torch.library.opcheck(OPERATOR, all_arguments(**arguments))
    assert set(done.values()) == {"SUCCESS"}


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
                                  lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
                                  lambda x: x[:1, :1].expand_as(x)])
def test_strides_without_data_are_those_of_the_results(view):
    q, k, v, bias, _ = tensors()
    q, k, v = (view(x.detach()).requires_grad_() for x in (q, k, v))
    torch.library.opcheck(OPERATOR, all_arguments(q=q, k=k, v=v, bias=bias))


def function(q, k, v, bias, sinks):
    out, lse, statistics = headlight.attention(
        q * 2, k, v, bias=bias, sinks=sinks, causal="bottom_right", window=(4, None), seed=3,
        dropout_p=0.1, return_lse=True, return_statistics=True)
    return out.sin(), lse, statistics.entropy


@pytest.mark.parametrize("dynamic", [False, True])
def test_torch_compile_traces_it_whole(dynamic):
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for queries, keys in ((6, 7), (9, 12)):
        inputs = tensors(queries, keys)
        expected, got = function(*inputs), compiled(*inputs)
        for x, y in zip(expected, got):
            torch.testing.assert_close(x, y)
        for x, y in zip(torch.autograd.grad(expected[0].sum(), inputs),
                        torch.autograd.grad(got[0].sum(), inputs)):
            torch.testing.assert_close(x, y)


def test_torch_compile_generates_code_around_it():
    compiled = torch.compile(function, fullgraph=True)
    inputs = tensors(dtype=torch.float32)
    expected, got = function(*inputs), compiled(*inputs)
    torch.testing.assert_close(expected[0], got[0])
    torch.testing.assert_close(torch.autograd.grad(expected[0].sum(), inputs),
                               torch.autograd.grad(got[0].sum(), inputs))


def test_a_compiled_program_draws_a_new_seed_in_every_run():
    compiled = torch.compile(lambda *x: headlight.attention(*x, dropout_p=0.5), fullgraph=True,
                             backend="aot_eager")
    q, k, v, *_ = tensors()
    assert not torch.equal(compiled(q, k, v), compiled(q, k, v))


def test_compiled_code_is_rerouted_too():
    def rerouted(q, k, v):
        with headlight.sdpa():
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    q, k, v = (torch.randn(2, 2, 9, 4) for _ in range(3))
    torch.testing.assert_close(torch.compile(rerouted, backend="aot_eager")(q, k, v),
                               rerouted(q, k, v))


@pytest.mark.parametrize("strict", [False, True])
def test_torch_export_keeps_it_as_one_operator(strict):
    class Model(torch.nn.Module):
        def forward(self, q, k, v):
            return headlight.attention(q, k, v, causal="top_left", window=(5, None))

    q, k, v = (torch.randn(2, 4, 8, 4) for _ in range(3))
    rows = torch.export.Dim("rows", min=2, max=64)
    shapes = {name: {2: rows} for name in "qkv"}
    program = torch.export.export(Model(), (q, k, v), dynamic_shapes=shapes, strict=strict)
    assert "exact_attention" in str(program.graph)
    longer = [torch.randn(2, 4, 20, 4) for _ in range(3)]
    torch.testing.assert_close(program.module()(*longer), Model()(*longer))


def test_gradients_pass_through_checkpointing():
    q, k, v, *_ = tensors()
    expected = torch.autograd.grad(headlight.attention(q, k, v).sum(), (q, k, v))
    out = torch.utils.checkpoint.checkpoint(headlight.attention, q, k, v, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), (q, k, v)), expected)
