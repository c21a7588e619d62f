"""return_statistics against the weights of the definition."""

import definition
import headlight
import pytest
import torch


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("options", [
    {}, dict(causal="top_left"), dict(causal="bottom_right"), dict(window=(3, 3)),
    dict(key_lengths=torch.tensor([3, 31]), causal="bottom_right"),
    dict(mask=torch.rand(2, 1, 21, 31, generator=torch.Generator().manual_seed(1)) < 0.3),
    dict(sinks=torch.tensor([0.0, 3.0, -1.0, 1.0]), softcap=5.0)], ids=lambda x: "-".join(x) or "plain")
def test_statistics_are_those_of_the_weights(options, dtype):
    q = torch.randn(2, 4, 21, 8, dtype=dtype)
    k, v = (torch.randn(2, 2, 31, 8, dtype=dtype) for _ in range(2))
    out, statistics = headlight.attention(q, k, v, return_statistics=True, **options)
    assert torch.equal(out, headlight.attention(q, k, v, **options))
    _, _, weights = definition.attention(q, k, v, **options)
    expected = definition.statistics(q, k, weights, options.get("causal", "none"),
                                     options.get("key_lengths"))
    attends = weights.sum(-1) > 0
    expected["sink"] = (1 - weights.sum(-1)) * ("sinks" in options)
    assert set(expected) == set(statistics._fields)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for name, values in expected.items():
        got = getattr(statistics, name)
        assert got.shape == values.shape and not got.requires_grad
        assert got.dtype == (torch.int64 if name == "top_key" else
                             torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(got.double(), values.double(), atol=tolerance, rtol=tolerance,
                                   msg=lambda text, name=name: f"{name}: {text}")
    assert torch.equal(statistics.top_key >= 0, attends)


def test_statistics_are_of_the_weights_before_dropout():
    q, k, v = (torch.randn(1, 2, 9, 4) for _ in range(3))
    _, plain = headlight.attention(q, k, v, return_statistics=True)
    _, dropped = headlight.attention(q, k, v, dropout_p=0.5, seed=1, return_statistics=True)
    assert all(torch.equal(x, y) for x, y in zip(plain, dropped))
