#include "hv/vtx/switched_msrs.h"

#include <utility>

#include "machine/machine.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace x86 = machine::x86;

constexpr std::array<std::uint32_t, kSwitchedMsrs> kNumbers{x86::kMsrStar,         x86::kMsrLstar,
                                                            x86::kMsrCstar,        x86::kMsrSfmask,
                                                            x86::kMsrKernelGsBase, x86::kMsrTscAux};
constexpr std::size_t kKernelGsBase = 4;
constexpr std::size_t kTscAux = 5;
static_assert(kNumbers[kKernelGsBase] == x86::kMsrKernelGsBase);
static_assert(kNumbers[kTscAux] == x86::kMsrTscAux);

/// kSwitchedMsrs for one that is none of them, or that guests do not have.
std::size_t index_of(const Capabilities& capabilities, std::uint32_t msr) {
  for (std::size_t index = 0; index < kSwitchedMsrs; ++index) {
    if (kNumbers[index] == msr) {
      return index == kTscAux && !capabilities.rdtscp ? kSwitchedMsrs : index;
    }
  }
  return kSwitchedMsrs;
}

bool is_canonical(const Capabilities& capabilities, std::uint64_t address) {
  const auto upper = static_cast<std::int64_t>(address) >> (capabilities.linear_address_bits - 1);
  return upper == 0 || upper == -1;
}

/// SDM vol. 4 table 2-2.
bool is_legal(const Capabilities& capabilities, std::uint32_t msr, std::uint64_t value) {
  switch (msr) {
    case x86::kMsrStar:
      return true;
    case x86::kMsrSfmask:
    case x86::kMsrTscAux:
      return (value >> 32) == 0;
    default:
      return is_canonical(capabilities, value);
  }
}

}  // namespace

void clear_switched_msrs(const Capabilities& capabilities, MsrUnit& unit) {
  for (std::size_t index = 0; index < kSwitchedMsrs; ++index) {
    if (index != kTscAux || capabilities.rdtscp) {
      machine::write_msr(kNumbers[index], 0);
    }
  }
  unit.values = {};
}

void SwitchedMsrs::load(MsrUnit& unit) {
  unit_ = &unit;
  for (std::size_t index = 0; index < kSwitchedMsrs; ++index) {
    if (unit.values[index] != values_[index]) {
      put(index);
    }
  }
}

void SwitchedMsrs::put(std::size_t index) {
  machine::write_msr(kNumbers[index], values_[index]);
  unit_->values[index] = values_[index];
}

void SwitchedMsrs::unload() {
  const std::uint64_t base = machine::read_msr(kNumbers[kKernelGsBase]);
  values_[kKernelGsBase] = base;
  unit_->values[kKernelGsBase] = base;
  unit_ = nullptr;
}

void SwitchedMsrs::reset() {
  for (std::size_t index = 0; index < kSwitchedMsrs; ++index) {
    const bool written = std::exchange(values_[index], 0) != 0;
    // The guest may have written the one by itself.
    if (unit_ != nullptr && (written || index == kKernelGsBase)) {
      put(index);
    }
  }
}

std::optional<std::uint64_t> SwitchedMsrs::read(const Capabilities& capabilities,
                                                std::uint32_t msr) const {
  const std::size_t index = index_of(capabilities, msr);
  if (index == kSwitchedMsrs) {
    return std::nullopt;
  }
  if (index == kKernelGsBase && unit_ != nullptr) {
    return machine::read_msr(msr);
  }
  return values_[index];
}

bool SwitchedMsrs::write(const Capabilities& capabilities, std::uint32_t msr, std::uint64_t value) {
  const std::size_t index = index_of(capabilities, msr);
  if (index == kSwitchedMsrs || !is_legal(capabilities, msr, value)) {
    return false;
  }
  values_[index] = value;
  if (unit_ != nullptr) {
    put(index);
  }
  return true;
}

}  // namespace hv::vtx
