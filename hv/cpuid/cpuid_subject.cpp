#include "hv/cpuid/cpuid_subject.h"

#include "hv/hypervisor.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

/// Components whose features the parent hides are not there for the guest.
std::uint64_t shown_components(std::uint64_t components, const ProcessorFeatureBanks& disabled) {
  if (disabled.has(ProcessorFeature::kXsave)) {
    return 0;
  }
  if (disabled.has(ProcessorFeature::kAvx)) {
    components &= ~(x86::kXcr0Avx | x86::kXcr0Avx512);
  }
  return disabled.has(ProcessorFeature::kAvx512) ? (components & ~x86::kXcr0Avx512) : components;
}

}  // namespace

CpuidSubject cpuid_subject(LogicalProcessor& processor, const Partition& partition) {
  CpuidSubject subject;
  subject.privileges = partition.privileges;
  subject.synthetic_features = partition.properties.synthetic_features;
  subject.disabled_features = &partition.properties.disabled_features;
  subject.processors_per_socket = partition.properties.processors_per_socket;
  subject.physical_address_bits = partition.properties.physical_address_bits;
  subject.hides_invariant_tsc = partition.privileges.has(Privilege::kAccessTscInvariantControls) &&
                                partition.tsc_invariant_control.load() == 0;
  {
    const machine::LockGuard guard(processor.hypervisor().communication_lock);
    subject.vp_count = partition.vps.count() > 1 ? partition.vps.count() : 1;
  }
  subject.lp_count = processor.hypervisor().processor_count();
  subject.extended_components = shown_components(processor.capabilities().extended_components,
                                                 partition.properties.disabled_features);
  subject.extended_area_bytes = processor.capabilities().extended_area_bytes;
  subject.rdtscp = (processor.capabilities().controls.secondary & machine::vmx::kEnableRdtscp) != 0;
  return subject;
}

CpuidSubject cpuid_subject(LogicalProcessor& processor, const VirtualProcessor& vp) {
  CpuidSubject subject = cpuid_subject(processor, vp.partition);
  subject.apic_id = vp.apic.id();
  return subject;
}

machine::CpuidResult answer_cpuid(const CpuidSubject& subject, std::uint32_t leaf,
                                  std::uint32_t subleaf) {
  return is_hypervisor_leaf(leaf)
             ? hypervisor_cpuid(subject, leaf)
             : guest_cpuid(subject, leaf, subleaf, machine::cpuid(leaf, subleaf));
}

}  // namespace hv
