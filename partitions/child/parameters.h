// What a child is told: the `key=value` lines that the root writes into its boot page.
//
//   key          meaning
//   workload     hello, idle, work, storage, plug, lie, stream, fail, loop
//   number       the child's, as the root counts; for traces only
//   seed         of the child's own random numbers
//   requests     storage: verified random requests on the scratch disk
//   in_flight    storage: requests in flight
//   chunk_kib    storage: size of one read of the whole first disk
//   ring_kib     storage: data that one ring of a disk's channel holds
//   busy_us      storage: how long it computes after every 64th random request, and hears nobody
//   padding_bytes  storage: zeros at the end of the first disk that are not hashed
//   timer_hz     idle: rate of the periodic timer
//   idle_ms      idle: how long
//   rounds       work: rounds
//   openings     plug: how often it opens the disk
//   lies         lie: how many it tells
//   subchannels  storage, plug: how many sub-channels it asks for, for each disk
//   moves        storage: how often it moves a channel of the second disk to another processor
//   connections  stream: how many it asks for
//   messages     stream: how many go through each; loop: how many each VP sends through each
//   calls        stream: how many calls of the root it takes
//   connection   loop: ID SINT VP FLAGS of a connection to a port of its own; up to eight lines
//   monitor      1: it signals by way of a monitor page where the root offers that
//   bus_version  the newest of VMBus that it asks for: the major number times 65536 and the minor
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string_view>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/kernel/loop_connection.h"
#include "partitions/kernel/parameters.h"

namespace child {

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
  Workload workload = Workload::kHello;
  std::uint32_t number = 0;
  std::uint64_t seed = 1;
  std::uint32_t requests = 1000;
  std::uint32_t in_flight = 8;
  std::uint32_t chunk_kib = 64;
  std::uint32_t ring_kib = 28;
  std::uint32_t busy_us = 0;
  std::uint32_t padding_bytes = 0;
  std::uint32_t timer_hz = 100;
  std::uint32_t idle_ms = 1000;
  std::uint32_t rounds = 100;
  std::uint32_t openings = 100;
  std::uint32_t lies = 1000;
  std::uint32_t subchannels = 0;
  std::uint32_t moves = 0;
  std::uint32_t connections = 20;
  std::uint32_t messages = 8;
  std::uint32_t calls = 0;
  std::uint32_t monitor = 0;
  std::uint32_t bus_version = 0x50003;
  std::array<kernel::LoopConnection, kernel::kMaxLoopConnections> loops{};
  std::uint32_t loop_count = 0;
};

/// What the parameters say of the child's bus.
[[nodiscard]] BusOptions bus_options(const Parameters& parameters);

[[nodiscard]] std::expected<Parameters, kernel::ParameterError> parse_parameters(
    std::string_view text);

}  // namespace child
