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

bool is_beyond_ascii(char character) { return static_cast<unsigned char>(character) > 0x7F; }

/// Behind the string that begins at `at`, or at the end of the text; or at a character behind a
/// backslash and the blanks that it takes away, of which the parser asks whether it is one, too.
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
    if (!has_escapes || text[at] != '\\') {
      ++at;
      continue;
    }
    const std::string_view blanks = delimiter.size() == 1 ? " \t" : " \t\r\n";
    const std::size_t next = std::min(text.find_first_not_of(blanks, at + 1), text.size());
    if (next < text.size() && is_beyond_ascii(text[next])) {
      return next;
    }
    at = next == at + 1 ? at + 2 : next;
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
    } else if (is_beyond_ascii(text[at])) {
      return 1 + static_cast<std::uint32_t>(std::ranges::count(text.substr(0, at), '\n'));
    } else {
      ++at;
    }
  }
  return std::nullopt;
}

}  // namespace scenarios
