#include "partitions/kernel/loop_connection.h"

#include <limits>

#include "hv/tlfs/synic.h"
#include "partitions/kernel/parameters.h"

namespace kernel {

namespace {

/// Takes the word up to the next blank off the front.
std::string_view take_word(std::string_view& rest) {
  const std::size_t end = rest.find(' ');
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return word;
}

}  // namespace

std::optional<LoopConnection> parse_loop_connection(std::string_view text) {
  LoopConnection loop;
  std::string_view rest = text;
  for (std::uint32_t* const field : {&loop.id, &loop.sint, &loop.vp, &loop.flags}) {
    const std::optional<std::uint64_t> number = parse_number(take_word(rest));
    if (!number || *number > std::numeric_limits<std::uint32_t>::max()) {
      return std::nullopt;
    }
    *field = static_cast<std::uint32_t>(*number);
  }
  if (!rest.empty() || loop.sint >= hv::kSintCount || loop.flags > hv::kEventFlagsPerSint) {
    return std::nullopt;
  }
  return loop;
}

}  // namespace kernel
