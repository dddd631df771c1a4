#include "scenarios/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hv/hypercall/call_table.h"

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

std::uint64_t total(const std::map<std::string, std::uint64_t>& counts, std::string_view prefix) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : counts) {
    sum += name.starts_with(prefix) ? count : 0;
  }
  return sum;
}

/// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t place = text.size(); place > 3; place -= 3) {
    text.insert(place - 3, 1, ',');
  }
  return text;
}

std::string seconds(std::uint64_t ns) {
  return fmt::format("{}.{:03} s", ns / 1'000'000'000, ns / 1'000'000 % 1000);
}

std::uint64_t rate(std::uint64_t count, std::uint64_t ns) {
  return ns == 0 ? 0
                 : static_cast<std::uint64_t>(static_cast<double>(count) * 1e9 /
                                              static_cast<double>(ns));
}

void put_counts(std::string& text, std::string_view title,
                std::vector<std::pair<std::string, std::uint64_t>> counts) {
  std::ranges::sort(counts, [](const auto& left, const auto& right) {
    return std::pair(right.second, left.first) < std::pair(left.second, right.first);
  });
  std::string_view label = title;
  for (const auto& [name, count] : counts) {
    text += fmt::format("  {:<13} {:>14}  {}\n", label, grouped(count), name);
    label = "";
  }
}

std::vector<std::pair<std::string, std::uint64_t>> exit_counts(const sim::RunResult& result) {
  std::vector<std::pair<std::string, std::uint64_t>> counts;
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
  const auto put = [&text](std::string_view label, const std::string& value) {
    text += fmt::format("  {:<13} {:>14}\n", label, value);
  };
  put("virtual time", seconds(result.virtual_ns));
  put("wall time", seconds(report.wall_ns));
  text += fmt::format("  {:<13} {:>14}  {} a second\n", "events", grouped(result.events),
                      grouped(rate(result.events, report.wall_ns)));
  put("decisions", grouped(result.decisions));
  put("interrupts", grouped(result.interrupts_delivered));
  put("VM exits", grouped(result.vm_exit_count));
  put_counts(text, "", exit_counts(result));
  std::vector<std::pair<std::string, std::uint64_t>> calls;
  std::uint64_t call_count = 0;
  for (const auto& [code, count] : result.hypercalls) {
    calls.emplace_back(call_name(code), count);
    call_count += count;
  }
  put("hypercalls", grouped(call_count));
  put_counts(text, "", calls);
  put("messages", grouped(calls_named(report, "PostMessage")));
  put("signals", grouped(calls_named(report, "SignalEvent")));
  put("VMBus events", grouped(total(result.traces, "vmbus.")));
  if (report.data_disk_bytes != 0) {
    text += fmt::format("  {:<13} {:>14}  KiB of data disk a virtual second\n", "throughput",
                        grouped(rate(report.data_disk_bytes / 1024, result.virtual_ns)));
  }
  text += fmt::format("  {:<13} {:>14}  of {} properties\n", "checks",
                      grouped(total(result.always, "")), result.always.size());
  put("goals reached", grouped(result.sometimes.size()));
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
