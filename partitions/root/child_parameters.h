// The text that tells a child what to do (partitions/child/parameters.h).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "partitions/root/parameters.h"

namespace root {

class ChildParameterText {
 public:
  ChildParameterText(const Parameters& parameters, std::uint32_t child_number);
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint64_t value);

  std::array<char, 1024> text_{};
  std::size_t size_ = 0;
};

}  // namespace root
