"""PyTorch's scaled_dot_product_attention: its fused CPU kernel, with grouped heads as they are and
repeated beforehand."""

import torch
import torch.nn.functional as F

NAME = "PyTorch"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def version():
    return torch.__version__


def ways(case, arrays):
    torch.set_num_threads(case.threads)
    backward = case.direction == "backward"
    groups = case.shape["heads"] // case.shape["kv_heads"]

    def tensors(repeat):
        q, k, v, grad = (torch.from_numpy(arrays[name]).to(DTYPES[case.dtype])
                         for name in ("q", "k", "v", "grad_out"))
        if repeat:
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        return [x.requires_grad_(backward) for x in (q, k, v)], grad

    def way(repeat):
        (q, k, v), grad = tensors(repeat)
        grouped = {"enable_gqa": True} if groups > 1 and not repeat else {}

        def run_forward():
            torch.set_num_threads(case.threads)
            return F.scaled_dot_product_attention(q, k, v, is_causal=case.shape["causal"], **grouped)

        if not backward:
            return run_forward
        out = run_forward()

        def run_backward():
            torch.set_num_threads(case.threads)
            return torch.autograd.grad(out, (q, k, v), grad, retain_graph=True)[0]

        return run_backward

    def fetch(x):
        return x.detach().float().numpy()

    found = [("SDPA", way(False), fetch)]
    if groups > 1:
        found.append(("SDPA, heads repeated beforehand", way(True), fetch))
    return found
