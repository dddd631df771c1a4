// The board of the simulated computer: the chipset's models, joined to memory, time, the boot
// processor's interrupt input and the console.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "partitions/devices/chipset.h"
#include "partitions/devices/platform.h"
#include "partitions/devices/write_cache.h"
#include "sim/event_queue.h"
#include "sim/io_apic.h"
#include "sim/memory_disk.h"
#include "sim/physical_memory.h"
#include "sim/world.h"

namespace sim {

/// What the board needs of the computer.
class BoardHost {
 public:
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  virtual void schedule(std::uint64_t at_ns, EventHandler& handler, std::uint64_t token) = 0;
  [[nodiscard]] virtual std::uint32_t decide(const machine::Site& site, std::uint32_t domain) = 0;
  /// The interrupt controller's request to the boot processor.
  virtual void set_external_interrupt(bool level) = 0;
  /// A fixed interrupt for the processor with that local APIC id, 0xFF for all.
  virtual void send_device_interrupt(std::uint8_t destination, std::uint8_t vector, bool level) = 0;
  virtual void console_line(std::string line) = 0;

 protected:
  ~BoardHost() = default;
};

class Board final : public devices::Platform,
                    private devices::InterruptPin,
                    private devices::ConsoleSink,
                    private IoApicHost,
                    private EventHandler {
 public:
  Board(BoardHost& host, PhysicalMemory& memory, const std::vector<DiskConfiguration>& disks);
  ~Board() = default;

  /// A processor's IN and OUT.
  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) {
    return chipset_->read_port(port, size);
  }
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
    chipset_->write_port(port, size, value);
  }
  [[nodiscard]] std::uint8_t acknowledge_interrupt() { return chipset_->acknowledge_interrupt(); }

  void end_of_interrupt(std::uint8_t vector) { io_apic_.end_of_interrupt(vector); }
  /// A processor's access to what is not memory: of 32 bits and the I/O APIC's; else nobody
  /// answers.
  [[nodiscard]] static bool has_device_at(std::uint64_t address, std::size_t size_bytes) {
    return size_bytes == sizeof(std::uint32_t) && address >= IoApic::kAddress &&
           address - IoApic::kAddress < IoApic::kSizeBytes;
  }
  [[nodiscard]] std::uint32_t read_device(std::uint64_t address) const {
    return io_apic_.read(address - IoApic::kAddress);
  }
  void write_device(std::uint64_t address, std::uint32_t value) {
    io_apic_.write(address - IoApic::kAddress, value);
  }

  /// What was printed after the last line end.
  [[nodiscard]] const std::string& unfinished_line() const { return line_; }
  [[nodiscard]] Bytes read_disk(std::size_t index, std::uint64_t offset, std::uint64_t size) const;

  void read_memory(std::uint64_t bus_address, std::span<std::byte> destination) override;
  void write_memory(std::uint64_t bus_address, std::span<const std::byte> source) override;
  void set_interrupt_line(std::uint32_t line, bool level) override;
  [[nodiscard]] std::uint64_t now_ns() override { return host_.now_ns(); }
  void schedule(devices::TimerClient& client, devices::TimerToken token,
                std::uint64_t at_ns) override;
  void cancel(devices::TimerClient& client, devices::TimerToken token) override;
  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain) override {
    return host_.decide(site, domain);
  }

 private:
  struct Disk {
    std::unique_ptr<MemoryDisk> medium;
    std::vector<devices::CachedSector> slots;
    std::unique_ptr<devices::WriteCache> cache;
  };
  struct Timer {
    devices::TimerClient* client = nullptr;
    devices::TimerToken token{};
    /// Which of the scheduled events is the one that counts; 0: none.
    std::uint32_t generation = 0;
    bool armed = false;
  };

  void set_interrupt_request(bool level) override { host_.set_external_interrupt(level); }
  void send_interrupt(std::uint8_t destination, std::uint8_t vector, bool level) override {
    host_.send_device_interrupt(destination, vector, level);
  }
  void put(std::uint8_t character) override;
  void happen(std::uint64_t token) override;
  [[nodiscard]] Timer& timer_of(devices::TimerClient& client, devices::TimerToken token);

  BoardHost& host_;
  PhysicalMemory& memory_;
  std::vector<Disk> disks_;
  std::vector<Timer> timers_;
  std::string line_;
  IoApic io_apic_{*this};
  std::unique_ptr<devices::Chipset> chipset_;
};

}  // namespace sim
