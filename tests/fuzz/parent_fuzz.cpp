// What a parent may ask of the hypervisor about itself and its children: any call, any input, in
// any order. The hypervisor must outlive it, and whatever was asked, the parent can still delete
// every child and get every page back.
//
// Seeds are the calls that the rows of tests/interface/ make. What a native program cannot survive
// is left out: taking away the pages and the registers that it runs on.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "hv/hypercall/call_table.h"
#include "machine/machine.h"
#include "partitions/child/lies/liar.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::Status;
using machine::Gpa;

constexpr std::uint64_t kRunNs = 100'000'000;
/// Its calls' own pages, so that it can still clean up when these are gone.
constexpr Gpa kCallInput{0x51'0000};
constexpr Gpa kCallOutput{0x51'1000};
constexpr Gpa kScribbled{0x51'2000};
constexpr std::uint64_t kScribbledPages = 4;
/// Up to here lie the pages that the root runs on; from there on it has nothing to lose.
constexpr std::uint64_t kFirstIdlePage = 0x6000;
constexpr std::uint64_t kSpareBase = 0x8000;
constexpr std::uint64_t kSparePages = 0x400;
constexpr std::size_t kMostInput = 512;
constexpr PartitionId kRoot{1};

/// The computer runs in this process: its guests find their input here.
fuzz::FuzzInput* current_input = nullptr;

class Parent {
 public:
  explicit Parent(fuzz::FuzzInput& input) : input_(input) {}

  void run();

 private:
  void make_call();
  [[nodiscard]] HypercallControl control_of(const hv::CallDescription& call);
  [[nodiscard]] hv::HypercallResult call_in_registers(HypercallControl control);
  void spare_root(const hv::CallDescription& call);
  [[nodiscard]] bool ends_root(CallCode code) const;
  [[nodiscard]] PartitionId named() const { return PartitionId{words_[0]}; }
  [[nodiscard]] bool names_root() const {
    return named() == hv::kPartitionIdSelf || named() == kRoot;
  }
  void count_pages(HypercallControl control, hv::HypercallResult result);
  void scribble();
  void delete_children();
  void delete_child(PartitionId id);

  fuzz::FuzzInput& input_;
  child_maker::Child child_;
  /// Pages that children hold which were the root's.
  std::uint64_t deposited_ = 0;
  std::array<std::uint64_t, kMostInput / sizeof(std::uint64_t)> words_{};
};

void Parent::run() {
  if (input_.below(2) != 0) {
    child_ = child_maker::make("child", 2);
    deposited_ = child_.deposited_pages;
  }
  while (!input_.empty()) {
    switch (input_.take<std::uint8_t>() % 8) {
      case 0:
        if (child_.memory_pages != 0) {
          static_cast<void>(child_maker::try_start(child_, 0));
        }
        break;
      case 1:
        machine::spend(100 * input_.take<std::uint8_t>());
        machine::pause();
        break;
      case 2:
        scribble();
        break;
      default:
        make_call();
    }
  }
  delete_children();
}

void Parent::make_call() {
  const std::span<const hv::CallEntry> table = hv::call_table();
  const auto code = input_.take<std::uint16_t>();
  const hv::CallEntry* entry = hv::find_call(code);
  if (entry == nullptr) {
    entry = &table[code % table.size()];
  }
  HypercallControl control = control_of(entry->description);
  words_ = {};
  const std::size_t size = std::min<std::size_t>(input_.take<std::uint16_t>(), kMostInput);
  input_.fill(std::as_writable_bytes(std::span(words_)).first(size));
  spare_root(entry->description);
  if (ends_root(entry->description.code)) {
    return;
  }
  hv::HypercallResult result(0);
  if (control.is_fast()) {
    result = call_in_registers(control);
  } else {
    machine::write_memory(kCallInput, std::as_bytes(std::span(words_)));
    result = hv::HypercallResult(machine::hypercall(kHypercallPage, control.value(),
                                                    kCallInput.value(), kCallOutput.value()));
  }
  count_pages(control, result);
}

/// Legal as to the call, more often than not.
HypercallControl Parent::control_of(const hv::CallDescription& call) {
  constexpr std::uint8_t kFast = 1;
  constexpr std::uint8_t kFromTheMiddle = 2;
  constexpr std::uint8_t kWithHeader = 4;
  constexpr std::uint8_t kOddBit = 0xE0;
  constexpr std::uint32_t kMostInRegisters = 14;
  const auto form = input_.take<std::uint8_t>();
  std::uint32_t reps = input_.take<std::uint8_t>();
  if ((form & kFast) != 0 && reps < 0xF0) {
    reps = 1 + reps % kMostInRegisters;
  }
  HypercallControl control(call.code);
  if (call.rep == hv::RepKind::kRep) {
    const std::uint32_t start = (form & kFromTheMiddle) != 0 ? input_.take<std::uint8_t>() : 0;
    control = control.with_reps(std::max(reps, 1u), start);
  }
  if ((form & kWithHeader) != 0) {
    control = control.with_variable_header(input_.take<std::uint8_t>() % 66);
  }
  if ((form & kFast) != 0) {
    control = control.fast();
  }
  if ((form & kOddBit) == kOddBit) {
    control = HypercallControl(control.value() ^ std::uint64_t{1} << input_.below(64));
  }
  return control;
}

hv::HypercallResult Parent::call_in_registers(HypercallControl control) {
  FastBlock block;
  std::copy_n(words_.begin(), block.size(), block.begin());
  return call_fast(control, block);
}

/// No word names a page that it must keep.
void Parent::spare_root(const hv::CallDescription& call) {
  const bool takes_pages = call.code == CallCode::kDepositMemory ||
                           call.code == CallCode::kAcquireSparseSpaPageHostAccess ||
                           call.code == CallCode::kReleaseSparseSpaPageHostAccess;
  const std::size_t header_words = call.header_size_bytes / sizeof(std::uint64_t);
  for (std::size_t index = 0; index < words_.size(); ++index) {
    std::uint64_t& word = words_[index];
    if (takes_pages && index >= header_words && word < kFirstIdlePage) {
      word = kSpareBase + word % kSparePages;
    }
    const std::uint64_t first = kHypercallPage.page().value();
    if (word >= first && word < first + 8) {
      word += kSpareBase;
    } else if (word >> machine::kPageShift >= first && word >> machine::kPageShift < first + 8) {
      word += kSpareBase << machine::kPageShift;
    }
  }
}

/// Whether the call could take the ground from under the program.
bool Parent::ends_root(CallCode code) const {
  switch (code) {
    case CallCode::kEnterSleepState:
      return true;
    case CallCode::kSetVpRegisters:
    case CallCode::kStartVirtualProcessor:
    case CallCode::kSetVpState:
    case CallCode::kInstallIntercept:
    case CallCode::kRegisterInterceptResult:
    case CallCode::kWriteGpa:
    case CallCode::kMapGpaPages:
    case CallCode::kUnmapGpaPages:
    case CallCode::kMapSparseGpaPages:
    case CallCode::kModifySparseGpaPages:
    case CallCode::kSetPartitionProperty:
    case CallCode::kSetPartitionPropertyEx:
    case CallCode::kAssertVirtualInterrupt:
      return names_root();
    default:
      return false;
  }
}

void Parent::count_pages(HypercallControl control, hv::HypercallResult result) {
  if (names_root()) {
    return;
  }
  // What was complete before the call counts as completed by it.
  const std::uint32_t start = control.rep_start();
  const std::uint32_t pages = std::max(result.reps_completed(), start) - start;
  const CallCode code{static_cast<std::uint16_t>(control.value())};
  if (code == CallCode::kDepositMemory) {
    deposited_ += pages;
  } else if (code == CallCode::kWithdrawMemory) {
    deposited_ -= pages;
  }
}

void Parent::scribble() {
  const std::uint64_t page = input_.below(kScribbledPages);
  const std::uint64_t word = input_.take<std::uint16_t>() % (machine::kPageSize / 8);
  const auto value = input_.take<std::uint64_t>();
  machine::store_u64(kScribbled + page * machine::kPageSize + word * 8, value);
}

void Parent::delete_children() {
  for (;;) {
    const hv::GetNextChildPartitionInput input{hv::kPartitionIdSelf, PartitionId{}};
    GUEST_CHECK(call(HypercallControl(CallCode::kGetNextChildPartition), input).status() ==
                Status::kSuccess);
    const PartitionId id = output<hv::GetNextChildPartitionOutput>().next_child;
    if (id == PartitionId{}) {
      break;
    }
    delete_child(id);
  }
  GUEST_CHECK(deposited_ == 0);
}

void Parent::delete_child(PartitionId id) {
  static_cast<void>(call(HypercallControl(CallCode::kFinalizePartition), hv::PartitionInput{id}));
  constexpr std::uint32_t kAtOnce = 64;
  for (Status status = Status::kSuccess; status == Status::kSuccess;) {
    const hv::MemoryPoolInput input{id, {}};
    machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
    const auto result = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(kAtOnce));
    deposited_ -= result.reps_completed();
    status = result.status();
    GUEST_CHECK(status == Status::kSuccess || status == Status::kNoResources);
  }
  GUEST_CHECK(call(HypercallControl(CallCode::kDeletePartition), hv::PartitionInput{id}).status() ==
              Status::kSuccess);
}

void root_that_asks() {
  begin();
  child::Liar::expect_any_interrupt();
  machine::enable_interrupts();
  Parent(*current_input).run();
  end(0);
}

void child_that_idles() {
  begin();
  for (;;) {
    machine::sti_hlt();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  current_input = &input;
  sim::WorldConfiguration configuration =
      world_with_child(root_that_asks, child_that_idles, child_that_idles);
  configuration.limits.virtual_ns = kRunNs;
  const sim::RunResult result = run(configuration);
  current_input = nullptr;
  const bool ended = result.outcome == sim::Outcome::kTimeLimit || result.passed();
  if (!ended || !result.violations.empty()) {
    std::fprintf(stderr, "%s\n", describe(result).c_str());
    std::abort();
  }
  return 0;
}
