// What the root is told: the `key=value` lines of its boot page. A line that begins with '#' is a
// remark. An unknown key or a bad value is logged and the root powers off without a child.
//
//   key                 default   meaning
//   children            1         child partitions to create, 0..1024
//   children_at_once    1024      how many of them may exist at the same time, 1..1024
//   child_processors    1         VPs of each, 1..8
//   child_memory_mib    16        RAM of each, 4..1024
//   workload            hello     what each does: hello, idle, work, storage, plug, stream, loop
//   lying_children      0         how many children lie to everybody at any time while the others
//                                 work, 0..16; they are counted on behind the others
//   liars_fail          0         1: these do not lie; each uses a disk, its channel being taken
//                                 away now and then, until it falls silent, crashes or leaves
//   lying_processors    2         VPs of each of these, 1..8
//   lies                1000      how many lies each tells before another takes its place
//   seed                1         of the workloads' own random numbers; child n uses seed + n
//   requests            1000      storage: verified random requests on the scratch range
//   in_flight           8         storage: requests in flight, 1..64
//   chunk_kib           64        storage: size of one read of the whole first disk, 4..256
//   ring_kib            28        storage: data that one ring of a disk's channel holds, 4..28
//   busy_us             0         storage: how long a child computes after every 64th random
//                                 request, and hears nobody, 0..1000000
//   bus_version         6.0       the newest version that the bus speaks, the major number times
//                                 65536 and the minor; before 5.0 it has one connection for
//                                 messages
//   monitor_latency_us  0         how late a signal by way of a child's monitor page may be; 0:
//   each
//                                 signal is a hypercall, 0..6000
//   child_bus_version   5.3       the newest that a child asks for
//   padding_bytes       0         storage: zeros behind the first disk's own content that fill its
//                                 last sector; no part of its digest, 0..511
//   timer_hz            100       idle: rate of the periodic timer of each VP, 1..1000
//   idle_ms             1000      idle: how long
//   rounds              100       work: rounds of computing, allocating and signalling
//   openings            100       plug: how often a child opens its disk
//   removals            0         plug: how often the root takes a channel away and brings it back;
//                                 storage: the same of sub-channels
//   disks               1         plug: how many disks there are, all of the same content, 1..2
//   subchannels         0         storage, plug: how many sub-channels each disk may have, 0..3
//   connections         20        stream: how many streams to services a child asks for
//   messages            8         stream: how many messages go through each; loop: how many
//                                 each VP sends through each
//   calls               0         stream: how many streams to services of a child the root asks for
//   moves               0         storage: how often a child moves a channel of its second disk to
//                                 another of its processors
//   data_disk           0         storage, plug: ATA disk that the children may read, 0..3
//   scratch_disk        1         storage: ATA disk that holds the scratch ranges, 0..3
//   scratch_mib         4         storage: scratch range of each child, 1..1024
//   connection          none      ID SINT VP FLAGS: a connection of each child to a port of its
//                                 own, with FLAGS event flags, or for messages if that is 0; VP
//                                 0xFFFFFFFF is any; up to eight such lines
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string_view>

#include "partitions/kernel/loop_connection.h"
#include "partitions/kernel/parameters.h"

namespace root {

inline constexpr std::uint32_t kMaxChildren = 1024;
inline constexpr std::uint32_t kMaxLyingChildren = 16;

enum class Workload : std::uint8_t {
  kHello,
  kIdle,
  kWork,
  kStorage,
  kPlug,
  kLie,
  kStream,
  kFail,
  kLoop,
};

struct Parameters {
  std::uint32_t children = 1;
  std::uint32_t children_at_once = kMaxChildren;
  std::uint32_t child_processors = 1;
  std::uint32_t child_memory_mib = 16;
  Workload workload = Workload::kHello;
  std::uint64_t seed = 1;
  std::uint32_t requests = 1000;
  std::uint32_t in_flight = 8;
  std::uint32_t chunk_kib = 64;
  std::uint32_t ring_kib = 28;
  std::uint32_t busy_us = 0;
  std::uint32_t monitor_latency_us = 0;
  std::uint32_t bus_version = 0x60000;
  std::uint32_t child_bus_version = 0x50003;
  std::uint32_t padding_bytes = 0;
  std::uint32_t timer_hz = 100;
  std::uint32_t idle_ms = 1000;
  std::uint32_t rounds = 100;
  std::uint32_t openings = 100;
  std::uint32_t lying_children = 0;
  std::uint32_t lying_processors = 2;
  std::uint32_t lies = 1000;
  std::uint32_t liars_fail = 0;
  std::uint32_t removals = 0;
  std::uint32_t disks = 1;
  std::uint32_t subchannels = 0;
  std::uint32_t moves = 0;
  std::uint32_t connections = 20;
  std::uint32_t messages = 8;
  std::uint32_t calls = 0;
  std::uint32_t data_disk = 0;
  std::uint32_t scratch_disk = 1;
  std::uint32_t scratch_mib = 4;
  std::array<kernel::LoopConnection, kernel::kMaxLoopConnections> loops{};
  std::uint32_t loop_count = 0;
};

[[nodiscard]] std::string_view workload_name(Workload workload);
[[nodiscard]] constexpr bool uses_disks(Workload workload) {
  return workload == Workload::kStorage || workload == Workload::kPlug;
}
/// Whether a child has a bus, with or without disks on it.
[[nodiscard]] constexpr bool uses_bus(Workload workload) {
  return uses_disks(workload) || workload == Workload::kLie || workload == Workload::kStream ||
         workload == Workload::kFail;
}

/// Reads the text. On failure tells the line and what is wrong with it.
[[nodiscard]] std::expected<Parameters, kernel::ParameterError> parse_parameters(
    std::string_view text);

}  // namespace root
