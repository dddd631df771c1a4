// The doubles that stand around a hardware model: they record what it does and let a test decide.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partitions/devices/block_storage.h"
#include "partitions/devices/platform.h"

namespace test_support {

/// A line change, as the model told it.
struct LineChange {
  std::uint32_t line = 0;
  bool level = false;
  friend bool operator==(const LineChange&, const LineChange&) = default;
};

class RecordingDevicePlatform final : public devices::Platform {
 public:
  explicit RecordingDevicePlatform(std::size_t memory_bytes = 0x40000) : memory(memory_bytes) {}

  void read_memory(std::uint64_t bus_address, std::span<std::byte> destination) override {
    for (std::size_t index = 0; index < destination.size(); ++index) {
      const std::uint64_t address = bus_address + index;
      destination[index] = address < memory.size() ? memory[address] : std::byte{0xFF};
    }
  }
  void write_memory(std::uint64_t bus_address, std::span<const std::byte> source) override {
    for (std::size_t index = 0; index < source.size(); ++index) {
      if (bus_address + index < memory.size()) {
        memory[bus_address + index] = source[index];
      }
    }
  }
  void set_interrupt_line(std::uint32_t line, bool level) override {
    line_changes.push_back({line, level});
  }
  std::uint64_t now_ns() override { return now; }
  void schedule(devices::TimerClient& client, devices::TimerToken token,
                std::uint64_t at_ns) override {
    cancel(client, token);
    timers.push_back({at_ns, next_order++, &client, token});
  }
  void cancel(devices::TimerClient& client, devices::TimerToken token) override {
    std::erase_if(timers, [&](const Timer& timer) {
      return timer.client == &client && timer.token == token;
    });
  }
  std::uint32_t decide(const machine::Site& site, std::uint32_t domain) override {
    decisions_asked.emplace_back(site.name());
    if (decisions.empty()) {
      return 0;
    }
    const std::uint32_t decision = decisions.front() % domain;
    decisions.pop_front();
    return decision;
  }

  /// Lets the earliest timer expire; false if there is none.
  bool run_next_timer() {
    if (timers.empty()) {
      return false;
    }
    const auto next = std::ranges::min_element(timers, [](const Timer& left, const Timer& right) {
      return std::pair(left.at_ns, left.order) < std::pair(right.at_ns, right.order);
    });
    const Timer timer = *next;
    timers.erase(next);
    now = std::max(now, timer.at_ns);
    timer.client->expired(timer.token);
    return true;
  }
  /// Lets time pass, with the timers that fall into it.
  void advance(std::uint64_t duration_ns) {
    const std::uint64_t end = now + duration_ns;
    while (std::ranges::any_of(timers, [end](const Timer& timer) { return timer.at_ns <= end; })) {
      run_next_timer();
    }
    now = end;
  }
  /// The level of a line after everything told so far.
  [[nodiscard]] bool level(std::uint32_t line) const {
    bool result = false;
    for (const LineChange& change : line_changes) {
      result = change.line == line ? change.level : result;
    }
    return result;
  }

  struct Timer {
    std::uint64_t at_ns;
    std::uint64_t order;
    devices::TimerClient* client;
    devices::TimerToken token;
  };

  std::vector<std::byte> memory;
  std::vector<LineChange> line_changes;
  std::vector<Timer> timers;
  std::deque<std::uint32_t> decisions;
  std::vector<std::string> decisions_asked;
  std::uint64_t now = 0;
  std::uint64_t next_order = 0;
};

/// A medium in memory, which remembers how it was used and fails where it is told to.
class RecordingStorage final : public devices::BlockStorage {
 public:
  explicit RecordingStorage(std::uint64_t sectors) : data(sectors * devices::kSectorBytes) {
    for (std::size_t index = 0; index < data.size(); ++index) {
      data[index] = static_cast<std::byte>(index * 7 + index / devices::kSectorBytes);
    }
  }

  std::uint64_t sector_count() const override { return data.size() / devices::kSectorBytes; }
  devices::StorageStatus read(std::uint64_t sector, std::span<std::byte> destination) override {
    const std::uint64_t sectors = destination.size() / devices::kSectorBytes;
    if (unreadable && *unreadable >= sector && *unreadable < sector + sectors) {
      return devices::StorageStatus::kUnreadable;
    }
    const auto source = std::span(data).subspan(sector * devices::kSectorBytes);
    std::ranges::copy(source.first(destination.size()), destination.begin());
    return devices::StorageStatus::kOk;
  }
  devices::StorageStatus write(std::uint64_t sector, std::span<const std::byte> source,
                               devices::Durability durability) override {
    if (fail_writes) {
      return devices::StorageStatus::kWriteFailed;
    }
    durabilities.push_back(durability);
    std::ranges::copy(source, std::span(data).subspan(sector * devices::kSectorBytes).begin());
    return devices::StorageStatus::kOk;
  }
  devices::StorageStatus flush() override {
    ++flushes;
    return fail_flush ? devices::StorageStatus::kWriteFailed : devices::StorageStatus::kOk;
  }

  std::vector<std::byte> data;
  std::vector<devices::Durability> durabilities;
  std::optional<std::uint64_t> unreadable;
  std::uint32_t flushes = 0;
  bool fail_writes = false;
  bool fail_flush = false;
};

class RecordingConsole final : public devices::ConsoleSink {
 public:
  void put(std::uint8_t character) override { text.push_back(static_cast<char>(character)); }
  std::string text;
};

class RecordingInterruptPin final : public devices::InterruptPin {
 public:
  void set_interrupt_request(bool level) override { levels.push_back(level); }
  [[nodiscard]] bool level() const { return !levels.empty() && levels.back(); }
  std::vector<bool> levels;
};

}  // namespace test_support
