// Pools that are drawn from while others need what is in them: one of the root's processors maps,
// makes processors and ports, and deposits and goes on where memory was short; another takes what
// is free and gives it back; a third makes and ends partitions. No call fails otherwise, and every
// page comes back.
#include <array>
#include <catch2/catch.hpp>
#include <span>

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
using hv::HypercallResult;
using hv::PartitionId;
using hv::Status;
using machine::Gpa;
using machine::Gpn;

constexpr std::uint32_t kRounds = 40;
constexpr std::uint32_t kMostPages = 64;
/// Pages of the root's that it gives away, for each of its processors.
constexpr Gpn stock_of(std::uint32_t processor) { return Gpn(0x9200) + 0x400 * processor; }
constexpr Gpn kSource{0x9E00};
/// The root's words: what its processors tell each other.
constexpr Gpa kTarget{0x41'0000};
constexpr Gpa kEnd{0x41'0008};
constexpr Gpa kEnded{0x41'0010};

/// Processors make their calls from pages of their own.
class Caller {
 public:
  explicit Caller(std::uint32_t processor)
      : input_(Gpa(0x42'0000) + processor * 2 * machine::kPageSize),
        output_(input_ + machine::kPageSize),
        state_(processor + 1) {}

  template <class Header>
  HypercallResult make(HypercallControl control, const Header& header,
                       std::span<const Gpn> pages = {}) {
    machine::write_memory(input_, std::as_bytes(std::span(&header, 1)));
    machine::write_memory(input_ + sizeof(Header), std::as_bytes(pages));
    return HypercallResult(
        machine::hypercall(kHypercallPage, control.value(), input_.value(), output_.value()));
  }
  template <class Header>
  Status simple(CallCode code, const Header& header) {
    return make(HypercallControl(code), header).status();
  }
  template <class Value>
  void read_output(std::span<Value> values) const {
    machine::read_memory(output_, std::as_writable_bytes(values));
  }

  void deposit(PartitionId partition, std::span<const Gpn> pages) {
    const auto control = HypercallControl(CallCode::kDepositMemory)
                             .with_reps(static_cast<std::uint32_t>(pages.size()));
    const HypercallResult result = make(control, hv::DepositMemoryInput{partition}, pages);
    GUEST_CHECK(result.status() == Status::kSuccess);
    GUEST_CHECK(result.reps_completed() == pages.size());
  }
  /// As many as are free, at most what `pages` holds.
  std::span<Gpn> withdraw(PartitionId partition, std::span<Gpn> pages) {
    const auto control = HypercallControl(CallCode::kWithdrawMemory)
                             .with_reps(static_cast<std::uint32_t>(pages.size()));
    const HypercallResult result = make(control, hv::MemoryPoolInput{partition, {}});
    GUEST_CHECK(
        result.status() ==
        (result.reps_completed() == pages.size() ? Status::kSuccess : Status::kNoResources));
    const std::span<Gpn> taken = pages.first(result.reps_completed());
    read_output(taken);
    return taken;
  }
  std::uint32_t draw(std::uint32_t limit) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return static_cast<std::uint32_t>(state_ >> 33) % limit;
  }

 private:
  Gpa input_;
  Gpa output_;
  std::uint64_t state_;
};

bool is_over() { return machine::load_u32(kEnd) != 0; }
void count_in(Gpa word) {
  for (std::uint32_t seen = machine::load_u32(word);;) {
    const std::uint32_t found = machine::compare_exchange_u32(word, seen, seen + 1);
    if (found == seen) {
      return;
    }
    seen = found;
  }
}
[[noreturn]] void come_to_an_end() {
  count_in(kEnded);
  for (;;) {
    machine::spend(100'000);
  }
}

// --- The one that needs memory ------------------------------------------------------------------

class Builder {
 public:
  explicit Builder(Child& child) : child_(child) {}

  void build() {
    map_and_unmap();
    make_and_delete_vp();
    make_and_delete_port();
  }
  [[nodiscard]] std::uint32_t shortages() const { return shortages_; }

 private:
  /// Where there was none, what is missing comes from the stock.
  void give_more() {
    ++shortages_;
    GUEST_CHECK(given_ < 0x400);
    const std::array<Gpn, 2> pages{stock_of(0) + given_, stock_of(0) + given_ + 1};
    given_ += pages.size();
    child_.deposited_pages += pages.size();
    caller_.deposit(child_.id, pages);
  }
  template <class Header>
  void insist(CallCode code, const Header& header) {
    for (Status status = caller_.simple(code, header); status != Status::kSuccess;
         status = caller_.simple(code, header)) {
      GUEST_CHECK(status == Status::kInsufficientMemory);
      give_more();
    }
  }

  /// A few pages of each of several large ones, each of which needs a table.
  void map_and_unmap() {
    constexpr std::uint64_t kLargePage = 512;
    const Gpn base = Gpn(0x1'0000) + kLargePage * caller_.draw(64);
    const std::uint32_t count = 1 + caller_.draw(kMostPages);
    const Gpn first = base + (kLargePage - count / 2);
    std::array<Gpn, kMostPages> sources{};
    for (std::uint32_t page = 0; page < count; ++page) {
      sources[page] = kSource + page;
    }
    for (std::uint32_t done = 0; done < count;) {
      const hv::MapGpaPagesInput input{child_.id, first + done, hv::kMapRead | hv::kMapWrite, 0};
      const auto control = HypercallControl(CallCode::kMapGpaPages).with_reps(count - done);
      const HypercallResult result =
          caller_.make(control, input, std::span(sources).subspan(done, count - done));
      done += result.reps_completed();
      GUEST_CHECK(done <= count);
      if (result.status() != Status::kSuccess) {
        GUEST_CHECK(result.status() == Status::kInsufficientMemory && done < count);
        give_more();
      }
    }
    const hv::UnmapGpaPagesInput input{child_.id, first, 0, 0};
    const auto control = HypercallControl(CallCode::kUnmapGpaPages).with_reps(count);
    GUEST_CHECK(caller_.make(control, input).status() == Status::kSuccess);
  }

  void make_and_delete_vp() {
    constexpr hv::VpIndex kNew{1};
    hv::CreateVpInput input;
    input.partition = child_.id;
    input.vp = kNew;
    insist(CallCode::kCreateVp, input);
    GUEST_CHECK(caller_.simple(CallCode::kCreateVp, input) == Status::kInvalidVpIndex);
    GUEST_CHECK(caller_.simple(CallCode::kDeleteVp, hv::DeleteVpInput{child_.id, kNew, 0}) ==
                Status::kSuccess);
  }

  void make_and_delete_port() {
    constexpr hv::PortId kNew{0x77};
    GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionId)).status() == Status::kSuccess);
    hv::CreatePortInput input;
    input.port_partition = child_.id;
    input.connection_partition = output<hv::PartitionIdOutput>().partition;
    input.port = kNew;
    input.info = hv::PortInfo::message(3, hv::VpIndex{0});
    insist(CallCode::kCreatePort, input);
    GUEST_CHECK(caller_.simple(CallCode::kDeletePort, hv::DeletePortInput{child_.id, kNew, 0}) ==
                Status::kSuccess);
  }

  Child& child_;
  Caller caller_{0};
  std::uint64_t given_ = 0;
  std::uint32_t shortages_ = 0;
};

// --- The one that takes it ----------------------------------------------------------------------

void take_and_give() {
  Caller caller(1);
  const auto target = static_cast<PartitionId>(machine::load_u64(kTarget));
  std::array<Gpn, 256> pages{};
  while (!is_over()) {
    const std::span<Gpn> taken = caller.withdraw(target, std::span(pages));
    // They are the root's again, and empty.
    for (const Gpn page : taken) {
      GUEST_CHECK(machine::load_u64(Gpa(page)) == 0);
      machine::store_u64(Gpa(page), ~0ull);
    }
    machine::spend(50'000 + caller.draw(400'000));
    if (!taken.empty()) {
      caller.deposit(target, taken);
    }
    machine::spend(caller.draw(20'000));
  }
  come_to_an_end();
}

// --- The one that makes partitions --------------------------------------------------------------

void make_partition_and_end_it(Caller& caller) {
  constexpr std::uint32_t kPages = 24;
  hv::CreatePartitionInput creation;
  creation.flags = hv::kCreateLocalApicEmulation;
  GUEST_CHECK(caller.simple(CallCode::kCreatePartition, creation) == Status::kSuccess);
  std::array<hv::PartitionIdOutput, 1> created{};
  caller.read_output(std::span<hv::PartitionIdOutput>(created));
  const PartitionId id = created[0].partition;
  std::array<Gpn, kPages> pages{};
  for (std::uint32_t page = 0; page < kPages; ++page) {
    pages[page] = stock_of(2) + page;
  }
  caller.deposit(id, pages);
  GUEST_CHECK(caller.simple(CallCode::kInitializePartition, hv::PartitionInput{id}) ==
              Status::kSuccess);
  hv::CreateVpInput vp;
  vp.partition = id;
  GUEST_CHECK(caller.simple(CallCode::kCreateVp, vp) == Status::kSuccess);
  GUEST_CHECK(caller.simple(CallCode::kFinalizePartition, hv::PartitionInput{id}) ==
              Status::kSuccess);
  std::uint64_t back = 0;
  for (std::span<Gpn> taken = caller.withdraw(id, pages); !taken.empty();
       taken = caller.withdraw(id, pages)) {
    back += taken.size();
  }
  GUEST_CHECK(back == kPages);
  GUEST_CHECK(caller.simple(CallCode::kDeletePartition, hv::PartitionInput{id}) ==
              Status::kSuccess);
}

void other_processor_of_root() {
  if (machine::read_msr(hv::kMsrVpIndex) == 1) {
    take_and_give();
  }
  Caller caller(2);
  while (!is_over()) {
    make_partition_and_end_it(caller);
    machine::spend(caller.draw(20'000));
  }
  come_to_an_end();
}

void child() {
  begin();
  for (;;) {
    machine::store_u32(child_maker::kSharedWord, machine::load_u32(child_maker::kSharedWord) + 1);
    machine::spend(5'000);
  }
}

void start_own_processor(std::uint32_t vp) {
  Child self;
  self.id = hv::kPartitionIdSelf;
  machine::read_memory(machine::image_base(), std::as_writable_bytes(std::span(&self.header, 1)));
  Caller caller(0);
  hv::CreateVpInput input;
  input.partition = self.id;
  input.vp = hv::VpIndex{vp};
  input.flags = vp;
  if (caller.simple(CallCode::kCreateVp, input) == Status::kInsufficientMemory) {
    std::array<Gpn, 16> pages{};
    for (std::uint64_t page = 0; page < pages.size(); ++page) {
      pages[page] = stock_of(1) + pages.size() * vp + page;
    }
    caller.deposit(self.id, pages);
    GUEST_CHECK(caller.simple(CallCode::kCreateVp, input) == Status::kSuccess);
  }
  child_maker::start(self, vp);
}

void root() {
  begin();
  Child made = child_maker::make("child");
  child_maker::start(made, 0);
  machine::store_u64(kTarget, static_cast<std::uint64_t>(made.id));
  start_own_processor(1);
  start_own_processor(2);
  Builder builder(made);
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    builder.build();
  }
  machine::store_u32(kEnd, 1);
  while (machine::load_u32(kEnded) != 2) {
    machine::pause();
  }
  const Gpa word = made.memory + child_maker::kSharedWord.value();
  const std::uint32_t turns = machine::load_u32(word);
  while (machine::load_u32(word) == turns) {
    machine::pause();
  }
  GUEST_CHECK(builder.shortages() > 0);
  child_maker::destroy(made);
  end(0);
}

}  // namespace

TEST_CASE("calls that lack memory go on when they have it, whoever takes some meanwhile",
          "[hv][pools]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    sim::WorldConfiguration configuration = world_with_child(root, child, nullptr, 3);
    configuration.guests.front().boot_processor = other_processor_of_root;
    const sim::RunResult result = run(configuration, seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}
