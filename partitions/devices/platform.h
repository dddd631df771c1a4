// Register-level models of standard hardware: interrupt controllers, timer, clock, serial port,
// IDE.
//
// A model runs on no processor. The root partition uses models as emulated devices of its children,
// the simulator as the physical hardware: each gives them a Platform. A model may not know which of
// the two it is in, what a processor or a partition is, nor where time comes from; it owns no heap,
// throws nothing and calls only the interfaces of this file.
//
// Calls go one way at a time: a Platform never calls a model back from within one of the functions
// below; timers expire later, from the platform's own loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/testing.h"

namespace devices {

/// A timer of one model, told apart from the model's other timers. The model chooses the number.
enum class TimerToken : std::uint32_t {};

/// A model that has timers.
class TimerClient {
 public:
  /// The time that was scheduled for `token` has come. Platform::now_ns() is at least that time.
  virtual void expired(TimerToken token) = 0;

 protected:
  ~TimerClient() = default;
};

/// What surrounds a model.
class Platform {
 public:
  /// DMA. `bus_address` is a system physical address on the simulator, a guest physical one where
  /// the root emulates. Memory that does not exist reads as all-ones and ignores writes.
  virtual void read_memory(std::uint64_t bus_address, std::span<std::byte> destination) = 0;
  virtual void write_memory(std::uint64_t bus_address, std::span<const std::byte> source) = 0;

  /// The level of an interrupt input, ISA numbering: 0..15 of the interrupt controller pair. Told
  /// on each change only.
  virtual void set_interrupt_line(std::uint32_t line, bool level) = 0;

  /// Nanoseconds since power-on.
  [[nodiscard]] virtual std::uint64_t now_ns() = 0;

  /// Calls client.expired(token) once, at `at_ns` or as soon after as can be. A timer that is
  /// already scheduled moves. `client` outlives the timer.
  virtual void schedule(TimerClient& client, TimerToken token, std::uint64_t at_ns) = 0;
  /// Does nothing if the timer is not scheduled.
  virtual void cancel(TimerClient& client, TimerToken token) = 0;

  /// A value in [0, domain), 0 the ordinary course: how long a command takes, what of a write cache
  /// had reached the medium when the power failed. A fault point of a device is such a decision.
  [[nodiscard]] virtual std::uint32_t decide(const machine::Site& site, std::uint32_t domain) = 0;

 protected:
  ~Platform() = default;
};

/// A device that decodes I/O ports. `size` is 1, 2 or 4; a value has no bits above it.
class PortDevice {
 public:
  [[nodiscard]] virtual std::uint32_t read_port(std::uint16_t port, std::uint32_t size) = 0;
  virtual void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) = 0;

 protected:
  ~PortDevice() = default;
};

/// Where the serial port's characters go.
class ConsoleSink {
 public:
  virtual void put(std::uint8_t character) = 0;

 protected:
  ~ConsoleSink() = default;
};

/// The pin by which the interrupt controller asks the processor for attention (INTR). Told on each
/// change only.
class InterruptPin {
 public:
  virtual void set_interrupt_request(bool level) = 0;

 protected:
  ~InterruptPin() = default;
};

}  // namespace devices
