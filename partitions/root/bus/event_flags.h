// Which event flag of the root's VMBus SINT belongs to which channel of which child.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hv/tlfs/synic.h"

namespace root {

/// Is told that a child has signalled its channel.
class SignalReceiver {
 public:
  virtual void signalled() = 0;

 protected:
  ~SignalReceiver() = default;
};

/// Flags are taken from the lowest free one on, so that few need to be looked at. Flag 0 stays
/// unused.
class EventFlags {
 public:
  static constexpr std::uint16_t kCount = hv::kEventFlagsPerSint;

  [[nodiscard]] std::optional<std::uint16_t> take(SignalReceiver& receiver);
  void give_back(std::uint16_t flag);
  /// Tells the owner of the flag; a flag without an owner was signalled before it was given back.
  void deliver(std::uint32_t flag);
  /// Behind the highest flag that ever had an owner. One that was given back may still be set: it
  /// is looked at for ever, for while it is set its next owner would hear of no signal.
  [[nodiscard]] std::uint32_t limit() const { return limit_; }

 private:
  std::array<SignalReceiver*, kCount> receivers_{};
  std::uint16_t limit_ = 0;
};

}  // namespace root
