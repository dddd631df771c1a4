// Hypercalls with their parameters in registers (TLFS "Extended Fast Hypercalls"), on the whole
// hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
namespace x86 = machine::x86;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::RegisterName;
using hv::Status;

constexpr std::uint8_t kVector = 0x55;

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

FastBlock filled(std::uint64_t seed) {
  FastBlock block;
  for (std::uint64_t& word : block) {
    word = seed++ * 0x0101'0101'0101'0101;
  }
  return block;
}

template <class Input>
FastBlock block_with(const Input& input) {
  FastBlock block = filled(0x11);
  std::memcpy(block.data(), &input, sizeof(input));
  return block;
}

/// The quadwords of `after` are those of `before` but for [first, first + count).
void check_others(const FastBlock& before, const FastBlock& after, std::size_t first,
                  std::size_t count) {
  for (std::size_t index = 0; index < before.size(); ++index) {
    GUEST_CHECK((index >= first && index < first + count) || before[index] == after[index]);
  }
}

void answer_in_registers() {
  begin();
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionId)).status() == Status::kSuccess);
  const auto self = static_cast<std::uint64_t>(output<hv::PartitionIdOutput>().partition);
  // Without input the answer begins in RDX.
  const FastBlock nothing = filled(0x21);
  FastBlock block = nothing;
  GUEST_CHECK(call_fast(HypercallControl(CallCode::kGetPartitionId), block).status() ==
              Status::kSuccess);
  GUEST_CHECK(block[0] == self);
  check_others(nothing, block, 0, 1);
  // After 56 bytes of input, in the register pair after the next multiple of 16.
  const FastBlock input = block_with(hv::CreatePartitionInput{});
  block = input;
  GUEST_CHECK(call_fast(HypercallControl(CallCode::kCreatePartition), block).status() ==
              Status::kSuccess);
  check_others(input, block, 8, 1);
  const auto child = PartitionId{block[8]};
  GUEST_CHECK(
      call_fast(HypercallControl(CallCode::kDeletePartition), hv::PartitionInput{child}).status() ==
      Status::kSuccess);
  end(0);
}

void repeat_in_registers() {
  begin();
  struct Input {
    hv::VpRegistersInput header;
    std::array<RegisterName, 4> names;
  } input;
  input.header.partition = hv::kPartitionIdSelf;
  input.header.vp = hv::kVpIndexSelf;
  input.names = {RegisterName::kCr3, RegisterName::kVpIndex, RegisterName{0x30002},
                 RegisterName::kRip};
  static_assert(sizeof(Input) == 32);
  const FastBlock before = block_with(input);
  FastBlock block = before;
  const auto control = HypercallControl(CallCode::kGetVpRegisters);
  const auto result = call_fast(control.with_reps(4), block);
  GUEST_CHECK(result.status() == Status::kSuccess && result.reps_completed() == 4);
  check_others(before, block, 4, 8);
  GUEST_CHECK(block[6] == 0 && block[7] == 0);  // VP index
  // XMM2 as the call found it.
  GUEST_CHECK(block[8] == before[6] && block[9] == before[7]);
  // From the third element on: the first two answers are not there.
  block = before;
  const auto rest = call_fast(control.with_reps(4, 2), block);
  GUEST_CHECK(rest.status() == Status::kSuccess && rest.reps_completed() == 4);
  check_others(before, block, 8, 4);
  GUEST_CHECK(block[8] == before[6]);
  // An element that fails: those before it are done.
  input.names[2] = RegisterName{0x123456};
  block = block_with(input);
  const auto failed = call_fast(control.with_reps(4), block);
  GUEST_CHECK(failed.status() == Status::kUnknownRegisterName && failed.reps_completed() == 2);
  GUEST_CHECK(block[6] == 0);
  // What does not fit.
  FastBlock same = before;
  GUEST_CHECK(call_fast(control.with_reps(5), same).status() == Status::kInvalidHypercallInput);
  GUEST_CHECK(same == before);
  hv::PostMessageInput message;
  GUEST_CHECK(machine::hypercall(kHypercallPage,
                                 HypercallControl(CallCode::kPostMessage).fast().value(), 0,
                                 0) == static_cast<std::uint64_t>(Status::kInvalidHypercallInput));
  static_assert(sizeof(message) > hv::kXmmFastInputBytes);
  end(0);
}

void send_with_variable_header() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  struct Input {
    hv::SendSyntheticClusterIpiExInput header;
    std::uint64_t bank;
  } input;
  input.header.vector = kVector;
  input.header.processors.valid_bank_mask = 1;
  input.bank = 1;
  const FastBlock before = block_with(input);
  FastBlock block = before;
  GUEST_CHECK(
      call_fast(HypercallControl(CallCode::kSendSyntheticClusterIpiEx).with_variable_header(1),
                block)
          .status() == Status::kSuccess);
  GUEST_CHECK(block == before);
  machine::sti_hlt();
  struct Flush {
    hv::FlushVirtualAddressSpaceExInput header;
    std::array<std::uint64_t, 3> banks;
    std::array<hv::GvaRange, 4> ranges;
  } flush;
  flush.header.processors.valid_bank_mask = 1ull << 63 | 1ull << 31 | 1;
  flush.banks = {1, 2, 4};
  const auto flushed = call_fast(
      HypercallControl(CallCode::kFlushVirtualAddressListEx).with_variable_header(3).with_reps(4),
      flush);
  GUEST_CHECK(flushed.status() == Status::kSuccess && flushed.reps_completed() == 4);
  end(0);
}

void idle_child() { machine::sti_hlt(); }

void require_pass(void (*root)()) {
  const sim::RunResult result = run(world_with_child(root, idle_child));
  INFO(describe(result));
  REQUIRE(result.passed());
}

}  // namespace

TEST_CASE("a fast call answers in the registers after its input", "[hv][fast]") {
  require_pass(answer_in_registers);
}

TEST_CASE("a fast rep call has its elements and answers in registers", "[hv][fast]") {
  require_pass(repeat_in_registers);
}

TEST_CASE("a fast call has its variable header in registers", "[hv][fast]") {
  require_pass(send_with_variable_header);
}
