// The event ring page: which doorbells rang (one ring of port ids for each SINT).
#pragma once

#include <array>
#include <cstdint>

#include "hv/tlfs/ports.h"
#include "hv/tlfs/synic.h"
#include "machine/address.h"

namespace hv {

/// The producer of the rings of one virtual processor. The guest, which shares the page, takes
/// entries out in order, and sleeps and wakes by the ring's two flags; nothing that it writes there
/// does more than lose its own entries. Under the lock of the virtual processor.
class EventRing {
 public:
  struct Outcome {
    /// False: the ring is full and says so; the guest will ask for more
    /// (HvCallNotifyPortRingEmpty).
    bool put = false;
    /// The guest is not looking just now: it needs the interrupt.
    bool interrupt = false;
  };

  /// Makes the ring of a zeroed page empty.
  void reset() { next_ = {}; }
  /// Puts the id of a port, which is not 0.
  [[nodiscard]] Outcome put(machine::Spn page, std::uint32_t sint, PortId port);

 private:
  /// Where the next entry of each ring goes.
  std::array<std::uint8_t, kSintCount> next_{};
};

}  // namespace hv
