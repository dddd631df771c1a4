// The VMX root link set of the seam (machine/vmx_root.h), instruction by instruction. Entering a
// guest and the host state are in hypervisor/: they are stubs and tables, not instructions.
#include "machine/vmx_root.h"

#include "metal/memory_instructions.h"

namespace machine {

std::uint8_t load_u8(Spa address) { return metal::load<std::uint8_t>(address); }
std::uint16_t load_u16(Spa address) { return metal::load<std::uint16_t>(address); }
std::uint32_t load_u32(Spa address) { return metal::load<std::uint32_t>(address); }
std::uint64_t load_u64(Spa address) { return metal::load<std::uint64_t>(address); }
void store_u8(Spa address, std::uint8_t value) { metal::store(address, value); }
void store_u16(Spa address, std::uint16_t value) { metal::store(address, value); }
void store_u32(Spa address, std::uint32_t value) { metal::store(address, value); }
void store_u64(Spa address, std::uint64_t value) { metal::store(address, value); }

std::uint32_t exchange_u32(Spa address, std::uint32_t value) {
  return metal::exchange(address, value);
}

std::uint32_t compare_exchange_u32(Spa address, std::uint32_t expected, std::uint32_t desired) {
  return metal::compare_exchange(address, expected, desired);
}

std::uint64_t compare_exchange_u64(Spa address, std::uint64_t expected, std::uint64_t desired) {
  return metal::compare_exchange(address, expected, desired);
}

std::uint8_t fetch_or_u8(Spa address, std::uint8_t bits) { return metal::fetch_or(address, bits); }

std::uint32_t fetch_or_u32(Spa address, std::uint32_t bits) {
  return metal::fetch_or(address, bits);
}

std::uint32_t fetch_and_u32(Spa address, std::uint32_t bits) {
  return metal::fetch_and(address, bits);
}

std::uint64_t fetch_or_u64(Spa address, std::uint64_t bits) {
  return metal::fetch_or(address, bits);
}

std::uint64_t fetch_and_u64(Spa address, std::uint64_t bits) {
  return metal::fetch_and(address, bits);
}

void read_memory(Spa from, std::span<std::byte> to) {
  metal::copy_bytes(to.data(), metal::word_at<std::byte>(from), to.size());
}

void write_memory(Spa to, std::span<const std::byte> from) {
  metal::copy_bytes(metal::word_at<std::byte>(to), from.data(), from.size());
}

void fill_memory(Spa to, std::uint64_t size_bytes, std::uint8_t value) {
  metal::fill_bytes(metal::word_at<std::byte>(to), size_bytes, value);
}

std::byte* direct_map(Spn page) { return metal::word_at<std::byte>(Spa(page)); }

// VMX instructions report through CF (fail invalid) and ZF (fail valid), never both (SDM vol. 3
// 30.2), so the result is 2 * ZF + CF.
static_assert(static_cast<int>(VmxResult::kFailInvalid) == 1);
static_assert(static_cast<int>(VmxResult::kFailValid) == 2);

__attribute__((naked)) VmxResult vmxon(Spa) {
  asm(R"(
    pushq %rdi
    vmxon (%rsp)
    setz %al
    adcb %al, %al
    popq %rdi
    ret)");
  __builtin_unreachable();
}

void vmxoff() { asm volatile("vmxoff" : : : "memory"); }

__attribute__((naked)) VmxResult vmclear(Spa) {
  asm(R"(
    pushq %rdi
    vmclear (%rsp)
    setz %al
    adcb %al, %al
    popq %rdi
    ret)");
  __builtin_unreachable();
}

__attribute__((naked)) VmxResult vmptrld(Spa) {
  asm(R"(
    pushq %rdi
    vmptrld (%rsp)
    setz %al
    adcb %al, %al
    popq %rdi
    ret)");
  __builtin_unreachable();
}

namespace {

/// A field that the processor does not have traps as an invalid opcode: a programming error.
template <class Field>
[[gnu::always_inline]] inline std::uint64_t read_field(Field field) {
  std::uint64_t value = 0;
  asm volatile("vmread %1, %0; ja 1f; ud2; 1:"
               : "=r"(value)
               : "r"(static_cast<std::uint64_t>(field))
               : "cc", "memory");
  return value;
}

template <class Field>
[[gnu::always_inline]] inline void write_field(Field field, std::uint64_t value) {
  asm volatile("vmwrite %1, %0; ja 1f; ud2; 1:"
               :
               : "r"(static_cast<std::uint64_t>(field)), "r"(value)
               : "cc", "memory");
}

}  // namespace

std::uint16_t vmread(Vmcs16 field) { return static_cast<std::uint16_t>(read_field(field)); }
std::uint32_t vmread(Vmcs32 field) { return static_cast<std::uint32_t>(read_field(field)); }
std::uint32_t vmread(VmcsReadOnly32 field) { return static_cast<std::uint32_t>(read_field(field)); }
std::uint64_t vmread(Vmcs64 field) { return read_field(field); }
std::uint64_t vmread(VmcsReadOnly64 field) { return read_field(field); }
std::uint64_t vmread(VmcsNatural field) { return read_field(field); }
std::uint64_t vmread(VmcsReadOnlyNatural field) { return read_field(field); }
void vmwrite(Vmcs16 field, std::uint16_t value) { write_field(field, value); }
void vmwrite(Vmcs32 field, std::uint32_t value) { write_field(field, value); }
void vmwrite(Vmcs64 field, std::uint64_t value) { write_field(field, value); }
void vmwrite(VmcsNatural field, std::uint64_t value) { write_field(field, value); }

void save_extended_state(Spa area, std::uint64_t components) {
  asm volatile("xsaveopt64 (%0)"
               :
               : "r"(area.value()), "a"(static_cast<std::uint32_t>(components)),
                 "d"(static_cast<std::uint32_t>(components >> 32))
               : "memory");
}

void restore_extended_state(Spa area, std::uint64_t components) {
  asm volatile("xrstor64 (%0)"
               :
               : "r"(area.value()), "a"(static_cast<std::uint32_t>(components)),
                 "d"(static_cast<std::uint32_t>(components >> 32))
               : "memory");
}

__attribute__((naked)) VmxResult invept(InveptKind, std::uint64_t) {
  asm(R"(
    pushq $0
    pushq %rsi
    movzbl %dil, %edi
    invept (%rsp), %rdi
    setz %al
    adcb %al, %al
    leaq 16(%rsp), %rsp
    ret)");
  __builtin_unreachable();
}

// The descriptor's first quadword is the VPID, its second the linear address.
__attribute__((naked)) VmxResult invvpid(InvvpidKind, std::uint16_t, std::uint64_t) {
  asm(R"(
    movzwl %si, %esi
    pushq %rdx
    pushq %rsi
    movzbl %dil, %edi
    invvpid (%rsp), %rdi
    setz %al
    adcb %al, %al
    leaq 16(%rsp), %rsp
    ret)");
  __builtin_unreachable();
}

}  // namespace machine
