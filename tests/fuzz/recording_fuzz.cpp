// Recordings that were damaged on the way or made up: contents or an error, never an end. The outer
// layer is a checksum, which a fuzzer does not get past: so the contents are packed here.
#include <cstdlib>

#include "scenarios/recording.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/recording_envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const auto as_it_is = scenarios::unpack(bytes);
  if (!as_it_is && as_it_is.error().empty()) {
    std::abort();
  }
  const auto sealed = scenarios::unpack(recording_envelope::file_of(bytes));
  if (sealed ? !scenarios::unpack(scenarios::pack(*sealed)) : sealed.error().empty()) {
    std::abort();
  }
  return 0;
}
