// What a benchmark costs against its peer, measured side by side in one process: time of the
// calling thread alone, instructions where the machine counts them, medians of neighbouring pairs.
#pragma once

#include <benchmark/benchmark.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <cstdint>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

namespace bench {

/// Time of the calling thread: what else the machine does meanwhile does not count.
[[nodiscard]] inline double thread_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Instructions that the calling thread executes in user mode, if the machine counts them.
class InstructionCounter {
 public:
  InstructionCounter() {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    descriptor_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  }
  ~InstructionCounter() {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
  }
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;

  [[nodiscard]] std::optional<std::uint64_t> read() const {
    std::uint64_t count = 0;
    if (descriptor_ < 0 || ::read(descriptor_, &count, sizeof count) != sizeof count) {
      return std::nullopt;
    }
    return count;
  }

 private:
  int descriptor_ = -1;
};

/// Between the start, after a warm-up, and the stop, both called from inside what is measured.
class Stopwatch {
 public:
  void start() {
    first_instruction_ = instructions_.read();
    started_ns_ = thread_nanoseconds();
  }
  void stop() {
    elapsed_ns_ = thread_nanoseconds() - started_ns_;
    const std::optional<std::uint64_t> last = instructions_.read();
    executed_.reset();
    if (first_instruction_ && last) {
      executed_ = static_cast<double>(*last - *first_instruction_);
    }
  }
  [[nodiscard]] double nanoseconds() const { return elapsed_ns_; }
  [[nodiscard]] std::optional<double> instructions() const { return executed_; }

 private:
  InstructionCounter instructions_;
  std::optional<std::uint64_t> first_instruction_;
  double started_ns_ = 0;
  double elapsed_ns_ = 0;
  std::optional<double> executed_;
};

/// The program in a world is a plain function, so its stopwatch is found here.
inline Stopwatch& stopwatch() {
  static Stopwatch instance;
  return instance;
}

/// The middle one: what the machine does besides spoils single measurements.
[[nodiscard]] inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// One switch of plain Boost.Context fibers, in nanoseconds, measured now.
[[nodiscard]] inline double boost_switch_ns() {
  constexpr int kRoundTrips = 200'000;
  boost::context::fiber other([](boost::context::fiber&& back) {
    for (;;) {
      back = std::move(back).resume();
    }
    return std::move(back);
  });
  other = std::move(other).resume();
  const double start = thread_nanoseconds();
  for (int trip = 0; trip < kRoundTrips; ++trip) {
    other = std::move(other).resume();
  }
  return (thread_nanoseconds() - start) / (2.0 * kRoundTrips);
}

/// What one operation cost in each iteration, beside one Boost.Context switch in the same.
class SwitchRatio {
 public:
  void add(double operation_ns, std::optional<double> instructions = std::nullopt) {
    const double boost = boost_switch_ns();
    nanoseconds_.push_back(operation_ns);
    ratios_.push_back(operation_ns / boost);
    if (instructions) {
      instructions_.push_back(*instructions);
    }
  }
  /// What the stopwatch measured last.
  void add_measured(std::uint64_t operations) {
    const auto count = static_cast<double>(operations);
    std::optional<double> instructions = stopwatch().instructions();
    if (instructions) {
      *instructions /= count;
    }
    add(stopwatch().nanoseconds() / count, instructions);
  }
  void report(benchmark::State& state, const char* ratio = "boost_switches",
              const char* nanoseconds = "ns") const {
    state.counters[nanoseconds] = median(nanoseconds_);
    state.counters[ratio] = median(ratios_);
    if (!instructions_.empty()) {
      state.counters["instructions"] = median(instructions_);
    }
  }

 private:
  std::vector<double> nanoseconds_;
  std::vector<double> ratios_;
  std::vector<double> instructions_;
};

}  // namespace bench
