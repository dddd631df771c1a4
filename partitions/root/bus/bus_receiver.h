// What comes in through the root's VMBus SINT: messages to the bus of the child that posted them,
// signals to the device that they are for.
#pragma once

#include "partitions/kernel/synic.h"
#include "partitions/root/bus/event_flags.h"

namespace root {

class ChildDirectory;

class BusReceiver final : public kernel::SintReceiver {
 public:
  explicit BusReceiver(ChildDirectory& children) : children_(children) {}

  [[nodiscard]] EventFlags& flags() { return flags_; }

  void message_arrived(const hv::Message& message) override;
  [[nodiscard]] std::uint32_t event_flag_limit() const override { return flags_.limit(); }
  void event_flag_set(std::uint32_t flag) override { flags_.deliver(flag); }

 private:
  ChildDirectory& children_;
  EventFlags flags_;
};

}  // namespace root
