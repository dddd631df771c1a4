#include "partitions/child/lies/liar.h"

#include <bit>

#include "machine/guest.h"
#include "machine/invariant.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/stream/stream_protocol.h"

namespace child {

namespace {

using hv::CallCode;
using hv::HypercallControl;
namespace x86 = machine::x86;

constexpr std::uint64_t kInputWords = 32;
constexpr std::uint64_t kWordsInPage = machine::kPageSize / sizeof(std::uint64_t);
constexpr std::uint8_t kFirstInterruptVector = 16;
constexpr std::uint32_t kFeaturesLeaf = hv::kCpuidLeafMin + 3;

void acknowledge(const machine::InterruptFrame&) { machine::write_msr(hv::kMsrEoi, 0); }

/// Calls that a child may make, and that take their parameters apart before they refuse.
constexpr CallCode kOwnCalls[] = {
    CallCode::kFlushVirtualAddressSpace,   CallCode::kFlushVirtualAddressList,
    CallCode::kFlushVirtualAddressSpaceEx, CallCode::kFlushVirtualAddressListEx,
    CallCode::kSendSyntheticClusterIpi,    CallCode::kSendSyntheticClusterIpiEx,
    CallCode::kNotifyLongSpinWait,         CallCode::kSignalEvent,
    CallCode::kGetVpIndexFromApicId,       CallCode::kGetVpRegisters,
    CallCode::kGetPartitionProperty,       CallCode::kPostMessage,
};

/// Those of them that fit in registers and are not answered: any caller may make them fast.
constexpr std::size_t kUnansweredCalls = 8;
static_assert(kOwnCalls[kUnansweredCalls - 1] == CallCode::kSignalEvent);

bool takes_list(CallCode code) {
  return code == CallCode::kFlushVirtualAddressList ||
         code == CallCode::kFlushVirtualAddressListEx || code == CallCode::kGetVpRegisters;
}
bool takes_processor_set(CallCode code) {
  return code == CallCode::kFlushVirtualAddressSpaceEx ||
         code == CallCode::kFlushVirtualAddressListEx ||
         code == CallCode::kSendSyntheticClusterIpiEx;
}

/// Whether a call may be answered in registers, or is an undefined opcode then (TLFS "Extended Fast
/// Hypercalls").
bool may_be_answered_in_registers() {
  return (machine::cpuid(kFeaturesLeaf, 0).edx & hv::FeaturesEdx::kXmmHypercallOutput) != 0;
}

bool starts_or_resets_processors(std::uint32_t msr, std::uint64_t value) {
  constexpr std::uint64_t kDeliveryMode = 7u << 8;
  constexpr std::uint64_t kInit = 5u << 8;
  constexpr std::uint64_t kStartup = 6u << 8;
  const bool command = msr == hv::kMsrIcr || msr == x86::kX2ApicIcr;
  const std::uint64_t mode = value & kDeliveryMode;
  return msr == hv::kMsrReset || (command && (mode == kInit || mode == kStartup));
}

/// No later write moves the page.
bool locks_hypercall_page(std::uint32_t msr, std::uint64_t value) {
  return msr == hv::kMsrHypercall && hv::OverlayPageRegister(value).locked();
}

/// Registers without which a native program cannot go on, and which no later write brings back.
bool is_spared(std::uint32_t msr) {
  return msr == x86::kMsrApicBase || msr == hv::kMsrGuestIdle || msr == x86::kMsrEfer;
}

}  // namespace

Liar::Liar(LieSource& source, machine::Gpa call_page, std::span<const machine::Gpn> pages)
    : source_(source), call_page_(call_page), pages_(pages) {
  INVARIANT(pages.size() >= 2);
}

void Liar::expect_any_interrupt() {
  for (std::uint32_t vector = kFirstInterruptVector; vector <= 0xFF; ++vector) {
    machine::set_interrupt_handler(static_cast<std::uint8_t>(vector), &acknowledge);
  }
}

machine::Gpa Liar::any_page() {
  return machine::Gpa(pages_[static_cast<std::size_t>(source_.below(pages_.size()))]);
}

std::uint64_t Liar::any_word() {
  switch (source_.below(10)) {
    case 0:
      return 0;
    case 1:
      return ~std::uint64_t{0};  // oneself, every processor, no address
    case 2:
    case 3:
      return any_small();
    case 4:
      return any_page().value();
    case 5:
      return any_page().page().value();
    case 6:
      return any_page().value() + source_.below(machine::kPageSize);
    case 7:
      return (std::uint64_t{1} << source_.below(64)) - source_.below(2);
    case 8:
      return source_.below(1u << 20);
    default:
      return source_.next();
  }
}

void Liar::scribble() {
  for (std::uint64_t count = 1 + source_.below(4); count != 0; --count) {
    // The first words of a page are what most of what lies there begins with.
    const std::uint64_t word = source_.below(source_.one_in(2) ? 8 : kWordsInPage);
    const machine::Gpa where = any_page() + word * sizeof(std::uint64_t);
    const std::uint64_t value = any_word();
    machine::store_u64(where, value);
  }
}

void Liar::lie() {
  switch (source_.below(16)) {
    case 0:
    case 1:
      access_msr();
      break;
    case 2:
    case 3:
    case 4:
      post_message();
      break;
    case 5:
    case 6:
      signal_event();
      break;
    case 7:
      ask_cpuid();
      break;
    case 8:
      access_port();
      break;
    case 9:
    case 10:
    case 11:
      scribble();
      break;
    default:
      make_call();
  }
}

// --- Hypercalls ----------------------------------------------------------------------------------

std::uint64_t Liar::any_control() {
  std::uint64_t code = 0;
  switch (source_.below(4)) {
    case 0:
      code = source_.below(0x140);
      break;
    case 1:
      code = source_.one_in(4) ? 0x8000 + source_.below(4) : 0x40 + source_.below(0x60);
      break;
    default:
      code = static_cast<std::uint64_t>(kOwnCalls[source_.below(std::size(kOwnCalls))]);
  }
  HypercallControl control(code);
  if (source_.one_in(2)) {
    const auto count = static_cast<std::uint32_t>(source_.below(source_.one_in(8) ? 0x1000 : 64));
    const auto start = static_cast<std::uint32_t>(source_.one_in(4) ? source_.below(64) : 0);
    control = control.with_reps(count, start);
  }
  std::uint64_t value = control.value();
  if (source_.one_in(3)) {
    constexpr unsigned kVariableHeader = 17;
    value |= source_.below(source_.one_in(8) ? 1024 : 8) << kVariableHeader;
  }
  if (source_.one_in(16)) {
    value ^= std::uint64_t{1} << source_.below(64);  // one that has to be zero
  }
  // It would put a processor where no program is.
  constexpr std::uint64_t kCode = 0xFFFF;
  const bool starts =
      (value & kCode) == static_cast<std::uint64_t>(CallCode::kStartVirtualProcessor);
  return starts ? value & ~kCode : value;
}

void Liar::write_input() {
  std::array<std::uint64_t, kInputWords> words{};
  for (std::uint64_t& word : words) {
    word = any_word();
  }
  if (source_.one_in(2)) {
    words[0] = static_cast<std::uint64_t>(hv::kPartitionIdSelf);
  }
  machine::write_memory(machine::Gpa(pages_[0]), std::as_bytes(std::span(words)));
}

void Liar::make_call() {
  HypercallControl control(any_control() & ~HypercallControl::kFast);
  if (source_.one_in(3)) {
    make_fast_call(control);
    return;
  }
  if (source_.one_in(2)) {
    control = well_formed(control.code());
  }
  write_input();
  const machine::Gpa input(pages_[0]);
  const machine::Gpa output(pages_[1]);
  const std::uint64_t from = source_.one_in(64) ? any_word() : input.value();
  const std::uint64_t to = source_.one_in(64) ? any_word() : output.value();
  static_cast<void>(machine::hypercall(call_page_, control.value(), from, to));
}

/// With the elements and the headers that the call has, and no more of them than registers hold.
HypercallControl Liar::well_formed(std::uint16_t call) {
  const CallCode code{call};
  const auto list = static_cast<std::uint32_t>(takes_list(code) ? 1 + source_.below(6) : 0);
  const auto set = static_cast<std::uint32_t>(takes_processor_set(code) ? source_.below(4) : 0);
  return HypercallControl(code).with_reps(list).with_variable_header(set);
}

void Liar::make_fast_call(HypercallControl control) {
  if (!may_be_answered_in_registers()) {
    // An undefined opcode ends a native program.
    const CallCode code = kOwnCalls[source_.below(kUnansweredCalls)];
    control = HypercallControl((control.value() & ~std::uint64_t{0xFFFF}) |
                               static_cast<std::uint64_t>(code));
  }
  if (!source_.one_in(8)) {
    control = well_formed(control.code());
  }
  machine::XmmRegisters xmm;
  // Beside RDX and R8, few calls take more than four words.
  const std::uint64_t words = source_.one_in(2) ? 4 : xmm.quadwords.size();
  for (std::uint64_t& word : std::span(xmm.quadwords).first(words)) {
    word = any_word();
  }
  machine::write_xmm(xmm);
  machine::HypercallRegisters registers;
  registers.rdx = source_.one_in(2) ? static_cast<std::uint64_t>(hv::kPartitionIdSelf) : any_word();
  registers.r8 = source_.one_in(2) ? any_small() : any_word();
  static_cast<void>(machine::hypercall_in_registers(call_page_, control.fast().value(), registers));
}

void Liar::post_message() {
  hv::PostMessageInput message;
  message.connection = hv::ConnectionId(static_cast<std::uint32_t>(
      source_.one_in(8) ? source_.next() : (source_.one_in(2) ? 4 : any_small())));
  message.type = hv::MessageType(static_cast<std::uint32_t>(source_.one_in(16) ? any_word() : 1));
  message.payload_size = static_cast<std::uint32_t>(source_.below(source_.one_in(8) ? 300 : 241));
  std::array<std::uint32_t, hv::kMessagePayloadBytes / sizeof(std::uint32_t)> words{};
  for (std::uint32_t& word : words) {
    word = static_cast<std::uint32_t>(source_.one_in(3) ? any_word() : any_small());
  }
  // As a message of the bus: its type, then nothing.
  words[0] = static_cast<std::uint32_t>(source_.below(30));
  words[1] = 0;
  if (words[0] == static_cast<std::uint32_t>(vmbus::MessageType::kTlConnectRequest) &&
      source_.one_in(2)) {
    // A service that there is.
    const vmbus::Guid service =
        vmbus::guid_of_port(source_.one_in(2) ? vmbus::kEchoPort : vmbus::kShortEchoPort);
    __builtin_memcpy(&words[offsetof(vmbus::TlConnectRequest, service) / sizeof(words[0])],
                     &service, sizeof(service));
  }
  static_assert(sizeof(words) == sizeof(message.payload));
  message.payload = std::bit_cast<decltype(message.payload)>(words);
  machine::write_memory(machine::Gpa(pages_[0]), std::as_bytes(std::span(&message, 1)));
  static_cast<void>(machine::hypercall(call_page_, HypercallControl(CallCode::kPostMessage).value(),
                                       machine::Gpa(pages_[0]).value(), 0));
}

void Liar::signal_event() {
  // A channel's connection is among the first of its kind.
  const std::uint64_t connection =
      source_.one_in(4) ? source_.next() : 0x2000 * source_.below(2) + any_small();
  const std::uint64_t flag = source_.one_in(4) ? source_.below(0x1'0000) : source_.below(2);
  const std::uint64_t reserved = source_.one_in(16) ? source_.next() << 48 : 0;
  static_cast<void>(machine::hypercall(call_page_,
                                       HypercallControl(CallCode::kSignalEvent).fast().value(),
                                       (connection & 0xFFFF'FFFF) | (flag << 32) | reserved, 0));
}

// --- Registers and ports -------------------------------------------------------------------------

void Liar::access_msr() {
  std::uint32_t msr = 0;
  switch (source_.below(4)) {
    case 0:
    case 1:
      msr = 0x4000'0000 + static_cast<std::uint32_t>(source_.below(0x120));
      break;
    case 2:
      msr = 0x800 + static_cast<std::uint32_t>(source_.below(0x40));
      break;
    default:
      msr = static_cast<std::uint32_t>(any_word());
  }
  if (is_spared(msr)) {
    return;
  }
  if (source_.one_in(2)) {
    [[maybe_unused]] const auto found = machine::try_read_msr(msr);
    return;
  }
  const std::uint64_t value = any_word();
  if (!starts_or_resets_processors(msr, value) && !locks_hypercall_page(msr, value)) {
    keep_registers();
    [[maybe_unused]] const auto written = machine::try_write_msr(msr, value);
    restore_registers();
  }
}

void Liar::ask_cpuid() {
  const auto leaf =
      static_cast<std::uint32_t>(source_.one_in(2) ? 0x4000'0000 + source_.below(16) : any_word());
  const auto subleaf = static_cast<std::uint32_t>(any_small());
  static_cast<void>(machine::cpuid(leaf, subleaf));
}

void Liar::access_port() {
  const auto port = static_cast<std::uint16_t>(source_.next());
  const auto value = static_cast<std::uint32_t>(any_word());
  switch (source_.below(4)) {
    case 0:
      machine::out_u8(port, static_cast<std::uint8_t>(value));
      break;
    case 1:
      machine::out_u16(port, static_cast<std::uint16_t>(value));
      break;
    case 2:
      machine::out_u32(port, value);
      break;
    default:
      static_cast<void>(machine::in_u32(port));
  }
}

void Liar::keep_registers() {
  constexpr std::uint32_t kNumbers[] = {hv::kMsrGuestOsId, hv::kMsrHypercall, hv::kMsrSimp,
                                        hv::kMsrSiefp,     hv::kMsrScontrol,  hv::kMsrTpr};
  static_assert(std::size(kNumbers) + hv::kSintCount == kKeptMsrs);
  if (kept_[0].number != 0) {
    return;  // they are as they were
  }
  for (std::size_t index = 0; index < kept_.size(); ++index) {
    const std::uint32_t number =
        index < std::size(kNumbers)
            ? kNumbers[index]
            : hv::kMsrSint0 + static_cast<std::uint32_t>(index - std::size(kNumbers));
    kept_[index] = {number, machine::read_msr(number)};
  }
}

void Liar::restore_registers() {
  for (const KeptMsr& kept : kept_) {
    [[maybe_unused]] const auto written = machine::try_write_msr(kept.number, kept.value);
  }
}

}  // namespace child
