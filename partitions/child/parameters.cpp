#include "partitions/child/parameters.h"

#include <limits>
#include <optional>

namespace child {

namespace {

struct NumberKey {
  std::string_view name;
  std::uint32_t Parameters::* field;
};

// A plain array: g++ 12 does not place a std::array whose type it deduced in read-only memory.
constexpr NumberKey kNumberKeys[] = {
    {"number", &Parameters::number},
    {"requests", &Parameters::requests},
    {"in_flight", &Parameters::in_flight},
    {"chunk_kib", &Parameters::chunk_kib},
    {"ring_kib", &Parameters::ring_kib},
    {"busy_us", &Parameters::busy_us},
    {"padding_bytes", &Parameters::padding_bytes},
    {"timer_hz", &Parameters::timer_hz},
    {"idle_ms", &Parameters::idle_ms},
    {"rounds", &Parameters::rounds},
    {"openings", &Parameters::openings},
    {"lies", &Parameters::lies},
    {"subchannels", &Parameters::subchannels},
    {"connections", &Parameters::connections},
    {"messages", &Parameters::messages},
    {"calls", &Parameters::calls},
    {"moves", &Parameters::moves},
    {"monitor", &Parameters::monitor},
    {"bus_version", &Parameters::bus_version},
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
  if (name == "lie") {
    return Workload::kLie;
  }
  if (name == "stream") {
    return Workload::kStream;
  }
  if (name == "fail") {
    return Workload::kFail;
  }
  if (name == "loop") {
    return Workload::kLoop;
  }
  return std::nullopt;
}

std::expected<void, kernel::ParameterError> apply(const kernel::Parameter& parameter,
                                                  Parameters& parameters) {
  for (const NumberKey& key : kNumberKeys) {
    if (parameter.key == key.name) {
      return kernel::parse_into(parameter, 0, std::numeric_limits<std::uint32_t>::max(),
                                parameters.*key.field);
    }
  }
  if (parameter.key == "seed") {
    parameters.seed = kernel::parse_number(parameter.value).value_or(0);
    return {};
  }
  if (parameter.key == "connection") {
    const auto loop = kernel::parse_loop_connection(parameter.value);
    if (!loop || parameters.loop_count == parameters.loops.size()) {
      return std::unexpected(kernel::ParameterError{parameter.line, "no connection"});
    }
    parameters.loops[parameters.loop_count++] = *loop;
    return {};
  }
  if (parameter.key == "workload") {
    const std::optional<Workload> workload = workload_named(parameter.value);
    if (!workload) {
      return std::unexpected(kernel::ParameterError{parameter.line, "an unknown workload"});
    }
    parameters.workload = *workload;
    return {};
  }
  return std::unexpected(kernel::ParameterError{parameter.line, "an unknown key"});
}

}  // namespace

BusOptions bus_options(const Parameters& parameters) {
  BusOptions options;
  options.number = parameters.number;
  options.monitored = parameters.monitor != 0;
  options.newest_version = vmbus::version_or(parameters.bus_version, options.newest_version);
  return options;
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

}  // namespace child
