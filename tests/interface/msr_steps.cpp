#include "tests/interface/msr_steps.h"

#include <array>

#include "machine/machine.h"
#include "tests/hv/test_kernel.h"

namespace interface_test {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;

void give_privileges(hv::PartitionId id, std::uint64_t bits) {
  GUEST_CHECK(set_property(id, hv::PartitionProperty::kPrivilegeFlags, bits) == Status::kSuccess);
}

void write_msr_now(std::uint32_t msr, std::uint64_t value) { machine::write_msr(msr, value); }

MsrOutcome write_and_zero(std::uint32_t msr, std::uint64_t value) {
  const MsrOutcome outcome = write(msr, value);
  GUEST_CHECK(machine::read_msr(msr) == 0);
  return outcome;
}

void ignore_unknown_msrs(const child_maker::Child& child) {
  GUEST_CHECK(set_property(child.id, hv::PartitionProperty::kUnimplementedMsrAction,
                           hv::kUnimplementedMsrIgnore) == Status::kSuccess);
}

std::uint64_t register_of(const child_maker::Child& child, hv::RegisterName name) {
  hv::VpRegistersInput header;
  header.partition = child.id;
  const std::array<hv::RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const hv::RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

}  // namespace interface_test
