// Ratios, measured side by side in one process: what a benchmark costs against its peer.
#pragma once

#include <benchmark/benchmark.h>

#include <boost/context/fiber.hpp>
#include <chrono>
#include <cstdint>

namespace bench {

/// Wall time of one call, in nanoseconds.
template <class Work>
[[nodiscard]] double nanoseconds_of(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
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
  return nanoseconds_of([&] {
           for (int trip = 0; trip < kRoundTrips; ++trip) {
             other = std::move(other).resume();
           }
         }) /
         (2.0 * kRoundTrips);
}

/// Reports how many Boost.Context switches one operation cost, given both in this iteration.
class SwitchRatio {
 public:
  void add(double operation_ns) {
    operations_ += operation_ns;
    switches_ += boost_switch_ns();
  }
  void report(benchmark::State& state) const {
    const auto runs = static_cast<double>(state.iterations());
    state.counters["ns"] = operations_ / runs;
    state.counters["boost_switches"] = operations_ / switches_;
  }

 private:
  double operations_ = 0;
  double switches_ = 0;
};

}  // namespace bench
