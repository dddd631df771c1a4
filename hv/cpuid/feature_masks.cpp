#include "hv/cpuid/feature_masks.h"

namespace hv {
namespace {

using enum CpuidRegister;
using Feature = ProcessorFeature;

constexpr std::uint32_t kExtended = 0x8000'0001;

constexpr FeatureBit kBits[] = {
    {Feature::kSse3, 1, 0, kEcx, 0},
    {Feature::kPclmulqdq, 1, 0, kEcx, 1},
    {Feature::kSsse3, 1, 0, kEcx, 9},
    {Feature::kFma, 1, 0, kEcx, 12},
    {Feature::kCmpxchg16b, 1, 0, kEcx, 13},
    {Feature::kPcid, 1, 0, kEcx, 17},
    {Feature::kSse41, 1, 0, kEcx, 19},
    {Feature::kSse42, 1, 0, kEcx, 20},
    {Feature::kMovbe, 1, 0, kEcx, 22},
    {Feature::kPopcnt, 1, 0, kEcx, 23},
    {Feature::kTscDeadlineTimer, 1, 0, kEcx, 24},
    {Feature::kAes, 1, 0, kEcx, 25},
    {Feature::kXsave, 1, 0, kEcx, 26},
    {Feature::kAvx, 1, 0, kEcx, 28},
    {Feature::kF16c, 1, 0, kEcx, 29},
    {Feature::kRdrand, 1, 0, kEcx, 30},
    {Feature::kFsGsBase, 7, 0, kEbx, 0},
    {Feature::kTscAdjust, 7, 0, kEbx, 1},
    {Feature::kBmi1, 7, 0, kEbx, 3},
    {Feature::kHle, 7, 0, kEbx, 4},
    {Feature::kAvx2, 7, 0, kEbx, 5},
    {Feature::kSmep, 7, 0, kEbx, 7},
    {Feature::kBmi2, 7, 0, kEbx, 8},
    {Feature::kEnhancedFastString, 7, 0, kEbx, 9},
    {Feature::kInvpcid, 7, 0, kEbx, 10},
    {Feature::kRtm, 7, 0, kEbx, 11},
    {Feature::kMpx, 7, 0, kEbx, 14},
    {Feature::kAvx512, 7, 0, kEbx, 16},
    {Feature::kAvx512Dq, 7, 0, kEbx, 17},
    {Feature::kRdseed, 7, 0, kEbx, 18},
    {Feature::kAdx, 7, 0, kEbx, 19},
    {Feature::kSmap, 7, 0, kEbx, 20},
    {Feature::kClflushopt, 7, 0, kEbx, 23},
    {Feature::kClwb, 7, 0, kEbx, 24},
    {Feature::kAvx512Cd, 7, 0, kEbx, 28},
    {Feature::kSha, 7, 0, kEbx, 29},
    {Feature::kAvx512Bw, 7, 0, kEbx, 30},
    {Feature::kAvx512Vl, 7, 0, kEbx, 31},
    {Feature::kUmip, 7, 0, kEcx, 2},
    {Feature::kRdpid, 7, 0, kEcx, 22},
    {Feature::kFastShortRepMov, 7, 0, kEdx, 4},
    {Feature::kXsaveopt, 0xD, 1, kEax, 0},
    {Feature::kXsaveCompact, 0xD, 1, kEax, 1},
    {Feature::kXsaveSupervisor, 0xD, 1, kEax, 3},
    {Feature::kLahfSahf, kExtended, 0, kEcx, 0},
    {Feature::kAltMovCr8, kExtended, 0, kEcx, 4},
    {Feature::kLzcnt, kExtended, 0, kEcx, 5},
    {Feature::kSse4a, kExtended, 0, kEcx, 6},
    {Feature::kMisalignedSse, kExtended, 0, kEcx, 7},
    {Feature::kPrefetchW, kExtended, 0, kEcx, 8},
    {Feature::kXop, kExtended, 0, kEcx, 11},
    {Feature::kFma4, kExtended, 0, kEcx, 16},
    {Feature::kMmxExtensions, kExtended, 0, kEdx, 22},
    {Feature::kPage1Gb, kExtended, 0, kEdx, 26},
    {Feature::kRdtscp, kExtended, 0, kEdx, 27},
    {Feature::k3dNowExtended, kExtended, 0, kEdx, 30},
    {Feature::k3dNow, kExtended, 0, kEdx, 31},
    {Feature::kTscDeadlineTimer, 1, 0, kEcx, 24},
    {Feature::kTscInvariant, 0x8000'0007, 0, kEdx, 8},
};

std::uint32_t& register_of(machine::CpuidResult& result, CpuidRegister where) {
  switch (where) {
    case kEbx:
      return result.ebx;
    case kEcx:
      return result.ecx;
    case kEdx:
      return result.edx;
    case kEax:
      break;
  }
  return result.eax;
}

}  // namespace

std::span<const FeatureBit> feature_bits() { return kBits; }

void hide_features(const ProcessorFeatureBanks& disabled, std::uint32_t leaf, std::uint32_t subleaf,
                   machine::CpuidResult& result) {
  // Most partitions hide nothing, and most leaves have none of the bits.
  if (disabled.empty()) {
    return;
  }
  // Leaves with one subleaf answer the same for every number.
  const bool has_subleaves = leaf == 7 || leaf == 0xD;
  for (const FeatureBit& bit : kBits) {
    if (bit.leaf == leaf && (bit.subleaf == subleaf || !has_subleaves) &&
        disabled.has(bit.feature)) {
      register_of(result, bit.where) &= ~(1u << bit.bit);
    }
  }
}

bool shows(const machine::CpuidResult& result, const FeatureBit& bit) {
  machine::CpuidResult copy = result;
  return ((register_of(copy, bit.where) >> bit.bit) & 1) != 0;
}

}  // namespace hv
