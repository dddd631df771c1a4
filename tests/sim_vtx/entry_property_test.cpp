// An entry that reuses the verdicts of earlier entries ends as one that checks everything anew.
#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/sim_vtx/test_processor.h"

using namespace sim_vtx_test;

namespace {

struct Write {
  std::uint32_t encoding = 0;
  std::uint64_t value = 0;
};

std::vector<std::uint32_t> writable_fields() {
  std::vector<std::uint32_t> fields;
  for (const FieldRange& range : kFieldRanges) {
    for (std::uint32_t encoding = range.first; encoding <= range.last; encoding += 2) {
      // MSR areas are outside of the model, and it says so.
      const bool msr_count = encoding >= 0x400E && encoding <= 0x4014 && encoding != 0x4012;
      if (!find_field(encoding).read_only && !msr_count) {
        fields.push_back(encoding);
      }
    }
  }
  return fields;
}

/// A value that is often the one from before with a bit changed: near the edge of each rule.
Write draw_write(TestProcessor& p, const std::vector<std::uint32_t>& fields) {
  const std::uint32_t field = *rc::gen::elementOf(fields);
  const std::uint64_t before = p.cpu.vmread(field).value();
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return {field, *rc::gen::arbitrary<std::uint64_t>()};
    case 1:
      return {field, *rc::gen::element<std::uint64_t>(0, 1, 2, 3, ~std::uint64_t{0})};
    default:
      return {field, before ^ (std::uint64_t{1} << *rc::gen::inRange(0, 64))};
  }
}

}  // namespace

TEST_CASE("verdicts kept from earlier entries change no result", "[vtx][entry][property]") {
  const std::vector<std::uint32_t> fields = writable_fields();
  const bool holds = rc::check([&] {
    TestProcessor kept;
    TestProcessor fresh;
    RC_ASSERT(kept.launch().outcome == EntryOutcome::kEntered);
    kept.cpu.exit({.reason = ExitReason::kHlt}, 0);
    const int steps = *rc::gen::inRange(1, 30);
    std::vector<Write> done;
    for (int i = 0; i < steps; ++i) {
      // Mostly one broken thing at a time: what an entry refused is often put back.
      const Write write = draw_write(kept, fields);
      const std::uint64_t before = kept.cpu.vmread(write.encoding).value();
      (void)kept.write(write.encoding, write.value);
      // The other processor gets the same fields, and every check is due there.
      for (const std::uint32_t field : fields) {
        (void)fresh.write(field, kept.cpu.vmread(field).value());
      }
      (void)fresh.cpu.vmclear(kVmcsRegion);
      (void)fresh.cpu.vmptrld(kVmcsRegion);
      const EntryResult with_memory = kept.resume();
      const EntryResult without = fresh.launch();
      RC_ASSERT(with_memory.outcome == without.outcome);
      RC_ASSERT(with_memory.event == without.event);
      RC_ASSERT(without.outcome == EntryOutcome::kEntered ||
                kept.instruction_error() == fresh.instruction_error());
      if (with_memory.outcome == EntryOutcome::kEntered) {
        kept.cpu.exit({.reason = ExitReason::kHlt}, 0);
        fresh.cpu.exit({.reason = ExitReason::kHlt}, 0);
      } else if (*rc::gen::inRange(0, 4) != 0) {
        (void)kept.write(write.encoding, before);
      }
    }
  });
  CHECK(holds);
}

TEST_CASE("the common state in one look is one that every check lets pass",
          "[vtx][entry][property]") {
  const std::vector<std::uint32_t> fields = writable_fields();
  const bool holds = rc::check([&] {
    TestProcessor p;
    p.write(Vmcs32::kVmEntryInterruptionInformation,
            *rc::gen::element<std::uint64_t>(0, 0x8000'0030, 0x8000'0130, 0x8000'0202));
    const int steps = *rc::gen::inRange(0, 6);
    for (int i = 0; i < steps; ++i) {
      const Write write = draw_write(p, fields);
      (void)p.write(write.encoding, write.value);
    }
    RC_PRE(is_plainly_runnable(*p.cpu.current_vmcs(), p.capabilities));
    const CheckContext context(*p.cpu.current_vmcs(), p.capabilities, p.platform);
    RC_ASSERT(find_failure(CheckGroup::kInjection, context) == nullptr);
    RC_ASSERT(find_failure(CheckGroup::kGuestActivity, context) == nullptr);
  });
  CHECK(holds);
}
