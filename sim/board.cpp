#include "sim/board.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace sim {

namespace {

/// From a device's output to the interrupt controller's input.
constexpr std::uint64_t kLineDelayNs = 100;

// Events: an interrupt line's new level, or a timer.
constexpr std::uint64_t kLineEvent = std::uint64_t{1} << 63;

}  // namespace

Board::Board(BoardHost& host, PhysicalMemory& memory, const std::vector<DiskConfiguration>& disks)
    : host_(host), memory_(memory), disks_(disks.size()) {
  if (disks.size() > devices::kDriveCount) {
    throw std::invalid_argument("more disks than the board has places for");
  }
  devices::ChipsetOptions options;
  options.memory_size_bytes = memory.size_bytes();
  for (std::size_t index = 0; index < disks.size(); ++index) {
    const DiskConfiguration& wanted = disks[index];
    Disk& disk = disks_[index];
    disk.medium = std::make_unique<MemoryDisk>(wanted.size_bytes, wanted.content);
    devices::BlockStorage* storage = disk.medium.get();
    if (wanted.write_cache_sectors != 0) {
      disk.slots.resize(wanted.write_cache_sectors);
      disk.cache = std::make_unique<devices::WriteCache>(*this, *disk.medium, disk.slots);
      storage = disk.cache.get();
    }
    options.drives[index] = {storage, wanted.model, wanted.serial};
  }
  // Private bases: no make_unique.
  chipset_.reset(new devices::Chipset(*this, *this, *this, options));
}

Bytes Board::read_disk(std::size_t index, std::uint64_t offset, std::uint64_t size) const {
  const std::uint64_t first = offset / devices::kSectorBytes;
  const std::uint64_t last = (offset + size + devices::kSectorBytes - 1) / devices::kSectorBytes;
  const Disk& disk = disks_.at(index);
  if (last > disk.medium->sector_count() || last < first) {
    throw std::out_of_range("beyond the end of the disk");
  }
  Bytes sectors((last - first) * devices::kSectorBytes);
  static_cast<void>(disk.medium->read(first, sectors));
  const auto begin = sectors.begin() + static_cast<std::ptrdiff_t>(offset % devices::kSectorBytes);
  return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

void Board::read_memory(std::uint64_t bus_address, std::span<std::byte> destination) {
  const machine::Spa address(bus_address);
  if (memory_.contains(address, destination.size())) {
    memory_.read(address, destination);
  } else {
    std::ranges::fill(destination, std::byte{0xFF});
  }
}

void Board::write_memory(std::uint64_t bus_address, std::span<const std::byte> source) {
  const machine::Spa address(bus_address);
  if (memory_.contains(address, source.size())) {
    memory_.write(address, source);
  }
}

// Later, because a platform calls no model back from within its functions.
void Board::set_interrupt_line(std::uint32_t line, bool level) {
  host_.schedule(host_.now_ns() + kLineDelayNs, *this, kLineEvent | (line << 1) | (level ? 1 : 0));
}

Board::Timer& Board::timer_of(devices::TimerClient& client, devices::TimerToken token) {
  for (Timer& timer : timers_) {
    if (timer.client == &client && timer.token == token) {
      return timer;
    }
  }
  return timers_.emplace_back(Timer{&client, token, 0, false});
}

void Board::schedule(devices::TimerClient& client, devices::TimerToken token, std::uint64_t at_ns) {
  Timer& timer = timer_of(client, token);
  timer.armed = true;
  ++timer.generation;
  const auto index = static_cast<std::uint64_t>(&timer - timers_.data());
  host_.schedule(std::max(at_ns, host_.now_ns()), *this, (index << 32) | timer.generation);
}

void Board::cancel(devices::TimerClient& client, devices::TimerToken token) {
  timer_of(client, token).armed = false;
}

void Board::happen(std::uint64_t token) {
  if ((token & kLineEvent) != 0) {
    const auto line = static_cast<std::uint32_t>(token & ~kLineEvent) >> 1;
    const bool level = (token & 1) != 0;
    chipset_->set_interrupt_line(line, level);
    io_apic_.set_line(line, level);
    return;
  }
  Timer& timer = timers_[token >> 32];
  if (timer.armed && timer.generation == static_cast<std::uint32_t>(token)) {
    timer.armed = false;
    // The client may schedule others, which moves the table.
    devices::TimerClient& client = *timer.client;
    const devices::TimerToken client_token = timer.token;
    client.expired(client_token);
  }
}

void Board::put(std::uint8_t character) {
  if (character == '\n') {
    host_.console_line(std::exchange(line_, {}));
  } else if (character != '\r') {
    line_.push_back(static_cast<char>(character));
  }
}

}  // namespace sim
