// The texts of the boot pages: what a root makes of its own, and a child of its root's.
#include <cstdlib>
#include <string_view>

#include "partitions/child/parameters.h"
#include "partitions/root/parameters.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

/// An error names a line and says something.
template <class Parsed>
void check(const Parsed& parsed) {
  if (!parsed && (parsed.error().line == 0 || parsed.error().problem.empty())) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(root::parse_parameters(text));
  check(child::parse_parameters(text));
  return 0;
}
