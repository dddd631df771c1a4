// What runs on a logical processor: the hypervisor's fiber there, or the fiber of one virtual
// processor's guest; and the programs that these belong to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "machine/common.h"
#include "sim/fiber.h"
#include "sim/instructions.h"
#include "sim/vtx/exits.h"
#include "sim/vtx/vmcs.h"
#include "sim/world.h"

namespace sim {

class LogicalProcessor;

/// A region of host memory for a program's private objects.
struct Arena {
  std::byte* mapping = nullptr;
  std::size_t mapping_bytes = 0;
  std::span<std::byte> content;
};

[[nodiscard]] Arena map_arena(std::uint64_t size_bytes, const Perturbation& perturbation);
void unmap_arena(const Arena& arena);

/// A program's interrupt table. Most of its 256 gates stay empty, in groups.
class HandlerTable {
 public:
  [[nodiscard]] machine::InterruptHandler operator[](std::uint8_t vector) const {
    const auto& group = groups_[vector / kGroup];
    return group != nullptr ? (*group)[vector % kGroup] : nullptr;
  }
  void set(std::uint8_t vector, machine::InterruptHandler handler) {
    auto& group = groups_[vector / kGroup];
    if (group == nullptr) {
      group = std::make_unique<std::array<machine::InterruptHandler, kGroup>>();
    }
    (*group)[vector % kGroup] = handler;
  }

 private:
  static constexpr std::size_t kGroup = 16;
  std::array<std::unique_ptr<std::array<machine::InterruptHandler, kGroup>>, 256 / kGroup> groups_;
};

/// The hypervisor, or a kernel in one partition.
struct Program {
  const GuestProgram* kernel = nullptr;  // null: the hypervisor
  /// Where its entry page lies: what tells the partitions that run one kernel apart.
  std::uint64_t entry_page = 0;
  /// Of its first processor: what others that start elsewhere in the partition have in common.
  std::uint64_t ept_pointer = 0;
  Arena arena;
  HandlerTable handlers;
  std::uint32_t contexts = 0;
};

struct HeldLock {
  std::uint32_t rank = 0;
  const void* lock = nullptr;
};

struct Context {
  Context(Stack stack, FiberEntry entry, Program& owner, std::uint32_t number)
      : fiber(stack, unused_stack_bytes(number, owner.kernel != nullptr), entry, this),
        program(owner),
        id(number),
        guest(owner.kernel != nullptr) {}

  [[nodiscard]] bool is_guest() const { return guest; }
  /// Where the guest stands, in the only form that software above the seam sees: the instruction
  /// that it executes is at its offset in every page that a guest can stand in.
  [[nodiscard]] std::uint64_t rip(Instruction instruction = instructions::kNone) const {
    return rip_base + (((position << machine::kPageShift) & rip_mask) | instruction.offset);
  }
  [[nodiscard]] static bool is_synthetic(std::uint64_t rip) { return (rip >> 46) == 1; }
  [[nodiscard]] static std::uint32_t id_of(std::uint64_t rip) {
    return static_cast<std::uint32_t>((rip & (kSyntheticRip - 1)) >> kPositionBits);
  }
  /// A guest that was started outside of IA-32e mode, where RIP has 32 bits and there are no pages
  /// to stand in everywhere, stands in the entry page itself, so far from the base of its code.
  void stand_in_32_bits(std::uint64_t distance) {
    rip_base = distance & 0xFFFF'FFFF;
    rip_mask = 0;
    in_32_bits = true;
  }
  /// Whether it stands where it was when it last left, or behind that instruction.
  [[nodiscard]] bool stands_at(std::uint64_t rip) const {
    return rip == exit_rip || rip == exit_rip + exit_length;
  }

  /// Stacks begin at different lines of a page; those of guests, of which there can be many and
  /// small ones, near its end.
  static constexpr std::size_t unused_stack_bytes(std::uint32_t number, bool of_guest) {
    constexpr std::size_t kLine = 64;
    return of_guest ? number % 8 * 2 * kLine : number * 9 * kLine % machine::kPageSize;
  }
  static constexpr std::uint64_t kSyntheticRip = std::uint64_t{1} << 46;
  static constexpr std::uint32_t kPositionBits = 24;

  Fiber fiber;
  Program& program;
  const std::uint32_t id;
  const bool guest;
  std::uint64_t rip_base = kSyntheticRip | (std::uint64_t{id} << kPositionBits);
  std::uint64_t rip_mask = (1u << kPositionBits) - machine::kPageSize;
  bool in_32_bits = false;
  bool boot_processor = false;
  /// The processor that runs it; null while it is not entered.
  LogicalProcessor* on = nullptr;
  void* local = nullptr;
  std::uint64_t position = 0;
  std::uint64_t exit_rip = 0;
  std::uint32_t exit_length = 0;
  /// Injected with the VM entry, to be delivered first.
  std::optional<vtx::Event> entry_event;
  const vtx::Vmcs* vmcs = nullptr;
  std::vector<HeldLock> locks;
};

}  // namespace sim
