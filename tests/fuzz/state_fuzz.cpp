// What the hypervisor takes from pages that a partition may write at any time: states of a child's
// virtual processor that its parent puts back, the page of its registers, the ring of doorbells,
// the word by which an interrupt ends without an EOI. The child goes on through all of it, or is
// stopped, and its parent gets every page back.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "hv/tlfs/timers.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::RegisterPage;
using hv::Status;
using hv::VpStateType;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr std::uint32_t kSint = 5;
constexpr std::uint8_t kVector = 0x30;
constexpr std::uint8_t kHigherVector = 0x50;
constexpr std::uint32_t kLeaf = 0x4000'0001;
constexpr std::uint32_t kDoorbells = 3;
// The root's.
constexpr Gpa kRingPage{0x40'6000};
constexpr Gpa kStatePage{0x40'7000};
// The child's, where its parent has the page of the same offset in its memory.
constexpr Gpa kAssistPage{0x40'6000};
constexpr Gpa kBell = child_maker::kHole + 0x10;
constexpr std::uint64_t kRoundNs = 2'000;

constexpr VpStateType kTypes[] = {VpStateType::kLocalApic, VpStateType::kXsave,
                                  VpStateType::kMessagePage, VpStateType::kEventFlagsPage,
                                  VpStateType::kSyntheticTimers};

/// The computer runs in this process: its root finds its input here.
fuzz::FuzzInput* current_input = nullptr;

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); }

/// Makes use of the offer to do without the EOI.
void end_lazily(const machine::InterruptFrame&) {
  if ((machine::exchange_u32(kAssistPage, 0) & 1) == 0) {
    machine::write_msr(x86::kX2ApicEoi, 0);
  }
}

void child_that_goes_on() {
  begin();
  machine::set_interrupt_handler(kVector, end_lazily);
  machine::set_interrupt_handler(kHigherVector, end_lazily);
  machine::write_msr(hv::kMsrVpAssistPage,
                     hv::OverlayPageRegister(kAssistPage.page(), true).value());
  machine::enable_interrupts();
  for (;;) {
    machine::write_msr(x86::kX2ApicSelfIpi, kVector);
    machine::store_u32(kBell, 1);
    machine::write_msr(x86::kX2ApicSelfIpi, kHigherVector);
    static_cast<void>(machine::cpuid(kLeaf, 0));
    machine::spend(kRoundNs / 4);
  }
}

class Parent {
 public:
  explicit Parent(fuzz::FuzzInput& input) : input_(input) {}
  void run();

 private:
  [[nodiscard]] std::uint64_t any_word();
  void connect_doorbells();
  void map_registers();
  void put_state_back();
  void put_timers_back(hv::VpStateInput& input);
  void change_words(Gpa page, std::uint64_t words);
  void scribble_ring();
  void scribble_registers();
  void resume();

  fuzz::FuzzInput& input_;
  Child child_;
  Gpa registers_;
};

void Parent::run() {
  machine::write_msr(hv::kMsrSint0, kVector | hv::SintRegister::kPolling);
  machine::write_msr(hv::kMsrSint0 + kSint, kVector | hv::SintRegister::kPolling);
  machine::write_msr(hv::kMsrSirbp, hv::OverlayPageRegister(kRingPage.page(), true).value());
  child_ = child_maker::make("child", 1, nullptr, hv::kCreateExoPartition);
  connect_doorbells();
  map_registers();
  child_maker::start(child_, 0);
  while (!input_.empty()) {
    switch (input_.below(8)) {
      case 0:
      case 1:
        put_state_back();
        break;
      case 2:
        scribble_ring();
        break;
      case 3:
        static_cast<void>(call(HypercallControl(CallCode::kNotifyPortRingEmpty),
                               hv::NotifyPortRingEmptyInput{input_.below(20), 0}));
        break;
      case 4:
        scribble_registers();
        break;
      case 5:
        machine::store_u32(child_.memory + kAssistPage.value(), input_.below(4));
        break;
      case 6:
        resume();
        break;
      default:
        machine::spend(kRoundNs * (1 + input_.below(4)));
        machine::pause();
    }
  }
  child_maker::destroy(child_);
}

std::uint64_t Parent::any_word() {
  switch (input_.below(5)) {
    case 0:
      return 0;
    case 1:
      return ~std::uint64_t{0};
    case 2:
      return input_.take<std::uint8_t>();
    case 3:
      return std::uint64_t{1} << input_.below(64);
    default:
      return input_.take<std::uint64_t>();
  }
}

void Parent::connect_doorbells() {
  for (std::uint32_t id = 1; id <= kDoorbells; ++id) {
    hv::CreatePortInput port;
    port.port_partition = hv::kPartitionIdSelf;
    port.port = hv::PortId{id};
    port.connection_partition = child_.id;
    port.info = hv::PortInfo::message(kSint, hv::kVpIndexAny);
    port.info.type = hv::PortType::kDoorbell;
    GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), port).status() == Status::kSuccess);
    hv::ConnectPortInput connection;
    connection.connection_partition = child_.id;
    connection.connection = hv::ConnectionId{id};
    connection.port_partition = hv::kPartitionIdSelf;
    connection.port = hv::PortId{id};
    connection.info = {hv::PortType::kDoorbell, 0, kBell.value() + 8 * (id - 1), 0,
                       hv::ConnectionInfo::kDoorbellAnyValue};
    GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connection).status() ==
                Status::kSuccess);
  }
}

/// They are valid each time that the child asks for a leaf.
void Parent::map_registers() {
  const hv::InstallInterceptInput intercept{child_.id, hv::kInterceptAccessExecute,
                                            hv::InterceptType::kX64Cpuid, kLeaf};
  GUEST_CHECK(call(HypercallControl(CallCode::kInstallIntercept), intercept).status() ==
              Status::kSuccess);
  hv::MapVpStatePageInput input;
  input.partition = child_.id;
  input.type = hv::VpStatePageType::kRegisters;
  GUEST_CHECK(call(HypercallControl(CallCode::kMapVpStatePage), input).status() ==
              Status::kSuccess);
  registers_ = Gpa(output<hv::MapVpStatePageOutput>().place);
}

// --- States --------------------------------------------------------------------------------------

void Parent::change_words(Gpa page, std::uint64_t words) {
  for (std::uint32_t count = input_.below(8); count != 0; --count) {
    const Gpa where = page + 8 * input_.below(static_cast<std::uint32_t>(words));
    const std::uint64_t value = any_word();
    machine::store_u64(where, value);
  }
}

/// What the processor has, but for some words.
void Parent::put_state_back() {
  hv::VpStateInput input;
  input.partition = child_.id;
  input.type = kTypes[input_.below(std::size(kTypes))];
  if (input.type == VpStateType::kSyntheticTimers) {
    put_timers_back(input);
    return;
  }
  if (input.type == VpStateType::kXsave) {
    input.xsave_states = input_.below(4) == 3 ? any_word() : input_.below(8);
  }
  machine::store_u64(kInputPage + sizeof(input), kStatePage.page().value());
  const auto page_of = [](CallCode code) { return HypercallControl(code).with_variable_header(1); };
  if (input_.below(8) != 7) {
    static_cast<void>(call(page_of(CallCode::kGetVpState), input));
  }
  switch (input.type) {
    case VpStateType::kLocalApic:
      change_words(kStatePage, sizeof(hv::LocalApicState) / 8);
      break;
    case VpStateType::kXsave:
      change_words(input_.below(2) == 0 ? kStatePage : kStatePage + x86::kXsaveHeader, 64);
      break;
    default:
      change_words(kStatePage, machine::kPageSize / 8);
  }
  static_cast<void>(call(page_of(CallCode::kSetVpState), input));
}

void Parent::put_timers_back(hv::VpStateInput& input) {
  constexpr std::uint32_t kQwords = sizeof(hv::SyntheticTimersState) / 8;
  static_cast<void>(call(HypercallControl(CallCode::kGetVpState), input));
  const auto state = output<hv::SyntheticTimersState>();
  const Gpa place = kInputPage + sizeof(input);
  machine::write_memory(place, std::as_bytes(std::span(&state, 1)));
  change_words(place, kQwords);
  static_cast<void>(
      call(HypercallControl(CallCode::kSetVpState).with_variable_header(kQwords), input));
}

// --- Pages that both see -------------------------------------------------------------------------

/// The first words of the ring are its flags; the rest are entries.
void Parent::scribble_ring() {
  const Gpa ring = kRingPage + kSint * sizeof(hv::EventRingLayout);
  if (input_.below(2) == 0) {
    machine::store_u8(ring + input_.below(4), input_.take<std::uint8_t>());
    return;
  }
  machine::fill_memory(ring + offsetof(hv::EventRingLayout, entries),
                       sizeof(hv::EventRingLayout) - offsetof(hv::EventRingLayout, entries),
                       static_cast<std::uint8_t>(input_.below(2)));
}

/// Of the words behind the general registers those that a native program survives: its flags, its
/// segments' attributes; of the general ones those that CPUID writes anyway.
void Parent::scribble_registers() {
  constexpr std::uint64_t kFirstOfCpuid = offsetof(RegisterPage, general);
  const std::uint32_t dirty =
      input_.take<std::uint8_t>() & ~(RegisterPage::kDirtySegments | RegisterPage::kDirtyRip);
  change_words(registers_ + kFirstOfCpuid, 4);
  change_words(registers_ + offsetof(RegisterPage, xmm), 12);
  machine::store_u32(registers_ + offsetof(RegisterPage, dirty), dirty);
  if (input_.below(8) == 7) {
    const std::uint64_t flags = machine::load_u64(registers_ + offsetof(RegisterPage, rflags));
    machine::store_u64(registers_ + offsetof(RegisterPage, rflags),
                       flags ^ (std::uint64_t{1} << input_.below(64)));
  }
  if (input_.below(8) == 7) {
    change_words(registers_ + offsetof(RegisterPage, segments), 12);
    machine::store_u32(registers_ + offsetof(RegisterPage, dirty),
                       dirty | RegisterPage::kDirtySegments);
  }
  machine::store_u8(registers_ + offsetof(RegisterPage, is_valid),
                    input_.below(8) == 7 ? input_.take<std::uint8_t>() : 1);
}

/// Behind the instruction that asked, by the page or by a call; what stopped it otherwise does so
/// again.
void Parent::resume() {
  const auto type = hv::MessageType{machine::load_u32(kMessagePage)};
  if (type == hv::MessageType::kNone) {
    return;
  }
  machine::store_u32(kMessagePage, 0);
  if (type == hv::MessageType::kX64CpuidIntercept) {
    constexpr std::uint64_t kCpuidBytes = 2;
    const hv::VpRegistersInput header{child_.id, hv::VpIndex{0}, 0, {}};
    const std::array<RegisterName, 1> rip{RegisterName::kRip};
    GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                     std::span<const RegisterName>(rip))
                    .status() == Status::kSuccess);
    const std::uint64_t next = output<hv::RegisterValue>().low + kCpuidBytes;
    if (input_.below(2) == 0) {
      child_maker::set_register(child_, 0, RegisterName::kRip, next);
    }
    // The page's goes before, if it is marked there.
    machine::store_u64(registers_ + offsetof(RegisterPage, rip), next);
    const std::uint32_t dirty = machine::load_u32(registers_ + offsetof(RegisterPage, dirty));
    machine::store_u32(registers_ + offsetof(RegisterPage, dirty), dirty | RegisterPage::kDirtyRip);
  }
  child_maker::set_register(child_, 0, RegisterName::kInterceptSuspend, 0);
}

void root_that_puts_back() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  Parent(*current_input).run();
  end(0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  current_input = &input;
  const sim::RunResult result = run(world_with_child(root_that_puts_back, child_that_goes_on));
  current_input = nullptr;
  if (!result.passed()) {
    std::fprintf(stderr, "%s\n", describe(result).c_str());
    std::abort();
  }
  return 0;
}
