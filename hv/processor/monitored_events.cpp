#include "hv/processor/monitored_events.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "hv/hypervisor.h"
#include "hv/processor/port_routes.h"
#include "hv/tlfs/monitor_page.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

constexpr std::uint64_t kUnitsPerSecond = 10'000'000;
/// Looks are no closer than 10 us, whatever latency a guest writes, and at most a tick apart.
constexpr std::uint64_t kLeastInterval = 100;
constexpr std::uint64_t kMostInterval = 10'000;

/// The least latency of the triggers that have one.
std::uint16_t least_latency(machine::Spa page, const MonitorTrigger& first) {
  std::array<std::uint16_t, kMonitorTriggersPerGroup> latencies{};
  machine::read_memory(page + first.latency_offset(), std::as_writable_bytes(std::span(latencies)));
  std::uint16_t least = 0;
  for (const std::uint16_t latency : latencies) {
    least = latency != 0 && (least == 0 || latency < least) ? latency : least;
  }
  return least;
}

void signal_each(Hypervisor& hypervisor, Partition& sender, Port& port, std::uint32_t group,
                 std::uint32_t pending) {
  const machine::Spa page(port.monitor_page);
  for (; pending != 0; pending &= pending - 1) {
    const auto number = static_cast<std::uint32_t>(std::countr_zero(pending));
    const MonitorTrigger trigger(
        static_cast<std::uint8_t>(group * kMonitorTriggersPerGroup + number));
    const auto parameter =
        std::bit_cast<MonitorParameter>(machine::load_u64(page + trigger.parameter_offset()));
    const Status status = signal_through(hypervisor, sender, ConnectionId{parameter.connection_id},
                                         parameter.flag_number);
    port.post_count += status == Status::kSuccess ? 1 : 0;
  }
}

}  // namespace

MonitorLook pass_on_monitored(Hypervisor& hypervisor, Partition& sender, Connection& monitor) {
  MonitorLook look;
  Port* const port = monitor.port;
  if (port == nullptr) {
    return look;
  }
  const machine::Spa page(port->monitor_page);
  const bool may_signal = sender.privileges.has(Privilege::kSignalEvents);
  const std::uint32_t state = machine::load_u32(page);
  const std::uint32_t enabled = (state & kMonitorDisabled) != 0 ? 0 : state & kMonitorAllGroups;
  for (std::uint32_t group = 0; group < kMonitorGroups; ++group) {
    const MonitorTrigger first(static_cast<std::uint8_t>(group * kMonitorTriggersPerGroup));
    const machine::Spa pending_word = page + first.pending_offset();
    const bool any_pending = machine::load_u32(pending_word) != 0;
    if (((enabled >> group) & 1) == 0) {
      look.some_wait = look.some_wait || any_pending;
      continue;
    }
    const std::uint16_t latency = least_latency(page, first);
    if (latency != 0 && (look.least_latency == 0 || latency < look.least_latency)) {
      look.least_latency = latency;
    }
    const std::uint32_t pending = any_pending ? machine::exchange_u32(pending_word, 0) : 0;
    if (may_signal) {
      signal_each(hypervisor, sender, *port, group, pending);
    }
  }
  return look;
}

bool look_at_monitors(Hypervisor& hypervisor, Partition& sender, std::uint64_t now) {
  const machine::LockGuard guard(hypervisor.communication_lock);
  std::uint64_t interval = kMostInterval;
  bool any = false;
  bool some_wait = false;
  for (Connection* monitor : sender.connections.monitors()) {
    if (monitor == nullptr) {
      continue;
    }
    any = true;
    const MonitorLook look = pass_on_monitored(hypervisor, sender, *monitor);
    some_wait = some_wait || look.some_wait;
    if (look.least_latency != 0) {
      interval = std::min(interval, std::max<std::uint64_t>(look.least_latency, kLeastInterval));
    }
  }
  const std::uint64_t ticks =
      interval * hypervisor.information().tsc_frequency_hz / kUnitsPerSecond;
  sender.monitors_due.store(any ? now + ticks : kNoDeadline);
  return some_wait;
}

}  // namespace hv
