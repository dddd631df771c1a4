#include "hv/cpuid/cpuid_subject.h"

#include "hv/hypervisor.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

/// Components whose features the parent hides are not there for the guest.
std::uint64_t without_hidden(std::uint64_t components, const ProcessorFeatureBanks& disabled) {
  if (disabled.has(ProcessorFeature::kXsave)) {
    return 0;
  }
  if (disabled.has(ProcessorFeature::kAvx)) {
    components &= ~(x86::kXcr0Avx | x86::kXcr0Avx512);
  }
  return disabled.has(ProcessorFeature::kAvx512) ? (components & ~x86::kXcr0Avx512) : components;
}

/// What the hypervisor's leaves depend on.
CpuidSubject chosen_by_parent(const Partition& partition) {
  CpuidSubject subject;
  subject.privileges = partition.privileges;
  subject.synthetic_features = partition.properties.synthetic_features;
  subject.physical_address_bits = partition.properties.physical_address_bits;
  return subject;
}

/// What the processor's leaves depend on besides, how many there are apart.
void add_processor(CpuidSubject& subject, LogicalProcessor& processor, const Partition& partition) {
  const vtx::Capabilities& capabilities = processor.capabilities();
  subject.may_be_x2apic = may_use_x2apic(partition);
  subject.disabled_features = &partition.properties.disabled_features;
  subject.processors_per_socket = partition.properties.processors_per_socket;
  subject.hides_invariant_tsc = partition.privileges.has(Privilege::kAccessTscInvariantControls) &&
                                partition.tsc_invariant_control.load() == 0;
  subject.extended_components = offered_components(capabilities.extended_components, partition);
  subject.extended_area_bytes = capabilities.extended_area_bytes;
  subject.rdtscp = (capabilities.controls.secondary & machine::vmx::kEnableRdtscp) != 0;
}

void add_count(CpuidSubject& subject, LogicalProcessor& processor, const Partition& partition) {
  const machine::LockGuard guard(processor.hypervisor().communication_lock);
  subject.vp_count = partition.vps.count() > 1 ? partition.vps.count() : 1;
}

}  // namespace

std::uint64_t offered_components(std::uint64_t processor_components, const Partition& partition) {
  return without_hidden(processor_components, partition.properties.disabled_features);
}

CpuidSubject cpuid_subject(LogicalProcessor& processor, const Partition& partition) {
  CpuidSubject subject = chosen_by_parent(partition);
  add_processor(subject, processor, partition);
  add_count(subject, processor, partition);
  return subject;
}

CpuidSubject cpuid_subject(LogicalProcessor& processor, const VirtualProcessor& vp,
                           std::uint32_t leaf) {
  CpuidSubject subject = chosen_by_parent(vp.partition);
  if (is_hypervisor_leaf(leaf)) {
    return subject;
  }
  subject.apic_id = vp.apic.id();
  subject.has_apic = vp.apic.mode() != ApicMode::kDisabled;
  add_processor(subject, processor, vp.partition);
  if (leaf == kCpuidProcessorFeatures || leaf == kCpuidTopology) {
    add_count(subject, processor, vp.partition);
  }
  return subject;
}

machine::CpuidResult answer_cpuid(const CpuidSubject& subject, std::uint32_t leaf,
                                  std::uint32_t subleaf) {
  return is_hypervisor_leaf(leaf)
             ? hypervisor_cpuid(subject, leaf)
             : guest_cpuid(subject, leaf, subleaf, machine::cpuid(leaf, subleaf));
}

}  // namespace hv
