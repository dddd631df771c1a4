// Objects of one kind in pages of a partition's pool.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "hv/memory/page_pool.h"
#include "machine/address.h"
#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

/// A slab of T: objects never move, and pages return to the pool only with destroy(). The first
/// kOwn objects lie in the slab itself.
template <class T, std::size_t kOwn = 0>
class RecordPages {
  union Record {
    constexpr Record() : next(nullptr) {}
    constexpr ~Record() {}
    Record* next;
    T object;
  };
  struct Page {
    static constexpr std::size_t kHeaderBytes = 16;
    static constexpr std::size_t kRecords = (machine::kPageSize - kHeaderBytes) / sizeof(Record);
    static_assert(alignof(Record) <= kHeaderBytes && kRecords > 0);
    Page* next = nullptr;
    machine::Spn place;
    std::array<Record, kRecords> records{};
  };
  static_assert(sizeof(Page) <= machine::kPageSize);

 public:
  static constexpr std::size_t kRecordsPerPage = Page::kRecords;

  explicit RecordPages(PagePool& pool) : pool_(&pool) { link_own(); }
  RecordPages(const RecordPages&) = delete;
  RecordPages& operator=(const RecordPages&) = delete;

  /// Whether make() will succeed; takes a page from the pool if need be.
  [[nodiscard]] bool has_room() { return free_ != nullptr || grow(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// What has_room() takes from the pool.
  [[nodiscard]] std::size_t pages_for_room() const { return free_ != nullptr ? 0 : 1; }
  /// What reserve() takes from the pool.
  [[nodiscard]] std::size_t pages_to_reserve(std::size_t total) const {
    return total <= capacity_ ? 0 : (total - capacity_ + Page::kRecords - 1) / Page::kRecords;
  }
  /// Grows until there is room for `total` objects in all. False: the pool has too few pages.
  [[nodiscard]] bool reserve(std::size_t total) {
    while (capacity_ < total) {
      if (!grow()) {
        return false;
      }
    }
    return true;
  }

  /// has_room() was true.
  template <class... Arguments>
  T& make(Arguments&&... arguments) {
    INVARIANT(free_ != nullptr);
    Record* const record = free_;
    free_ = record->next;
    return *std::construct_at(&record->object, static_cast<Arguments&&>(arguments)...);
  }
  /// Ends an object of make().
  void end(T& object) {
    std::destroy_at(&object);
    Record* const record = reinterpret_cast<Record*>(&object);
    std::construct_at(&record->next, free_);
    free_ = record;
  }
  /// Returns every page; objects that still live just cease to be.
  void destroy() {
    while (pages_ != nullptr) {
      const machine::Spn place = pages_->place;
      pages_ = pages_->next;
      pool_->give(place);
    }
    free_ = nullptr;
    capacity_ = kOwn;
    link_own();
  }

 private:
  void link_own() {
    for (Record& record : own_) {
      record.next = free_;
      free_ = &record;
    }
  }
  [[nodiscard]] bool grow() {
    const std::optional<machine::Spn> place = pool_->take();
    if (!place) {
      return false;
    }
    Page* const page = std::construct_at(reinterpret_cast<Page*>(machine::direct_map(*place)));
    page->place = *place;
    page->next = pages_;
    pages_ = page;
    for (Record& record : page->records) {
      record.next = free_;
      free_ = &record;
    }
    capacity_ += Page::kRecords;
    return true;
  }

  PagePool* pool_;
  Page* pages_ = nullptr;
  Record* free_ = nullptr;
  std::size_t capacity_ = kOwn;
  std::array<Record, kOwn> own_{};
};

}  // namespace hv
