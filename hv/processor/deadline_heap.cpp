#include "hv/processor/deadline_heap.h"

#include <utility>

namespace hv {

void DeadlineHeap::insert(Schedulable& element) {
  element.heap_child = nullptr;
  element.heap_sibling = nullptr;
  element.heap_previous = nullptr;
  root_ = merge(root_, &element);
}

void DeadlineHeap::remove(Schedulable& element) {
  Schedulable* orphans = merge_siblings(element.heap_child);
  if (root_ == &element) {
    root_ = orphans;
  } else {
    Schedulable* previous = element.heap_previous;
    if (previous->heap_child == &element) {
      previous->heap_child = element.heap_sibling;
    } else {
      previous->heap_sibling = element.heap_sibling;
    }
    if (element.heap_sibling != nullptr) {
      element.heap_sibling->heap_previous = previous;
    }
    root_ = merge(root_, orphans);
  }
  element.heap_child = nullptr;
  element.heap_sibling = nullptr;
  element.heap_previous = nullptr;
}

// Both arguments are roots: without siblings and without a previous one. So is the result.
Schedulable* DeadlineHeap::merge(Schedulable* left, Schedulable* right) {
  if (left == nullptr || right == nullptr) {
    return left != nullptr ? left : right;
  }
  if (right->deadline < left->deadline) {
    std::swap(left, right);
  }
  right->heap_previous = left;
  right->heap_sibling = left->heap_child;
  if (left->heap_child != nullptr) {
    left->heap_child->heap_previous = right;
  }
  left->heap_child = right;
  return left;
}

// Merges a list of siblings in pairs, then the pairs from the last to the first, which is what
// gives the heap its logarithmic cost.
Schedulable* DeadlineHeap::merge_siblings(Schedulable* first) {
  Schedulable* pairs = nullptr;
  while (first != nullptr) {
    Schedulable* left = first;
    Schedulable* right = left->heap_sibling;
    first = right != nullptr ? right->heap_sibling : nullptr;
    left->heap_sibling = nullptr;
    left->heap_previous = nullptr;
    if (right != nullptr) {
      right->heap_sibling = nullptr;
      right->heap_previous = nullptr;
    }
    Schedulable* pair = merge(left, right);
    pair->heap_sibling = pairs;
    pairs = pair;
  }
  Schedulable* result = nullptr;
  while (pairs != nullptr) {
    Schedulable* next = pairs->heap_sibling;
    pairs->heap_sibling = nullptr;
    result = merge(result, pairs);
    pairs = next;
  }
  return result;
}

}  // namespace hv
