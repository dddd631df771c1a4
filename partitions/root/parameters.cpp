#include "partitions/root/parameters.h"

#include <limits>
#include <optional>

#include "hv/tlfs/synic.h"

namespace root {

namespace {

struct NumberKey {
  std::string_view name;
  std::uint32_t Parameters::* field;
  std::uint64_t least;
  std::uint64_t most;
};

// A plain array: g++ 12 does not place a std::array whose type it deduced in read-only memory.
constexpr NumberKey kNumberKeys[] = {
    {"children", &Parameters::children, 0, kMaxChildren},
    {"children_at_once", &Parameters::children_at_once, 1, kMaxChildren},
    {"child_processors", &Parameters::child_processors, 1, 8},
    {"child_memory_mib", &Parameters::child_memory_mib, 4, 1024},
    {"requests", &Parameters::requests, 0, 100'000'000},
    {"in_flight", &Parameters::in_flight, 1, 64},
    {"chunk_kib", &Parameters::chunk_kib, 4, 256},
    {"ring_kib", &Parameters::ring_kib, 4, 28},
    {"busy_us", &Parameters::busy_us, 0, 1'000'000},
    {"monitor_latency_us", &Parameters::monitor_latency_us, 0, 6000},
    {"bus_version", &Parameters::bus_version, 0x20004, 0x60000},
    {"child_bus_version", &Parameters::child_bus_version, 0x20004, 0x60000},
    {"padding_bytes", &Parameters::padding_bytes, 0, 511},
    {"timer_hz", &Parameters::timer_hz, 1, 1000},
    {"idle_ms", &Parameters::idle_ms, 0, 100'000'000},
    {"rounds", &Parameters::rounds, 0, 100'000'000},
    {"openings", &Parameters::openings, 0, 100'000'000},
    {"lying_children", &Parameters::lying_children, 0, kMaxLyingChildren},
    {"lying_processors", &Parameters::lying_processors, 1, 8},
    {"lies", &Parameters::lies, 0, 100'000'000},
    {"removals", &Parameters::removals, 0, 100'000'000},
    {"disks", &Parameters::disks, 1, 2},
    {"subchannels", &Parameters::subchannels, 0, 3},
    {"connections", &Parameters::connections, 0, 100'000'000},
    {"messages", &Parameters::messages, 0, 1000},
    {"calls", &Parameters::calls, 0, 100'000'000},
    {"liars_fail", &Parameters::liars_fail, 0, 1},
    {"moves", &Parameters::moves, 0, 100'000'000},
    {"data_disk", &Parameters::data_disk, 0, 3},
    {"scratch_disk", &Parameters::scratch_disk, 0, 3},
    {"scratch_mib", &Parameters::scratch_mib, 1, 1024},
};

std::optional<Workload> workload_named(std::string_view name) {
  if (name == "hello") {
    return Workload::kHello;
  }
  if (name == "idle") {
    return Workload::kIdle;
  }
  if (name == "work") {
    return Workload::kWork;
  }
  if (name == "storage") {
    return Workload::kStorage;
  }
  if (name == "plug") {
    return Workload::kPlug;
  }
  if (name == "stream") {
    return Workload::kStream;
  }
  if (name == "loop") {
    return Workload::kLoop;
  }
  return std::nullopt;
}

std::expected<void, kernel::ParameterError> add_loop(const kernel::Parameter& parameter,
                                                     Parameters& parameters) {
  if (parameters.loop_count == parameters.loops.size()) {
    return std::unexpected(kernel::ParameterError{parameter.line, "one connection too many"});
  }
  const auto loop = kernel::parse_loop_connection(parameter.value);
  if (!loop) {
    return std::unexpected(kernel::ParameterError{parameter.line, "no connection"});
  }
  parameters.loops[parameters.loop_count++] = *loop;
  return {};
}

std::expected<void, kernel::ParameterError> apply(const kernel::Parameter& parameter,
                                                  Parameters& parameters) {
  for (const NumberKey& key : kNumberKeys) {
    if (parameter.key == key.name) {
      return kernel::parse_into(parameter, key.least, key.most, parameters.*key.field);
    }
  }
  if (parameter.key == "seed") {
    const std::optional<std::uint64_t> seed = kernel::parse_number(parameter.value);
    if (!seed) {
      return std::unexpected(kernel::ParameterError{parameter.line, "not a number"});
    }
    parameters.seed = *seed;
    return {};
  }
  if (parameter.key == "connection") {
    return add_loop(parameter, parameters);
  }
  if (parameter.key == "workload") {
    const std::optional<Workload> workload = workload_named(parameter.value);
    if (!workload) {
      return std::unexpected(kernel::ParameterError{
          parameter.line, "not one of hello, idle, work, storage, plug, stream, loop"});
    }
    parameters.workload = *workload;
    return {};
  }
  return std::unexpected(kernel::ParameterError{parameter.line, "an unknown key"});
}

}  // namespace

std::string_view workload_name(Workload workload) {
  switch (workload) {
    case Workload::kHello:
      return "hello";
    case Workload::kIdle:
      return "idle";
    case Workload::kWork:
      return "work";
    case Workload::kStorage:
      return "storage";
    case Workload::kPlug:
      return "plug";
    case Workload::kLie:
      return "lie";
    case Workload::kStream:
      return "stream";
    case Workload::kFail:
      return "fail";
    case Workload::kLoop:
      return "loop";
  }
  return "";
}

std::expected<Parameters, kernel::ParameterError> parse_parameters(std::string_view text) {
  Parameters parameters;
  kernel::ParameterReader reader(text);
  while (true) {
    const auto line = reader.next();
    if (!line) {
      return std::unexpected(line.error());
    }
    if (!line->has_value()) {
      return parameters;
    }
    const auto applied = apply(**line, parameters);
    if (!applied) {
      return std::unexpected(applied.error());
    }
  }
}

}  // namespace root
