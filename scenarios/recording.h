// A recording: everything that a run read and decided, in one file that needs no other.
//
//   bytes   content
//   0..7    "CHRONREC"
//   8..15   version (u32), zero (u32)
//   16..23  size of what follows the header, compressed
//   24..31  size of it when unpacked
//   32..39  XXH3 of the compressed bytes
//   40..    zstd: see Recording and ByteWriter; numbers are little endian
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/decision_log.h"
#include "scenarios/run.h"

namespace scenarios {

struct Recording {
  /// What made it; another build may go another way.
  std::string build;
  std::string scenario_path;
  std::string scenario_text;
  std::uint64_t seed = 0;
  std::optional<std::uint64_t> until_ns;
  /// Content of each disk, null for zeros.
  std::vector<std::shared_ptr<const sim::Bytes>> disks;
  DecisionLog log;
  /// How the run ended.
  sim::Outcome outcome = sim::Outcome::kHarnessError;
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  std::uint64_t virtual_ns = 0;
};

[[nodiscard]] Recording make_recording(const RunRequest& request, const RunReport& report,
                                       DecisionLog log);

/// The file's bytes, and back. Reading accepts any bytes; the error is one line for people.
[[nodiscard]] sim::Bytes pack(const Recording& recording);
[[nodiscard]] std::expected<Recording, std::string> unpack(std::span<const std::byte> bytes);

/// Writes beside the place and moves there, so that no half file stays under the name.
[[nodiscard]] std::expected<void, std::string> write_recording(const Recording& recording,
                                                               const std::filesystem::path& path);
[[nodiscard]] std::expected<Recording, std::string> read_recording(
    const std::filesystem::path& path);

/// The running program, told apart from other builds of it.
[[nodiscard]] const std::string& build_identity();

}  // namespace scenarios
