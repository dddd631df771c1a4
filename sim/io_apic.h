// The I/O APIC of the simulated board (Intel 82093AA): lines of devices become interrupts of local
// APICs. Line n of the chipset is its pin n, beside the legacy interrupt controller.
#pragma once

#include <array>
#include <cstdint>

namespace sim {

/// What an I/O APIC needs of the computer around it.
class IoApicHost {
 public:
  /// A fixed interrupt for the processor with that local APIC id, 0xFF for all.
  virtual void send_interrupt(std::uint8_t destination, std::uint8_t vector, bool level) = 0;

 protected:
  ~IoApicHost() = default;
};

class IoApic {
 public:
  static constexpr std::uint64_t kAddress = 0xFEC0'0000;
  static constexpr std::uint64_t kSizeBytes = 0x1000;
  static constexpr std::uint32_t kPins = 24;

  explicit IoApic(IoApicHost& host) : host_(host) { entries_.fill(kMasked); }

  /// An access of 32 bits, by its offset in the page: the index, and the register it names.
  [[nodiscard]] std::uint32_t read(std::uint64_t offset) const;
  void write(std::uint64_t offset, std::uint32_t value);

  void set_line(std::uint32_t pin, bool level);
  /// A local APIC has ended a level-triggered interrupt, and tells all I/O APICs.
  void end_of_interrupt(std::uint8_t vector);

 private:
  static constexpr std::uint64_t kRemoteRequest = 1u << 14;
  static constexpr std::uint64_t kLevel = 1u << 15;
  static constexpr std::uint64_t kMasked = 1u << 16;

  void write_entry(std::uint32_t pin, bool upper, std::uint32_t value);
  [[nodiscard]] bool is_up(std::uint32_t pin) const;
  void send(std::uint32_t pin);
  void look_at_level(std::uint32_t pin);

  IoApicHost& host_;
  std::uint32_t index_ = 0;
  std::uint32_t id_ = 0;
  std::uint32_t lines_ = 0;
  std::array<std::uint64_t, kPins> entries_{};
};

}  // namespace sim
