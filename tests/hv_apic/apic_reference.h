// A local APIC by the manual (SDM vol. 3 chapter 10), written to be compared with, not to be fast:
// vectors are flags in a row, registers are rows of a table, and the timer counts down.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>

#include "hv/apic/interrupt_command.h"
#include "hv/apic/local_apic.h"

namespace apic_reference {

/// What a write comes to.
struct Outcome {
  enum class Kind : std::uint8_t { kFault, kNothing, kSends, kEnds };
  Kind kind = Kind::kNothing;
  /// If it sends: the value of the command register, in the x2APIC's form.
  std::uint64_t command = 0;
  /// If it ends an interrupt of which the IOAPIC is told.
  std::optional<std::uint8_t> level_vector;
};

/// Counts the input clock, one tick after the other as far as anybody can see.
class CountDown {
 public:
  enum class Mode : std::uint8_t { kOnce, kAgain, kDeadline };

  void set_mode(Mode mode);
  void set_initial(std::uint32_t count);
  void set_divide(std::uint32_t configuration);
  void set_deadline(std::uint64_t deadline);
  /// Lets time go by; whether it ran out on the way.
  bool advance(std::uint64_t now);
  [[nodiscard]] std::uint32_t current(std::uint64_t now) const;
  [[nodiscard]] std::optional<std::uint64_t> due() const;

  std::uint32_t initial = 0;
  std::uint32_t divide = 0;
  std::uint64_t deadline = 0;

 private:
  [[nodiscard]] std::uint64_t divisor() const;
  Mode mode_ = Mode::kOnce;
  std::uint64_t left_ = 0;    // counts; 0: stopped
  std::uint64_t within_ = 0;  // input ticks of the count under way
  std::uint64_t at_ = 0;
};

class LocalApic {
 public:
  explicit LocalApic(std::uint32_t id) : id_(id) { restart(); }

  /// INIT.
  void restart();
  bool change_mode(hv::ApicMode mode);
  [[nodiscard]] hv::ApicMode mode() const { return mode_; }

  // By number, as MSRs and as 16 bytes each of the page.
  [[nodiscard]] std::optional<std::uint64_t> read_msr(std::uint32_t number,
                                                      std::uint64_t now) const;
  Outcome write_msr(std::uint32_t number, std::uint64_t value, std::uint64_t now);
  std::uint32_t read_page(std::uint32_t number, std::uint64_t now);
  Outcome write_page(std::uint32_t number, std::uint32_t value, std::uint64_t now);
  void set_deadline(std::uint64_t deadline, std::uint64_t now);

  bool accept(std::uint8_t vector, bool level, bool auto_eoi);
  void withdraw_levels();
  /// What the processor would take now.
  [[nodiscard]] std::optional<std::uint8_t> next() const;
  [[nodiscard]] bool any_requested() const { return requested_.any(); }
  void take(std::uint8_t vector);
  std::optional<std::uint8_t> end();
  bool let_time_pass(std::uint64_t now);

  [[nodiscard]] bool hears(std::uint32_t destination, bool logical) const;
  [[nodiscard]] std::optional<std::uint64_t> timer_due() const { return timer_.due(); }
  [[nodiscard]] std::uint8_t priority() const;
  [[nodiscard]] bool enabled() const { return (spurious_ & 0x100) != 0; }
  std::uint8_t task_priority = 0;

 private:
  using Vectors = std::bitset<256>;
  [[nodiscard]] std::uint64_t value_of(std::uint32_t number, std::uint64_t now) const;
  Outcome store(std::uint32_t number, std::uint64_t value);
  Outcome command(std::uint64_t value);
  void error(std::uint32_t bit);

  std::uint32_t id_;
  hv::ApicMode mode_ = hv::ApicMode::kXapic;
  std::uint32_t logical_ = 0;
  std::uint32_t model_ = 0;
  std::uint32_t spurious_ = 0;
  std::uint32_t shown_errors_ = 0;
  std::uint32_t errors_ = 0;
  std::array<std::uint32_t, 0x40> local_{};
  std::uint64_t command_ = 0;
  Vectors requested_;
  Vectors served_;
  Vectors level_;
  Vectors auto_eoi_;
  CountDown timer_;
};

}  // namespace apic_reference
