// Who has which page: pools of several partitions against a model, and the hypervisor's own count,
// which statistics pages tell, after every step.
#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::HypercallResult;
using hv::PartitionId;
using hv::Status;
using machine::Gpa;
using machine::Gpn;

// --- A script of steps, drawn outside and carried out by a root ----------------------------------

enum class Action : std::uint8_t {
  kCreate,
  kDeposit,
  kWithdraw,
  kInitialize,
  kCreateVp,
  kMap,
  kMapLarge,
  kUnmap,
  kModify,
  kFinalize,
  kDelete,
};

struct Step {
  Action action{};
  /// Which of the partitions, how many pages, and where.
  std::uint32_t who = 0;
  std::uint32_t count = 1;
  std::uint32_t where = 0;
};

/// Pages that the root deposits and maps: the first 512 as one large page, too.
constexpr Gpn kFirst{0x9200};
constexpr std::uint64_t kPages = 640;
constexpr std::size_t kChildren = 3;

struct Child {
  PartitionId id{};
  hv::PartitionState state = hv::PartitionState::kUninitialized;
  std::set<std::uint64_t> deposited;
  /// By guest page.
  std::map<std::uint64_t, std::uint64_t> mapped;
  std::uint32_t vps = 0;
  Gpn statistics;
};

/// The computer runs in the test's own process, so its root reaches the script.
const std::vector<Step>* script = nullptr;

template <class Input>
Status simple(CallCode code, const Input& input) {
  return call(HypercallControl(code), input).status();
}

hv::GetMemoryBalanceOutput balance(PartitionId id) {
  GUEST_CHECK(simple(CallCode::kGetMemoryBalance, hv::MemoryPoolInput{id, {}}) == Status::kSuccess);
  return output<hv::GetMemoryBalanceOutput>();
}

std::uint64_t counter(Gpn page, auto id) {
  return machine::load_u64(Gpa(page) + static_cast<std::uint64_t>(id) * 8);
}

Gpn map_statistics(hv::StatisticsObjectType type, std::uint64_t who) {
  const hv::MapStatsPageInput input{{type, 0, {who, {}, 0, 0, {}}}, {}};
  GUEST_CHECK(simple(CallCode::kMapStatsPage, input) == Status::kSuccess);
  return output<hv::MapStatsPageOutput>().place;
}

class PoolModel {
 public:
  PoolModel() {
    for (std::uint64_t page = 0; page < kPages; ++page) {
      free_.insert(page);
    }
    hypervisor_ = map_statistics(hv::StatisticsObjectType::kHypervisor, 0);
  }

  void take(const Step& step) {
    Child& child = children_[step.who % kChildren];
    if (child.id == PartitionId{} && step.action != Action::kCreate) {
      return;
    }
    switch (step.action) {
      case Action::kCreate:
        create(child);
        break;
      case Action::kDeposit:
        deposit(child, step);
        break;
      case Action::kWithdraw:
        withdraw(child, step.count);
        break;
      case Action::kInitialize:
        initialize(child);
        break;
      case Action::kCreateVp:
        create_vp(child);
        break;
      case Action::kMap:
        map(child, step);
        break;
      case Action::kMapLarge:
        map_large(child, step);
        break;
      case Action::kUnmap:
        unmap(child, step);
        break;
      case Action::kModify:
        modify(child, step);
        break;
      case Action::kFinalize:
        finalize(child);
        break;
      case Action::kDelete:
        delete_it(child);
        break;
    }
    count_all();
  }

 private:
  [[nodiscard]] static bool active(const Child& child) {
    return child.state == hv::PartitionState::kActive;
  }
  [[nodiscard]] bool is_mapped_anywhere(std::uint64_t page) const {
    for (const Child& child : children_) {
      for (const auto& [where, mapped] : child.mapped) {
        if (mapped == page) {
          return true;
        }
      }
    }
    return false;
  }
  /// A call of which the child's pool pays: it may lack memory, and then the pool is as before.
  template <class Call>
  Status charged(const Child& child, Call call_it) {
    const hv::GetMemoryBalanceOutput before = balance(child.id);
    const Status status = call_it();
    if (status == Status::kInsufficientMemory) {
      const hv::GetMemoryBalanceOutput after = balance(child.id);
      GUEST_CHECK(after.pages_available == before.pages_available);
      GUEST_CHECK(after.pages_in_use == before.pages_in_use);
    }
    return status;
  }

  void create(Child& child) {
    if (child.id != PartitionId{}) {
      return;
    }
    GUEST_CHECK(simple(CallCode::kCreatePartition, hv::CreatePartitionInput{}) == Status::kSuccess);
    child = Child{.id = output<hv::PartitionIdOutput>().partition,
                  .deposited = {},
                  .mapped = {},
                  .statistics = {}};
  }

  /// All pages of the list, or none.
  void deposit(Child& child, const Step& step) {
    std::vector<Gpn> pages;
    bool legal = child.state == hv::PartitionState::kUninitialized || active(child);
    for (std::uint64_t index = 0; index < step.count; ++index) {
      const std::uint64_t page = (step.where + index) % kPages;
      legal = legal && free_.contains(page) && !is_mapped_anywhere(page);
      pages.push_back(kFirst + page);
    }
    const auto result = call(HypercallControl(CallCode::kDepositMemory),
                             hv::DepositMemoryInput{child.id}, std::span<const Gpn>(pages));
    GUEST_CHECK((result.status() == Status::kSuccess) == legal);
    GUEST_CHECK(result.reps_completed() == (legal ? step.count : 0));
    for (const Gpn page : pages) {
      if (legal) {
        free_.erase(page.value() - kFirst.value());
        child.deposited.insert(page.value() - kFirst.value());
      }
    }
  }

  void withdraw(Child& child, std::uint32_t count) {
    const std::uint64_t available = balance(child.id).pages_available;
    const auto result = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(count),
                             hv::MemoryPoolInput{child.id, {}});
    GUEST_CHECK(result.status() == (available >= count ? Status::kSuccess : Status::kNoResources));
    GUEST_CHECK(result.reps_completed() == (available >= count ? count : available));
    for (std::uint64_t index = 0; index < result.reps_completed(); ++index) {
      const Gpn page(machine::load_u64(kOutputPage + index * 8));
      // It comes back to whom it was taken from, empty.
      GUEST_CHECK(child.deposited.erase(page.value() - kFirst.value()) == 1);
      GUEST_CHECK(machine::load_u64(Gpa(page)) == 0);
      machine::store_u64(Gpa(page) + 4088, ~0ull);
      free_.insert(page.value() - kFirst.value());
    }
  }

  void initialize(Child& child) {
    const bool fits = child.state == hv::PartitionState::kUninitialized;
    const Status status = charged(child, [&] {
      return simple(CallCode::kInitializePartition, hv::PartitionInput{child.id});
    });
    GUEST_CHECK(fits || status == Status::kInvalidPartitionState);
    if (status == Status::kSuccess) {
      child.state = hv::PartitionState::kActive;
      child.statistics = map_statistics(hv::StatisticsObjectType::kPartition,
                                        static_cast<std::uint64_t>(child.id));
    }
  }

  void create_vp(Child& child) {
    hv::CreateVpInput input;
    input.partition = child.id;
    input.vp = hv::VpIndex{child.vps};
    const Status status = charged(child, [&] { return simple(CallCode::kCreateVp, input); });
    GUEST_CHECK(active(child) || status == Status::kInvalidPartitionState);
    child.vps += status == Status::kSuccess ? 1 : 0;
  }

  Status map_call(const Child& child, std::uint64_t where, std::uint64_t page,
                  std::uint32_t flags) {
    const std::array<Gpn, 1> pages{kFirst + page};
    return charged(child, [&] {
      return call(HypercallControl(CallCode::kMapGpaPages),
                  hv::MapGpaPagesInput{child.id, Gpn(where), hv::kMapRead | flags, 0},
                  std::span<const Gpn>(pages))
          .status();
    });
  }
  void map(Child& child, const Step& step) {
    const std::uint64_t page = (step.where * 7 + step.count) % kPages;
    const Status status = map_call(child, step.where, page, 0);
    if (status == Status::kSuccess) {
      GUEST_CHECK(active(child) && free_.contains(page));
      child.mapped[step.where] = page;
    } else {
      GUEST_CHECK(status == (!active(child)         ? Status::kInvalidPartitionState
                             : free_.contains(page) ? Status::kInsufficientMemory
                                                    : Status::kOperationDenied));
    }
  }
  void map_large(Child& child, const Step& step) {
    const std::uint64_t where = step.where / 512 * 512;
    const bool all_free = std::distance(free_.begin(), free_.lower_bound(512)) == 512;
    const Status status = map_call(child, where, 0, hv::kMapLargePage);
    if (status == Status::kSuccess) {
      GUEST_CHECK(active(child) && all_free);
      for (std::uint64_t index = 0; index < 512; ++index) {
        child.mapped[where + index] = index;
      }
    } else {
      GUEST_CHECK(status == (!active(child) ? Status::kInvalidPartitionState
                             : all_free     ? Status::kInsufficientMemory
                                            : Status::kOperationDenied));
    }
  }
  void unmap(Child& child, const Step& step) {
    const Status status = charged(child, [&] {
      return call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(1),
                  hv::UnmapGpaPagesInput{child.id, Gpn(step.where), 0, 0})
          .status();
    });
    if (status == Status::kSuccess) {
      child.mapped.erase(step.where);
    }
    GUEST_CHECK(active(child) || status == Status::kInvalidPartitionState);
  }
  void modify(const Child& child, const Step& step) {
    const std::array<Gpn, 1> pages{Gpn(step.where)};
    const Status status = charged(child, [&] {
      return call(HypercallControl(CallCode::kModifySparseGpaPages),
                  hv::SparseGpaPagesInput{child.id, hv::kMapRead, 0}, std::span<const Gpn>(pages))
          .status();
    });
    GUEST_CHECK(status != Status::kSuccess || child.mapped.contains(step.where));
  }

  void finalize(Child& child) {
    const Status status = simple(CallCode::kFinalizePartition, hv::PartitionInput{child.id});
    GUEST_CHECK((status == Status::kSuccess) == active(child));
    if (status == Status::kSuccess) {
      child.state = hv::PartitionState::kFinalized;
      child.mapped.clear();
      GUEST_CHECK(balance(child.id).pages_in_use == 0);
    }
  }

  void delete_it(Child& child) {
    const bool legal = !active(child) && child.deposited.empty();
    const Status status = simple(CallCode::kDeletePartition, hv::PartitionInput{child.id});
    GUEST_CHECK((status == Status::kSuccess) == legal);
    if (legal) {
      child = Child{};
    }
  }

  /// Every page is somewhere, and in one place.
  void count_all() {
    std::uint64_t owned = free_.size();
    std::uint64_t in_pools = 0;
    std::uint64_t partitions = 1;
    for (const Child& child : children_) {
      if (child.id == PartitionId{}) {
        continue;
      }
      ++partitions;
      const hv::GetMemoryBalanceOutput pool = balance(child.id);
      GUEST_CHECK(pool.pages_available + pool.pages_in_use == child.deposited.size());
      owned += child.deposited.size();
      in_pools += child.deposited.size();
      if (active(child)) {
        using enum hv::PartitionCounter;
        GUEST_CHECK(counter(child.statistics, kDepositedPages) == child.deposited.size());
        GUEST_CHECK(counter(child.statistics, kGpaPages) == child.mapped.size());
        GUEST_CHECK(counter(child.statistics, kVirtualProcessors) == child.vps);
      }
    }
    GUEST_CHECK(owned == kPages);
    const hv::GetMemoryBalanceOutput root = balance(hv::kPartitionIdSelf);
    GUEST_CHECK(counter(hypervisor_, hv::HypervisorCounter::kPartitions) == partitions);
    GUEST_CHECK(counter(hypervisor_, hv::HypervisorCounter::kTotalPages) ==
                in_pools + root.pages_available + root.pages_in_use);
  }

  std::set<std::uint64_t> free_;
  std::array<Child, kChildren> children_{};
  Gpn hypervisor_;
};

void root_with_a_script() {
  begin();
  PoolModel model;
  for (const Step& step : *script) {
    model.take(step);
  }
  end(0);
}

// --- Withdrawals while the partition works -------------------------------------------------------

/// Its own calls take pages from its pool and give them back, as long as there are any.
void greedy_child() {
  begin();
  constexpr std::uint64_t kFarPages = 1ull << 20;
  for (std::uint64_t round = 0; machine::load_u32(child_maker::kSharedWord) == 0; ++round) {
    const std::uint64_t place = (round % 5 * kFarPages + 0x50) * machine::kPageSize | 1;
    const bool shown = machine::try_write_msr(hv::kMsrStatsPartitionRetail, place).has_value();
    static_cast<void>(machine::try_write_msr(hv::kMsrReferenceTsc, place + machine::kPageSize));
    if (shown) {
      GUEST_CHECK(machine::try_write_msr(hv::kMsrStatsPartitionRetail, 0).has_value());
    }
  }
  machine::store_u32(child_maker::kSharedWord, 2);
  for (;;) {
    machine::sti_hlt();
  }
}

void withdrawing_root() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  child_maker::start(child, 0);
  for (std::uint32_t round = 0; round < 40; ++round) {
    const std::uint32_t count = 1 + round * 5;
    const auto taken = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(count),
                            hv::MemoryPoolInput{child.id, {}});
    GUEST_CHECK(taken.status() == Status::kSuccess || taken.status() == Status::kNoResources);
    std::vector<Gpn> pages(taken.reps_completed());
    for (std::size_t index = 0; index < pages.size(); ++index) {
      pages[index] = Gpn(machine::load_u64(kOutputPage + index * 8));
      machine::store_u64(Gpa(pages[index]), ~0ull);  // the root's own again
    }
    const hv::GetMemoryBalanceOutput left = balance(child.id);
    GUEST_CHECK(left.pages_available + left.pages_in_use + pages.size() == child.deposited_pages);
    if (!pages.empty()) {
      const auto back = call(HypercallControl(CallCode::kDepositMemory),
                             hv::DepositMemoryInput{child.id}, std::span<const Gpn>(pages));
      GUEST_CHECK(back.status() == Status::kSuccess && back.reps_completed() == pages.size());
    }
  }
  const Gpa word = child.memory + child_maker::kSharedWord.value();
  machine::store_u32(word, 1);
  while (machine::load_u32(word) != 2) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

/// It shows its statistics where it likes, and then wants to begin again.
void resetting_child() {
  begin();
  GUEST_CHECK(machine::try_write_msr(hv::kMsrStatsPartitionRetail, 0x5'0001).has_value());
  GUEST_CHECK(machine::try_write_msr(hv::kMsrStatsVpInternal, 0x5'1001).has_value());
  machine::store_u32(child_maker::kSharedWord, 1);
  while (machine::load_u32(child_maker::kSharedWord) == 1) {
    machine::pause();
  }
  static_cast<void>(machine::try_write_msr(hv::kMsrReset, 1));
  end(99);
}

void root_of_the_resetting() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  child_maker::start(child, 0);
  const Gpa word = child.memory + child_maker::kSharedWord.value();
  while (machine::load_u32(word) != 1) {
    machine::pause();
  }
  const std::uint64_t shown = balance(child.id).pages_in_use;
  machine::store_u32(word, 2);
  while (balance(child.id).pages_in_use == shown) {
    machine::pause();
  }
  // The pages; and tables around places of other overlays.
  GUEST_CHECK(balance(child.id).pages_in_use <= shown - 2);
  child_maker::destroy(child);
  end(0);
}

Step any_step() {
  // Most scripts make partitions that get somewhere.
  Step step;
  step.action = *rc::gen::weightedElement<Action>({{2, Action::kCreate},
                                                   {5, Action::kDeposit},
                                                   {3, Action::kWithdraw},
                                                   {3, Action::kInitialize},
                                                   {2, Action::kCreateVp},
                                                   {6, Action::kMap},
                                                   {2, Action::kMapLarge},
                                                   {4, Action::kUnmap},
                                                   {2, Action::kModify},
                                                   {1, Action::kFinalize},
                                                   {1, Action::kDelete}});
  step.who = *rc::gen::inRange(0u, 4u);
  step.count = *rc::gen::inRange(1u, 40u);
  step.where = *rc::gen::inRange(0u, 1024u);
  return step;
}

}  // namespace

TEST_CASE("after every step each page is in one place, and the hypervisor counts as we do",
          "[hv][pools]") {
  rc::prop("pools of three children", [] {
    std::vector<Step> steps;
    for (std::uint32_t who = 0; who < 2; ++who) {
      const std::uint32_t pages = *rc::gen::inRange(4u, 40u);
      steps.push_back({Action::kCreate, who});
      steps.push_back({Action::kDeposit, who, pages, 520 + who * 50});
      steps.push_back({Action::kInitialize, who});
    }
    for (int index = 0; index < 60; ++index) {
      steps.push_back(any_step());
    }
    script = &steps;
    const sim::RunResult result = run(world(root_with_a_script), 1);
    script = nullptr;
    RC_LOG() << describe(result);
    RC_ASSERT(result.passed());
  });
}

TEST_CASE("a reset takes a guest's statistics pages away", "[hv][pools]") {
  const sim::RunResult result = run(world_with_child(root_of_the_resetting, resetting_child));
  INFO(describe(result));
  REQUIRE(result.passed());
}

TEST_CASE("a pool can be drawn from while its partition works", "[hv][pools]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run(world_with_child(withdrawing_root, greedy_child), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}
