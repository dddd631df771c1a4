#include "tests/hv/child_maker.h"

#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "hv/hypervisor_limits.h"
#include "machine/guest.h"
#include "machine/machine.h"
#include "tests/hv/start_context.h"
#include "tests/hv/test_kernel.h"

namespace child_maker {
namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;
using machine::Gpn;

constexpr std::uint64_t kDepositedPages = 200;
constexpr Gpa kDepositBase{0x600'0000};
constexpr Gpa kMemoryBase{0x700'0000};
constexpr std::uint64_t kMemoryPages = 0x80'0000 / machine::kPageSize;

machine::BootPage read_boot_page(const machine::ImageHeader& header) {
  machine::BootPage page;
  machine::read_memory(Gpa(header.boot_page_gpa), std::as_writable_bytes(std::span(&page, 1)));
  return page;
}

machine::ImageHeader read_header(Gpa where) {
  machine::ImageHeader header;
  machine::read_memory(where, std::as_writable_bytes(std::span(&header, 1)));
  return header;
}

void copy(Gpa to, Gpa from, std::uint64_t size) {
  std::vector<std::byte> bytes(size);
  machine::read_memory(from, bytes);
  machine::write_memory(to, bytes);
}

void call_with_pages(CallCode code, const auto& make_header, Gpn first, std::uint64_t count) {
  constexpr std::uint64_t kAtOnce = 256;
  for (std::uint64_t done = 0; done < count; done += kAtOnce) {
    std::vector<Gpn> pages;
    for (std::uint64_t page = done; page < count && page < done + kAtOnce; ++page) {
      pages.push_back(first + page);
    }
    const auto result =
        call(HypercallControl(code), make_header(done), std::span<const Gpn>(pages));
    GUEST_CHECK(result.status() == Status::kSuccess);
    GUEST_CHECK(result.reps_completed() == pages.size());
  }
}

Gpa load_image(Child& child, std::string_view name) {
  const machine::BootPage own = read_boot_page(read_header(machine::image_base()));
  for (std::uint32_t index = 0; index < own.module_count; ++index) {
    if (std::string_view(own.modules[index].name.data()) == name) {
      const Gpa module(own.modules[index].base);
      child.header = read_header(module);
      copy(child.memory + child.header.load_gpa, module, child.header.file_size_bytes);
      return module;
    }
  }
  GUEST_CHECK(false);
  return Gpa{};
}

}  // namespace

Child make(const char* module_name, std::uint32_t vp_count, EarlyStep early,
           std::uint64_t more_flags, std::uint64_t disabled_xsave_features) {
  Child child;
  child.memory = kMemoryBase;
  child.memory_pages = kMemoryPages;
  child.deposited_pages = kDepositedPages;
  hv::CreatePartitionInput creation;
  creation.flags = hv::kCreateLocalApicEmulation | hv::kCreateX2ApicCapable | more_flags;
  creation.disabled_xsave_features = disabled_xsave_features;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePartition), creation).status() ==
              Status::kSuccess);
  child.id = output<hv::PartitionIdOutput>().partition;
  const auto deposit = [&](std::uint64_t) { return hv::DepositMemoryInput{child.id}; };
  call_with_pages(CallCode::kDepositMemory, deposit, kDepositBase.page(), kDepositedPages);
  const hv::SetPartitionPropertyInput privileges{child.id, hv::PartitionProperty::kPrivilegeFlags,
                                                 0, hv::kGuestPrivilegeBits};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), privileges).status() ==
              Status::kSuccess);
  if (early != nullptr) {
    early(child.id);
  }
  GUEST_CHECK(call(HypercallControl(CallCode::kInitializePartition), hv::PartitionInput{child.id})
                  .status() == Status::kSuccess);
  load_image(child, module_name);
  const auto map = [&](std::uint64_t done) {
    return hv::MapGpaPagesInput{child.id, Gpn(done), hv::kMapRead | hv::kMapWrite | hv::kMapExecute,
                                0};
  };
  call_with_pages(CallCode::kMapGpaPages, map, child.memory.page(), kMemoryPages);
  for (std::uint32_t vp = 0; vp < vp_count; ++vp) {
    hv::CreateVpInput input;
    input.partition = child.id;
    input.vp = hv::VpIndex{vp};
    GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), input).status() == Status::kSuccess);
  }
  return child;
}

Status try_start(const Child& child, std::uint32_t vp) {
  hv::StartVirtualProcessorInput input;
  input.partition = child.id;
  input.vp = hv::VpIndex{vp};
  input.context = test_kernel::start_context(child.header, vp);
  return call(HypercallControl(CallCode::kStartVirtualProcessor), input).status();
}

void start(const Child& child, std::uint32_t vp) {
  GUEST_CHECK(try_start(child, vp) == Status::kSuccess);
}

void map_hole(const Child& child) {
  const Gpn source = (child.memory + child.memory_pages * machine::kPageSize).page();
  const hv::MapGpaPagesInput header{child.id, kHole.page(), hv::kMapRead | hv::kMapWrite, 0};
  const std::array<Gpn, 1> pages{source};
  GUEST_CHECK(call(HypercallControl(CallCode::kMapGpaPages), header, std::span<const Gpn>(pages))
                  .status() == Status::kSuccess);
}

void unmap_hole(const Child& child) {
  const hv::UnmapGpaPagesInput input{child.id, kHole.page(), 0, 0};
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  GUEST_CHECK(call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(1)).status() ==
              Status::kSuccess);
}

void set_register(const Child& child, std::uint32_t vp, hv::RegisterName name,
                  std::uint64_t value) {
  hv::VpRegistersInput header;
  header.partition = child.id;
  header.vp = hv::VpIndex{vp};
  std::array<hv::RegisterAssignment, 1> elements;
  elements[0].name = name;
  elements[0].value.low = value;
  GUEST_CHECK(call(HypercallControl(CallCode::kSetVpRegisters), header,
                   std::span<const hv::RegisterAssignment>(elements))
                  .status() == Status::kSuccess);
}

void destroy(const Child& child) {
  const auto simple = [&](CallCode code) {
    return call(HypercallControl(code), hv::PartitionInput{child.id}).status();
  };
  GUEST_CHECK(simple(CallCode::kDeletePartition) == Status::kInvalidPartitionState);
  GUEST_CHECK(simple(CallCode::kFinalizePartition) == Status::kSuccess);
  GUEST_CHECK(simple(CallCode::kDeletePartition) == Status::kOperationDenied);
  std::uint64_t returned = 0;
  for (Status status = Status::kSuccess; status == Status::kSuccess;) {
    constexpr std::uint32_t kAtOnce = 64;
    const hv::MemoryPoolInput input{child.id, {}};
    machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
    const auto result = call(HypercallControl(CallCode::kWithdrawMemory).with_reps(kAtOnce));
    status = result.status();
    returned += result.reps_completed();
    GUEST_CHECK(status == Status::kSuccess || status == Status::kNoResources);
  }
  GUEST_CHECK(returned == child.deposited_pages);
  GUEST_CHECK(simple(CallCode::kDeletePartition) == Status::kSuccess);
  GUEST_CHECK(simple(CallCode::kDeletePartition) == Status::kInvalidPartitionId);
}

}  // namespace child_maker
