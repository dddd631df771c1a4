// A double of the part of the seam that vmbus/ uses: guest memory is a vector, every access, trace
// and coverage goal is recorded. For tests on one thread without a machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace seam_record {

enum class AccessKind : std::uint8_t { kLoad, kStore, kRead, kWrite, kFence };

struct Access {
  AccessKind kind = AccessKind::kFence;
  std::uint64_t address = 0;
  std::uint64_t value_or_size = 0;  // of words the value, of copies the size
  friend bool operator==(const Access&, const Access&) = default;
};

struct Trace {
  std::string site;
  std::uint64_t id = 0;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
};

struct Record {
  std::vector<std::byte> memory = std::vector<std::byte>(1 << 20);
  std::vector<Access> accesses;
  std::vector<Trace> traces;
  std::map<std::string, int> reached;
};

Record& record();
void clear();
/// The memory stays as it is: filling it takes longer than most tests of a fuzzer.
void forget_what_happened();

/// How many traces of this site were recorded.
std::size_t count_traces(const std::string& site);

}  // namespace seam_record
