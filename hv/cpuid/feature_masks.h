// Which CPUID bits show which of the processor features that a parent may hide. Pure.
#pragma once

#include <cstdint>
#include <span>

#include "hv/tlfs/processor_features.h"
#include "machine/common.h"

namespace hv {

enum class CpuidRegister : std::uint8_t { kEbx, kEcx, kEdx, kEax };

/// Where CPUID shows one feature (SDM vol. 2 CPUID).
struct FeatureBit {
  ProcessorFeature feature{};
  std::uint32_t leaf = 0;
  std::uint32_t subleaf = 0;
  CpuidRegister where{};
  std::uint32_t bit = 0;
};

[[nodiscard]] std::span<const FeatureBit> feature_bits();

/// Clears the bits of disabled features in the answer for a leaf.
void hide_features(const ProcessorFeatureBanks& disabled, std::uint32_t leaf, std::uint32_t subleaf,
                   machine::CpuidResult& result);

[[nodiscard]] bool shows(const machine::CpuidResult& result, const FeatureBit& bit);

/// The features that `cpuid`, a function of leaf and subleaf, shows.
template <class Cpuid>
[[nodiscard]] ProcessorFeatureBanks shown_features(Cpuid cpuid) {
  ProcessorFeatureBanks shown;
  for (const FeatureBit& bit : feature_bits()) {
    if (shows(cpuid(bit.leaf, bit.subleaf), bit)) {
      shown.add(bit.feature);
    }
  }
  return shown;
}

}  // namespace hv
