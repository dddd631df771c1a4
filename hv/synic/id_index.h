// Finds ports or connections of one partition by id.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "hv/memory/page_pool.h"
#include "machine/address.h"
#include "machine/vmx_root.h"

namespace hv {

/// A hash table of records that are its friends and link themselves by `next_`. It lives in the
/// partition's object until there are many, then in pages of the partition's pool; without pages
/// it only gets slower. It owns no record.
template <class T, class Id>
class IdIndex {
 public:
  explicit IdIndex(PagePool& pool) : pool_(&pool) {}
  IdIndex(const IdIndex&) = delete;
  IdIndex& operator=(const IdIndex&) = delete;

  [[nodiscard]] std::uint32_t count() const { return count_; }

  [[nodiscard]] T* find(Id id) {
    T* record = *bucket(id);
    while (record != nullptr && record->id != id) {
      record = record->next_;
    }
    return record;
  }
  void insert(T& record) {
    if (count_ >= bucket_count_ * kRecordsPerBucket) {
      grow();
    }
    T** const head = bucket(record.id);
    record.next_ = *head;
    *head = &record;
    ++count_;
  }
  void remove(T& record) {
    T** at = bucket(record.id);
    while (*at != &record) {
      INVARIANT(*at != nullptr);
      at = &(*at)->next_;
    }
    *at = record.next_;
    if (--count_ == 0) {
      give_pages_back();
    }
  }
  /// Any record, for as long as there are some.
  [[nodiscard]] T* any() {
    for (std::uint32_t number = 0; count_ != 0 && number < bucket_count_; ++number) {
      if (T* const first = *bucket_number(number); first != nullptr) {
        return first;
      }
    }
    return nullptr;
  }

 private:
  static constexpr std::uint32_t kOwnBuckets = 8;
  static constexpr std::uint32_t kRecordsPerBucket = 4;
  static constexpr std::uint32_t kMaxPages = 8;

  struct Page {
    static constexpr std::uint32_t kBuckets =
        (machine::kPageSize - sizeof(machine::Spn)) / sizeof(T*);
    machine::Spn place;
    std::array<T*, kBuckets> buckets{};
  };
  static_assert(sizeof(Page) <= machine::kPageSize);

  /// Ids carry their meaning in some of their bits: a multiplication spreads them over the upper
  /// ones.
  [[nodiscard]] T** bucket(Id id) {
    const std::uint32_t hash = static_cast<std::uint32_t>(id) * 0x9E37'79B1u;
    return bucket_number((hash >> 16) % bucket_count_);
  }
  [[nodiscard]] T** bucket_number(std::uint32_t number) {
    return page_count_ == 0 ? &own_[number]
                            : &pages_[number / Page::kBuckets]->buckets[number % Page::kBuckets];
  }
  void grow() {
    const std::uint32_t wanted = page_count_ == 0 ? 1 : page_count_ * 2;
    if (wanted > kMaxPages || pool_->available() < wanted) {
      return;
    }
    T* all = take_out_all();
    const std::uint32_t old_page_count = page_count_;
    const std::array<Page*, kMaxPages> old_pages =
        old_page_count == 0 ? std::array<Page*, kMaxPages>{} : pages_;
    pages_ = {};
    for (std::uint32_t page = 0; page < wanted; ++page) {
      const machine::Spn place = *pool_->take();
      pages_[page] = std::construct_at(reinterpret_cast<Page*>(machine::direct_map(place)));
      pages_[page]->place = place;
    }
    page_count_ = wanted;
    bucket_count_ = wanted * Page::kBuckets;
    while (all != nullptr) {
      T& record = *all;
      all = record.next_;
      T** const head = bucket(record.id);
      record.next_ = *head;
      *head = &record;
    }
    for (std::uint32_t page = 0; page < old_page_count; ++page) {
      pool_->give(old_pages[page]->place);
    }
  }
  [[nodiscard]] T* take_out_all() {
    T* all = nullptr;
    for (std::uint32_t number = 0; number < bucket_count_; ++number) {
      T** const head = bucket_number(number);
      while (*head != nullptr) {
        T& record = **head;
        *head = record.next_;
        record.next_ = all;
        all = &record;
      }
    }
    return all;
  }
  void give_pages_back() {
    for (std::uint32_t page = 0; page < page_count_; ++page) {
      pool_->give(pages_[page]->place);
    }
    page_count_ = 0;
    bucket_count_ = kOwnBuckets;
    own_ = {};
  }

  PagePool* pool_;
  std::uint32_t count_ = 0;
  std::uint32_t bucket_count_ = kOwnBuckets;
  std::uint32_t page_count_ = 0;
  // NOLINTBEGIN(readability-identifier-naming): no less private than the others
  union {
    /// While there is no page.
    std::array<T*, kOwnBuckets> own_{};
    std::array<Page*, kMaxPages> pages_;
  };
  // NOLINTEND(readability-identifier-naming)
};

}  // namespace hv
