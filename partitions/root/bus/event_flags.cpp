#include "partitions/root/bus/event_flags.h"

#include <algorithm>

#include "machine/invariant.h"

namespace root {

std::optional<std::uint16_t> EventFlags::take(SignalReceiver& receiver) {
  for (std::uint16_t flag = 1; flag < kCount; ++flag) {
    if (receivers_[flag] == nullptr) {
      receivers_[flag] = &receiver;
      limit_ = std::max(limit_, static_cast<std::uint16_t>(flag + 1));
      return flag;
    }
  }
  return std::nullopt;
}

void EventFlags::give_back(std::uint16_t flag) {
  INVARIANT(flag < kCount && receivers_[flag] != nullptr);
  receivers_[flag] = nullptr;
}

void EventFlags::deliver(std::uint32_t flag) {
  if (flag < kCount && receivers_[flag] != nullptr) {
    receivers_[flag]->signalled();
  }
}

}  // namespace root
