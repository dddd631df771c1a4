#include "hv/memory/page_pool.h"

#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

using machine::Spa;
using machine::Spn;

void PagePool::deposit(Spn page) { push(page); }

std::optional<Spn> PagePool::withdraw() { return pop(); }

std::optional<Spn> PagePool::take() {
  const std::optional<Spn> page = pop();
  if (page) {
    ++in_use_;
  }
  return page;
}

void PagePool::give(Spn page) {
  INVARIANT(in_use_ > 0);
  --in_use_;
  push(page);
}

std::optional<Spn> PagePool::pop() {
  if (available_ == 0) {
    return std::nullopt;
  }
  --available_;
  Spn page = list_;
  if (listed_ != 0) {
    page = Spn(machine::load_u64(entry(--listed_)));
  } else if (available_ != 0) {
    list_ = Spn(machine::load_u64(Spa(page)));
    listed_ = kPagesPerList;
  }
  machine::fill_memory(Spa(page), machine::kPageSize, 0);
  return page;
}

void PagePool::push(Spn page) {
  INVARIANT(available_ == 0 || page != list_);
  if (available_ == 0 || listed_ == kPagesPerList) {
    machine::store_u64(Spa(page), list_.value());
    list_ = page;
    listed_ = 0;
  } else {
    machine::store_u64(entry(listed_++), page.value());
  }
  ++available_;
}

}  // namespace hv
