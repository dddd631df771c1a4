// Reads `key=value` lines. Takes the text apart and converts values; which keys exist is the
// business of whoever reads them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace kernel {

struct ParameterError {
  std::uint32_t line = 0;
  /// What is wrong, for people.
  std::string_view problem;
  friend constexpr bool operator==(const ParameterError&, const ParameterError&) = default;
};

struct Parameter {
  std::string_view key;
  std::string_view value;
  std::uint32_t line = 0;
};

/// Goes through the lines of a text, which must outlive it. Empty lines and lines that begin with
/// '#' are passed over.
class ParameterReader {
 public:
  explicit constexpr ParameterReader(std::string_view text) : rest_(text) {}

  /// The next line taken apart; nullopt at the end of the text; an error for a line without a key
  /// or without '='.
  [[nodiscard]] std::expected<std::optional<Parameter>, ParameterError> next();

 private:
  std::string_view rest_;
  std::uint32_t line_ = 0;
};

/// A decimal number, or a hexadecimal one after 0x; nullopt for anything else or beyond 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

/// Stores the value in `target` if it is a number in [least, most]; otherwise tells why not.
[[nodiscard]] std::expected<void, ParameterError> parse_into(const Parameter& parameter,
                                                             std::uint64_t least,
                                                             std::uint64_t most,
                                                             std::uint32_t& target);

}  // namespace kernel
