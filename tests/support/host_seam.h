// A double of the seam for one test on one thread: guest memory is a vector, MSRs are a map, writes
// and calls are recorded, nothing is concurrent. Tests of kernel code assert on the record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "machine/common.h"

namespace host_seam {

struct MsrWrite {
  std::uint32_t msr = 0;
  std::uint64_t value = 0;
  friend bool operator==(const MsrWrite&, const MsrWrite&) = default;
};

struct PortWrite {
  std::uint16_t port = 0;
  std::uint32_t value = 0;
  friend bool operator==(const PortWrite&, const PortWrite&) = default;
};

struct Hypercall {
  std::uint64_t control = 0;
  std::uint64_t input = 0;
  std::uint64_t output = 0;
};

struct Computer {
  std::vector<std::byte> memory = std::vector<std::byte>(1 << 20);
  std::map<std::uint32_t, std::uint64_t> msrs;
  std::vector<MsrWrite> msr_writes;
  std::vector<PortWrite> port_writes;
  /// What a port reads; all-ones without it.
  std::function<std::uint32_t(std::uint16_t port)> on_port_read;
  std::vector<Hypercall> hypercalls;
  /// Answers a hypercall; RAX.
  std::function<std::uint64_t(const Hypercall&)> on_hypercall;
  /// What a processor that sleeps is woken by.
  std::function<void()> on_halt;
  /// Called before each 64-bit read-modify-write of guest memory: another actor's chance.
  std::function<void()> before_exchange;
  std::map<std::uint8_t, machine::InterruptHandler> handlers;
  bool interrupts_enabled = false;
  std::uint64_t halts = 0;
  std::uint64_t spent_ns = 0;
  std::uint64_t broken_properties = 0;
  void* processor_local = nullptr;
  std::vector<std::byte> arena = std::vector<std::byte>(4 << 20);
};

/// The computer of the running test.
Computer& computer();
/// A fresh one.
void reset();

}  // namespace host_seam
