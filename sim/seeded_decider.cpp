#include <utility>

#include "sim/decider.h"

namespace sim {

namespace {

/// splitmix64: a bijective mix of 64 bits.
constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15;

std::uint64_t next(std::uint64_t& state) {
  state += kStep;
  return mix(state);
}

/// The high half of a product: uniform enough for domains of 32 bits, without a division.
std::uint32_t reduce(std::uint64_t random, std::uint32_t domain) {
  return static_cast<std::uint32_t>(((random >> 32) * domain) >> 32);
}

}  // namespace

std::vector<ChanceRule> ordinary_chance() {
  return {{"sim.", 1}, {"device.disk.service_time", 1}, {"device.disk.destaged", 1}};
}

SeededDecider::SeededDecider(std::uint64_t seed, std::vector<ChanceRule> rules)
    : seed_(seed), rules_(std::move(rules)), streams_(64) {}

std::uint32_t SeededDecider::decide(const machine::Site& site, std::uint32_t domain,
                                    std::uint64_t /*operation*/) {
  // Mostly the same choice comes again and again.
  Stream& stream = site.id() == last_->site_id ? *last_ : stream_of(site);
  if (stream.one_in == 0 || domain <= 1) {
    return 0;
  }
  if (stream.one_in > 1 && reduce(next(stream.state), stream.one_in) != 0) {
    return 0;
  }
  if (domain == 2 && stream.one_in == 1) {
    if (!stream.coins->left()) {
      stream.coins->bits = next(stream.state) | (std::uint64_t{1} << 63);
    }
    return stream.coins->take();
  }
  return reduce(next(stream.state), domain);
}

// Where most answers are not drawn at all, each has to be asked for.
Coins* SeededDecider::coins_of(const machine::Site& site) {
  const Stream& stream = stream_of(site);
  return stream.one_in == 1 ? stream.coins : nullptr;
}

SeededDecider::Stream& SeededDecider::stream_of(const machine::Site& site) {
  const std::size_t mask = streams_.size() - 1;
  for (std::size_t index = site.id() & mask;; index = (index + 1) & mask) {
    Stream& stream = streams_[index];
    if (stream.site_id == site.id()) {
      last_ = &stream;
      return stream;
    }
    if (stream.site_id == 0) {
      if (++used_ * 2 > streams_.size()) {
        grow();
        return stream_of(site);
      }
      stream = {site.id(), mix(seed_ + kStep) ^ mix(site.id()), one_in_of(site.name()),
                &coins_.emplace_back()};
      last_ = &stream;
      return stream;
    }
  }
}

std::uint32_t SeededDecider::one_in_of(std::string_view name) const {
  for (const ChanceRule& rule : rules_) {
    if (name.starts_with(rule.prefix)) {
      return rule.one_in;
    }
  }
  return 0;
}

void SeededDecider::grow() {
  std::vector<Stream> old(streams_.size() * 2);
  std::swap(old, streams_);
  const std::size_t mask = streams_.size() - 1;
  for (const Stream& stream : old) {
    if (stream.site_id != 0) {
      std::size_t index = stream.site_id & mask;
      while (streams_[index].site_id != 0) {
        index = (index + 1) & mask;
      }
      streams_[index] = stream;
    }
  }
  last_ = streams_.data();
}

}  // namespace sim
