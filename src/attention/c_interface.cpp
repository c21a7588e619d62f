// attention_c.h in terms of attention.h: fields over one by one, exceptions into codes.
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "headlight/attention.h"
#include "headlight/attention_c.h"
#include "headlight/error.h"

namespace headlight {
namespace {

// Of fixed size, so that reporting that there is no memory needs none.
thread_local char last_error[1024] = "";

int failed(int status, const char* message) {
  std::snprintf(last_error, sizeof last_error, "%s", message);
  return status;
}

[[noreturn]] void refuse_call(const std::string& what) {
  throw Error(ErrorKind::usage, "attention: " + what);
}

template <typename Body>
int guarded(const Body& body) noexcept {
  try {
    body();
    return HEADLIGHT_OK;
  } catch (const Error& error) {
    return failed(static_cast<int>(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(HEADLIGHT_NO_RESOURCES, "attention: not enough memory for its workspace.");
  } catch (const std::system_error& error) {  // a thread could not be started
    return failed(HEADLIGHT_NO_RESOURCES, error.what());
  } catch (const std::exception& error) {
    return failed(HEADLIGHT_BUG, error.what());
  } catch (...) {
    return failed(HEADLIGHT_BUG, "attention: an unknown exception.");
  }
}

AttentionShape cpp(const headlight_attention_shape& s) {
  return {.batch = s.batch,
          .heads = s.heads,
          .kv_heads = s.kv_heads,
          .queries = s.queries,
          .keys = s.keys,
          .head_dim = s.head_dim,
          .value_dim = s.value_dim,
          .query_starts = s.query_starts,
          .key_starts = s.key_starts};
}

template <typename E>
HeadTensor<const E> cpp(const headlight_input& x) {
  return {static_cast<const E*>(x.data), x.batch_stride, x.head_stride, x.row_stride};
}
template <typename E>
HeadTensor<E> cpp(const headlight_output& x) {
  return {static_cast<E*>(x.data), x.batch_stride, x.head_stride, x.row_stride};
}
template <typename T>
ScoreTensor<const T> cpp(const headlight_score_input& x) {
  return {static_cast<const T*>(x.data), x.batch_stride, x.head_stride, x.query_stride,
          x.key_stride};
}
template <typename T>
ScoreTensor<T> cpp(const headlight_score_output& x) {
  return {static_cast<T*>(x.data), x.batch_stride, x.head_stride, x.query_stride, x.key_stride};
}

Causal causal_of(int32_t value) {
  switch (value) {
    case HEADLIGHT_CAUSAL_NONE:
      return Causal::none;
    case HEADLIGHT_CAUSAL_TOP_LEFT:
      return Causal::top_left;
    case HEADLIGHT_CAUSAL_BOTTOM_RIGHT:
      return Causal::bottom_right;
    case HEADLIGHT_CAUSAL_OFFSET:
      return Causal::offset;
    default:
      refuse_call("causal is " + std::to_string(value) + "; it must be from 0 to 3.");
  }
}

template <typename T>
AttentionOptions<T> cpp(const headlight_attention_options* o) {
  if (!o) return {};
  return {.scale = o->scale,
          .softcap = o->softcap,
          .causal = causal_of(o->causal),
          .causal_offset = o->causal_offset,
          .window_left = o->window_left,
          .window_right = o->window_right,
          .key_lengths = o->key_lengths,
          .allowed = cpp<bool>(o->allowed),
          .mask = cpp<T>(o->mask),
          .bias = cpp<T>(o->bias),
          .sinks = static_cast<const T*>(o->sinks),
          .dropout = o->dropout,
          .seed = o->seed};
}

template <typename T>
AttentionStatistics<T> cpp(const headlight_attention_statistics& s) {
  const auto numbers = [](void* data) { return static_cast<T*>(data); };
  return {.entropy = numbers(s.entropy),
          .distance = numbers(s.distance),
          .first = numbers(s.first),
          .self = numbers(s.self),
          .previous = numbers(s.previous),
          .next = numbers(s.next),
          .local = numbers(s.local),
          .top = numbers(s.top),
          .top_key = s.top_key,
          .sink = numbers(s.sink),
          .received = numbers(s.received),
          .local_window = s.local_window};
}

Parallel cpp(const headlight_parallel* p) {
  if (!p) return {};
  return {.run = p->run, .pool = p->pool, .threads = p->threads};
}

template <typename E>
void forward(const headlight_forward& c, const headlight_attention_options* options,
             const headlight_parallel* parallel) {
  using T = Compute<E>;
  const AttentionForward<E> call{.shape = cpp(c.shape),
                                 .q = cpp<E>(c.q),
                                 .k = cpp<E>(c.k),
                                 .v = cpp<E>(c.v),
                                 .out = cpp<E>(c.out),
                                 .lse = static_cast<T*>(c.lse),
                                 .statistics = cpp<T>(c.statistics)};
  attention_forward<E>(call, cpp<T>(options), cpp(parallel));
}

template <typename E>
void backward(const headlight_backward& c, const headlight_attention_options* options,
              const headlight_parallel* parallel) {
  using T = Compute<E>;
  const AttentionBackward<E> call{.shape = cpp(c.shape),
                                  .q = cpp<E>(c.q),
                                  .k = cpp<E>(c.k),
                                  .v = cpp<E>(c.v),
                                  .out = cpp<E>(c.out),
                                  .grad_out = cpp<E>(c.grad_out),
                                  .lse = static_cast<const T*>(c.lse),
                                  .grad_q = cpp<E>(c.grad_q),
                                  .grad_k = cpp<E>(c.grad_k),
                                  .grad_v = cpp<E>(c.grad_v),
                                  .grad_bias = cpp<T>(c.grad_bias),
                                  .grad_sinks = static_cast<T*>(c.grad_sinks)};
  attention_backward<E>(call, cpp<T>(options), cpp(parallel));
}

// body(E()) with the element type E that data_type names.
template <typename Body>
void with_element(int data_type, const Body& body) {
  switch (data_type) {
    case HEADLIGHT_FLOAT32:
      return body(float());
    case HEADLIGHT_FLOAT64:
      return body(double());
    case HEADLIGHT_BFLOAT16:
      return body(BFloat16());
    case HEADLIGHT_FLOAT16:
      return body(Float16());
    default:
      refuse_call("data_type is " + std::to_string(data_type) + "; it must be from 0 to 3.");
  }
}

}  // namespace
}  // namespace headlight

extern "C" {

int headlight_attention_forward(int data_type, const headlight_forward* call,
                                const headlight_attention_options* options,
                                const headlight_parallel* parallel) {
  return headlight::guarded([&] {
    if (!call) headlight::refuse_call("call is null.");
    headlight::with_element(data_type, [&](auto element) {
      headlight::forward<decltype(element)>(*call, options, parallel);
    });
  });
}

int headlight_attention_backward(int data_type, const headlight_backward* call,
                                 const headlight_attention_options* options,
                                 const headlight_parallel* parallel) {
  return headlight::guarded([&] {
    if (!call) headlight::refuse_call("call is null.");
    headlight::with_element(data_type, [&](auto element) {
      headlight::backward<decltype(element)>(*call, options, parallel);
    });
  });
}

const char* headlight_last_error(void) { return headlight::last_error; }

const char* headlight_attention_isa(void) {
  const char* name = nullptr;
  headlight::guarded([&] { name = headlight::attention_isa(); });
  return name;
}

}  // extern "C"
