// Prints docs/interface-coverage.md from the hypervisor's dispatch tables.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "hv/cpuid/cpuid_table.h"
#include "hv/hypercall/call_table.h"
#include "hv/hypercall/virtual_interrupts.h"
#include "hv/msr/msr_table.h"
#include "tests/coverage/interface_lists.h"
#include "tests/coverage/row_counts.h"

namespace {

std::string privilege_bits(std::uint64_t mask) {
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((mask >> bit & 1) != 0) {
      text += fmt::format("{}{}", text.empty() ? "" : ", ", bit);
    }
  }
  return text.empty() ? "-" : text;
}

/// Which ways there are to give the call its input (TLFS "Hypercall Inputs"): in memory, in RDX and
/// R8, in these and XMM0 to XMM5; a rep call with one element. What it answers has to fit as well.
std::string input_forms(const hv::CallDescription& call) {
  std::string forms = "slow";
  if (call.code == hv::CallCode::kPostDebugData || call.code == hv::CallCode::kRetrieveDebugData) {
    return forms;  // data of any length lies behind the block, which a register has not
  }
  const std::uint64_t input = std::uint64_t{call.header_size_bytes} + call.element_size_bytes;
  const std::uint64_t output =
      std::uint64_t{call.output_size_bytes} + call.output_element_size_bytes;
  if (hv::call_arithmetic::fits_in_registers<std::uint64_t>(input, output)) {
    forms += call.fast == hv::FastForm::kAllowed ? ", fast" : ", XMM fast";
  }
  if (call.variable_header != hv::VariableHeader::kNone) {
    forms += ", variable header";
  }
  return forms;
}

void print_call(const coverage::InterfaceCall& call) {
  const hv::CallEntry* const entry = hv::find_call(call.code);
  const coverage::RowCounts rows = coverage::rows_of_call(call.code);
  if (entry == nullptr) {
    fmt::print("| 0x{:04X} | {} | no: INVALID_HYPERCALL_CODE | | | | {} | {} |\n", call.code,
               call.name, rows.accepted, rows.refused);
    return;
  }
  const hv::CallDescription& description = entry->description;
  fmt::print("| 0x{:04X} | {} | yes | {} | {} | {} | {} | {} |\n", call.code, call.name,
             description.rep == hv::RepKind::kRep ? "rep" : "simple", input_forms(description),
             privilege_bits(description.privilege), rows.accepted, rows.refused);
}

void print_calls() {
  fmt::print(
      "## Hypercalls\n\n"
      "| code | call | works | kind | input | privilege bit | accepted | refused |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (const coverage::InterfaceCall& call : coverage::interface_calls()) {
    print_call(call);
  }
}

void print_virtual_interrupts() {
  constexpr std::array<std::string_view, 10> kNames = {
      "fixed", "lowest priority", "SMI",   "remote read", "NMI", "INIT",
      "SIPI",  "ExtINT",          "LINT0", "LINT1"};
  fmt::print(
      "\n## Types of AssertVirtualInterrupt\n\n| type | name | works | level | vectors |\n"
      "| --- | --- | --- | --- | --- |\n");
  for (std::uint32_t type = 0; type < kNames.size(); ++type) {
    const auto* const rule = hv::calls::find_rule(hv::VirtualInterruptType{type});
    if (rule == nullptr) {
      fmt::print("| {} | {} | no: INVALID_PARAMETER | | |\n", type, kNames[type]);
    } else {
      fmt::print("| {} | {} | yes | {} | {}-{} |\n", type, kNames[type],
                 rule->may_be_level ? "yes" : "no: INVALID_PARAMETER", rule->first_vector,
                 rule->last_vector);
    }
  }
}

const hv::MsrDescription* find_msr(std::uint32_t number) {
  const auto table = hv::msr_table();
  const auto found = std::ranges::find_if(table, [number](const hv::MsrDescription& entry) {
    return entry.first <= number && number <= entry.last;
  });
  return found == table.end() ? nullptr : &*found;
}

void print_msr_row(std::uint32_t first, std::uint32_t last, std::string_view name) {
  const std::string number = first == last ? fmt::format("0x{:08X}", first)
                                           : fmt::format("0x{:08X}-{:02X}", first, last & 0xFF);
  const hv::MsrDescription* const entry = find_msr(first);
  const coverage::RowCounts rows = coverage::rows_of_msrs(first, last);
  if (entry == nullptr) {
    fmt::print("| {} | {} | no: #GP | | {} | {} |\n", number, name, rows.accepted, rows.refused);
    return;
  }
  fmt::print("| {} | {} | {}{} | {} | {} | {} |\n", number, name, entry->read != nullptr ? "R" : "",
             entry->write != nullptr ? "W" : "", privilege_bits(entry->privilege), rows.accepted,
             rows.refused);
}

void print_msrs() {
  fmt::print(
      "\n## Synthetic MSRs\n\n| MSR | name | access | privilege bit | accepted | refused |\n"
      "| --- | --- | --- | --- | --- | --- |\n");
  for (const coverage::InterfaceMsr& msr : coverage::interface_msrs()) {
    print_msr_row(msr.first, msr.last, msr.name);
  }
  fmt::print(
      "\n## Architectural MSRs that a guest has\n\n"
      "| MSR | name | access | privilege bit | accepted | refused |\n"
      "| --- | --- | --- | --- | --- | --- |\n");
  for (const hv::MsrDescription& entry : hv::msr_table()) {
    if (entry.first < 0x40000000 || entry.first > 0x4000FFFF) {
      print_msr_row(entry.first, entry.last, entry.name);
    }
  }
}

void print_leaves() {
  hv::CpuidSubject subject;
  subject.privileges = hv::PrivilegeMask(~std::uint64_t{0});
  fmt::print(
      "\n## CPUID, as a partition with every privilege sees it\n\n"
      "| leaf | what | EAX | EBX | ECX | EDX | tested |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const coverage::InterfaceLeaf& leaf : coverage::interface_leaves()) {
    const machine::CpuidResult answer = hv::hypervisor_cpuid(subject, leaf.leaf);
    fmt::print("| 0x{:08X} | {} | {:08X} | {:08X} | {:08X} | {:08X} | {} |\n", leaf.leaf,
               leaf.meaning, answer.eax, answer.ebx, answer.ecx, answer.edx,
               coverage::rows_of_leaf(leaf.leaf));
  }
}

}  // namespace

int main() {
  fmt::print(
      "# Interface coverage\n\nGenerated from the dispatch tables of `hv/` by "
      "`tests/coverage/`; a test holds it current.\nWhat is not there answers as the "
      "interface says for an absent feature.\nThe last columns count the inputs of "
      "`tests/interface/` that must be accepted and refused.\n\n");
  print_calls();
  print_virtual_interrupts();
  print_msrs();
  print_leaves();
  return 0;
}
