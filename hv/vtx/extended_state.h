// The x87, SSE and AVX registers of one virtual processor, and its XCR0 (SDM vol. 1 chapter 13).
//
// The hypervisor computes with none of them, so a VM exit leaves them where they are. They change
// places when another virtual processor is taken up: the one that ran is saved to its area, a page
// of its partition's pool; the next one is restored, unless the processor still has its registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hv/tlfs/register_values.h"
#include "hv/vtx/capabilities.h"
#include "machine/address.h"

namespace hv::vtx {

class ExtendedState;

/// What the extended registers of one logical processor hold.
struct ExtendedUnit {
  /// Components that the hypervisor offers: all of XCR0 while a state is saved or restored.
  std::uint64_t components = 0;
  std::uint64_t xcr0 = 0;
  /// Whose registers they are, or were last.
  const ExtendedState* last = nullptr;
};

/// Every component that the hypervisor offers is in XCR0 from here on. The executing processor's.
void enable_extended_state(const Capabilities& capabilities, ExtendedUnit& unit);

class ExtendedState {
 public:
  /// `area` is a zeroed page.
  explicit ExtendedState(machine::Spn area);
  ExtendedState(const ExtendedState&) = delete;
  ExtendedState& operator=(const ExtendedState&) = delete;

  /// Into and out of the registers of the executing processor.
  void load(ExtendedUnit& unit);
  void unload();

  // The owner is loaded here, or no processor runs it.

  /// The state after power-up.
  void reset();
  [[nodiscard]] std::uint64_t xcr0() const { return xcr0_; }
  /// False, with nothing changed, for a value that the processor refuses (SDM vol. 1 13.3) or that
  /// has a component that is not offered; these are among what the processor has.
  [[nodiscard]] bool write_xcr0(std::uint64_t offered, std::uint64_t value);

  // As a page, in the standard format, while no processor has it loaded. `states` are components,
  // of those that are offered.

  /// Copies them to a zeroed page; of what is in its initial state the header says so.
  void copy_out(machine::Spa page, std::uint64_t states);
  /// False, with nothing changed, if the header has anything but `states`, or MXCSR a bit that the
  /// processor does not have. Components of `states` that the header lacks begin anew; others stay.
  [[nodiscard]] bool copy_in(machine::Spa page, std::uint64_t states);

  /// 16 bytes of the legacy region, which belong to `component`.
  [[nodiscard]] RegisterValue read(std::size_t offset, std::uint64_t component);
  void write(std::size_t offset, std::uint64_t component, const RegisterValue& value);
  /// The x87 operation and the MXCSR register (with the mask of its bits that may be set).
  [[nodiscard]] RegisterValue read_mxcsr();
  /// False, with nothing changed, for a bit of MXCSR that the processor does not have.
  [[nodiscard]] bool write_mxcsr(const RegisterValue& value);

 private:
  void save();
  void restore();

  machine::Spa area_;
  std::uint64_t xcr0_;
  /// The processor that it is loaded on.
  ExtendedUnit* unit_ = nullptr;
  /// The processor that has these very registers, unless another state was loaded there since.
  const ExtendedUnit* resident_ = nullptr;
};

}  // namespace hv::vtx
