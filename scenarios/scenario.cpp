#include "scenarios/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>

#include "partitions/kernel/root_services.h"
#include "scenarios/stray_characters.h"
#include "scenarios/table_reader.h"

namespace scenarios {
namespace {

constexpr std::uint64_t kMaxVirtualNs = 7ULL * 24 * 3600 * 1'000'000'000;
constexpr std::size_t kMaxDisks = 4;
constexpr std::size_t kMaxLoops = 8;
/// What the hypervisor's pool and the root's image take of the machine's memory, generously.
constexpr std::uint32_t kRootMib = 64;
constexpr std::uint32_t kMaxChildren = 1024;

MachineDescription read_machine(TableReader& root, const std::string& file) {
  root.require("machine", "a table [machine]");
  TableReader table(*root.table("machine"), "machine", file);
  MachineDescription machine;
  table.require("logical_processors", "how many the computer has");
  table.number("logical_processors", {1, 64, ""}, machine.logical_processors);
  table.require("memory_mib", "the computer's RAM in MiB");
  table.number("memory_mib", {128, 65536, "MiB"}, machine.memory_mib);
  table.number("tsc_mhz", {100, 10000, "MHz"}, machine.tsc_mhz);
  table.finish();
  return machine;
}

DiskDescription read_disk(const toml::table& node, const std::string& path,
                          const std::string& file) {
  TableReader table(node, path, file);
  DiskDescription disk;
  table.require("name", "what the workload calls the disk");
  table.text("name", disk.name);
  if (disk.name.size() > 20) {
    table.refuse("name", "is too long; expected are at most 20 characters");
  }
  for (const char character : disk.name) {
    if (character < '!' || character > '~') {
      table.refuse("name", "holds a blank or a character beyond ASCII");
    }
  }
  std::size_t content = 0;
  table.choice("content", {"zeros", "ext4-image", "file"}, content);
  disk.content = static_cast<DiskContent>(content);
  if (disk.content == DiskContent::kFile) {
    table.require("file", "the path of the disk's content");
    table.text("file", disk.file);
  } else {
    table.forbid("file", "means nothing here; only content = \"file\" names a file");
  }
  if (disk.content == DiskContent::kZeros) {
    table.require("size_mib", "the size of an empty disk in MiB");
  }
  table.number("size_mib", {1, 1024 * 1024, "MiB"}, disk.size_mib);
  table.number("write_cache_sectors", {0, 65536, "sectors"}, disk.write_cache_sectors);
  table.finish();
  return disk;
}

std::vector<DiskDescription> read_disks(TableReader& root, const std::string& file) {
  std::vector<DiskDescription> disks;
  const toml::table* const devices = root.table("devices");
  if (devices == nullptr) {
    return disks;
  }
  TableReader table(*devices, "devices", file);
  for (const toml::table* const node : table.tables("disk")) {
    const std::string path = fmt::format("devices.disk[{}]", disks.size());
    const TableReader reader(*node, path, file);
    if (disks.size() == kMaxDisks) {
      reader.refuse("", "is one too many; two IDE channels carry at most 4 disks");
    }
    DiskDescription disk = read_disk(*node, path, file);
    if (std::ranges::find(disks, disk.name, &DiskDescription::name) != disks.end()) {
      reader.refuse("name", fmt::format("is \"{}\", which another disk has", disk.name));
    }
    disks.push_back(std::move(disk));
  }
  table.finish();
  return disks;
}

LoopDescription read_loop(TableReader& table, std::uint32_t processors) {
  LoopDescription loop;
  table.require("id", "the id of the connection, and of the child's port");
  table.number("id", {65536, 16777215, ""}, loop.id);
  table.require("type", "what it carries");
  std::size_t type = 0;
  table.choice("type", {"message", "event"}, type);
  loop.event = type == 1;
  table.require("sint", "the SINT at which it arrives");
  table.number("sint", {1, 15, ""}, loop.sint);
  table.number("vp", {0, 7, ""}, loop.vp);
  if (loop.vp != LoopDescription::kAnyVp && loop.vp >= processors) {
    table.refuse("vp",
                 fmt::format("is {}; a child has {} virtual processors", loop.vp, processors));
  }
  if (loop.event) {
    table.number("flags", {1, 2048, ""}, loop.flags);
  }
  table.finish();
  return loop;
}

std::vector<LoopDescription> read_loops(TableReader& partitions, std::uint32_t processors,
                                        const std::string& file) {
  std::vector<LoopDescription> loops;
  for (const toml::table* const node : partitions.tables("connection")) {
    TableReader table(*node, fmt::format("partitions.connection[{}]", loops.size()), file);
    if (loops.size() == kMaxLoops) {
      table.refuse("", "is one too many; a child has at most 8");
    }
    const LoopDescription loop = read_loop(table, processors);
    if (std::ranges::find(loops, loop.id, &LoopDescription::id) != loops.end()) {
      table.refuse("id", fmt::format("is {}, which another connection has", loop.id));
    }
    loops.push_back(loop);
  }
  return loops;
}

PartitionsDescription read_partitions(TableReader& root, const MachineDescription& machine,
                                      const std::string& file) {
  root.require("partitions", "a table [partitions]");
  TableReader table(*root.table("partitions"), "partitions", file);
  PartitionsDescription partitions;
  table.require("children", "how many child partitions the root creates");
  table.number("children", {0, kMaxChildren, ""}, partitions.children);
  partitions.children_at_once = std::max<std::uint32_t>(partitions.children, 1);
  table.number("children_at_once", {1, kMaxChildren, ""}, partitions.children_at_once);
  table.number("processors", {1, 8, ""}, partitions.processors);
  table.number("memory_mib", {4, 1024, "MiB"}, partitions.memory_mib);
  std::size_t bus = 0;
  table.choice("bus", {"6.0", "5.3", "5.2", "5.1", "5.0", "4.1", "4.0", "3.0", "2.4"}, bus);
  partitions.bus = vmbus::kVersionsNewestFirst[bus];
  std::size_t child_bus = 1;
  table.choice("child_bus", {"6.0", "5.3", "5.2", "5.1", "5.0", "4.1", "4.0", "3.0", "2.4"},
               child_bus);
  partitions.child_bus = vmbus::kVersionsNewestFirst[child_bus];
  std::uint64_t latency_ns = 0;
  table.duration("monitor_latency", 6'000'000, latency_ns);
  partitions.monitor_latency_us = static_cast<std::uint32_t>(latency_ns / 1'000);
  partitions.loops = read_loops(table, partitions.processors, file);
  const std::uint64_t at_once = std::min(partitions.children, partitions.children_at_once);
  // A child's page tables and VP pages come on top: one part in sixteen is more than enough.
  const std::uint64_t wanted = at_once * partitions.memory_mib * 17 / 16 + kRootMib;
  if (wanted > machine.memory_mib) {
    table.refuse("memory_mib",
                 fmt::format("needs {} MiB for {} children at once, beside {} MiB for hypervisor "
                             "and root; machine.memory_mib is {}",
                             wanted - kRootMib, at_once, kRootMib, machine.memory_mib));
  }
  table.finish();
  return partitions;
}

std::uint32_t disk_named(TableReader& table, std::string_view key,
                         const std::vector<DiskDescription>& disks) {
  table.require(key, "the name of a disk of [[devices.disk]]");
  std::string name;
  table.text(key, name);
  const auto found = std::ranges::find(disks, name, &DiskDescription::name);
  if (found == disks.end()) {
    std::string names;
    for (const DiskDescription& disk : disks) {
      names += (names.empty() ? "\"" : ", \"") + disk.name + "\"";
    }
    table.refuse(key, "names no disk of [[devices.disk]]; there " +
                          (disks.empty() ? std::string("is none") : "are " + names));
  }
  return static_cast<std::uint32_t>(found - disks.begin());
}

void read_storage(TableReader& table, const Scenario& scenario, WorkloadDescription& workload) {
  table.number("requests", {0, 100'000'000, ""}, workload.requests);
  table.number("in_flight", {1, 64, ""}, workload.in_flight);
  if (scenario.liars.at_once != 0 && workload.in_flight != 1) {
    table.refuse("in_flight",
                 "must be 1 beside [liars]: what is written by more depends on time, and so what a "
                 "child logs of it");
  }
  table.number("chunk_kib", {4, 256, "KiB"}, workload.chunk_kib);
  table.number("ring_kib", {4, 28, "KiB"}, workload.ring_kib);
  std::uint64_t busy_ns = 0;
  table.duration("busy", 1'000'000'000, busy_ns);
  workload.busy_us = static_cast<std::uint32_t>(busy_ns / 1'000);
  table.number("moves", {0, 100'000'000, ""}, workload.moves);
  table.number("scratch_mib", {1, 1024, "MiB"}, workload.scratch_mib);
  workload.data_disk = disk_named(table, "data_disk", scenario.disks);
  workload.scratch_disk = disk_named(table, "scratch_disk", scenario.disks);
  if (workload.data_disk == workload.scratch_disk) {
    table.refuse("scratch_disk", "is the data disk too; expected is another one");
  }
  const DiskDescription& scratch = scenario.disks[workload.scratch_disk];
  const std::uint64_t wanted = std::uint64_t{scenario.partitions.children} * workload.scratch_mib;
  if (scratch.size_mib != 0 && wanted > scratch.size_mib) {
    table.refuse("scratch_mib",
                 fmt::format("needs {} MiB for {} children, but disk \"{}\" has {} MiB", wanted,
                             scenario.partitions.children, scratch.name, scratch.size_mib));
  }
}

LiarsDescription read_liars(TableReader& root, const std::vector<LoopDescription>& loops,
                            const std::string& file) {
  LiarsDescription liars;
  const toml::table* const node = root.table("liars");
  if (node == nullptr) {
    return liars;
  }
  TableReader table(*node, "liars", file);
  table.require("at_once", "how many children lie at one time");
  table.number("at_once", {0, 16, ""}, liars.at_once);
  table.number("processors", {1, 8, ""}, liars.processors);
  table.number("lies", {1, 100'000'000, ""}, liars.lies);
  std::size_t manner = 0;
  table.choice("manner", {"lie", "fail"}, manner);
  liars.fail = manner == 1;
  for (const LoopDescription& loop : loops) {
    if (loop.vp != LoopDescription::kAnyVp && loop.vp >= liars.processors) {
      table.refuse("processors",
                   fmt::format("is {}, but connection {}, which each child has, is to virtual "
                               "processor {}; expected are {} or more",
                               liars.processors, loop.id, loop.vp, loop.vp + 1));
    }
  }
  table.finish();
  return liars;
}

void read_loop_workload(TableReader& table, const std::vector<LoopDescription>& loops,
                        WorkloadDescription& workload) {
  table.number("messages", {1, 1000, ""}, workload.messages);
  if (loops.empty()) {
    table.refuse("kind",
                 "is \"loop\", but a child has no connection; expected is a "
                 "[[partitions.connection]]");
  }
  for (auto loop = loops.begin(); loop != loops.end(); ++loop) {
    if (loop->sint == kernel::kServicesSint) {
      table.refuse("kind", fmt::format("is \"loop\", but connection {} is to SINT {}, at which the "
                                       "services arrive; expected is another",
                                       loop->id, loop->sint));
    }
    const auto earlier = std::find_if(loops.begin(), loop, [&](const LoopDescription& other) {
      return loop->event && other.event && other.sint == loop->sint;
    });
    if (earlier != loop) {
      table.refuse("kind", fmt::format("is \"loop\", but connections {} and {} share the flags of "
                                       "SINT {}; expected is a SINT for each",
                                       earlier->id, loop->id, loop->sint));
    }
  }
}

struct WorkloadKey {
  std::string_view key;
  WorkloadKind kind;
};

constexpr std::array kWorkloadKeys = {
    WorkloadKey{"timer_hz", WorkloadKind::kIdle},
    WorkloadKey{"duration", WorkloadKind::kIdle},
    WorkloadKey{"rounds", WorkloadKind::kWork},
    WorkloadKey{"requests", WorkloadKind::kStorage},
    WorkloadKey{"in_flight", WorkloadKind::kStorage},
    WorkloadKey{"chunk_kib", WorkloadKind::kStorage},
    WorkloadKey{"ring_kib", WorkloadKind::kStorage},
    WorkloadKey{"busy", WorkloadKind::kStorage},
    WorkloadKey{"scratch_mib", WorkloadKind::kStorage},
    WorkloadKey{"data_disk", WorkloadKind::kStorage},
    WorkloadKey{"scratch_disk", WorkloadKind::kStorage},
    WorkloadKey{"subchannels", WorkloadKind::kStorage},
    WorkloadKey{"removals", WorkloadKind::kStorage},
    WorkloadKey{"moves", WorkloadKind::kStorage},
    WorkloadKey{"connections", WorkloadKind::kStream},
    WorkloadKey{"messages", WorkloadKind::kStream},
    WorkloadKey{"messages", WorkloadKind::kLoop},
    WorkloadKey{"calls", WorkloadKind::kStream},
    WorkloadKey{"openings", WorkloadKind::kPlug},
    WorkloadKey{"disks", WorkloadKind::kPlug},
    WorkloadKey{"subchannels", WorkloadKind::kPlug},
    WorkloadKey{"removals", WorkloadKind::kPlug},
    WorkloadKey{"data_disk", WorkloadKind::kPlug},
};

bool belongs_to(std::string_view key, WorkloadKind kind) {
  return std::ranges::any_of(kWorkloadKeys, [&](const WorkloadKey& entry) {
    return entry.key == key && entry.kind == kind;
  });
}

WorkloadDescription read_workload(TableReader& root, const Scenario& scenario,
                                  const std::string& file) {
  root.require("workload", "a table [workload]");
  TableReader table(*root.table("workload"), "workload", file);
  WorkloadDescription workload;
  table.require("kind", "what each child does: hello, idle, work, storage, plug, stream or loop");
  std::size_t kind = 0;
  table.choice("kind", {"hello", "idle", "work", "storage", "plug", "stream", "loop"}, kind);
  workload.kind = static_cast<WorkloadKind>(kind);
  for (const WorkloadKey& entry : kWorkloadKeys) {
    if (!belongs_to(entry.key, workload.kind)) {
      table.forbid(entry.key, fmt::format("means nothing to workload \"{}\"; it belongs to \"{}\"",
                                          name_of(workload.kind), name_of(entry.kind)));
    }
  }
  if (belongs_to("subchannels", workload.kind)) {
    table.number("subchannels", {0, 3, ""}, workload.subchannels);
    table.number("removals", {0, 100'000'000, ""}, workload.removals);
  }
  switch (workload.kind) {
    case WorkloadKind::kHello:
      break;
    case WorkloadKind::kIdle: {
      table.number("timer_hz", {1, 1000, "Hz"}, workload.timer_hz);
      std::uint64_t duration_ns = workload.duration_ms * 1'000'000;
      table.duration("duration", 100'000'000ULL * 1'000'000, duration_ns);
      workload.duration_ms = duration_ns / 1'000'000;
      break;
    }
    case WorkloadKind::kWork:
      table.number("rounds", {0, 100'000'000, ""}, workload.rounds);
      break;
    case WorkloadKind::kStorage:
      read_storage(table, scenario, workload);
      break;
    case WorkloadKind::kStream:
      table.number("connections", {0, 100'000'000, ""}, workload.connections);
      table.number("messages", {0, 1000, ""}, workload.messages);
      table.number("calls", {0, 100'000'000, ""}, workload.calls);
      break;
    case WorkloadKind::kLoop:
      read_loop_workload(table, scenario.partitions.loops, workload);
      break;
    case WorkloadKind::kPlug:
      table.number("openings", {1, 100'000'000, ""}, workload.openings);
      table.number("disks", {1, 2, ""}, workload.disks);
      workload.data_disk = disk_named(table, "data_disk", scenario.disks);
      break;
  }
  table.finish();
  return workload;
}

PropertiesDescription read_properties(TableReader& root, const WorkloadDescription& workload,
                                      const std::string& file) {
  PropertiesDescription properties;
  const toml::table* const node = root.table("properties");
  if (node == nullptr) {
    return properties;
  }
  TableReader table(*node, "properties", file);
  table.texts("evaluated", properties.evaluated);
  table.texts("reached", properties.reached);
  table.texts("logged", properties.logged);
  if (workload.kind != WorkloadKind::kStorage) {
    table.forbid("data_disk_digest", "means nothing without workload \"storage\"");
    table.forbid("scratch_disk_digest", "means nothing without workload \"storage\"");
  }
  table.boolean("data_disk_digest", properties.data_disk_digest);
  table.boolean("scratch_disk_digest", properties.scratch_disk_digest);
  table.finish();
  return properties;
}

/// The choices that a scenario may give a chance.
constexpr std::array<std::string_view, 3> kFaultPoints = {
    "device.disk.interrupt_lost", "device.disk.command_lost", "root.bus.removal"};

std::vector<Chance> read_chances(TableReader& root, const std::string& file) {
  std::vector<Chance> chances;
  const toml::table* const node = root.table("chances");
  if (node == nullptr) {
    return chances;
  }
  TableReader table(*node, "chances", file);
  // They stay as long as the reader, which remembers what was asked for.
  const std::vector<std::string> keys = table.keys();
  for (const std::string& key : keys) {
    if (std::ranges::find(kFaultPoints, key) == kFaultPoints.end()) {
      table.refuse(key, fmt::format("names no choice that can be given a chance; expected is one "
                                    "of \"{}\"",
                                    fmt::join(kFaultPoints, "\", \"")));
    }
    Chance chance{.site = key};
    table.number(key, {1, 1'000'000, ""}, chance.one_in);
    chances.push_back(std::move(chance));
  }
  table.finish();
  return chances;
}

LimitsDescription read_limits(TableReader& root, const std::string& file) {
  root.require("limits", "a table [limits]");
  TableReader table(*root.table("limits"), "limits", file);
  LimitsDescription limits;
  table.require("virtual_time", "the virtual time after which a run counts as stuck");
  table.duration("virtual_time", kMaxVirtualNs, limits.virtual_ns);
  table.number("operations", {1, std::numeric_limits<std::int64_t>::max(), ""}, limits.operations);
  table.number("watchdog_seconds", {1, 3600, "seconds"}, limits.watchdog_seconds);
  table.finish();
  return limits;
}

Scenario read_scenario(const toml::table& node, const std::string& file) {
  TableReader root(node, "", file);
  Scenario scenario;
  root.require("name", "what the scenario is called");
  root.text("name", scenario.name);
  root.text("description", scenario.description);
  scenario.machine = read_machine(root, file);
  scenario.disks = read_disks(root, file);
  scenario.partitions = read_partitions(root, scenario.machine, file);
  scenario.liars = read_liars(root, scenario.partitions.loops, file);
  scenario.workload = read_workload(root, scenario, file);
  scenario.chances = read_chances(root, file);
  scenario.properties = read_properties(root, scenario.workload, file);
  scenario.limits = read_limits(root, file);
  root.finish();
  return scenario;
}

}  // namespace

std::string_view name_of(WorkloadKind kind) {
  switch (kind) {
    case WorkloadKind::kHello:
      return "hello";
    case WorkloadKind::kIdle:
      return "idle";
    case WorkloadKind::kWork:
      return "work";
    case WorkloadKind::kStorage:
      return "storage";
    case WorkloadKind::kPlug:
      return "plug";
    case WorkloadKind::kStream:
      return "stream";
    case WorkloadKind::kLoop:
      return "loop";
  }
  return "";
}

std::string ScenarioError::what() const {
  std::string result = file;
  if (line != 0) {
    result += fmt::format(":{}", line);
  }
  result += ": ";
  if (!key.empty()) {
    result += key + " ";
  }
  return result + problem;
}

std::optional<std::uint64_t> parse_duration(std::string_view text) {
  std::uint64_t number = 0;
  std::size_t digits = 0;
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
    if (number > (kMost - digit) / 10) {
      return std::nullopt;
    }
    number = number * 10 + digit;
    ++digits;
  }
  if (digits == 0) {
    return std::nullopt;
  }
  std::string_view unit = text.substr(digits);
  if (unit.starts_with(' ')) {
    unit.remove_prefix(1);
  }
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> kUnits{{
      {"ns", 1},
      {"us", 1'000},
      {"ms", 1'000'000},
      {"s", 1'000'000'000},
      {"min", 60'000'000'000},
  }};
  for (const auto& [name, ns] : kUnits) {
    if (unit == name) {
      return number > kMost / ns ? std::nullopt : std::optional(number * ns);
    }
  }
  return std::nullopt;
}

std::expected<Scenario, ScenarioError> parse_scenario(std::string_view text,
                                                      const std::filesystem::path& path) {
  const std::string file = path.string();
  if (text.size() > kMaxScenarioBytes) {
    return std::unexpected(ScenarioError{
        file, 0, "", fmt::format("is larger than {} bytes: no scenario", kMaxScenarioBytes)});
  }
  if (const std::optional<std::uint32_t> line = find_stray_character(text)) {
    return std::unexpected(
        ScenarioError{file, *line, "", "is not TOML: a character beyond ASCII where none may be"});
  }
  const toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return std::unexpected(ScenarioError{file, error.source().begin.line, "",
                                         "is not TOML: " + std::string(error.description())});
  }
  try {
    Scenario scenario = read_scenario(parsed.table(), file);
    scenario.text = text;
    scenario.path = path;
    return scenario;
  } catch (const RefusedScenario& refused) {
    return std::unexpected(refused.error);
  }
}

std::expected<Scenario, ScenarioError> load_scenario(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return std::unexpected(ScenarioError{path.string(), 0, "", "is a folder, not a scenario file"});
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return std::unexpected(ScenarioError{path.string(), 0, "", "cannot be opened"});
  }
  std::string text(kMaxScenarioBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) {
    return std::unexpected(ScenarioError{path.string(), 0, "", "cannot be read"});
  }
  return parse_scenario(text, path);
}

}  // namespace scenarios
