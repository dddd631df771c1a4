#include "partitions/kernel/parameters.h"

#include <limits>

namespace kernel {

std::expected<std::optional<Parameter>, ParameterError> ParameterReader::next() {
  while (!rest_.empty()) {
    ++line_;
    const std::size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      return std::unexpected(ParameterError{line_, "a line without '='"});
    }
    if (equals == 0) {
      return std::unexpected(ParameterError{line_, "a line without a key"});
    }
    return Parameter{line.substr(0, equals), line.substr(equals + 1), line_};
  }
  return std::optional<Parameter>();
}

namespace {

/// The digit's value, or 16 for a character that is none.
constexpr std::uint64_t digit_value(char character) {
  if (character >= '0' && character <= '9') {
    return static_cast<std::uint64_t>(character - '0');
  }
  if (character >= 'a' && character <= 'f') {
    return static_cast<std::uint64_t>(character - 'a') + 10;
  }
  if (character >= 'A' && character <= 'F') {
    return static_cast<std::uint64_t>(character - 'A') + 10;
  }
  return 16;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  }
  if (text.empty()) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (const char character : text) {
    const std::uint64_t digit = digit_value(character);
    if (digit >= base || number > (std::numeric_limits<std::uint64_t>::max() - digit) / base) {
      return std::nullopt;
    }
    number = number * base + digit;
  }
  return number;
}

std::expected<void, ParameterError> parse_into(const Parameter& parameter, std::uint64_t least,
                                               std::uint64_t most, std::uint32_t& target) {
  const std::optional<std::uint64_t> number = parse_number(parameter.value);
  if (!number) {
    return std::unexpected(ParameterError{parameter.line, "not a number"});
  }
  if (*number < least || *number > most) {
    return std::unexpected(ParameterError{parameter.line, "out of range"});
  }
  target = static_cast<std::uint32_t>(*number);
  return {};
}

}  // namespace kernel
