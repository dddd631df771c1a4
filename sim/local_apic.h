// The local APIC of one logical processor in x2APIC mode (SDM vol. 3 chapter 10).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace sim {

/// An interrupt on its way between processors (SDM vol. 3 10.12.9).
struct InterruptCommand {
  enum class Delivery : std::uint8_t { kFixed = 0, kLowestPriority = 1, kNmi = 4 };
  enum class Shorthand : std::uint8_t { kNone, kSelf, kAll, kOthers };
  Delivery delivery = Delivery::kFixed;
  Shorthand shorthand = Shorthand::kNone;
  bool logical = false;
  std::uint8_t vector = 0;
  std::uint32_t destination = 0;
};

/// What an APIC needs of the computer around it.
class ApicHost {
 public:
  virtual void send_interrupt(const InterruptCommand& command) = 0;
  /// LocalApic::timer_expired() is wanted at this time; kNever: not at all.
  virtual void set_timer(std::uint64_t at_tsc) = 0;
  /// Whether an interrupt is requested of the processor may have changed.
  virtual void interrupt_request_changed() = 0;
  [[nodiscard]] virtual std::uint64_t now_tsc() = 0;
  /// The acknowledge cycle of the external controller behind LINT0.
  [[nodiscard]] virtual std::uint8_t acknowledge_external() = 0;
  /// The end of a level-triggered interrupt, for all I/O APICs.
  virtual void broadcast_end_of_interrupt(std::uint8_t vector) = 0;

 protected:
  ~ApicHost() = default;
};

class LocalApic {
 public:
  /// As firmware leaves it: enabled, and on the boot processor LINT0 passes the external
  /// controller through (virtual wire mode).
  LocalApic(ApicHost& host, std::uint32_t id, bool boot_processor);

  /// RDMSR and WRMSR of IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC's registers; nullopt and
  /// false are #GP(0).
  [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t msr) const;
  [[nodiscard]] bool write(std::uint32_t msr, std::uint64_t value);
  [[nodiscard]] static bool owns(std::uint32_t msr);

  /// A fixed interrupt arrives.
  void accept(std::uint8_t vector, bool level = false);
  void set_lint0(bool level);
  void timer_expired();

  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] std::uint32_t logical_id() const;
  /// Whether the processor is asked to take an interrupt.
  [[nodiscard]] bool requests_interrupt() const { return request_; }
  /// The processor takes it: the vector; it goes into service.
  [[nodiscard]] std::uint8_t acknowledge();

 private:
  using Bits = std::array<std::uint32_t, 8>;

  [[nodiscard]] static std::uint32_t highest(const Bits& bits);  // 0: none
  [[nodiscard]] bool enabled() const;
  [[nodiscard]] std::uint32_t processor_priority() const;
  [[nodiscard]] bool has_fixed_request() const;
  [[nodiscard]] bool has_external_request() const;
  [[nodiscard]] bool write_command(std::uint64_t value);
  [[nodiscard]] bool write_base(std::uint64_t value);
  [[nodiscard]] bool write_register(std::uint32_t msr, std::uint64_t value);
  [[nodiscard]] std::uint64_t divider() const;
  [[nodiscard]] std::uint64_t current_count() const;
  void end_of_interrupt();
  void arm_count_timer();
  void update();

  ApicHost& host_;
  std::uint32_t id_;
  std::uint64_t base_ = 0;
  std::uint32_t spurious_ = 0;
  std::uint32_t task_priority_ = 0;
  std::uint32_t divide_configuration_ = 0;
  std::uint32_t initial_count_ = 0;
  std::uint64_t count_started_tsc_ = 0;
  std::uint64_t deadline_tsc_ = 0;
  std::uint64_t command_ = 0;
  std::array<std::uint32_t, 6>
      local_vectors_{};  // timer, thermal, performance, LINT0, LINT1, error
  Bits requests_{};
  Bits in_service_{};
  /// Of the trigger mode register: level-triggered.
  Bits levels_{};
  bool lint0_ = false;
  bool request_ = false;
};

}  // namespace sim
