// What a parent has answered in advance (TLFS HvCallRegisterInterceptResult): how CPUID leaves of
// one virtual processor differ from their defaults, and what becomes of MSRs that nobody has.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hv/tlfs/intercept_results.h"
#include "machine/common.h"

namespace hv {

class InterceptResults {
 public:
  static constexpr std::size_t kMaxLeaves = 40;
  static constexpr std::size_t kMaxMsrs = 32;

  /// False: the table is full. One leaf and subleaf, or MSR, has one answer: the last.
  [[nodiscard]] bool add(const CpuidResultParameters& answer) {
    const auto same = [&](const CpuidResultParameters& other) { return other.is_for_same(answer); };
    return put(leaves_, leaf_count_, answer, same);
  }
  [[nodiscard]] bool add(const MsrResultParameters& answer) {
    return put(msrs_, msr_count_, answer,
               [&](const MsrResultParameters& other) { return other.msr == answer.msr; });
  }
  /// False: there is none.
  [[nodiscard]] bool remove(const CpuidResultParameters& answer) {
    const auto same = [&](const CpuidResultParameters& other) { return other.is_for_same(answer); };
    return take(leaves_, leaf_count_, same);
  }
  [[nodiscard]] bool remove(const MsrResultParameters& answer) {
    return take(msrs_, msr_count_,
                [&](const MsrResultParameters& other) { return other.msr == answer.msr; });
  }

  [[nodiscard]] bool any_leaf() const { return leaf_count_ != 0; }
  /// The answer for a leaf: one for just this subleaf goes before one for all.
  [[nodiscard]] const CpuidResultParameters* find_leaf(std::uint32_t leaf,
                                                       std::uint32_t subleaf) const {
    const CpuidResultParameters* found = nullptr;
    for (std::size_t index = 0; index < leaf_count_; ++index) {
      const CpuidResultParameters& answer = leaves_[index];
      if (answer.leaf == leaf && answer.subleaf_specific != 0 && answer.subleaf == subleaf) {
        return &answer;
      }
      if (answer.leaf == leaf && answer.subleaf_specific == 0) {
        found = &answer;
      }
    }
    return found;
  }
  /// An UnimplementedMsrAction, if there is an answer for this access.
  [[nodiscard]] std::optional<std::uint32_t> find_msr(std::uint32_t msr, bool write) const {
    const std::uint32_t access =
        write ? MsrResultParameters::kAccessWrite : MsrResultParameters::kAccessRead;
    for (std::size_t index = 0; index < msr_count_; ++index) {
      if (msrs_[index].msr == msr && (msrs_[index].access & access) != 0) {
        return msrs_[index].action;
      }
    }
    return std::nullopt;
  }

 private:
  template <class List, class Answer, class Same>
  static bool put(List& list, std::size_t& count, const Answer& answer, const Same& same) {
    const auto end = list.begin() + static_cast<std::ptrdiff_t>(count);
    auto* const found = std::find_if(list.begin(), end, same);
    if (found != end) {
      *found = answer;
      return true;
    }
    if (count == list.size()) {
      return false;
    }
    list[count++] = answer;
    return true;
  }
  template <class List, class Same>
  static bool take(List& list, std::size_t& count, const Same& same) {
    const auto end = list.begin() + static_cast<std::ptrdiff_t>(count);
    const auto found = std::find_if(list.begin(), end, same);
    if (found == end) {
      return false;
    }
    *found = list[--count];
    return true;
  }

  std::array<CpuidResultParameters, kMaxLeaves> leaves_{};
  std::array<MsrResultParameters, kMaxMsrs> msrs_{};
  std::size_t leaf_count_ = 0;
  std::size_t msr_count_ = 0;
};

/// A leaf's result with the bits that an answer chooses.
[[nodiscard]] constexpr machine::CpuidResult apply(const CpuidResultParameters& answer,
                                                   const machine::CpuidResult& result) {
  const auto choose = [](std::uint32_t value, std::uint32_t chosen, std::uint32_t mask) {
    return (value & ~mask) | (chosen & mask);
  };
  return {choose(result.eax, answer.eax, answer.eax_mask),
          choose(result.ebx, answer.ebx, answer.ebx_mask),
          choose(result.ecx, answer.ecx, answer.ecx_mask),
          choose(result.edx, answer.edx, answer.edx_mask)};
}

}  // namespace hv
