// The virtual processors that are ready: an intrusive list in ascending order of one of their
// fields, which costs no memory of its own however many there are.
#pragma once

#include <cstdint>

#include "hv/processor/schedulable.h"

namespace hv {

/// Of elements whose Key, which does not change while they are in the list, ascends; equal ones in
/// the order of their coming.
template <std::uint64_t Schedulable::* Key, Schedulable* Schedulable::* Next,
          Schedulable* Schedulable::* Previous>
class SortedList {
 public:
  [[nodiscard]] Schedulable* head() const { return head_; }
  [[nodiscard]] static Schedulable* after(const Schedulable& element) { return element.*Next; }

  void insert(Schedulable& element) {
    Schedulable* before = tail_;
    while (before != nullptr && before->*Key > element.*Key) {
      before = before->*Previous;
    }
    Schedulable* following = before != nullptr ? before->*Next : head_;
    element.*Previous = before;
    element.*Next = following;
    (before != nullptr ? before->*Next : head_) = &element;
    (following != nullptr ? following->*Previous : tail_) = &element;
  }

  void remove(Schedulable& element) {
    Schedulable* before = element.*Previous;
    Schedulable* following = element.*Next;
    (before != nullptr ? before->*Next : head_) = following;
    (following != nullptr ? following->*Previous : tail_) = before;
    element.*Previous = nullptr;
    element.*Next = nullptr;
  }

 private:
  Schedulable* head_ = nullptr;
  Schedulable* tail_ = nullptr;
};

using ReadyQueue =
    SortedList<&Schedulable::order, &Schedulable::ready_next, &Schedulable::ready_previous>;
using ReservedQueue = SortedList<&Schedulable::reserve_time, &Schedulable::reserved_next,
                                 &Schedulable::reserved_previous>;

}  // namespace hv
