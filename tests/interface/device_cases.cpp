// MapDeviceInterrupt, UnmapDeviceInterrupt and RetargetDeviceInterrupt. That they take effect is
// seen in tests/hv/device_interrupt_test.cpp.
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterruptSource;
using hv::Status;
using Input = hv::RetargetDeviceInterruptInput;
using Target = hv::DeviceInterruptTarget;
using hv::MapDeviceInterruptInput;

constexpr CallCode kCode = CallCode::kRetargetDeviceInterrupt;

/// Legal: one of the caller's own, for its first VP.
Input legal() {
  Input input;
  input.partition = hv::kPartitionIdSelf;
  input.entry = {InterruptSource::kIoApic, 0, 0x40};
  input.target.vector = 0x50;
  input.target.processors = 1;
  return input;
}
/// With `qwords` of variable header: a bank mask, and banks that are all `bank`.
Status retarget(const Input& input, std::uint32_t qwords = 0, std::uint64_t mask = 0,
                std::uint64_t bank = 1) {
  for (std::uint32_t index = 0; index < qwords; ++index) {
    machine::store_u64(kInputPage + sizeof(input) + index * 8, index == 0 ? mask : bank);
  }
  return call(HypercallControl(kCode).with_variable_header(qwords), input).status();
}
template <class Change>
Status changed(Change change) {
  Input input = legal();
  change(input);
  return retarget(input);
}
Input with_set(std::uint64_t format) {
  Input input = legal();
  input.target.flags = Target::kProcessorSet;
  input.target.processors = format;
  return input;
}

// --- Mapping
// --------------------------------------------------------------------------------------

constexpr CallCode kMap = CallCode::kMapDeviceInterrupt;
constexpr CallCode kUnmap = CallCode::kUnmapDeviceInterrupt;
constexpr std::uint64_t kPciDevice = (1ull << 62) | 0x18;
constexpr std::uint64_t kIoApicDevice = (2ull << 62) | 0x02;

MapDeviceInterruptInput legal_map(std::uint64_t device = kPciDevice) {
  MapDeviceInterruptInput input;
  input.partition = hv::kPartitionIdSelf;
  input.device = device;
  input.vector_count = 1;
  input.target = {0x50, 0, 1};
  return input;
}
Status map(const MapDeviceInterruptInput& input, std::uint32_t qwords = 0,
           std::uint64_t bank_mask = 1) {
  for (std::uint32_t index = 0; index < qwords; ++index) {
    machine::store_u64(kInputPage + sizeof(input) + index * 8, index == 0 ? bank_mask : 1);
  }
  return call(HypercallControl(kMap).with_variable_header(qwords), input).status();
}
hv::InterruptEntry mapped(std::uint64_t device) {
  GUEST_CHECK(map(legal_map(device)) == Status::kSuccess);
  return output<hv::MapDeviceInterruptOutput>().entry;
}
template <class Change>
Status changed_map(Change change) {
  MapDeviceInterruptInput input = legal_map();
  change(input);
  return map(input);
}
Status unmap(std::uint64_t device, const hv::InterruptEntry& entry,
             hv::PartitionId partition = hv::kPartitionIdSelf) {
  return call(HypercallControl(kUnmap), hv::UnmapDeviceInterruptInput{partition, device, entry})
      .status();
}

constexpr CallCase kMapCases[] = {
    {kMap, "an interrupt that a device writes", Status::kSuccess,
     [] {
       const hv::InterruptEntry entry = mapped(kPciDevice);
       GUEST_CHECK(entry.source == InterruptSource::kMsi && entry.reserved == 0);
       GUEST_CHECK(static_cast<std::uint32_t>(entry.data) == 0xFEE0'0000);
       GUEST_CHECK(entry.vector() >= 0x20 && entry.vector() < 0xE0);
       return Status::kSuccess;
     }},
    {kMap, "an interrupt of an IOAPIC, with a vector of its own", Status::kSuccess,
     [] {
       const hv::InterruptEntry other = mapped(kPciDevice);
       const hv::InterruptEntry entry = mapped(kIoApicDevice);
       GUEST_CHECK(entry.source == InterruptSource::kIoApic && entry.data == entry.vector());
       GUEST_CHECK(entry.vector() != other.vector());
       return Status::kSuccess;
     }},
    {kMap, "for a sparse set of processors", Status::kSuccess,
     [] {
       MapDeviceInterruptInput input = legal_map();
       input.target.flags = Target::kProcessorSet;
       input.target.processors = hv::VpSet::kFormatSparse;
       return map(input, 2);
     }},
    {kMap, "for a set of 64 banks, which its mask comes before", Status::kSuccess,
     [] {
       MapDeviceInterruptInput input = legal_map();
       input.target.flags = Target::kProcessorSet;
       input.target.processors = hv::VpSet::kFormatSparse;
       return map(input, 65, ~0ull);
     }},
    {kMap, "a sparse set that lacks its bank", Status::kInvalidHypercallInput,
     [] {
       MapDeviceInterruptInput input = legal_map();
       input.target.flags = Target::kProcessorSet;
       input.target.processors = hv::VpSet::kFormatSparse;
       return map(input, 1);
     }},
    {kMap, "more than there are vectors", Status::kNoResources,
     [] {
       for (std::uint32_t vector = 0x20; vector < 0xE0; ++vector) {
         static_cast<void>(mapped(kPciDevice));
       }
       return map(legal_map());
     }},
    {kMap, "a device that signals in neither way", Status::kInvalidDeviceId,
     [] { return map(legal_map(0x18)); }},
    {kMap, "for nobody", Status::kInvalidVpIndex,
     [] { return changed_map([](auto& input) { input.target.processors = 0; }); }},
    {kMap, "a delivery mode other than fixed", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.interrupt_type = 4; }); }},
    {kMap, "a level of an IOAPIC, as its entry says", Status::kSuccess,
     [] {
       MapDeviceInterruptInput input = legal_map(kIoApicDevice);
       input.trigger_mode = MapDeviceInterruptInput::kLevel;
       const Status status = map(input);
       const auto entry = output<hv::MapDeviceInterruptOutput>().entry;
       GUEST_CHECK(entry.data == (1u << 15 | entry.vector()));
       return status;
     }},
    {kMap, "32 messages, from a multiple of 32 on", Status::kSuccess,
     [] {
       static_cast<void>(mapped(kPciDevice));
       const Status status = changed_map([](auto& input) { input.vector_count = 32; });
       const auto entry = output<hv::MapDeviceInterruptOutput>().entry;
       GUEST_CHECK(entry.vector() == 0xA0);
       return status;
     }},
    {kMap, "more messages in a row than there are vectors left", Status::kNoResources,
     [] {
       for (std::uint32_t first = 0x20; first < 0xE0; first += 32) {
         Input input = legal();
         input.entry.data = first;
         GUEST_CHECK(retarget(input) == Status::kSuccess);
       }
       return changed_map([](auto& input) { input.vector_count = 32; });
     }},
    {kMap, "a level of a device that writes messages", Status::kInvalidParameter,
     [] {
       return changed_map(
           [](auto& input) { input.trigger_mode = MapDeviceInterruptInput::kLevel; });
     }},
    {kMap, "a trigger mode that there is not", Status::kInvalidParameter,
     [] {
       MapDeviceInterruptInput input = legal_map(kIoApicDevice);
       input.trigger_mode = 2;
       return map(input);
     }},
    {kMap, "no vector", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.vector_count = 0; }); }},
    {kMap, "three messages", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.vector_count = 3; }); }},
    {kMap, "64 messages", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.vector_count = 64; }); }},
    {kMap, "two vectors of an IOAPIC", Status::kInvalidParameter,
     [] {
       MapDeviceInterruptInput input = legal_map(kIoApicDevice);
       input.vector_count = 2;
       return map(input);
     }},
    {kMap, "two messages, the second to a vector above 255", Status::kInvalidParameter,
     [] {
       return changed_map([](auto& input) {
         input.vector_count = 2;
         input.target.vector = 0xFF;
       });
     }},
    {kMap, "a flag", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.flags = 1; }); }},
    {kMap, "a word that has to be zero", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.reserved = 1; }); }},
    {kMap, "to a vector below 16", Status::kInvalidParameter,
     [] { return changed_map([](auto& input) { input.target.vector = 15; }); }},
    {kMap, "of a child", Status::kAccessDenied,
     [] { return changed_map([](auto& input) { input.partition = active_partition(); }); }},
    {kMap, "no partition's id", Status::kInvalidPartitionId,
     [] { return changed_map([](auto& input) { input.partition = kNobody; }); }},
    {kMap, "by a child", Status::kAccessDenied, [] { return map(legal_map()); }, Caller::kChild},

    {kUnmap, "one of two, whose vector is free again", Status::kSuccess,
     [] {
       const hv::InterruptEntry first = mapped(kPciDevice);
       static_cast<void>(mapped(kIoApicDevice));
       const Status status = unmap(kPciDevice, first);
       GUEST_CHECK(mapped(kPciDevice).vector() == first.vector());
       return status;
     }},
    {kUnmap, "all messages of a device, by the first", Status::kSuccess,
     [] {
       MapDeviceInterruptInput input = legal_map();
       input.vector_count = 4;
       GUEST_CHECK(map(input) == Status::kSuccess);
       const auto first = output<hv::MapDeviceInterruptOutput>().entry;
       const Status status = unmap(kPciDevice, first);
       GUEST_CHECK(mapped(kPciDevice).vector() == first.vector() + 3);
       return status;
     }},
    {kUnmap, "messages of a device, by the second", Status::kInvalidDeviceId,
     [] {
       MapDeviceInterruptInput input = legal_map();
       input.vector_count = 2;
       GUEST_CHECK(map(input) == Status::kSuccess);
       auto entry = output<hv::MapDeviceInterruptOutput>().entry;
       entry.data += 1ull << 32;
       return unmap(kPciDevice, entry);
     }},
    {kUnmap, "another device's", Status::kInvalidDeviceId,
     [] { return unmap(kIoApicDevice, mapped(kPciDevice)); }},
    {kUnmap, "one that is not mapped", Status::kInvalidDeviceId,
     [] {
       const hv::InterruptEntry entry = mapped(kPciDevice);
       GUEST_CHECK(unmap(kPciDevice, entry) == Status::kSuccess);
       return unmap(kPciDevice, entry);
     }},
    {kUnmap, "a vector of the hypervisor's", Status::kInvalidParameter,
     [] { return unmap(kIoApicDevice, {InterruptSource::kIoApic, 0, 0xE1}); }},
    {kUnmap, "of a child", Status::kAccessDenied,
     [] { return unmap(kPciDevice, mapped(kPciDevice), active_partition()); }},
    {kUnmap, "no partition's id", Status::kInvalidPartitionId,
     [] { return unmap(kPciDevice, mapped(kPciDevice), kNobody); }},
    {kUnmap, "by a child", Status::kAccessDenied,
     [] { return unmap(kPciDevice, {InterruptSource::kMsi, 0, 0x40'0000'0000}); }, Caller::kChild},
    {kCode, "what is mapped for another device", Status::kInvalidDeviceId,
     [] {
       Input input = legal();
       input.entry = mapped(kPciDevice);
       input.device = kIoApicDevice;
       return retarget(input);
     }},
};

constexpr CallCase kCases[] = {
    {kCode, "an interrupt of an IOAPIC", Status::kSuccess, [] { return retarget(legal()); }},
    {kCode, "an interrupt that a device writes", Status::kSuccess,
     [] {
       return changed([](Input& input) {
         input.entry = {InterruptSource::kMsi, 0, 0x41'FEE0'0000};
         input.partition = hv::kPartitionIdRoot;
       });
     }},
    {kCode, "several processors", Status::kSuccess,
     [] {
       return changed([](Input& input) {
         input.target.flags = Target::kMulticast;
         input.target.processors = 3;
       });
     }},
    {kCode, "a sparse set of processors", Status::kSuccess,
     [] { return retarget(with_set(hv::VpSet::kFormatSparse), 3, 3); }},
    {kCode, "a set of 64 banks, which its mask comes before", Status::kSuccess,
     [] { return retarget(with_set(hv::VpSet::kFormatSparse), 65, ~0ull); }},
    {kCode, "a variable header of more than the mask and 64 banks", Status::kInvalidHypercallInput,
     [] { return retarget(with_set(hv::VpSet::kFormatSparse), 66, ~0ull); }},
    {kCode, "the set of all processors", Status::kSuccess,
     [] { return retarget(with_set(hv::VpSet::kFormatAll), 1, 0); }},
    {kCode, "a set that there is not", Status::kInvalidParameter,
     [] { return retarget(with_set(2), 2, 1); }},
    {kCode, "a set that lacks a bank", Status::kInvalidHypercallInput,
     [] { return retarget(with_set(hv::VpSet::kFormatSparse), 2, 3); }},
    {kCode, "a set without its bank mask", Status::kInvalidHypercallInput,
     [] { return retarget(with_set(hv::VpSet::kFormatSparse)); }},
    {kCode, "a mask of processors, and a variable header", Status::kInvalidHypercallInput,
     [] { return retarget(legal(), 1, 1); }},
    {kCode, "nobody", Status::kInvalidVpIndex,
     [] { return changed([](Input& input) { input.target.processors = 0; }); }},
    {kCode, "a processor that there is not", Status::kInvalidVpIndex,
     [] { return changed([](Input& input) { input.target.processors = 1ull << 40; }); }},
    {kCode, "a bank that no processor is in", Status::kInvalidVpIndex,
     [] { return retarget(with_set(hv::VpSet::kFormatSparse), 2, 1ull << 63); }},
    {kCode, "neither an IOAPIC nor a message", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.entry.source = InterruptSource{3}; }); }},
    {kCode, "a word of the entry that has to be zero", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.entry.reserved = 1; }); }},
    {kCode, "a word that has to be zero", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.reserved = 1; }); }},
    {kCode, "an interrupt with the vector of an exception", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.entry.data = 0x1F; }); }},
    {kCode, "an interrupt with a vector of the hypervisor's", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.entry.data = 0xE0; }); }},
    {kCode, "a vector below 16", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.target.vector = 15; }); }},
    {kCode, "a vector above 255", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.target.vector = 256; }); }},
    {kCode, "a proxy, which there is not", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.target.flags = Target::kProxyRedirect; }); }},
    {kCode, "a child's interrupt", Status::kAccessDenied,
     [] {
       Input input = legal();
       input.partition = active_partition();
       return retarget(input);
     }},
    {kCode, "no partition's id", Status::kInvalidPartitionId,
     [] { return changed([](Input& input) { input.partition = kNobody; }); }},
    {kCode, "a device of a child, which has none", Status::kInvalidDeviceId,
     [] { return retarget(legal()); }, Caller::kChild},
    {kCode, "a child's, with a vector below 16", Status::kInvalidParameter,
     [] { return changed([](Input& input) { input.target.vector = 1; }); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> device_call_cases() { return kCases; }
std::span<const CallCase> map_device_call_cases() { return kMapCases; }

}  // namespace interface_test
