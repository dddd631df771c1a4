#include "tests/support/fake_spa_memory.h"

#include <algorithm>
#include <cstdlib>
#include <span>

#include "machine/vmx_root.h"

namespace test_support {

namespace {

FakeSpaMemory* current_memory = nullptr;
constexpr std::byte kUntouched{0xA5};

template <class T>
T load(machine::Spa address) {
  FakeSpaMemory& memory = FakeSpaMemory::current();
  memory.note({SpaAccess::Kind::kLoad, address.value(), sizeof(T), 0});
  return memory.get<T>(address.value());
}

template <class T>
void store(machine::Spa address, T value) {
  FakeSpaMemory& memory = FakeSpaMemory::current();
  memory.note({SpaAccess::Kind::kStore, address.value(), sizeof(T), value});
  memory.set(address.value(), value);
}

template <class T, class Function>
T locked(machine::Spa address, T operand, Function function) {
  FakeSpaMemory& memory = FakeSpaMemory::current();
  memory.note({SpaAccess::Kind::kLocked, address.value(), sizeof(T), operand});
  const T old = memory.get<T>(address.value());
  memory.set(address.value(), static_cast<T>(function(old)));
  return old;
}

/// Calls function(pointer, bytes) for each page's part of a range.
template <class Function>
void for_each_part(std::uint64_t address, std::uint64_t size_bytes, Function function) {
  while (size_bytes > 0) {
    const std::uint64_t in_page = machine::kPageSize - address % machine::kPageSize;
    const std::uint64_t part = std::min(size_bytes, in_page);
    function(FakeSpaMemory::current().bytes(address), part);
    address += part;
    size_bytes -= part;
  }
}

}  // namespace

FakeSpaMemory::FakeSpaMemory() {
  if (current_memory != nullptr) {
    std::abort();
  }
  current_memory = this;
}

FakeSpaMemory::~FakeSpaMemory() { current_memory = nullptr; }

FakeSpaMemory& FakeSpaMemory::current() { return *current_memory; }

std::byte* FakeSpaMemory::bytes(std::uint64_t address) {
  std::unique_ptr<Page>& page = pages_[address / machine::kPageSize];
  if (!page) {
    page = std::make_unique<Page>();
    page->bytes.fill(kUntouched);
  }
  return page->bytes.data() + address % machine::kPageSize;
}

void FakeSpaMemory::note(const SpaAccess& access) {
  if (before_access) {
    before_access(access);
  }
  log.push_back(access);
}

}  // namespace test_support

namespace machine {

using test_support::FakeSpaMemory;
using test_support::SpaAccess;

std::uint8_t load_u8(Spa address) { return test_support::load<std::uint8_t>(address); }
std::uint16_t load_u16(Spa address) { return test_support::load<std::uint16_t>(address); }
std::uint32_t load_u32(Spa address) { return test_support::load<std::uint32_t>(address); }
std::uint64_t load_u64(Spa address) { return test_support::load<std::uint64_t>(address); }
void store_u8(Spa address, std::uint8_t value) { test_support::store(address, value); }
void store_u16(Spa address, std::uint16_t value) { test_support::store(address, value); }
void store_u32(Spa address, std::uint32_t value) { test_support::store(address, value); }
void store_u64(Spa address, std::uint64_t value) { test_support::store(address, value); }

std::uint8_t fetch_or_u8(Spa address, std::uint8_t bits) {
  return test_support::locked(address, bits, [=](std::uint8_t old) { return old | bits; });
}
std::uint64_t compare_exchange_u64(Spa address, std::uint64_t expected, std::uint64_t desired) {
  return test_support::locked(address, desired,
                              [=](std::uint64_t old) { return old == expected ? desired : old; });
}
std::uint32_t fetch_or_u32(Spa address, std::uint32_t bits) {
  return test_support::locked(address, bits, [=](std::uint32_t old) { return old | bits; });
}
std::uint64_t fetch_or_u64(Spa address, std::uint64_t bits) {
  return test_support::locked(address, bits, [=](std::uint64_t old) { return old | bits; });
}
std::uint64_t fetch_and_u64(Spa address, std::uint64_t bits) {
  return test_support::locked(address, bits, [=](std::uint64_t old) { return old & bits; });
}

void read_memory(Spa from, std::span<std::byte> to) {
  FakeSpaMemory::current().note({SpaAccess::Kind::kRead, from.value(), to.size(), 0});
  std::byte* out = to.data();
  test_support::for_each_part(from.value(), to.size(), [&](std::byte* bytes, std::uint64_t size) {
    out = std::copy_n(bytes, size, out);
  });
}

void write_memory(Spa to, std::span<const std::byte> from) {
  FakeSpaMemory::current().note({SpaAccess::Kind::kWrite, to.value(), from.size(), 0});
  const std::byte* in = from.data();
  test_support::for_each_part(to.value(), from.size(), [&](std::byte* bytes, std::uint64_t size) {
    std::copy_n(in, size, bytes);
    in += size;
  });
}

void fill_memory(Spa to, std::uint64_t size_bytes, std::uint8_t value) {
  FakeSpaMemory::current().note({SpaAccess::Kind::kFill, to.value(), size_bytes, value});
  test_support::for_each_part(to.value(), size_bytes, [&](std::byte* bytes, std::uint64_t size) {
    std::fill_n(bytes, size, std::byte{value});
  });
}

std::byte* direct_map(Spn page) { return FakeSpaMemory::current().bytes(Spa(page).value()); }

}  // namespace machine
