// Where the next lie comes from: random numbers in a scenario, a fuzzer's bytes in a test.
#pragma once

#include <cstdint>

namespace child {

class LieSource {
 public:
  [[nodiscard]] virtual std::uint64_t next() = 0;
  /// A number in [0, limit); limit is not 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return next() % limit; }
  [[nodiscard]] bool one_in(std::uint64_t count) { return below(count) == 0; }

 protected:
  ~LieSource() = default;
};

}  // namespace child
