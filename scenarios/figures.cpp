#include "scenarios/figures.h"

#include <fmt/format.h>

namespace scenarios {

std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t place = text.size(); place > 3; place -= 3) {
    text.insert(place - 3, 1, ',');
  }
  return text;
}

std::string seconds_text(std::uint64_t ns) {
  return fmt::format("{}.{:03} s", ns / 1'000'000'000, ns / 1'000'000 % 1000);
}

std::uint64_t per_second(std::uint64_t count, std::uint64_t ns) {
  return ns == 0 ? 0
                 : static_cast<std::uint64_t>(static_cast<double>(count) * 1e9 /
                                              static_cast<double>(ns));
}

}  // namespace scenarios
