// A root's steps to make, start and delete a child, for guests of the hypervisor's tests.
#pragma once

#include <cstdint>

#include "hv/tlfs/tlfs.h"
#include "machine/address.h"
#include "machine/image.h"

namespace child_maker {

/// In the child's GPA space: a page that make() leaves unmapped, and a word for its processors.
inline constexpr machine::Gpa kHole{0x80'0000};
inline constexpr machine::Gpa kSharedWord{0x40'5000};

struct Child {
  hv::PartitionId id{};
  machine::ImageHeader header;
  /// Where the root keeps it.
  machine::Gpa memory;
  std::uint64_t memory_pages = 0;
  std::uint64_t deposited_pages = 0;
};

/// What is done to a partition before it is initialized.
using EarlyStep = void (*)(hv::PartitionId partition);

/// Creates a partition with the image of a boot module, and its VPs, none started. `more_flags`
/// are creation flags beside those that every child has.
[[nodiscard]] Child make(const char* module_name, std::uint32_t vp_count = 1,
                         EarlyStep early = nullptr, std::uint64_t more_flags = 0,
                         std::uint64_t disabled_xsave_features = 0);
void start(const Child& child, std::uint32_t vp);
[[nodiscard]] hv::Status try_start(const Child& child, std::uint32_t vp);
void map_hole(const Child& child);
void unmap_hole(const Child& child);
void set_register(const Child& child, std::uint32_t vp, hv::RegisterName name, std::uint64_t value);
/// Ends it, and checks that all its pages come back.
void destroy(const Child& child);

}  // namespace child_maker
