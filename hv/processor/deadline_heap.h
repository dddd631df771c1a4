// The deadlines of blocked virtual processors: an intrusive pairing heap, which costs no memory of
// its own however many there are.
#pragma once

#include "hv/processor/schedulable.h"

namespace hv {

class DeadlineHeap {
 public:
  /// The element with the earliest deadline, or null.
  [[nodiscard]] Schedulable* first() const { return root_; }
  void insert(Schedulable& element);
  void remove(Schedulable& element);

 private:
  [[nodiscard]] static Schedulable* merge(Schedulable* left, Schedulable* right);
  [[nodiscard]] static Schedulable* merge_siblings(Schedulable* first);

  Schedulable* root_ = nullptr;
};

}  // namespace hv
