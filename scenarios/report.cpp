#include "scenarios/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "hv/hypercall/call_table.h"
#include "scenarios/figures.h"

namespace scenarios {
namespace {

using Json = nlohmann::ordered_json;

/// Control words are counted by call code; the name is the hypervisor's own.
std::string call_name(std::uint16_t code) {
  const hv::CallEntry* const entry = hv::find_call(code);
  return entry != nullptr ? std::string(entry->description.name) : fmt::format("{:#06x}", code);
}

std::uint64_t calls_named(const RunReport& report, std::string_view name) {
  std::uint64_t count = 0;
  for (const auto& [code, calls] : report.result.hypercalls) {
    count += call_name(code) == name ? calls : 0;
  }
  return count;
}

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kThroughput{{
    {"storage.read", "disks read"},
    {"storage.write", "disks written"},
}};

Counts counts_of(const std::map<std::string, std::uint64_t>& counts) {
  return {counts.begin(), counts.end()};
}

std::uint64_t count_of(const std::map<std::string, std::uint64_t>& counts, std::string_view name) {
  const auto found = counts.find(std::string(name));
  return found == counts.end() ? 0 : found->second;
}

std::uint64_t total(const Counts& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : counts) {
    sum += count;
  }
  return sum;
}

/// The most frequent first.
void put_counts(std::string& text, Counts counts) {
  std::ranges::sort(counts, [](const auto& left, const auto& right) {
    return std::pair(right.second, left.first) < std::pair(left.second, right.first);
  });
  for (const auto& [name, count] : counts) {
    text += fmt::format("  {:<14} {:>14}  {}\n", "", grouped(count), name);
  }
}

Counts call_counts(const sim::RunResult& result) {
  Counts counts;
  for (const auto& [code, count] : result.hypercalls) {
    counts.emplace_back(call_name(code), count);
  }
  return counts;
}

Counts exit_counts(const sim::RunResult& result) {
  Counts counts;
  for (std::uint32_t reason = 0; reason < result.vm_exits.size(); ++reason) {
    if (result.vm_exits[reason] != 0) {
      counts.emplace_back(sim::exit_reason_name(reason), result.vm_exits[reason]);
    }
  }
  return counts;
}

Json violations_json(const RunReport& report) {
  Json violations = Json::array();
  for (const sim::Violation& violation : report.judgement.violations) {
    violations.push_back({{"property", violation.property},
                          {"virtual_ns", violation.virtual_ns},
                          {"event", violation.event},
                          {"message", violation.message}});
  }
  return violations;
}

Json to_json(const RunReport& report) {
  const sim::RunResult& result = report.result;
  Json object;
  object["scenario"] = report.scenario;
  object["seed"] = report.seed;
  object["result"] = report.judgement.verdict == Verdict::kPass ? "pass" : "fail";
  object["trace_hash"] = hash_text(result.trace_hash);
  object["events"] = result.events;
  object["vm_exits"] = result.vm_exit_count;
  object["virtual_ns"] = result.virtual_ns;
  object["wall_ns"] = report.wall_ns;
  object["violations"] = violations_json(report);
  object["sometimes"] = Json::object();
  for (const auto& [name, count] : result.sometimes) {
    object["sometimes"][name] = count;
  }
  object["always"] = Json::object();
  for (const auto& [name, count] : report.judgement.evaluated) {
    object["always"][name] = count;
  }
  object["log"] = Json::array();
  for (const sim::ConsoleLine& line : result.console) {
    object["log"].push_back(line.text);
  }
  if (report.judgement.verdict == Verdict::kBroken) {
    object["error"] = fmt::format("{}: {}", sim::name_of(result.outcome), result.error);
  }
  if (!report.recording.empty()) {
    object["recording"] = report.recording;
  }
  if (!report.recording_error.empty()) {
    object["recording_error"] = report.recording_error;
  }
  return object;
}

std::string dump(const Json& json) {
  // Guests may log any bytes; what is no UTF-8 is replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kBroken:
      return "harness failure";
  }
  return "";
}

std::string summary_text(const RunReport& report) {
  const sim::RunResult& result = report.result;
  std::string text = fmt::format("{}, seed {}: {}\n", report.scenario, report.seed,
                                 name_of(report.judgement.verdict));
  const auto put = [&text](std::string_view label, const std::string& value,
                           const std::string& remark = "") {
    text += fmt::format("  {:<14} {:>14}{}{}\n", label, value, remark.empty() ? "" : "  ", remark);
  };
  put("virtual time", seconds_text(result.virtual_ns));
  put("wall time", seconds_text(report.wall_ns));
  put("events", grouped(result.events),
      grouped(per_second(result.events, report.wall_ns)) + " a second of wall time");
  put("decisions", grouped(result.decisions));
  put("interrupts", grouped(result.interrupts_delivered));
  put("VM exits", grouped(result.vm_exit_count));
  put_counts(text, exit_counts(result));
  put("hypercalls", grouped(total(call_counts(result))));
  put_counts(text, call_counts(result));
  put("VMBus messages", grouped(count_of(result.traces, "child.bus.message_sent")), "to the root");
  put("", grouped(count_of(result.traces, "root.bus.message_sent")), "to children");
  put("VMBus signals", grouped(calls_named(report, "SignalEvent")));
  for (const auto& [site, label] : kThroughput) {
    if (const std::uint64_t bytes = count_of(result.trace_sums, site); bytes != 0) {
      put(label, grouped(bytes / 1024),
          fmt::format("KiB, {} a virtual second",
                      grouped(per_second(bytes / 1024, result.virtual_ns))));
    }
  }
  put("properties", grouped(report.judgement.evaluated.size()), "evaluated, each so many times:");
  put_counts(text, counts_of(report.judgement.evaluated));
  put("goals", grouped(result.sometimes.size()), "seen, each true so many times:");
  put_counts(text, counts_of(result.sometimes));
  put("trace hash", hash_text(result.trace_hash));
  return text;
}

std::string violations_text(const RunReport& report) {
  std::string text;
  for (const sim::Violation& violation : report.judgement.violations) {
    text += fmt::format("VIOLATED: {}\n  at {} virtual ns, event {}, processor {}\n  {}\n",
                        violation.property, violation.virtual_ns, violation.event,
                        violation.processor, violation.message);
  }
  if (report.judgement.verdict == Verdict::kBroken) {
    text += fmt::format("HARNESS FAILURE: {}\n  at {} virtual ns, event {}\n  {}\n",
                        sim::name_of(report.result.outcome), report.result.virtual_ns,
                        report.result.events, report.result.error);
  }
  return text;
}

std::string json_text(const RunReport& report) { return dump(to_json(report)); }

std::string json_text(const std::vector<RunReport>& reports) {
  Json object;
  object["scenario"] = reports.empty() ? "" : reports.front().scenario;
  const bool passed = std::ranges::all_of(
      reports, [](const RunReport& report) { return report.judgement.verdict == Verdict::kPass; });
  object["result"] = passed ? "pass" : "fail";
  object["runs"] = Json::array();
  for (const RunReport& report : reports) {
    object["runs"].push_back(to_json(report));
  }
  return dump(object);
}

}  // namespace scenarios
