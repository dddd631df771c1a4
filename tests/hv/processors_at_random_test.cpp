// A child's virtual processors flush, send, halt and signal, while its parent suspends and resumes
// them, binds them to logical processors, deletes and makes them anew, interrupts them, holds their
// translations, and takes memory from under them: at random, over many seeds. Nobody runs who must
// not, no flush passes one that is held, everybody goes on in the end, and every page comes back.
#include <array>
#include <catch2/catch.hpp>
#include <random>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionProperty;
using hv::RegisterName;
using hv::Status;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr std::uint32_t kVps = 5;
constexpr std::uint32_t kLps = 3;
constexpr std::uint32_t kSteps = 120;
constexpr std::uint32_t kSint = 3;
constexpr std::uint8_t kSintVector = 0x43;
constexpr std::uint8_t kIpiVector = 0x51;
constexpr std::uint8_t kLineVector = 0x61;
constexpr std::uint8_t kTimerVector = 0x71;
constexpr hv::ConnectionId kMessagesToRoot{0x41};
constexpr hv::ConnectionId kEventsToRoot{0x42};
constexpr hv::ConnectionId kMessagesToChild{0x43};
constexpr hv::ConnectionId kEventsToChild{0x44};

/// A line of words for each of the child's processors.
constexpr Gpa kLines{0x41'0000};
struct Line {
  static constexpr std::uint64_t kBytes = 64;
  /// How often its loop went round; how many of the parent's interrupts it took.
  static constexpr std::uint64_t kRounds = 0;
  static constexpr std::uint64_t kInterrupts = 8;
  /// Odd while its parent holds a translation of it.
  static constexpr std::uint64_t kHeld = 16;
};
constexpr Gpa word_of(std::uint32_t vp, std::uint64_t word) {
  return kLines + vp * Line::kBytes + word;
}
/// Pages of its own for each.
constexpr Gpa own_page(std::uint32_t vp, std::uint32_t page) {
  return Gpa(0x42'0000) + (vp * 4 + page) * machine::kPageSize;
}

std::uint64_t seed_of_run = 0;

struct Draws {
  explicit Draws(std::uint64_t seed) : state(seed * 0x9E37'79B9'7F4A'7C15 + 1) {}
  std::uint32_t below(std::uint32_t limit) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::uint32_t>(state >> 33) % limit;
  }
  std::uint64_t state;
};

// --- The child ----------------------------------------------------------------------------------

/// Handlers have no object; the id tells whose words they mean.
std::uint32_t own_index() { return static_cast<std::uint32_t>(machine::read_msr(x86::kX2ApicId)); }
void end_interrupt() { machine::write_msr(x86::kX2ApicEoi, 0); }
void count_in(Gpa word) { machine::store_u32(word, machine::load_u32(word) + 1); }

void on_message(const machine::InterruptFrame&) {
  const Gpa slot = own_page(own_index(), 0) + kSint * hv::kMessageSlotBytes;
  if (machine::load_u32(slot) != 0) {
    machine::store_u32(slot, 0);
    machine::fence();
    machine::write_msr(hv::kMsrEom, 0);
  }
  const Gpa flags = own_page(own_index(), 1) + kSint * hv::kEventFlagsAreaBytes;
  machine::fetch_and_u32(flags, 0);
  end_interrupt();
}

void turn_on(std::uint32_t vp) {
  machine::set_interrupt_handler(kSintVector, on_message);
  for (const std::uint8_t vector : {kIpiVector, kTimerVector}) {
    machine::set_interrupt_handler(vector, [](const machine::InterruptFrame&) { end_interrupt(); });
  }
  machine::set_interrupt_handler(kLineVector, [](const machine::InterruptFrame&) {
    count_in(word_of(own_index(), Line::kInterrupts));
    end_interrupt();
  });
  machine::write_msr(hv::kMsrSimp, hv::OverlayPageRegister(own_page(vp, 0).page(), true).value());
  machine::write_msr(hv::kMsrSiefp, hv::OverlayPageRegister(own_page(vp, 1).page(), true).value());
  machine::write_msr(hv::kMsrSint0 + kSint, kSintVector);
  machine::write_msr(hv::kMsrScontrol, hv::kScontrolEnable);
  machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | kTimerVector);
}

std::uint64_t call_with(std::uint32_t vp, CallCode code, const auto& input) {
  const Gpa page = own_page(vp, 2);
  machine::write_memory(page, std::as_bytes(std::span(&input, 1)));
  return machine::hypercall(kHypercallPage, HypercallControl(code).value(), page.value(), 0);
}

/// It does not come back from one that is held when it begins and still is when it ends.
void flush(std::uint32_t vp, Draws& draws) {
  const bool all = draws.below(2) == 0;
  const std::uint64_t mask = all ? (1u << kVps) - 1 : 1u << draws.below(kVps);
  std::array<std::uint32_t, kVps> before{};
  for (std::uint32_t other = 0; other < kVps; ++other) {
    before[other] = machine::load_u32(word_of(other, Line::kHeld));
  }
  const hv::FlushVirtualAddressSpaceInput input{
      0, hv::FlushFlags::kAllAddressSpaces | (all ? hv::FlushFlags::kAllProcessors : 0), mask};
  GUEST_CHECK(
      hv::HypercallResult(call_with(vp, CallCode::kFlushVirtualAddressSpace, input)).status() ==
      Status::kSuccess);
  for (std::uint32_t other = 0; other < kVps; ++other) {
    if (other != vp && ((mask >> other) & 1) != 0 && (before[other] & 1) != 0) {
      GUEST_CHECK(machine::load_u32(word_of(other, Line::kHeld)) != before[other]);
    }
  }
}

void talk_to_root(std::uint32_t vp, Draws& draws) {
  if (draws.below(2) == 0) {
    const std::uint64_t signal = static_cast<std::uint32_t>(kEventsToRoot) |
                                 (static_cast<std::uint64_t>(draws.below(8)) << 32);
    static_cast<void>(machine::hypercall(
        kHypercallPage, HypercallControl(CallCode::kSignalEvent).fast().value(), signal, 0));
    return;
  }
  hv::PostMessageInput input;
  input.connection = kMessagesToRoot;
  input.type = hv::MessageType{7};
  input.payload_size = 16;
  const Status status = hv::HypercallResult(call_with(vp, CallCode::kPostMessage, input)).status();
  GUEST_CHECK(status == Status::kSuccess || status == Status::kInsufficientBuffers);
}

void rest(Draws& draws) {
  machine::write_msr(x86::kMsrTscDeadline, machine::read_tsc() + 1 + draws.below(100'000));
  static_cast<void>(machine::disable_interrupts());
  machine::sti_hlt();
}

void send_ipi(Draws& draws) {
  const std::uint64_t mask = draws.below(1u << kVps);
  GUEST_CHECK(
      machine::hypercall(kHypercallPage,
                         HypercallControl(CallCode::kSendSyntheticClusterIpi).fast().value(),
                         kIpiVector, mask) == 0);
}

[[noreturn]] void work() {
  const std::uint32_t vp = own_index();
  turn_on(vp);
  Draws draws(seed_of_run * kVps + vp + machine::load_u32(word_of(vp, Line::kRounds)));
  for (;;) {
    count_in(word_of(vp, Line::kRounds));
    machine::enable_interrupts();
    switch (draws.below(6)) {
      case 0:
        flush(vp, draws);
        break;
      case 1:
        send_ipi(draws);
        break;
      case 2:
        talk_to_root(vp, draws);
        break;
      case 3:
        rest(draws);
        break;
      case 4:
        static_cast<void>(machine::hypercall(
            kHypercallPage, HypercallControl(CallCode::kNotifyLongSpinWait).fast().value(), 1, 0));
        break;
      default:
        machine::spend(draws.below(20'000));
        break;
    }
  }
}

void first_processor() {
  machine::write_msr(hv::kMsrGuestOsId, hv::open_source_guest_os_id(1, 1));
  machine::write_msr(hv::kMsrHypercall,
                     hv::OverlayPageRegister(kHypercallPage.page(), true).value());
  enable_local_apic();
  work();
}

void other_processor() {
  enable_local_apic();
  work();
}

// --- The root -----------------------------------------------------------------------------------

class Parent {
 public:
  Parent(const Child& child, std::uint64_t seed) : child_(child), draws_(seed) {}

  void step() {
    const std::uint32_t vp = draws_.below(kVps);
    switch (draws_.below(12)) {
      case 0:
      case 1:
        suspend(vp, !vps_[vp].suspended);
        break;
      case 2:
        hold(vp, !vps_[vp].held);
        break;
      case 3:
        bind(vp, 1 + draws_.below((1u << kLps) - 1));
        break;
      case 4:
        make_anew(1 + draws_.below(kVps - 1));
        break;
      case 5:
        suspend_partition(!suspended_);
        break;
      case 6:
      case 7:
        interrupt(vp);
        break;
      case 8:
        talk_to_child();
        break;
      case 9:
        change_shares();
        break;
      case 10:
        change_memory();
        break;
      default:
        static_cast<void>(rounds_of_registers(vp));
        break;
    }
    take_messages();
    machine::spend(draws_.below(30'000));
    nobody_runs_who_must_not();
  }

  /// Whoever was held back goes on, all take an interrupt, and all go round again.
  void let_all_go() {
    suspend_partition(false);
    for (std::uint32_t vp = 0; vp < kVps; ++vp) {
      suspend(vp, false);
      hold(vp, false);
      bind(vp, (1u << kLps) - 1);
    }
    std::array<std::uint32_t, kVps> interrupts{};
    std::array<std::uint32_t, kVps> rounds{};
    for (std::uint32_t vp = 0; vp < kVps; ++vp) {
      // One that was sent before its APIC was enabled is lost: until it goes round, send none.
      await_change(vp, Line::kRounds, word(vp, Line::kRounds));
      interrupts[vp] = word(vp, Line::kInterrupts);
      rounds[vp] = word(vp, Line::kRounds);
      interrupt(vp);
    }
    for (std::uint32_t vp = 0; vp < kVps; ++vp) {
      await_change(vp, Line::kInterrupts, interrupts[vp]);
      await_change(vp, Line::kRounds, rounds[vp]);
    }
  }

 private:
  struct Vp {
    bool suspended = false;
    bool held = false;
    std::uint32_t rounds = 0;  // when it was stopped
  };

  [[nodiscard]] Gpa at(std::uint32_t vp, std::uint64_t word) const {
    return child_.memory + word_of(vp, word).value();
  }
  [[nodiscard]] std::uint32_t word(std::uint32_t vp, std::uint64_t which) const {
    return machine::load_u32(at(vp, which));
  }
  void await_change(std::uint32_t vp, std::uint64_t which, std::uint32_t before) {
    while (word(vp, which) == before) {
      take_messages();
      machine::pause();
    }
  }

  /// From where the call comes back it does not run.
  void note_rounds() {
    for (std::uint32_t vp = 0; vp < kVps; ++vp) {
      if (!is_stopped(vp)) {
        vps_[vp].rounds = word(vp, Line::kRounds);
      }
    }
  }
  [[nodiscard]] bool is_stopped(std::uint32_t vp) const { return suspended_ || vps_[vp].suspended; }
  void nobody_runs_who_must_not() const {
    for (std::uint32_t vp = 0; vp < kVps; ++vp) {
      GUEST_CHECK(!is_stopped(vp) || word(vp, Line::kRounds) == vps_[vp].rounds);
    }
  }

  void suspend(std::uint32_t vp, bool suspended) {
    child_maker::set_register(child_, vp, RegisterName::kExplicitSuspend, suspended ? 1 : 0);
    if (!is_stopped(vp)) {
      vps_[vp].rounds = word(vp, Line::kRounds);
    }
    vps_[vp].suspended = suspended;
  }

  void set_property(PartitionProperty property, std::uint64_t value) const {
    const hv::SetPartitionPropertyInput input{child_.id, property, 0, value};
    GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), input).status() ==
                Status::kSuccess);
  }
  void suspend_partition(bool suspended) {
    set_property(PartitionProperty::kSuspend, suspended ? 1 : 0);
    note_rounds();
    suspended_ = suspended;
  }

  void hold(std::uint32_t vp, bool held) {
    const std::uint32_t generation = word(vp, Line::kHeld);
    if (held) {
      const hv::TranslateVirtualAddressInput input{
          child_.id, hv::VpIndex{vp}, 0, hv::kTranslateValidateRead | hv::kTranslateTlbFlushInhibit,
          1};
      GUEST_CHECK(call(HypercallControl(CallCode::kTranslateVirtualAddress), input).status() ==
                  Status::kSuccess);
      machine::store_u32(at(vp, Line::kHeld), generation | 1);
    } else {
      machine::store_u32(at(vp, Line::kHeld), (generation | 1) + 1);
      child_maker::set_register(child_, vp, RegisterName::kInterceptSuspend, 0);
    }
    vps_[vp].held = held;
  }

  void bind(std::uint32_t vp, std::uint64_t processors) const {
    const hv::SetPartitionPropertyExInput input{child_.id, PartitionProperty::kVpSchedulingAffinity,
                                                0, vp, 0};
    const hv::ProcessorSetValue value{hv::ProcessorSetValue::kSparse, 1, processors};
    machine::write_memory(kInputPage + sizeof(input), std::as_bytes(std::span(&value, 1)));
    GUEST_CHECK(
        call(HypercallControl(CallCode::kSetPartitionPropertyEx).with_variable_header(3), input)
            .status() == Status::kSuccess);
  }

  /// Not the first: where it starts, its whole kernel does.
  void make_anew(std::uint32_t vp) {
    if (vps_[vp].held) {
      hold(vp, false);
    }
    GUEST_CHECK(call(HypercallControl(CallCode::kDeleteVp),
                     hv::DeleteVpInput{child_.id, hv::VpIndex{vp}, 0})
                    .status() == Status::kSuccess);
    const std::uint32_t rounds = word(vp, Line::kRounds);
    machine::spend(draws_.below(20'000));
    GUEST_CHECK(word(vp, Line::kRounds) == rounds);
    hv::CreateVpInput input;
    input.partition = child_.id;
    input.vp = hv::VpIndex{vp};
    GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), input).status() == Status::kSuccess);
    GUEST_CHECK(word(vp, Line::kRounds) == rounds);
    if (vps_[vp].suspended) {
      // It begins as one that is suspended does when it is let go.
      vps_[vp].suspended = false;
      vps_[vp].rounds = rounds;
    }
    child_maker::start(child_, vp);
  }

  void interrupt(std::uint32_t vp) const {
    hv::AssertVirtualInterruptInput input;
    input.partition = child_.id;
    input.destination = vp;
    input.vector = kLineVector;
    GUEST_CHECK(call(HypercallControl(CallCode::kAssertVirtualInterrupt), input).status() ==
                Status::kSuccess);
  }

  /// Nobody of the child may have its SynIC enabled, or all may be busy.
  void talk_to_child() {
    hv::PostMessageInput message;
    message.connection = kMessagesToChild;
    message.type = hv::MessageType{9};
    message.payload_size = 8;
    static_cast<void>(call(HypercallControl(CallCode::kPostMessage), message));
    const hv::SignalEventInput event{kEventsToChild, static_cast<std::uint16_t>(draws_.below(8)),
                                     0};
    static_cast<void>(call(HypercallControl(CallCode::kSignalEvent), event));
  }

  void take_messages() const {
    const Gpa slot = kMessagePage + kSint * hv::kMessageSlotBytes;
    if (machine::load_u32(slot) != 0) {
      machine::store_u32(slot, 0);
      machine::fence();
      machine::write_msr(hv::kMsrEom, 0);
    }
  }

  void change_shares() {
    switch (draws_.below(3)) {
      case 0:
        set_property(PartitionProperty::kCpuWeight, 1 + draws_.below(10'000));
        break;
      case 1:
        set_property(PartitionProperty::kCpuCap, 0x4000 + draws_.below(0xC001));
        break;
      default:
        set_property(PartitionProperty::kCpuCap, 0x10000);
        break;
    }
  }

  /// The hole comes and goes; what it needs is given back and given again.
  void change_memory() {
    child_maker::map_hole(child_);
    child_maker::unmap_hole(child_);
    const hv::MemoryPoolInput input{child_.id, {}};
    machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
    const auto taken = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(4));
    std::array<machine::Gpn, 4> pages{};
    const std::uint32_t count = taken.reps_completed();
    machine::read_memory(kOutputPage, std::as_writable_bytes(std::span(pages).first(count)));
    if (count != 0) {
      GUEST_CHECK(call(HypercallControl(CallCode::kDepositMemory),
                       hv::DepositMemoryInput{child_.id},
                       std::span<const machine::Gpn>(pages).first(count))
                      .status() == Status::kSuccess);
    }
  }

  /// A running one is stopped for it, and runs on.
  [[nodiscard]] std::uint64_t rounds_of_registers(std::uint32_t vp) const {
    hv::VpRegistersInput header;
    header.partition = child_.id;
    header.vp = hv::VpIndex{vp};
    const std::array<RegisterName, 2> names{RegisterName::kRip, RegisterName::kVpRuntime};
    GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                     std::span<const RegisterName>(names))
                    .status() == Status::kSuccess);
    return output<hv::RegisterValue>().low;
  }

  const Child& child_;
  Draws draws_;
  std::array<Vp, kVps> vps_{};
  bool suspended_ = false;
};

void connect(hv::PartitionId owner, hv::PartitionId sender, hv::PortId port,
             hv::ConnectionId connection, const hv::PortInfo& info) {
  hv::CreatePortInput created;
  created.port_partition = owner;
  created.connection_partition = sender;
  created.port = port;
  created.info = info;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), created).status() == Status::kSuccess);
  hv::ConnectPortInput connected;
  connected.connection_partition = sender;
  connected.connection = connection;
  connected.port_partition = owner;
  connected.port = port;
  connected.info.type = info.type;
  GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connected).status() ==
              Status::kSuccess);
}

void connect_all(const Child& child, hv::PartitionId own) {
  constexpr hv::VpIndex kFirst{0};
  connect(own, child.id, hv::PortId{0x21}, kMessagesToRoot, hv::PortInfo::message(kSint, kFirst));
  connect(own, child.id, hv::PortId{0x22}, kEventsToRoot, hv::PortInfo::event(kSint, kFirst, 0, 8));
  connect(child.id, own, hv::PortId{0x23}, kMessagesToChild,
          hv::PortInfo::message(kSint, hv::kVpIndexAny));
  connect(child.id, own, hv::PortId{0x24}, kEventsToChild,
          hv::PortInfo::event(kSint, hv::kVpIndexAny, 0, 8));
}

void root() {
  begin();
  machine::set_interrupt_handler(kSintVector,
                                 [](const machine::InterruptFrame&) { end_interrupt(); });
  machine::write_msr(hv::kMsrSint0 + kSint, kSintVector);
  const Child child = child_maker::make("child", kVps);
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionId)).status() == Status::kSuccess);
  connect_all(child, output<hv::PartitionIdOutput>().partition);
  child_maker::start(child, 0);
  // The hypercall page is the first one's to turn on.
  while (machine::load_u32(child.memory + word_of(0, Line::kRounds).value()) == 0) {
    machine::pause();
  }
  for (std::uint32_t vp = 1; vp < kVps; ++vp) {
    child_maker::start(child, vp);
  }
  Parent parent(child, seed_of_run);
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    parent.step();
  }
  parent.let_all_go();
  child_maker::destroy(child);
  end(0);
}

}  // namespace

TEST_CASE("processors that anything is done to run when they may, never else, and leave nothing",
          "[hv][scheduler]") {
  for (seed_of_run = 1; seed_of_run <= 40; ++seed_of_run) {
    sim::WorldConfiguration configuration =
        world_with_child(root, first_processor, other_processor, kLps);
    configuration.guests.back().max_processors = kVps;
    const sim::RunResult result = run(configuration, seed_of_run);
    INFO("seed " << seed_of_run << " " << describe(result));
    REQUIRE(result.passed());
  }
}
