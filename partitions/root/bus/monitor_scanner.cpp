#include "partitions/root/bus/monitor_scanner.h"

#include <algorithm>
#include <bit>

#include "machine/guest.h"
#include "machine/invariant.h"
#include "machine/testing.h"
#include "partitions/kernel/processor.h"

namespace root {

namespace {

constexpr machine::Site kPassedOn("root.bus.monitored_signal_passed_on");

}  // namespace

void MonitorScanner::use_page(std::optional<machine::Gpa> page) {
  if (page_ && page) {
    look();
  }
  page_ = page;
  if (!page_) {
    return;
  }
  for (std::uint32_t group = 0; group < vmbus::kMonitorGroups; ++group) {
    machine::store_u64(*page_ + vmbus::MonitorTrigger(static_cast<std::uint8_t>(
                                                          group * vmbus::kMonitorTriggersPerGroup))
                                    .pending_offset(),
                       0);
  }
  machine::store_u32(*page_, vmbus::kMonitorAllGroups);
  for (std::uint32_t id = 0; id < watched_.size(); ++id) {
    if (watched_[id].receiver != nullptr) {
      prepare(watched_[id], vmbus::MonitorTrigger(static_cast<std::uint8_t>(id)));
      // What the child set in the old page while it named the new one.
      watched_[id].receiver->signalled();
    }
  }
}

void MonitorScanner::prepare(const Watched& watched, vmbus::MonitorTrigger trigger) const {
  machine::store_u16(*page_ + trigger.latency_offset(), watched.latency_100ns);
}

void MonitorScanner::add(std::uint8_t trigger, SignalReceiver& receiver,
                         std::uint16_t latency_100ns) {
  INVARIANT(latency_100ns != 0);
  count_ += watched_[trigger].receiver == nullptr ? 1 : 0;
  watched_[trigger] = {&receiver, latency_100ns};
  if (page_) {
    prepare(watched_[trigger], vmbus::MonitorTrigger(trigger));
  }
  if (!looking_) {
    looking_ = true;
    stopped_.clear();
    look_at_intervals().spawn();
  }
}

void MonitorScanner::remove(std::uint8_t trigger, const SignalReceiver& receiver) {
  if (watched_[trigger].receiver == &receiver) {
    watched_[trigger] = {};
    --count_;
  }
}

std::uint16_t MonitorScanner::interval_100ns() const {
  std::uint16_t least = 0xFFFF;
  for (const Watched& watched : watched_) {
    if (watched.receiver != nullptr) {
      least = std::min(least, watched.latency_100ns);
    }
  }
  return least;
}

kernel::Task<> MonitorScanner::look_at_intervals() {
  while (count_ != 0) {
    co_await kernel::sleep_for(interval_100ns());
    if (count_ != 0 && page_) {
      look();
    }
  }
  looking_ = false;
  stopped_.set();
}

/// A bit that nobody watches is the child's own affair.
void MonitorScanner::look() {
  for (std::uint32_t group = 0; group < vmbus::kMonitorGroups; ++group) {
    const std::uint32_t first = group * vmbus::kMonitorTriggersPerGroup;
    const machine::Gpa word =
        *page_ + vmbus::MonitorTrigger(static_cast<std::uint8_t>(first)).pending_offset();
    if (machine::load_u32(word) == 0) {
      continue;
    }
    std::uint32_t pending = machine::fetch_and_u32(word, 0);
    while (pending != 0) {
      const std::uint32_t id = first + static_cast<std::uint32_t>(std::countr_zero(pending));
      pending &= pending - 1;
      if (watched_[id].receiver != nullptr) {
        machine::trace(kPassedOn, machine::Track::kPartition, child_number_, id, 0);
        watched_[id].receiver->signalled();
      }
    }
  }
}

}  // namespace root
