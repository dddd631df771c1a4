#include "partitions/child/bus/bus_processor.h"

#include <bit>

#include "machine/invariant.h"
#include "vmbus/vmbus.h"

namespace child {

BusProcessor::Arrival::Arrival(BusProcessor& its_processor)
    : Errand([](kernel::Work& work) { static_cast<Arrival&>(work).done.set(); }, its_processor) {}

BusProcessor::BusProcessor(kernel::Processor& there, SignalForwarder& forwarder,
                           std::uint32_t flag_limit)
    : there_(there),
      home_(kernel::current_executor()),
      forwarder_(forwarder),
      flag_limit_(flag_limit),
      listening_(&BusProcessor::listen, *this),
      started_(*this),
      forwarding_(&BusProcessor::forward, *this) {
  INVARIANT(flag_limit <= kFlags);
}

void BusProcessor::start() { there_.executor().post_from_elsewhere(listening_); }

void BusProcessor::listen(kernel::Work& work) {
  BusProcessor& self = static_cast<Errand&>(work).processor;
  self.there_.synic().attach(vmbus::kVmbusSint, self);
  self.home_.post_from_elsewhere(self.started_);
}

void BusProcessor::event_flag_set(std::uint32_t flag) {
  flags_.fetch_or(1ull << flag);
  home_.post_from_elsewhere(forwarding_);
}

void BusProcessor::forward(kernel::Work& work) {
  BusProcessor& self = static_cast<Errand&>(work).processor;
  std::uint64_t flags = self.flags_.exchange(0);
  while (flags != 0) {
    const auto flag = static_cast<std::uint32_t>(std::countr_zero(flags));
    flags &= flags - 1;
    self.forwarder_.signal_came(flag, static_cast<std::uint32_t>(self.there_.index()));
  }
}

}  // namespace child
