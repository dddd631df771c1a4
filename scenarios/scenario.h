// Scenario files: what to run, what to look at, when to stop.
//
// This folder turns a scenario into worlds, runs them, judges what came out and tells about it: the
// command line `chronovisor` and the tests call it. It may include everything. Programs above the
// seam know nothing of it: what they are to do reaches them as `key=value` lines in a boot module.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmbus/protocol/version.h"

namespace scenarios {

enum class WorkloadKind : std::uint8_t { kHello, kIdle, kWork, kStorage, kPlug, kStream, kLoop };

[[nodiscard]] std::string_view name_of(WorkloadKind kind);

struct MachineDescription {
  std::uint32_t logical_processors = 1;
  std::uint32_t memory_mib = 256;
  std::uint32_t tsc_mhz = 2500;
};

enum class DiskContent : std::uint8_t {
  kZeros,
  /// The ext4 file system that the build makes (scenarios/disk_image.sh).
  kExt4Image,
  /// The file that `file` names, relative to the scenario's folder.
  kFile,
};

struct DiskDescription {
  std::string name;
  DiskContent content = DiskContent::kZeros;
  std::string file;
  /// 0: as large as its content.
  std::uint32_t size_mib = 0;
  std::uint32_t write_cache_sectors = 0;
};

/// A connection of each child to a port of its own.
struct LoopDescription {
  static constexpr std::uint32_t kAnyVp = 0xFFFF'FFFF;
  std::uint32_t id = 0;
  /// For events; otherwise for messages.
  bool event = false;
  std::uint32_t sint = 0;
  std::uint32_t vp = kAnyVp;
  /// Of an event port.
  std::uint32_t flags = 1;
};

struct PartitionsDescription {
  std::uint32_t children = 1;
  std::uint32_t children_at_once = 1;
  std::uint32_t processors = 1;
  std::uint32_t memory_mib = 16;
  /// The newest versions of VMBus that the root speaks, and that a child asks for.
  vmbus::Version bus = vmbus::Version::kCopper;
  vmbus::Version child_bus = vmbus::Version::kIron;
  /// How late a child's signal by way of its monitor page may be; 0: it has none.
  std::uint32_t monitor_latency_us = 0;
  std::vector<LoopDescription> loops{};
};

/// Children that lie to the hypervisor and to the root while the others work.
struct LiarsDescription {
  std::uint32_t at_once = 0;
  std::uint32_t processors = 2;
  /// Each tells so many, then another takes its place.
  std::uint32_t lies = 1000;
  /// They do not lie: each uses a disk until it falls silent, crashes or leaves.
  bool fail = false;
};

struct WorkloadDescription {
  WorkloadKind kind = WorkloadKind::kHello;
  // idle
  std::uint32_t timer_hz = 100;
  std::uint64_t duration_ms = 1000;
  // work
  std::uint32_t rounds = 100;
  // plug
  std::uint32_t openings = 100;
  std::uint32_t removals = 0;
  std::uint32_t disks = 1;
  std::uint32_t subchannels = 0;
  std::uint32_t moves = 0;
  // stream
  std::uint32_t connections = 20;
  std::uint32_t messages = 8;
  std::uint32_t calls = 0;
  // storage; disks are indices into Scenario::disks
  std::uint32_t requests = 1000;
  std::uint32_t in_flight = 8;
  std::uint32_t chunk_kib = 64;
  std::uint32_t ring_kib = 28;
  std::uint32_t busy_us = 0;
  std::uint32_t scratch_mib = 4;
  std::uint32_t data_disk = 0;
  std::uint32_t scratch_disk = 0;
};

/// What must be true of a finished run besides the properties that the programs declare themselves.
struct PropertiesDescription {
  /// Declared properties that must have been evaluated: one that was never reached held by luck.
  std::vector<std::string> evaluated;
  /// Coverage goals that must have been true at least once.
  std::vector<std::string> reached;
  /// Texts that some line of the guests' log must contain.
  std::vector<std::string> logged;
  /// Each child logs the SHA-256 of the data disk, and it is right.
  bool data_disk_digest = false;
  /// Each child logs the SHA-256 of its scratch range at its end, after a flush, and the medium
  /// still holds just that when the power has gone.
  bool scratch_disk_digest = false;
};

/// A choice that is otherwise always the ordinary course: one in so many answers is drawn.
struct Chance {
  std::string site;
  std::uint32_t one_in = 1;
};

struct LimitsDescription {
  std::uint64_t virtual_ns = 0;
  std::uint64_t operations = ~std::uint64_t{0};
  std::uint32_t watchdog_seconds = 20;
};

struct Scenario {
  std::string name;
  std::string description;
  MachineDescription machine;
  std::vector<DiskDescription> disks;
  PartitionsDescription partitions;
  LiarsDescription liars;
  WorkloadDescription workload;
  std::vector<Chance> chances;
  PropertiesDescription properties;
  LimitsDescription limits;
  /// The file's own text and where it came from.
  std::string text;
  std::filesystem::path path;
};

/// Why a scenario was refused. what() is one line: file, line, key, what is wrong, what would be
/// right.
struct ScenarioError {
  std::string file;
  std::uint32_t line = 0;
  std::string key;
  std::string problem;
  [[nodiscard]] std::string what() const;
};

inline constexpr std::size_t kMaxScenarioBytes = 256 * 1024;

/// Reads a scenario's text; `path` is what messages call it. Accepts any bytes: whatever is not a
/// scenario is refused.
[[nodiscard]] std::expected<Scenario, ScenarioError> parse_scenario(
    std::string_view text, const std::filesystem::path& path);

[[nodiscard]] std::expected<Scenario, ScenarioError> load_scenario(
    const std::filesystem::path& path);

/// "90s", "250 ms", "10min", "5us", "7ns" as nanoseconds.
[[nodiscard]] std::optional<std::uint64_t> parse_duration(std::string_view text);

}  // namespace scenarios
