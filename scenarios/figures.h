// Figures as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace scenarios {

/// 1234567 as 1,234,567.
[[nodiscard]] std::string grouped(std::uint64_t number);
/// Nanoseconds as "12.345 s".
[[nodiscard]] std::string seconds_text(std::uint64_t ns);
/// How many a second; 0 if no time passed.
[[nodiscard]] std::uint64_t per_second(std::uint64_t count, std::uint64_t ns);

}  // namespace scenarios
