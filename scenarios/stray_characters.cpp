#include "scenarios/stray_characters.h"

#include <algorithm>

namespace scenarios {
namespace {

/// What ends the string that begins at `at`; empty if none begins there. A quote inside of a number
/// or of a bare word begins none: the parser reads on, past what looks like the string's content.
std::string_view delimiter_at(std::string_view text, std::size_t at) {
  constexpr std::string_view kBeforeStrings = " \t\r\n=[,{";
  if (at != 0 && !kBeforeStrings.contains(text[at - 1])) {
    return {};
  }
  for (const std::string_view delimiter : {"\"\"\"", "'''", "\"", "'"}) {
    if (text.substr(at).starts_with(delimiter)) {
      return delimiter;
    }
  }
  return {};
}

/// Behind the string or the comment that begins at `at`, or at the end of the text.
std::size_t end_of_string(std::string_view text, std::size_t at, std::string_view delimiter) {
  const bool has_escapes = delimiter.front() == '"';
  at += delimiter.size();
  while (at < text.size()) {
    if (text.substr(at).starts_with(delimiter)) {
      return at + delimiter.size();
    }
    if (delimiter.size() == 1 && text[at] == '\n') {
      return at;  // it was not closed: what follows is a line as any other
    }
    at += has_escapes && text[at] == '\\' ? 2 : 1;
  }
  return text.size();
}

}  // namespace

std::optional<std::uint32_t> find_stray_character(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::size_t at = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (at < text.size()) {
    const std::string_view delimiter = delimiter_at(text, at);
    if (!delimiter.empty()) {
      at = end_of_string(text, at, delimiter);
    } else if (text[at] == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (static_cast<unsigned char>(text[at]) > 0x7F) {
      return 1 + static_cast<std::uint32_t>(std::ranges::count(text.substr(0, at), '\n'));
    } else {
      ++at;
    }
  }
  return std::nullopt;
}

}  // namespace scenarios
