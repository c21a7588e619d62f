#include "train/processes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef USE_C10D_GLOO
#include <c10/util/Logging.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

namespace headlight::train {
namespace {

using namespace std::chrono_literals;

struct Launcher {
  const char *rank, *size;
  const char* on_this_host;  // how many processes; null: it does not say
};
// In the order in which they are asked: torchrun may run in an allocation of Slurm.
constexpr Launcher kLaunchers[] = {
    {"RANK", "WORLD_SIZE", nullptr},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"},
    // SLURM_NTASKS is there in a batch script too, which is one process whatever it says.
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", nullptr},
};

std::string variable(const char* name) {
  const char* text = name ? std::getenv(name) : nullptr;
  return text ? text : "";
}

int number_in(const char* name, int least, int most) {
  const std::string text = variable(name);
  int number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw Error(ErrorKind::usage,
                fmt::format("the environment's {} is \"{}\"; it must be a whole number from {} to "
                            "{}. A launcher such as torchrun sets it; unset it for one process",
                            name, text, least, most));
  return number;
}

struct Place {
  int rank = 0, size = 1;
  std::string address;  // of the first process
  int port = 0;
};

Place place_in_job() {
  for (const Launcher& launcher : kLaunchers) {
    if (variable(launcher.size).empty()) continue;
    Place place;
    place.size = number_in(launcher.size, 1, 1 << 20);
    if (place.size == 1) return {};
    place.rank = number_in(launcher.rank, 0, place.size - 1);
    place.address = variable("MASTER_ADDR");
    const bool one_host = variable(launcher.on_this_host) == variable(launcher.size);
    if (one_host && place.address.empty()) place.address = "127.0.0.1";
    if (place.address.empty() || (variable("MASTER_PORT").empty() && !one_host))
      throw Error(ErrorKind::usage,
                  fmt::format("{} is {}: for several processes the environment's {} must say where "
                              "they meet, an address of the host of rank 0 and a free port there. "
                              "Unset {} for one process",
                              launcher.size, place.size,
                              place.address.empty() ? "MASTER_ADDR and MASTER_PORT" : "MASTER_PORT",
                              launcher.size));
    place.port = variable("MASTER_PORT").empty() ? 29500 : number_in("MASTER_PORT", 1, 65535);
    return place;
  }
  return {};
}

constexpr int64_t kOtherError = 70;  // as a program says it: no Error, a bug

int64_t kind_of(const std::exception_ptr& problem) {
  try {
    std::rethrow_exception(problem);
  } catch (const Error& error) {
    return static_cast<int64_t>(error.kind());
  } catch (...) {
    return kOtherError;
  }
}

[[noreturn]] void fail_silently(int64_t kind) { throw Error(static_cast<ErrorKind>(kind), ""); }

}  // namespace

#ifdef USE_C10D_GLOO
namespace {

// How long one waits for the others; most of them are noticed at once when they are gone.
constexpr auto kToMeet = 5min, kForAStep = 30min, kForLongWork = std::chrono::minutes(24h);

// What an exception says first, without where in whose source it was and what to do about it.
std::string reason(const std::exception& problem) {
  std::string text = problem.what();
  text = text.substr(0, text.find('\n'));
  const size_t place = text.starts_with('[') ? text.find("] ") : std::string::npos;
  if (place != std::string::npos) text = text.substr(place + 2);
  text = text.substr(0, text.find(". This is typically"));
  return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

// The address of this host from which it reaches another, which is the one to be reached at.
std::string address_towards(const std::string& host, int port) {
  addrinfo wanted{}, *all = nullptr;
  wanted.ai_socktype = SOCK_DGRAM;
  const int problem = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &all);
  if (problem != 0)
    throw Error(ErrorKind::usage,
                fmt::format("MASTER_ADDR: {} is no host: {}", host, gai_strerror(problem)));
  const std::shared_ptr<addrinfo> owner(all, freeaddrinfo);
  // IPv4 first: of hosts that have both, all must choose the same.
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* one = all; one; one = one->ai_next) {
      if (one->ai_family != family) continue;
      const int end = socket(family, SOCK_DGRAM, 0);
      sockaddr_storage own{};
      auto* address = reinterpret_cast<sockaddr*>(&own);
      socklen_t size = sizeof(own);
      // Nothing is sent: this only asks for the way.
      const bool known = end >= 0 && connect(end, one->ai_addr, one->ai_addrlen) == 0 &&
                         getsockname(end, address, &size) == 0;
      if (end >= 0) close(end);
      char text[NI_MAXHOST];
      if (known && getnameinfo(address, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0)
        return text;
    }
  }
  throw Error(ErrorKind::usage, fmt::format("MASTER_ADDR: there is no way to {}", host));
}

}  // namespace

struct Processes::Group {
  int rank, size, on_this_host = 1;
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;

  explicit Group(const Place& place) : rank(place.rank), size(place.size) {
    // Writing to a process that is lost shall be an error that says so.
    std::signal(SIGPIPE, SIG_IGN);
    // What is fatal only: the rest says again, with stacks of calls, what the exceptions say.
    if (variable("TORCH_CPP_LOG_LEVEL").empty()) FLAGS_caffe2_log_level = 3;
    const std::string address = address_towards(place.address, place.port);
    try {
      c10d::TCPStoreOptions how;
      how.port = static_cast<uint16_t>(place.port);
      // torchrun keeps a store there itself.
      how.isServer = place.rank == 0 && variable("TORCHELASTIC_USE_AGENT_STORE") != "True";
      how.numWorkers = static_cast<size_t>(place.size);
      how.timeout = kToMeet;
      // torchrun's store outlives those who are started again, with what they left in it.
      store = c10::make_intrusive<c10d::PrefixStore>(
          "headlight/" + variable("TORCHELASTIC_RESTART_COUNT"),
          c10::make_intrusive<c10d::TCPStore>(place.address, how));
      char host[256] = {};
      gethostname(host, sizeof(host) - 1);
      const std::vector<uint8_t> name(host, host + std::string_view(host).size());
      store->set(fmt::format("host/{}", rank), name);
      on_this_host = 0;
      for (int other = 0; other < size; ++other)
        on_this_host += store->get(fmt::format("host/{}", other)) == name;
      const std::string interface = variable("GLOO_SOCKET_IFNAME");
      if (interface.empty() && on_this_host < size &&
          (address.starts_with("127.") || address == "::1"))
        throw Error(ErrorKind::usage,
                    fmt::format("MASTER_ADDR {} is {} on this host, where other hosts cannot reach "
                                "it: give an address of the network, or name the network's "
                                "interface in GLOO_SOCKET_IFNAME",
                                place.address, address));
      auto options = interface.empty() ? c10d::ProcessGroupGloo::Options::create(kToMeet)
                                       : c10d::ProcessGroupGloo::Options::create_default(kToMeet);
      if (interface.empty())
        options->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(address)};
      gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& problem) {
      throw LostProcess(
          fmt::format("process {} of {} does not meet the others at {}:{} ({}). All must be "
                      "started, and MASTER_PORT be free on the host of rank 0",
                      rank, size, place.address, place.port, reason(problem)));
    }
  }

  void sum(std::vector<at::Tensor> tensors, bool after_long_work) {
    c10d::AllreduceOptions how;
    how.timeout = after_long_work ? kForLongWork : kForAStep;
    finish([&] { return gloo->allreduce(tensors, how); });
  }

  void take_from_first(std::vector<at::Tensor> tensors) {
    c10d::BroadcastOptions how;
    how.timeout = kForLongWork;
    finish([&] { return gloo->broadcast(tensors, how); });
  }

 private:
  template <typename Start>
  void finish(const Start& start) {
    std::string why;
    try {
      start()->wait();
      return;
    } catch (const std::exception& problem) {
      why = reason(problem);
    }
    give_up(why);
  }

  // Finds out who is gone: whoever does not say that it is there. The first process says it to the
  // user, or all if it is the one.
  [[noreturn]] void give_up(const std::string& why) {
    gloo.reset();  // whoever waits for this process sees it at once
    const auto lives = [&](int other) { return store->check({fmt::format("lives/{}", other)}); };
    std::vector<int> silent;
    try {
      store->set(fmt::format("lives/{}", rank), std::string("yes"));
      for (int again = 0; again < 50; ++again) {
        silent.clear();
        for (int other = 0; other < size; ++other)
          if (!lives(other)) silent.push_back(other);
        if (silent.size() <= 1 || (rank != 0 && silent.front() != 0)) break;
        std::this_thread::sleep_for(100ms);
      }
    } catch (const std::exception&) {
      silent = {0};  // which kept the store, or its host did
    }
    if (rank != 0 && (silent.empty() || silent.front() != 0)) throw LostProcess("");
    if (silent.empty())
      throw LostProcess(fmt::format("the connection between the processes was lost ({})", why));
    throw LostProcess(fmt::format("{} {} of {} was lost ({})",
                                  silent.size() == 1 ? "process" : "one of the processes",
                                  fmt::join(silent, ", "), size, why));
  }
};

#else

struct Processes::Group {
  int rank, size, on_this_host;
  explicit Group(const Place&) {
    throw Error(ErrorKind::usage,
                "this headlight was built with a libtorch without process groups on Gloo and "
                "trains in one process; build it with the torch of PyPI, or unset WORLD_SIZE");
  }
  void sum(const std::vector<at::Tensor>&, bool) {}
  void take_from_first(const std::vector<at::Tensor>&) {}
};

#endif

Processes::Processes(std::shared_ptr<Group> group)
    : group_(std::move(group)),
      rank_(group_->rank),
      size_(group_->size),
      on_this_host_(group_->on_this_host) {}

void Processes::sum(const at::Tensor& tensor) const {
  if (group_) group_->sum({tensor.detach()}, false);
}

void Processes::take_from_first(const at::Tensor& tensor) const {
  if (group_) group_->take_from_first({tensor.detach()});
}

int64_t Processes::number_of_first(const std::function<int64_t()>& find) const {
  if (!group_) return find();
  const at::Tensor said = at::zeros({2}, at::kLong);  // the number; the kind of an error
  auto* numbers = said.data_ptr<int64_t>();
  std::exception_ptr problem;
  if (first()) {
    try {
      numbers[0] = find();
    } catch (...) {
      problem = std::current_exception();
      numbers[1] = kind_of(problem);
    }
  }
  try {
    take_from_first(said);
  } catch (const LostProcess&) {
    if (!problem) throw;
  }
  if (problem) std::rethrow_exception(problem);
  if (numbers[1] != 0) fail_silently(numbers[1]);
  return numbers[0];
}

std::string Processes::text_of_first(const std::function<std::string()>& find) const {
  std::string text;
  const int64_t length = number_of_first([&] {
    text = find();
    return static_cast<int64_t>(text.size());
  });
  text.resize(static_cast<size_t>(length));
  if (length > 0) take_from_first(at::from_blob(text.data(), {length}, at::kByte));
  return text;
}

void Processes::together(const std::function<void()>& work) const {
  if (!group_) return work();
  const at::Tensor kinds = at::zeros({size_}, at::kLong);  // of errors, a place for each process
  auto* kind = kinds.data_ptr<int64_t>();
  std::exception_ptr problem;
  try {
    work();
  } catch (...) {
    problem = std::current_exception();
    kind[rank_] = kind_of(problem);
  }
  group_->sum({kinds}, true);
  // Often all have the same to say.
  const int64_t* failed = std::find_if(kind, kind + size_, [](int64_t k) { return k != 0; });
  if (failed == kind + size_) return;
  if (failed == kind + rank_) std::rethrow_exception(problem);
  fail_silently(*failed);
}

Processes join_processes() {
  const Place place = place_in_job();
  if (place.size == 1) return {};
  return Processes(std::make_shared<Processes::Group>(place));
}

}  // namespace headlight::train
