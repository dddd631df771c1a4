// The local APIC of a virtual processor (SDM vol. 3 chapter 10): as xAPIC, with its registers in a
// page of memory, as x2APIC, with MSRs, or disabled.
//
// The run loop calls it for register accesses, CR8, timers and at each entry; whoever interrupts a
// virtual processor calls request() under that processor's lock. It is pure state: it touches no
// memory, no clock and no other processor, and answers what the caller must do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hv/apic/apic_timer.h"
#include "hv/apic/interrupt_command.h"
#include "hv/apic/vector_set.h"
#include "hv/tlfs/hypercall_state.h"

namespace hv {

enum class Trigger : std::uint8_t { kEdge, kLevel };

/// What IA32_APIC_BASE says (SDM vol. 3 10.12.1).
enum class ApicMode : std::uint8_t { kDisabled, kXapic, kX2Apic };

/// What a register write asks of the caller.
struct ApicWriteOutcome {
  enum class Kind : std::uint8_t {
    kFault,           // #GP; nothing changed
    kDone,            // another interrupt may be deliverable now
    kSendInterrupt,   // deliver `command`; self is among the destinations if it says so
    kEndOfInterrupt,  // an interrupt ended: SynIC rescan, and `level_vector` if there is one
    kTimerChanged,    // look at timer_deadline() and expire_timer() again
  };
  Kind kind = Kind::kDone;
  InterruptCommand command;
  /// A level-triggered interrupt ended: the parent is told (X64ApicEoi).
  std::optional<std::uint8_t> level_vector;
};

class LocalApic {
 public:
  static constexpr std::uint8_t kMinVector = 16;
  /// 7 local vectors, version 14h, EOI broadcasts can be suppressed.
  static constexpr std::uint32_t kVersion = 0x0106'0014;
  /// Where the page of registers is. Software cannot move it.
  static constexpr std::uint64_t kPageAddress = 0xFEE0'0000;

  /// The state after power-up, as xAPIC; `id` is the x2APIC id.
  void reset(std::uint32_t id);
  /// The state after INIT: as reset() but for the id and the mode.
  void init();

  [[nodiscard]] std::uint32_t id() const { return id_; }
  /// Of the x2APIC.
  [[nodiscard]] std::uint32_t logical_id() const {
    return ((id_ >> 4) << 16) | (1u << (id_ & 0xF));
  }
  [[nodiscard]] bool software_enabled() const { return (spurious_ & kSoftwareEnable) != 0; }
  /// Takes fixed interrupts.
  [[nodiscard]] bool enabled() const { return mode_ != ApicMode::kDisabled && software_enabled(); }
  [[nodiscard]] bool is_addressed_by(InterruptDestination destination) const;

  // --- Modes -----------------------------------------------------------------
  [[nodiscard]] ApicMode mode() const { return mode_; }
  /// False, with nothing changed, for a transition that does not exist (SDM vol. 3 10.12.5):
  /// from x2APIC to xAPIC, or from disabled to x2APIC. To be disabled resets all but the id.
  [[nodiscard]] bool set_mode(ApicMode mode);

  // --- Registers, by the x2APIC's numbers, 0x800..0x8FF, whatever the mode ----
  /// Nothing: #GP. `tsc` is the guest's time-stamp counter. A write finds the timer run out if it
  /// has by then, as under what was written before.
  [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t msr, std::uint64_t tsc) const;
  [[nodiscard]] ApicWriteOutcome write(std::uint32_t msr, std::uint64_t value, std::uint64_t tsc);

  // --- Registers, by their offset in the xAPIC's page -------------------------
  /// An access of 1 to 8 bytes. A register is the first 4 of 16 bytes; the others read as 0, and so
  /// does what is no register, which is an error for the ESR.
  [[nodiscard]] std::uint64_t read_page(std::uint32_t offset, std::uint32_t size_bytes,
                                        std::uint64_t tsc);
  /// Never faults: what a register does not take is ignored, as is an access that is not of the 4
  /// bytes of a register.
  [[nodiscard]] ApicWriteOutcome write_page(std::uint32_t offset, std::uint32_t size_bytes,
                                            std::uint64_t value, std::uint64_t tsc);
  /// IA32_TSC_DEADLINE; one that has come by `tsc` is not set aside by the next.
  [[nodiscard]] std::uint64_t tsc_deadline() const { return timer_.tsc_deadline(); }
  void set_tsc_deadline(std::uint64_t deadline, std::uint64_t tsc);
  /// CR8 is the upper half of the task priority.
  [[nodiscard]] std::uint8_t cr8() const { return static_cast<std::uint8_t>(task_priority_ >> 4); }
  void set_cr8(std::uint8_t value) { task_priority_ = static_cast<std::uint8_t>(value << 4); }
  [[nodiscard]] std::uint8_t task_priority() const { return task_priority_; }
  void set_task_priority(std::uint8_t value) { task_priority_ = value; }

  // --- Interrupts ------------------------------------------------------------
  /// Requests a fixed interrupt. False: refused, because the APIC is disabled or the vector is
  /// below
  /// 16. With auto-EOI it leaves service at the moment it is acknowledged.
  bool request(std::uint8_t vector, Trigger trigger = Trigger::kEdge, bool auto_eoi = false);
  /// Takes back the level-triggered requests that were not acknowledged yet, or the one of them.
  void withdraw_level_triggered() { requested_.remove(level_); }
  void withdraw_level_triggered(std::uint8_t vector) {
    if (level_.has(vector)) {
      requested_.remove(vector);
    }
  }
  /// The interrupt that the processor takes as soon as it can.
  [[nodiscard]] std::optional<std::uint8_t> deliverable() const;
  /// Whether any interrupt is requested, whatever its priority.
  [[nodiscard]] bool any_requested() const { return !requested_.empty(); }
  /// The task priority below which the highest requested vector would be deliverable; nothing if
  /// none is requested. For the TPR threshold.
  [[nodiscard]] std::optional<std::uint8_t> highest_requested() const {
    return requested_.highest();
  }
  /// The processor took `vector`, which deliverable() had named.
  void acknowledge(std::uint8_t vector);
  /// EOI by whichever way; ends the interrupt of highest priority in service. The vector, if it was
  /// level triggered and its end is broadcast.
  std::optional<std::uint8_t> end_of_interrupt();
  [[nodiscard]] bool in_service(std::uint8_t vector) const { return in_service_.has(vector); }
  /// Requested, or in service.
  [[nodiscard]] bool has_to_do(std::uint8_t vector) const {
    return requested_.has(vector) || in_service_.has(vector);
  }
  /// Its end is a matter of this APIC alone: edge triggered, and no auto-EOI.
  [[nodiscard]] bool ends_quietly(std::uint8_t vector) const {
    return !level_.has(vector) && !auto_eoi_.has(vector);
  }
  [[nodiscard]] std::uint8_t processor_priority() const;

  // --- Timer -----------------------------------------------------------------
  /// When expire_timer() has something to do, in ticks of the guest's time-stamp counter.
  [[nodiscard]] std::optional<std::uint64_t> timer_deadline() const { return timer_.deadline(); }
  /// Requests the timer's interrupt if it ran out. Returns whether one was requested.
  bool expire_timer(std::uint64_t tsc);

  // --- As a whole ------------------------------------------------------------
  /// What HvCallGetVpState answers; expire_timer() was called with the same `tsc`.
  void save(LocalApicState& state, std::uint64_t tsc) const;
  /// False, with nothing changed, for what save() could not have said of this APIC: another id, a
  /// reserved bit, a vector below 16, an APIC that is disabled. The task priority stays.
  /// `auto_eoi`: vectors that leave service by themselves.
  [[nodiscard]] bool restore(const LocalApicState& state, const VectorSet& auto_eoi,
                             std::uint64_t tsc);

  // --- Local interrupt pins --------------------------------------------------
  /// What the pin does with a signal: the entry of LINT0 or LINT1 as a command to itself; nothing
  /// if it is masked.
  [[nodiscard]] std::optional<InterruptCommand> local_interrupt(std::uint32_t pin) const;

 private:
  enum Lvt : std::uint8_t {
    kTimer,
    kThermal,
    kPerformance,
    kLint0,
    kLint1,
    kError,
    kCmci,
    kLvtCount
  };
  static constexpr std::uint32_t kSoftwareEnable = 1u << 8;
  static constexpr std::uint32_t kSuppressEoiBroadcast = 1u << 12;
  static constexpr std::uint8_t kFlatModel = 0xF;
  static constexpr std::uint32_t kSpuriousBits = 0x0000'11FF;
  static constexpr std::uint32_t kDivideBits = 0xB;

  [[nodiscard]] static std::optional<Lvt> local_vector(std::uint32_t msr);
  [[nodiscard]] static std::uint32_t writable_bits(Lvt entry);
  [[nodiscard]] std::optional<std::uint64_t> read_vectors(std::uint32_t msr) const;
  /// The 4 bytes of a register of the page; nothing if there is none.
  [[nodiscard]] std::optional<std::uint32_t> read_page_register(std::uint32_t index,
                                                                std::uint64_t tsc) const;
  [[nodiscard]] ApicWriteOutcome write_page_register(std::uint32_t index, std::uint32_t value,
                                                     std::uint64_t tsc);
  /// As the register of the page, and in x2APIC mode as the MSR.
  [[nodiscard]] std::uint32_t shown_id() const {
    return mode_ == ApicMode::kX2Apic ? id_ : id_ << 24;
  }
  [[nodiscard]] static std::array<std::uint32_t, kLvtCount> local_vectors(
      const LocalApicState& state);
  [[nodiscard]] bool could_have_saved(const LocalApicState& state) const;
  [[nodiscard]] bool is_addressed_as_xapic(InterruptDestination destination) const;
  [[nodiscard]] ApicWriteOutcome write_end_of_interrupt();
  [[nodiscard]] ApicWriteOutcome write_lvt(Lvt entry, std::uint32_t value);
  [[nodiscard]] ApicWriteOutcome write_spurious(std::uint32_t value);
  [[nodiscard]] ApicWriteOutcome write_command(std::uint64_t value);
  [[nodiscard]] ApicWriteOutcome write_self(std::uint64_t value);
  void note_error(std::uint32_t bit);

  std::uint32_t id_ = 0;
  ApicMode mode_ = ApicMode::kXapic;
  // The xAPIC's logical destination: 31:24 of LDR, 31:28 of DFR.
  std::uint8_t xapic_logical_id_ = 0;
  std::uint8_t destination_model_ = kFlatModel;
  std::uint8_t task_priority_ = 0;
  std::uint32_t spurious_ = 0xFF;
  std::uint32_t error_status_ = 0;
  std::uint32_t error_pending_ = 0;
  std::array<std::uint32_t, kLvtCount> lvt_{};
  std::uint64_t command_ = 0;
  VectorSet requested_;
  VectorSet in_service_;
  VectorSet level_;
  VectorSet auto_eoi_;
  ApicTimer timer_;
};
static_assert(sizeof(LocalApic) <= 208);

}  // namespace hv
