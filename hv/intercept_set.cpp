#include "hv/intercept_set.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "hv/tlfs/intercepts.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

constexpr std::uint32_t kPorts = 0x10000;
constexpr std::uint32_t kBitsPerWord = 64;

/// Calls `visit` with each word that has bits of the ports from `first` to `last`, and with these.
template <class Page, class Visit>
void for_each_word(Page& page, std::uint32_t first, std::uint32_t last, Visit visit) {
  for (std::uint32_t word = first / kBitsPerWord; word <= last / kBitsPerWord; ++word) {
    const std::uint32_t begin = word * kBitsPerWord;
    std::uint64_t bits = ~std::uint64_t{0};
    if (first > begin) {
      bits &= ~std::uint64_t{0} << (first - begin);
    }
    if (last < begin + kBitsPerWord - 1) {
      bits &= ~std::uint64_t{0} >> (begin + kBitsPerWord - 1 - last);
    }
    visit(page[word], bits);
  }
}

/// The part of the ports from `first` to `last` that one half has, as numbers in it.
struct Part {
  std::size_t half = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

template <class Visit>
void for_each_part(std::uint32_t first, std::uint32_t last, std::uint32_t ports_per_page,
                   Visit visit) {
  for (std::uint32_t half = first / ports_per_page; half <= last / ports_per_page; ++half) {
    const std::uint32_t begin = half * ports_per_page;
    visit(Part{half, std::max(first, begin) - begin,
               std::min(last, begin + ports_per_page - 1) - begin});
  }
}

}  // namespace

bool PortSet::has_any(std::uint32_t first, std::uint32_t last) const {
  bool found = false;
  for_each_part(first, std::min(last, kPorts - 1), kPortsPerPage, [&](const Part& part) {
    if (pages_[part.half] != nullptr) {
      for_each_word(
          *pages_[part.half], part.first, part.last,
          [&](std::uint64_t word, std::uint64_t bits) { found = found || (word & bits) != 0; });
    }
  });
  return found;
}

Status PortSet::add(std::uint16_t first, std::uint16_t last) {
  std::uint64_t needed = 0;
  for_each_part(first, last, kPortsPerPage,
                [&](const Part& part) { needed += pages_[part.half] == nullptr ? 1 : 0; });
  if (pool_->available() < needed) {
    return Status::kInsufficientMemory;
  }
  for_each_part(first, last, kPortsPerPage, [&](const Part& part) {
    if (pages_[part.half] == nullptr) {
      places_[part.half] = *pool_->take();
      pages_[part.half] =
          std::construct_at(reinterpret_cast<Page*>(machine::direct_map(places_[part.half])));
    }
    for_each_word(*pages_[part.half], part.first, part.last,
                  [](std::uint64_t& word, std::uint64_t bits) { word |= bits; });
  });
  return Status::kSuccess;
}

void PortSet::remove(std::uint16_t first, std::uint16_t last) {
  for_each_part(first, last, kPortsPerPage, [&](const Part& part) {
    if (pages_[part.half] == nullptr) {
      return;
    }
    Page& page = *pages_[part.half];
    for_each_word(page, part.first, part.last,
                  [](std::uint64_t& word, std::uint64_t bits) { word &= ~bits; });
    if (std::all_of(page.begin(), page.end(), [](std::uint64_t word) { return word == 0; })) {
      give(part.half);
    }
  });
}

void PortSet::give(std::size_t half) {
  pages_[half] = nullptr;
  pool_->give(places_[half]);
}

void PortSet::destroy() {
  for (std::size_t half = 0; half < pages_.size(); ++half) {
    if (pages_[half] != nullptr) {
      give(half);
    }
  }
}

std::uint32_t NumberSet::access_of(std::uint32_t number) const {
  for (const Record* record = first_; record != nullptr; record = record->next) {
    if (record->number == number) {
      return record->access;
    }
  }
  return 0;
}

Status NumberSet::set(std::uint32_t number, std::uint32_t access) {
  Record** link = &first_;
  while (*link != nullptr && (*link)->number != number) {
    link = &(*link)->next;
  }
  Record* const record = *link;
  if (record == nullptr) {
    if (access == 0) {
      return Status::kSuccess;
    }
    if (!records_.has_room()) {
      return Status::kInsufficientMemory;
    }
    first_ = &records_.make(first_, number, access);
  } else if (access == 0) {
    *link = record->next;
    records_.end(*record);
  } else {
    record->access = access;
  }
  return Status::kSuccess;
}

void NumberSet::destroy() {
  first_ = nullptr;
  records_.destroy();
}

bool InterceptSet::wants_msr(std::uint32_t msr, bool write) const {
  return unknown_msrs ||
         (msrs.access_of(msr) & (write ? kInterceptAccessWrite : kInterceptAccessRead)) != 0;
}

void InterceptSet::destroy() {
  ports.destroy();
  msrs.destroy();
  leaves.destroy();
  unknown_msrs = false;
  all_leaves = false;
}

}  // namespace hv
