#include "hv/processor/string_io.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/processor/guest_translation.h"
#include "hv/processor/instruction_exits.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/guest_context.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

/// Of INS, for each exit.
constexpr std::uint64_t kMaxBytes = 512;
constexpr std::uint64_t kDirectionFlag = 1u << 10;
constexpr std::uint8_t kUserLevel = 3;

// Error codes of page faults (SDM vol. 3 4.7).
constexpr std::uint32_t kFaultProtection = 1u << 0;
constexpr std::uint32_t kFaultWrite = 1u << 1;
constexpr std::uint32_t kFaultUser = 1u << 2;
constexpr std::uint32_t kFaultReservedBit = 1u << 3;

/// An index register after it took part with an address size (SDM vol. 1 3.4.1.1): 32 bits clear
/// what lies above, 16 bits leave it.
std::uint64_t merge_index(std::uint64_t old, std::uint64_t value, std::uint64_t mask) {
  constexpr std::uint64_t kLow16 = 0xFFFF;
  return mask == kLow16 ? (old & ~mask) | (value & mask) : value & mask;
}

/// The instruction, as far as one exit carries it out.
struct Step {
  std::uint64_t address_mask = 0;
  std::uint64_t left = 1;
  std::uint64_t count = 0;
  bool down = false;
};

/// Gives the elements to the registers; the last one ends the instruction.
void advance(VirtualProcessor& vp, const vtx::IoExit& access, const Step& step) {
  machine::GuestRegisters& registers = vp.context.registers();
  const std::uint64_t bytes = step.count * access.size_bytes;
  std::uint64_t& index = access.in ? registers.rdi : registers.rsi;
  index = merge_index(index, step.down ? index - bytes : index + bytes, step.address_mask);
  if (access.repeated) {
    registers.rcx = merge_index(registers.rcx, step.left - step.count, step.address_mask);
  }
  if (step.count == step.left) {
    vtx::complete_instruction();
  }
}

void raise_page_fault(VirtualProcessor& vp, std::uint64_t gva, TranslateCode code, bool user) {
  std::uint32_t error = kFaultWrite | (user ? kFaultUser : 0);
  if (code != TranslateCode::kPageNotPresent) {
    error |= kFaultProtection;
  }
  if (code == TranslateCode::kInvalidPageTableFlags) {
    error |= kFaultReservedBit;
  }
  vp.context.registers().cr2 = gva;
  vp.pending_event = vtx::hardware_exception(x86::kVectorPageFault, error);
}

/// The GPA space did not let the access through; if it does now, the guest tries again.
void refuse(LogicalProcessor& processor, VirtualProcessor& vp, machine::Gpa gpa, bool write) {
  std::optional<GpaMapping> mapping;
  std::optional<OverlayKind> overlay;
  {
    const machine::LockGuard guard(vp.partition.space_lock);
    if (vp.partition.space->contains(gpa.page())) {
      mapping = vp.partition.space->lookup(gpa.page());
      overlay = vp.partition.space->overlay_at(gpa.page());
    }
  }
  const bool may = mapping && (write ? mapping->rights.can_write() : mapping->rights.can_read());
  if (may && is_memory(mapping)) {
    return;
  }
  if (overlay) {
    refuse_overlay_access(vp, *overlay);
    return;
  }
  intercept_memory(processor.hypervisor(), vp, gpa.value(),
                   {.read = !write, .write = write, .mapped = mapping.has_value()});
}

/// Where the guest may write at `gva`; nothing if it takes a fault or its parent is asked, or if it
/// shall try again.
std::optional<machine::Gpa> writable_at(LogicalProcessor& processor, VirtualProcessor& vp,
                                        std::uint64_t gva) {
  WalkAccess access;
  access.write = true;
  access.user = vtx::privilege_level() == kUserLevel;
  access.set_page_table_bits = true;
  const std::optional<PageWalk> found = walk_guest_tables(vp, gva, access);
  if (!found) {
    return std::nullopt;
  }
  switch (found->code) {
    case TranslateCode::kSuccess:
      if (vp.partition.is_writable(found->gpa)) {
        return found->gpa;
      }
      refuse(processor, vp, found->gpa, true);
      return std::nullopt;
    case TranslateCode::kPageNotPresent:
    case TranslateCode::kPrivilegeViolation:
    case TranslateCode::kInvalidPageTableFlags:
      raise_page_fault(vp, gva, found->code, access.user);
      return std::nullopt;
    case TranslateCode::kGpaNoWriteAccess:
      refuse(processor, vp, found->gpa, true);
      return std::nullopt;
    default:  // an entry of the tables
      refuse(processor, vp, found->gpa, false);
      return std::nullopt;
  }
}

/// Ones, within a page that was writable a moment ago; if it is no more, the guest tries again.
bool fill(VirtualProcessor& vp, machine::Gpa gpa, std::uint64_t size_bytes) {
  std::array<std::byte, kMaxBytes> ones;
  ones.fill(std::byte{0xFF});
  return vp.partition.write_memory(gpa, std::span(ones).first(size_bytes));
}

/// One element that lies in two pages: nothing is written unless both may be.
bool fill_across(LogicalProcessor& processor, VirtualProcessor& vp, std::uint64_t gva,
                 std::uint64_t size_bytes) {
  const std::uint64_t in_first = machine::kPageSize - gva % machine::kPageSize;
  const auto first = writable_at(processor, vp, gva);
  const auto second = first ? writable_at(processor, vp, gva + in_first) : std::nullopt;
  return second && fill(vp, *first, in_first) && fill(vp, *second, size_bytes - in_first);
}

/// Elements from `offset` in a page on, or down from there, that lie in that page; 0 if the first
/// does not.
std::uint64_t elements_in_page(std::uint64_t offset, std::uint8_t size_bytes, bool down) {
  if (offset + size_bytes > machine::kPageSize) {
    return 0;
  }
  return down ? offset / size_bytes + 1 : (machine::kPageSize - offset) / size_bytes;
}

/// False: nothing was done. Outside of 64-bit mode an exit takes one element, so that the processor
/// holds each against the segment's limit.
bool fill_elements(LogicalProcessor& processor, VirtualProcessor& vp, const vtx::IoExit& access,
                   Step& step) {
  std::uint64_t gva = vp.context.registers().rdi & step.address_mask;
  std::uint64_t most = kMaxBytes / access.size_bytes;
  if (!vtx::in_64_bit_code()) {
    gva = (gva + vtx::read_segment(vtx::SegmentName::kEs).base) & 0xFFFF'FFFF;
    most = 1;
  }
  const std::uint64_t near =
      elements_in_page(gva % machine::kPageSize, access.size_bytes, step.down);
  if (near == 0) {
    step.count = 1;
    return fill_across(processor, vp, gva, access.size_bytes);
  }
  step.count = std::min({near, most, step.left});
  const std::uint64_t bytes = step.count * access.size_bytes;
  const std::uint64_t lowest = step.down ? gva - (bytes - access.size_bytes) : gva;
  const auto place = writable_at(processor, vp, gva);
  return place && fill(vp, machine::Gpa(place->value() - (gva - lowest)), bytes);
}

}  // namespace

void complete_string_io(LogicalProcessor& processor, VirtualProcessor& vp,
                        const vtx::IoExit& access) {
  Step step;
  step.address_mask = vtx::exit_address_mask();
  step.down = (vtx::read_rflags() & kDirectionFlag) != 0;
  if (access.repeated) {
    step.left = vp.context.registers().rcx & step.address_mask;
  }
  step.count = step.left;
  if (access.in && step.left != 0 && !fill_elements(processor, vp, access, step)) {
    return;
  }
  advance(vp, access, step);
}

}  // namespace hv
