// Words between image_check, a guest image made as the root's and the child's are, and the program
// that loads it: a VMCALL with RCX = what is wanted, RDX and R8 = its operands.
#pragma once

#include <cstdint>

namespace seam_check {

enum class ImageCall : std::uint64_t {
  /// RDX: address of a zero-ended name, R8: whether the property holds.
  kCheck = 1,
  /// An interrupt of vector RDX comes with the next entry.
  kInterrupt = 2,
  /// The image has done; RDX is the number of processors it wants to be entered on next: 0 or 1.
  kDone = 3,
  /// RDX and R8 have one added.
  kCount = 4,
};

}  // namespace seam_check
