// The table against a model that keeps everything in maps.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <vector>

#include "tests/support/gpadl_wire.h"
#include "vmbus/gpadl_table.h"

using namespace vmbus;

namespace {

constexpr std::size_t kEntries = 3;

using Key = std::pair<std::uint32_t, std::uint32_t>;  // channel, id

struct ModelGpadl {
  std::vector<std::uint64_t> words;
  std::size_t announced = 0;
  [[nodiscard]] bool complete() const { return words.size() == announced; }
};
struct Model {
  std::map<Key, ModelGpadl> gpadls;
};

struct Sut {
  std::array<std::uint64_t, 4096> words{};
  std::array<Gpadl, kEntries> entries{};
  FixedGpadlStorage storage{words};
  GpadlTable table{entries, storage};
};

/// What a list of words is worth, said once more and differently.
bool well_formed(const std::vector<std::uint64_t>& words, std::uint32_t ranges) {
  std::size_t at = 0;
  for (std::uint32_t range = 0; range < ranges; ++range) {
    if (at >= words.size()) {
      return false;
    }
    const std::uint64_t count = words[at] & 0xFFFFFFFF;
    const std::uint64_t offset = words[at] >> 32;
    const std::uint64_t last = offset + count;
    if (count == 0 || offset > 0xFFF) {
      return false;
    }
    at += 1 + (last + 0xFFF) / 0x1000;
  }
  return ranges > 0 && at == words.size();
}

using Command = rc::state::Command<Model, Sut>;

std::vector<std::uint64_t> some_words() {
  const auto pages = *rc::gen::inRange<std::size_t>(1, 40);
  auto words = gpadl_wire::whole_pages(pages);
  if (*rc::gen::inRange(0, 6) == 0) {
    words[0] = *rc::gen::arbitrary<std::uint64_t>();
  }
  return words;
}

struct Begin : Command {
  std::uint32_t channel = *rc::gen::inRange<std::uint32_t>(1, 3);
  std::uint32_t id = *rc::gen::inRange<std::uint32_t>(1, 4);
  std::vector<std::uint64_t> words = some_words();
  std::size_t sent = *rc::gen::inRange<std::size_t>(0, words.size() + 1);

  [[nodiscard]] GpadlProgress expected(const Model& model) const {
    bool clash = model.gpadls.contains({channel, id}) || model.gpadls.size() == kEntries;
    for (const auto& [key, gpadl] : model.gpadls) {
      clash = clash || (key.second == id && !gpadl.complete());
    }
    if (clash) {
      return GpadlProgress::kFailed;
    }
    if (sent != words.size()) {
      return GpadlProgress::kInProgress;
    }
    return well_formed(words, 1) ? GpadlProgress::kComplete : GpadlProgress::kFailed;
  }
  void apply(Model& model) const override {
    if (expected(model) != GpadlProgress::kFailed) {
      model.gpadls[{channel, id}] = {
          {words.begin(), words.begin() + static_cast<std::ptrdiff_t>(sent)}, words.size()};
    }
  }
  void run(const Model& model, Sut& sut) const override {
    const GpadlStep step =
        sut.table.begin(gpadl_wire::header(channel, id, words.size()),
                        gpadl_wire::words_as_bytes(std::span(words).first(sent)));
    RC_ASSERT(step.progress == expected(model));
  }
  void show(std::ostream& os) const override {
    os << "begin " << channel << "/" << id << " " << sent << " of " << words.size();
  }
};

struct Body : Command {
  std::uint32_t id = *rc::gen::inRange<std::uint32_t>(1, 4);
  std::size_t count = *rc::gen::inRange<std::size_t>(0, 29);
  bool garbage = *rc::gen::inRange(0, 8) == 0;

  [[nodiscard]] static std::optional<Key> in_progress(const Model& model, std::uint32_t id) {
    for (const auto& [key, gpadl] : model.gpadls) {
      if (key.second == id && !gpadl.complete()) {
        return key;
      }
    }
    return std::nullopt;
  }
  /// Page numbers, whatever stands before them; mostly no more than announced.
  [[nodiscard]] std::vector<std::uint64_t> words(const Model& model) const {
    std::size_t size = count;
    if (const auto key = in_progress(model, id); key && !garbage) {
      const ModelGpadl& gpadl = model.gpadls.at(*key);
      size = std::min(size, gpadl.announced - gpadl.words.size());
    }
    std::vector<std::uint64_t> result(size, 77);
    if (const auto key = in_progress(model, id);
        key && !result.empty() && model.gpadls.at(*key).words.empty()) {
      const std::size_t pages = model.gpadls.at(*key).announced - 1;
      result[0] = gpadl_wire::range_head(static_cast<std::uint32_t>(pages * 4096));
    }
    return result;
  }
  [[nodiscard]] GpadlProgress expected(const Model& model) const {
    const auto key = in_progress(model, id);
    if (!key) {
      return GpadlProgress::kUnknown;
    }
    ModelGpadl gpadl = model.gpadls.at(*key);
    const auto more = words(model);
    gpadl.words.insert(gpadl.words.end(), more.begin(), more.end());
    if (gpadl.words.size() > gpadl.announced) {
      return GpadlProgress::kFailed;
    }
    if (!gpadl.complete()) {
      return GpadlProgress::kInProgress;
    }
    return well_formed(gpadl.words, 1) ? GpadlProgress::kComplete : GpadlProgress::kFailed;
  }
  void apply(Model& model) const override {
    const auto key = in_progress(model, id);
    if (!key) {
      return;
    }
    if (expected(model) == GpadlProgress::kFailed) {
      model.gpadls.erase(*key);
    } else {
      const auto more = words(model);
      auto& into = model.gpadls[*key].words;
      into.insert(into.end(), more.begin(), more.end());
    }
  }
  void run(const Model& model, Sut& sut) const override {
    const auto more = words(model);
    const GpadlStep step = sut.table.add_body(GpadlId(id), gpadl_wire::words_as_bytes(more));
    RC_ASSERT(step.progress == expected(model));
    if (const auto key = in_progress(model, id)) {
      RC_ASSERT(step.channel == ChannelId(key->first));
    }
  }
  void show(std::ostream& os) const override { os << "body " << id << " " << count; }
};

struct Forget : Command {
  std::uint32_t channel = *rc::gen::inRange<std::uint32_t>(1, 3);
  std::uint32_t id = *rc::gen::inRange<std::uint32_t>(1, 4);

  void apply(Model& model) const override { model.gpadls.erase({channel, id}); }
  void run(const Model& model, Sut& sut) const override {
    Gpadl* const gpadl = sut.table.find(ChannelId(channel), GpadlId(id));
    RC_ASSERT((gpadl != nullptr) == model.gpadls.contains({channel, id}));
    if (gpadl != nullptr) {
      sut.table.forget(*gpadl);
    }
  }
  void show(std::ostream& os) const override { os << "forget " << channel << "/" << id; }
};

struct Look : Command {
  void run(const Model& model, Sut& sut) const override {
    RC_ASSERT(sut.table.count() == model.gpadls.size());
    std::size_t words = 0;
    for (const auto& [key, expected] : model.gpadls) {
      const Gpadl* const gpadl = sut.table.find(ChannelId(key.first), GpadlId(key.second));
      RC_ASSERT(gpadl != nullptr);
      RC_ASSERT((gpadl->state == GpadlState::kOffered) == expected.complete());
      RC_ASSERT(gpadl->received == expected.words.size());
      RC_ASSERT(std::ranges::equal(gpadl->values.first(gpadl->received), expected.words));
      words += expected.announced + 1;
    }
    RC_ASSERT(sut.storage.used_words() == words);
  }
  void show(std::ostream& os) const override { os << "look"; }
};

}  // namespace

TEST_CASE("the GPADL table does what a map would, whatever arrives", "[vmbus][gpadl][property]") {
  REQUIRE(rc::check([] {
    const auto sut = std::make_unique<Sut>();
    rc::state::check(Model{}, *sut,
                     rc::state::gen::execOneOfWithArgs<Begin, Body, Body, Body, Forget, Look>());
  }));
}
