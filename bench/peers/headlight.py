"""Ours, through the C interface of the shared library: headlight/attention_c.h in ctypes."""

import ctypes
import os
from ctypes import POINTER, Structure, byref, c_double, c_int, c_int32, c_int64, c_uint64, c_void_p

import numpy as np

NAME = "headlight"
LIBRARY = None  # set by the driver
DTYPES = {"fp32": 0, "bf16": 2, "fp16": 3}
TOP_LEFT = 1


class Shape(Structure):
    _fields_ = [(name, c_int64) for name in
                ("batch", "heads", "kv_heads", "queries", "keys", "head_dim", "value_dim")] + [
        ("query_starts", c_void_p), ("key_starts", c_void_p)]


class Tensor(Structure):
    _fields_ = [("data", c_void_p), ("batch_stride", c_int64), ("head_stride", c_int64),
                ("row_stride", c_int64)]


class Scores(Structure):
    _fields_ = [("data", c_void_p)] + [(name, c_int64) for name in (
        "batch_stride", "head_stride", "query_stride", "key_stride")]


class Options(Structure):
    _fields_ = [("scale", c_double), ("softcap", c_double), ("causal", c_int32),
                ("causal_offset", c_int64), ("window_left", c_int64), ("window_right", c_int64),
                ("key_lengths", c_void_p), ("allowed", Scores), ("mask", Scores), ("bias", Scores),
                ("sinks", c_void_p), ("dropout", c_double), ("seed", c_uint64)]


class Statistics(Structure):
    _fields_ = [(f"row_statistic_{n}", c_void_p) for n in range(11)] + [("local_window", c_int64)]


class Parallel(Structure):
    _fields_ = [("run", c_void_p), ("pool", c_void_p), ("threads", c_int32)]


class Forward(Structure):
    _fields_ = [("shape", Shape), ("q", Tensor), ("k", Tensor), ("v", Tensor), ("out", Tensor),
                ("lse", c_void_p), ("statistics", Statistics)]


class Backward(Structure):
    _fields_ = [("shape", Shape)] + [(name, Tensor) for name in ("q", "k", "v", "out", "grad_out")] + [
        ("lse", c_void_p)] + [(name, Tensor) for name in ("grad_q", "grad_k", "grad_v")] + [
        ("grad_bias", Scores), ("grad_sinks", c_void_p)]


def library():
    if not LIBRARY or not os.path.exists(LIBRARY):
        raise ImportError(f"there is no {LIBRARY}; build the target headlight_shared")
    loaded = ctypes.CDLL(LIBRARY)
    loaded.headlight_last_error.restype = ctypes.c_char_p
    loaded.headlight_attention_isa.restype = ctypes.c_char_p
    loaded.headlight_attention_forward.argtypes = [c_int, POINTER(Forward), POINTER(Options),
                                                   POINTER(Parallel)]
    loaded.headlight_attention_backward.argtypes = [c_int, POINTER(Backward), POINTER(Options),
                                                    POINTER(Parallel)]
    return loaded


def version():
    return library().headlight_attention_isa().decode()


def stored(x, dtype):
    """float32 numbers as the elements of dtype; 16 bits as uint16."""
    if dtype == "fp32":
        return np.ascontiguousarray(x)
    if dtype == "fp16":
        return x.astype(np.float16).view(np.uint16)
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def numbers(x, dtype):
    if dtype == "bf16":
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.view(np.float16).astype(np.float32) if dtype == "fp16" else x


def ways(case, arrays):
    lib = library()
    dtype = DTYPES[case.dtype]
    q, k, v, grad_out = (stored(arrays[name], case.dtype) for name in ("q", "k", "v", "grad_out"))
    out, grad_q, grad_k, grad_v = (np.zeros_like(x) for x in (grad_out, q, k, v))
    lse = np.zeros(q.shape[:3], np.float32)

    def tensor(x):
        _, heads, rows, dim = x.shape
        return Tensor(x.ctypes.data, heads * rows * dim, rows * dim, dim)

    s = case.shape
    shape = Shape(s["batch"], s["heads"], s["kv_heads"], s["queries"], s["keys"], s["dim"], s["dim"])
    options = Options(causal=TOP_LEFT if s["causal"] else 0, window_left=-1, window_right=-1)
    parallel = Parallel(threads=case.threads)
    forward = Forward(shape, tensor(q), tensor(k), tensor(v), tensor(out), lse.ctypes.data,
                      Statistics(local_window=8))
    backward = Backward(shape, tensor(q), tensor(k), tensor(v), tensor(out), tensor(grad_out),
                        lse.ctypes.data, tensor(grad_q), tensor(grad_k), tensor(grad_v))

    def call(function, of):
        if function(dtype, byref(of), byref(options), byref(parallel)):
            raise RuntimeError(lib.headlight_last_error().decode())

    def run_forward():
        call(lib.headlight_attention_forward, forward)
        return out

    def run_backward():
        call(lib.headlight_attention_backward, backward)
        return grad_q

    # The structs hold addresses only; the arrays live as long as the steps.
    run_forward.arrays = run_backward.arrays = (q, k, v, grad_out, out, grad_q, grad_k, grad_v, lse)
    run_forward()
    step = run_backward if case.direction == "backward" else run_forward
    return [("C interface", step, lambda x: numbers(x, case.dtype))]
