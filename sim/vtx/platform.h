// What the model of VT-x needs of the simulated computer around one logical processor.
#pragma once

#include <cstdint>

#include "machine/address.h"

namespace sim::vtx {

/// The processor's own way to system memory. Reads see what this processor itself has stored, its
/// store buffer included; addresses are within the physical-address width and naturally aligned.
/// Memory that does not exist reads as all-ones and ignores writes.
class Platform {
 public:
  [[nodiscard]] virtual std::uint8_t load_u8(machine::Spa address) = 0;
  [[nodiscard]] virtual std::uint32_t load_u32(machine::Spa address) = 0;
  [[nodiscard]] virtual std::uint64_t load_u64(machine::Spa address) = 0;
  /// Atomic, in order with the processor's own stores.
  virtual void fetch_or_u64(machine::Spa address, std::uint64_t bits) = 0;
  virtual void store_u64(machine::Spa address, std::uint64_t value) = 0;

  /// Software did what the architecture leaves undefined (`rule` says what). On real hardware the
  /// machine may go on with anything; the simulator reports it as a violation.
  virtual void misuse(const char* rule) = 0;

 protected:
  ~Platform() = default;
};

}  // namespace sim::vtx
