// VMCSs as the processor keeps them: values by compact slot, launch state, and which groups of
// VM-entry checks must be made again. The memory of a VMCS region holds no field.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine/address.h"
#include "machine/vmcs_fields.h"

namespace sim::vtx {

/// Groups of fields by the VM-entry checks that read them; bits of a mask.
inline constexpr std::uint8_t kGroupControls = 1u << 0;
inline constexpr std::uint8_t kGroupHost = 1u << 1;
inline constexpr std::uint8_t kGroupGuest = 1u << 2;
inline constexpr std::uint8_t kAllGroups = kGroupControls | kGroupHost | kGroupGuest;
/// Fields whose checks are made at every entry (RIP, RFLAGS, interruptibility, activity,
/// injection), and fields without checks.
inline constexpr std::uint8_t kNoGroup = 0;

struct FieldInfo {
  static constexpr std::uint8_t kAbsent = 0xFF;
  std::uint8_t slot = kAbsent;
  std::uint8_t group = kNoGroup;
  std::uint8_t width_bits = 0;
  bool read_only = false;
  [[nodiscard]] constexpr bool exists() const { return slot != kAbsent; }
};

/// Fields with consecutive even encodings.
struct FieldRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint8_t group = kNoGroup;
};

/// Every field of the processor (SDM vol. 3 appendix B).
inline constexpr auto kFieldRanges = std::to_array<FieldRange>({
    {0x0000, 0x0000, kGroupControls},  // VPID
    {0x0800, 0x080E, kGroupGuest},     // selectors
    {0x0C00, 0x0C0C, kGroupHost},      // selectors
    {0x2000, 0x200A, kGroupControls},  // bitmaps, MSR areas
    {0x200C, 0x200C, kNoGroup},        // executive-VMCS pointer
    {0x2010, 0x2010, kNoGroup},        // TSC offset
    {0x2012, 0x2014, kGroupControls},  // virtual-APIC and APIC-access addresses
    {0x201A, 0x201A, kGroupControls},  // EPTP
    {0x2400, 0x2400, kNoGroup},        // guest-physical address
    {0x2800, 0x2806, kGroupGuest},     // link pointer, DEBUGCTL, PAT, EFER
    {0x280A, 0x2810, kGroupGuest},     // PDPTEs
    {0x2C00, 0x2C02, kGroupHost},      // PAT, EFER
    {0x4000, 0x4002, kGroupControls},  // pin-based and processor-based controls
    {0x4004, 0x4008, kNoGroup},        // exception bitmap, page-fault mask and match
    {0x400A, 0x4014, kGroupControls},  // CR3-target count, exit and entry controls, MSR counts
    {0x4016, 0x401A, kNoGroup},        // event injection
    {0x401C, 0x401E, kGroupControls},  // TPR threshold, secondary controls
    {0x4400, 0x440E, kNoGroup},        // exit information
    {0x4800, 0x4822, kGroupGuest},     // limits, access rights
    {0x4824, 0x4826, kNoGroup},        // interruptibility, activity
    {0x4828, 0x482A, kNoGroup},        // SMBASE, SYSENTER_CS
    {0x482E, 0x482E, kNoGroup},        // preemption-timer value
    {0x4C00, 0x4C00, kNoGroup},        // SYSENTER_CS
    {0x6000, 0x600E, kNoGroup},        // CR masks and shadows, CR3 targets
    {0x6400, 0x640A, kNoGroup},        // exit information
    {0x6800, 0x681A, kGroupGuest},     // CRs, bases, DR7
    {0x681C, 0x6822, kNoGroup},        // RSP, RIP, RFLAGS, pending debug exceptions
    {0x6824, 0x6826, kGroupGuest},     // SYSENTER_ESP, SYSENTER_EIP
    {0x6C00, 0x6C12, kGroupHost},      // CRs, bases, SYSENTER
    {0x6C14, 0x6C14, kNoGroup},        // RSP
    {0x6C16, 0x6C16, kGroupHost},      // RIP
});

inline constexpr std::size_t kFieldKeys = 512;

/// The parts of an encoding that tell fields apart (SDM vol. 3 24.11.2): index 5:1, type 11:10,
/// width 14:13.
[[nodiscard]] constexpr std::size_t field_key(std::uint32_t encoding) {
  return ((encoding >> 6) & 0x180) | ((encoding >> 5) & 0x60) | ((encoding >> 1) & 0x1F);
}
/// Whether the key loses nothing but the access type (bit 0).
[[nodiscard]] constexpr bool has_field_key(std::uint32_t encoding) {
  return (encoding & ~0x6C3Fu) == 0;
}

[[nodiscard]] consteval std::size_t count_fields() {
  std::size_t count = 0;
  for (const FieldRange& range : kFieldRanges) {
    count += (range.last - range.first) / 2 + 1;
  }
  return count;
}
inline constexpr std::size_t kFieldCount = count_fields();

[[nodiscard]] consteval std::array<FieldInfo, kFieldKeys> make_field_table() {
  constexpr std::array<std::uint8_t, 4> kWidths = {16, 64, 32, 64};
  std::array<FieldInfo, kFieldKeys> table{};
  std::uint8_t slot = 0;
  for (const FieldRange& range : kFieldRanges) {
    for (std::uint32_t encoding = range.first; encoding <= range.last; encoding += 2) {
      table[field_key(encoding)] = {slot++, range.group, kWidths[(encoding >> 13) & 3],
                                    ((encoding >> 10) & 3) == 1};
    }
  }
  return table;
}
inline constexpr std::array<FieldInfo, kFieldKeys> kFieldTable = make_field_table();

[[nodiscard]] constexpr FieldInfo find_field(std::uint32_t encoding) {
  return has_field_key(encoding) ? kFieldTable[field_key(encoding)] : FieldInfo{};
}

/// What an enumerator of any of the field types names.
template <class Field>
[[nodiscard]] constexpr FieldInfo info_of(Field field) {
  return kFieldTable[field_key(static_cast<std::uint32_t>(field))];
}

struct Vmcs {
  std::array<std::uint64_t, kFieldCount> values{};
  machine::Spa region;
  /// The processor that the VMCS is active on, or kNone (SDM vol. 3 24.1).
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  std::uint32_t active_on = kNone;
  bool launched = false;
  /// VMCLEARed at least once: before that, the launch state is undefined (SDM vol. 3 24.11.3).
  bool initialized = false;
  /// Groups written since their checks last passed.
  std::uint8_t unchecked_groups = kAllGroups;

  template <class Field>
  [[nodiscard]] std::uint64_t get(Field field) const {
    return values[info_of(field).slot];
  }
  template <class Field>
  [[nodiscard]] std::uint32_t get32(Field field) const {
    return static_cast<std::uint32_t>(get(field));
  }
  /// The processor's own write: nothing to check again.
  template <class Field>
  void put(Field field, std::uint64_t value) {
    values[info_of(field).slot] = value;
  }
  /// A write of what the checks read.
  template <class Field>
  void set(Field field, std::uint64_t value) {
    const FieldInfo info = info_of(field);
    values[info.slot] = value;
    unchecked_groups |= info.group;
  }
};
static_assert(sizeof(Vmcs) <= 1100);

/// The VMCSs of one computer, by the address of their region. They stay until the table goes: the
/// processor is never told that software has other plans with the memory.
class VmcsTable {
 public:
  /// Fields that software has not written since the first VMCLEAR hold this pattern, cut to the
  /// field's width: the architecture leaves their values undefined (SDM vol. 3 24.11.3).
  static constexpr std::uint64_t kUndefined = 0x5A5A'5A5A'5A5A'5A5A;

  /// The VMCS of a region, made at first sight. The reference stays valid.
  [[nodiscard]] Vmcs& at(machine::Spa region);
  [[nodiscard]] std::size_t size() const { return vmcss_.size(); }

 private:
  std::vector<std::unique_ptr<Vmcs>> vmcss_;  // ascending by region
};

}  // namespace sim::vtx
