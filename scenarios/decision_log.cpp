#include "scenarios/decision_log.h"

#include <fmt/format.h>

#include <utility>

namespace scenarios {
namespace {

/// machine::Site's own hash of a name, which is the same in every build.
std::uint64_t site_id(std::string_view name) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char character : name) {
    value = (value ^ static_cast<std::uint8_t>(character)) * 0x100000001B3;
  }
  return value;
}

std::uint64_t key_of(std::uint64_t id, std::uint32_t domain) {
  return id ^ (std::uint64_t{domain} * 0x9E3779B97F4A7C15);
}

}  // namespace

std::uint32_t RecordingDecider::decide(const machine::Site& site, std::uint32_t domain,
                                       std::uint64_t operation) {
  const std::uint32_t value = inner_.decide(site, domain, operation);
  decisions_.number(kind_of(site, domain));
  decisions_.number(operation - last_operation_);
  decisions_.number(value);
  last_operation_ = operation;
  ++decision_count_;
  return value;
}

void RecordingDecider::at_operation(std::uint64_t operation, std::uint64_t state_hash) {
  inner_.at_operation(operation, state_hash);
  hashes_.push_back({operation, state_hash});
}

std::uint32_t RecordingDecider::kind_of(const machine::Site& site, std::uint32_t domain) {
  const std::uint64_t key = key_of(site.id(), domain);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t index = key & mask;; index = (index + 1) & mask) {
    Slot& slot = slots_[index];
    if (slot.used && slot.key == key) {
      return slot.kind;
    }
    if (!slot.used) {
      const auto kind = static_cast<std::uint32_t>(kinds_.size());
      slot = {key, kind, true};
      kinds_.push_back({site.name(), domain});
      if (kinds_.size() * 2 > slots_.size()) {
        grow();
      }
      return kind;
    }
  }
}

void RecordingDecider::grow() {
  std::vector<Slot> larger(slots_.size() * 2);
  const std::size_t mask = larger.size() - 1;
  for (const Slot& slot : slots_) {
    if (slot.used) {
      std::size_t index = slot.key & mask;
      while (larger[index].used) {
        index = (index + 1) & mask;
      }
      larger[index] = slot;
    }
  }
  slots_ = std::move(larger);
}

DecisionLog RecordingDecider::take() {
  return {.kinds = std::move(kinds_),
          .decisions = decisions_.written(),
          .decision_count = decision_count_,
          .hashes = std::move(hashes_)};
}

ReplayingDecider::ReplayingDecider(const DecisionLog& log) : log_(log), decisions_(log.decisions) {
  for (const DecisionKind& kind : log.kinds) {
    kind_ids_.push_back(site_id(kind.name));
  }
}

void ReplayingDecider::diverge(std::string what) {
  if (!divergence_) {
    divergence_ = std::move(what);
  }
}

std::uint32_t ReplayingDecider::decide(const machine::Site& site, std::uint32_t domain,
                                       std::uint64_t operation) {
  if (divergence_) {
    return 0;  // the run is not the recorded one any more: the ordinary course
  }
  if (decisions_.at_end()) {
    diverge(fmt::format("operation {}: \"{}\" is decided, but the recording has no more decisions",
                        operation, site.name()));
    return 0;
  }
  const std::uint64_t kind = decisions_.number();
  const std::uint64_t recorded_operation = last_operation_ + decisions_.number();
  const std::uint64_t value = decisions_.number();
  const DecisionKind& recorded = log_.kinds.at(kind);
  if (kind_ids_[kind] != site.id() || recorded.domain != domain ||
      recorded_operation != operation || value >= domain) {
    diverge(
        fmt::format("decision {}: recorded is \"{}\" of {} at operation {}, but \"{}\" of {} "
                    "is decided at operation {}",
                    decision_, recorded.name, recorded.domain, recorded_operation, site.name(),
                    domain, operation));
    return 0;
  }
  last_operation_ = operation;
  ++decision_;
  return static_cast<std::uint32_t>(value);
}

void ReplayingDecider::at_operation(std::uint64_t operation, std::uint64_t state_hash) {
  if (divergence_ || next_hash_ == log_.hashes.size()) {
    return;
  }
  const StateHash& recorded = log_.hashes[next_hash_];
  ++next_hash_;
  if (recorded != StateHash{operation, state_hash}) {
    diverge(fmt::format("between operations {} and {} something else happened than recorded",
                        agreed_operation_, operation));
    return;
  }
  agreed_operation_ = operation;
}

std::optional<std::string> ReplayingDecider::divergence(bool ended) const {
  if (!divergence_ && ended && !decisions_.at_end()) {
    return fmt::format("the run ended after {} decisions, the recording has {}", decision_,
                       log_.decision_count);
  }
  return divergence_;
}

}  // namespace scenarios
