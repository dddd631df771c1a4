// Checks on guest segment registers (SDM vol. 3 26.3.1.2): one row a segment and rule.
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"

namespace sim::vtx {

namespace {

using machine::Vmcs16;
using machine::Vmcs32;
using machine::VmcsNatural;
using C = const CheckContext&;

constexpr const char* kSection = "26.3.1.2";

// In the order of the VMCS encodings.
enum Segment : std::uint32_t { kEs, kCs, kSs, kDs, kFs, kGs, kLdtr, kTr };

template <class Field>
constexpr Field nth(Field first, Segment segment) {
  return static_cast<Field>(static_cast<std::uint32_t>(first) + 2 * segment);
}

/// Selector, descriptor and the parts of its access rights (table 24-2).
struct Descriptor {
  Descriptor(C c, Segment segment)
      : selector(c.get32(nth(Vmcs16::kGuestEsSelector, segment))),
        limit(c.get32(nth(Vmcs32::kGuestEsLimit, segment))),
        rights(c.get32(nth(Vmcs32::kGuestEsAccessRights, segment))),
        base(c.get(nth(VmcsNatural::kGuestEsBase, segment))),
        usable((rights & (1u << 16)) == 0) {}

  [[nodiscard]] std::uint32_t rpl() const { return selector & 3; }
  [[nodiscard]] bool local() const { return (selector & 4) != 0; }
  [[nodiscard]] std::uint32_t type() const { return rights & 0xF; }
  [[nodiscard]] bool code_or_data() const { return (rights & (1u << 4)) != 0; }
  [[nodiscard]] std::uint32_t dpl() const { return (rights >> 5) & 3; }
  [[nodiscard]] bool present() const { return (rights & (1u << 7)) != 0; }
  [[nodiscard]] bool reserved_clear() const { return (rights & 0xFFFE'0F00) == 0; }
  [[nodiscard]] bool long_mode() const { return (rights & (1u << 13)) != 0; }
  [[nodiscard]] bool is_32_bit() const { return (rights & (1u << 14)) != 0; }
  [[nodiscard]] bool granularity_fits() const {
    const bool in_pages = (rights & (1u << 15)) != 0;
    return in_pages ? (limit & 0xFFF) == 0xFFF : (limit >> 20) == 0;
  }

  std::uint32_t selector;
  std::uint32_t limit;
  std::uint32_t rights;
  std::uint64_t base;
  bool usable;
};

// CS counts as usable always; other segments are checked only while usable.
template <Segment segment>
bool is_checked(const Descriptor& d) {
  return segment == kCs || d.usable;
}

template <Segment segment>
bool base_fits(C c) {
  const Descriptor d(c, segment);
  if (c.virtual_8086() && segment <= kGs) {
    return d.base == static_cast<std::uint64_t>(d.selector) << 4;
  }
  if (segment == kFs || segment == kGs || segment == kTr || (segment == kLdtr && d.usable)) {
    return c.capabilities.is_canonical(d.base);
  }
  const bool data = segment == kSs || segment == kDs || segment == kEs;
  return !(segment == kCs || (data && d.usable)) || (d.base >> 32) == 0;
}

template <Segment segment>
bool virtual_8086_shape(C c) {
  const Descriptor d(c, segment);
  return !c.virtual_8086() || (d.limit == 0xFFFF && d.rights == 0xF3);
}

template <Segment segment>
bool type_fits(C c) {
  const Descriptor d(c, segment);
  if (c.virtual_8086() || !is_checked<segment>(d)) {
    return true;
  }
  if constexpr (segment == kCs) {
    const bool accessed_code = (d.type() & 9) == 9;
    return accessed_code || (c.unrestricted() && d.type() == 3);
  } else if constexpr (segment == kSs) {
    return d.type() == 3 || d.type() == 7;
  } else {
    const bool code = (d.type() & 8) != 0;
    return (d.type() & 1) != 0 && (!code || (d.type() & 2) != 0);
  }
}

template <Segment segment>
bool is_code_or_data(C c) {
  const Descriptor d(c, segment);
  return c.virtual_8086() || !is_checked<segment>(d) || d.code_or_data();
}

template <Segment segment>
bool dpl_fits(C c) {
  const Descriptor d(c, segment);
  if (c.virtual_8086()) {
    return true;
  }
  if constexpr (segment == kCs) {
    const std::uint32_t stack_dpl = Descriptor(c, kSs).dpl();
    switch (d.type()) {
      case 3:
        return d.dpl() == 0;
      case 9:
      case 11:
        return d.dpl() == stack_dpl;
      default:
        return d.dpl() <= stack_dpl;
    }
  } else if constexpr (segment == kSs) {
    const bool real_mode = (c.get(VmcsNatural::kGuestCr0) & machine::x86::kCr0Pe) == 0 ||
                           Descriptor(c, kCs).type() == 3;
    return (c.unrestricted() || d.dpl() == d.rpl()) && (!real_mode || d.dpl() == 0);
  } else {
    return !d.usable || c.unrestricted() || d.type() > 11 || d.dpl() >= d.rpl();
  }
}

template <Segment segment>
bool is_present(C c) {
  const Descriptor d(c, segment);
  return c.virtual_8086() || !is_checked<segment>(d) || d.present();
}

template <Segment segment>
bool reserved_rights_clear(C c) {
  const Descriptor d(c, segment);
  return c.virtual_8086() || !is_checked<segment>(d) || d.reserved_clear();
}

template <Segment segment>
bool granularity_fits(C c) {
  const Descriptor d(c, segment);
  return c.virtual_8086() || !is_checked<segment>(d) || d.granularity_fits();
}

bool code_is_not_both_long_and_32_bit(C c) {
  const Descriptor d(c, kCs);
  return c.virtual_8086() || !(c.ia32e_guest() && d.long_mode() && d.is_32_bit());
}

bool stack_rpl_is_code_rpl(C c) {
  return c.virtual_8086() || c.unrestricted() ||
         Descriptor(c, kSs).rpl() == Descriptor(c, kCs).rpl();
}

bool tr_type_fits(C c) {
  const std::uint32_t type = Descriptor(c, kTr).type();
  return type == 11 || (!c.ia32e_guest() && type == 3);
}

bool ldtr_if_usable(C c, bool (*rule)(const Descriptor&)) {
  const Descriptor d(c, kLdtr);
  return !d.usable || rule(d);
}

constexpr Check kSegmentChecks[] = {
    {"TR selects from the GDT", kSection, [](C c) { return !Descriptor(c, kTr).local(); }},
    {"LDTR selects from the GDT", kSection,
     [](C c) { return ldtr_if_usable(c, [](const Descriptor& d) { return !d.local(); }); }},
    {"SS has the RPL of CS", kSection, stack_rpl_is_code_rpl},
    {"CS base fits", kSection, base_fits<kCs>},
    {"SS base fits", kSection, base_fits<kSs>},
    {"DS base fits", kSection, base_fits<kDs>},
    {"ES base fits", kSection, base_fits<kEs>},
    {"FS base fits", kSection, base_fits<kFs>},
    {"GS base fits", kSection, base_fits<kGs>},
    {"TR base is canonical", kSection, base_fits<kTr>},
    {"LDTR base is canonical", kSection, base_fits<kLdtr>},
    {"CS has the shape of virtual-8086 mode", kSection, virtual_8086_shape<kCs>},
    {"SS has the shape of virtual-8086 mode", kSection, virtual_8086_shape<kSs>},
    {"DS has the shape of virtual-8086 mode", kSection, virtual_8086_shape<kDs>},
    {"ES has the shape of virtual-8086 mode", kSection, virtual_8086_shape<kEs>},
    {"FS has the shape of virtual-8086 mode", kSection, virtual_8086_shape<kFs>},
    {"GS has the shape of virtual-8086 mode", kSection, virtual_8086_shape<kGs>},
    {"CS is accessed code", kSection, type_fits<kCs>},
    {"SS is accessed writable data", kSection, type_fits<kSs>},
    {"DS is accessed and readable", kSection, type_fits<kDs>},
    {"ES is accessed and readable", kSection, type_fits<kEs>},
    {"FS is accessed and readable", kSection, type_fits<kFs>},
    {"GS is accessed and readable", kSection, type_fits<kGs>},
    {"CS is a code or data segment", kSection, is_code_or_data<kCs>},
    {"SS is a code or data segment", kSection, is_code_or_data<kSs>},
    {"DS is a code or data segment", kSection, is_code_or_data<kDs>},
    {"ES is a code or data segment", kSection, is_code_or_data<kEs>},
    {"FS is a code or data segment", kSection, is_code_or_data<kFs>},
    {"GS is a code or data segment", kSection, is_code_or_data<kGs>},
    {"CS DPL fits SS DPL", kSection, dpl_fits<kCs>},
    {"SS DPL is its RPL", kSection, dpl_fits<kSs>},
    {"DS DPL is at least its RPL", kSection, dpl_fits<kDs>},
    {"ES DPL is at least its RPL", kSection, dpl_fits<kEs>},
    {"FS DPL is at least its RPL", kSection, dpl_fits<kFs>},
    {"GS DPL is at least its RPL", kSection, dpl_fits<kGs>},
    {"CS is present", kSection, is_present<kCs>},
    {"SS is present", kSection, is_present<kSs>},
    {"DS is present", kSection, is_present<kDs>},
    {"ES is present", kSection, is_present<kEs>},
    {"FS is present", kSection, is_present<kFs>},
    {"GS is present", kSection, is_present<kGs>},
    {"CS access rights have their reserved bits clear", kSection, reserved_rights_clear<kCs>},
    {"SS access rights have their reserved bits clear", kSection, reserved_rights_clear<kSs>},
    {"DS access rights have their reserved bits clear", kSection, reserved_rights_clear<kDs>},
    {"ES access rights have their reserved bits clear", kSection, reserved_rights_clear<kEs>},
    {"FS access rights have their reserved bits clear", kSection, reserved_rights_clear<kFs>},
    {"GS access rights have their reserved bits clear", kSection, reserved_rights_clear<kGs>},
    {"CS is 64-bit or 32-bit, not both", kSection, code_is_not_both_long_and_32_bit},
    {"CS granularity fits its limit", kSection, granularity_fits<kCs>},
    {"SS granularity fits its limit", kSection, granularity_fits<kSs>},
    {"DS granularity fits its limit", kSection, granularity_fits<kDs>},
    {"ES granularity fits its limit", kSection, granularity_fits<kEs>},
    {"FS granularity fits its limit", kSection, granularity_fits<kFs>},
    {"GS granularity fits its limit", kSection, granularity_fits<kGs>},
    {"TR is usable", kSection, [](C c) { return Descriptor(c, kTr).usable; }},
    {"TR is a busy TSS", kSection, tr_type_fits},
    {"TR is a system segment", kSection, [](C c) { return !Descriptor(c, kTr).code_or_data(); }},
    {"TR is present", kSection, [](C c) { return Descriptor(c, kTr).present(); }},
    {"TR access rights have their reserved bits clear", kSection,
     [](C c) { return Descriptor(c, kTr).reserved_clear(); }},
    {"TR granularity fits its limit", kSection,
     [](C c) { return Descriptor(c, kTr).granularity_fits(); }},
    {"LDTR is an LDT", kSection,
     [](C c) { return ldtr_if_usable(c, [](const Descriptor& d) { return d.type() == 2; }); }},
    {"LDTR is a system segment", kSection,
     [](C c) { return ldtr_if_usable(c, [](const Descriptor& d) { return !d.code_or_data(); }); }},
    {"LDTR is present", kSection,
     [](C c) { return ldtr_if_usable(c, [](const Descriptor& d) { return d.present(); }); }},
    {"LDTR access rights have their reserved bits clear", kSection,
     [](C c) { return ldtr_if_usable(c, [](const Descriptor& d) { return d.reserved_clear(); }); }},
    {"LDTR granularity fits its limit", kSection,
     [](C c) {
       return ldtr_if_usable(c, [](const Descriptor& d) { return d.granularity_fits(); });
     }},
};

}  // namespace

std::span<const Check> guest_segment_checks() { return kSegmentChecks; }

}  // namespace sim::vtx
