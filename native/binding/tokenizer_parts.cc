#include "binding/tokenizer_parts.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/unicode.h"

namespace quipu::binding {

namespace {

using Id = Whole<0, tokenizer::kNoToken - 1>;
using List = Napi::Array;

// The elements of a list, which is argument number `index`, one after another.
class Elements {
 public:
  Elements(const Arguments& arguments, size_t index, Napi::Array list, const char* expected)
      : arguments_(arguments), index_(index), list_(list), expected_(expected) {}

  bool areLeft() const { return at_ < list_.Length(); }
  template <typename Kind>
  auto next() {
    auto value = Argument<Kind>::read(list_.Get(at_++));
    if (!value) wrong();
    return *std::move(value);
  }
  [[noreturn]] void wrong() const { arguments_.wrong(index_, expected_); }

 private:
  const Arguments& arguments_;
  size_t index_;
  Napi::Array list_;
  const char* expected_;
  uint32_t at_ = 0;
};

// [kind, what, what] of each step: a form and 0; from and to; "" and to; left and right; from and
// 0; 0 and 0.
std::vector<tokenizer::NormalizerStep> normalizerSteps(Elements list) {
  using tokenizer::NormalizerStep;
  std::vector<NormalizerStep> steps;
  while (list.areLeft()) {
    NormalizerStep step{static_cast<NormalizerStep::Kind>(list.next<Whole<0, NormalizerStep::kKinds - 1>>())};
    switch (step.kind) {
      case NormalizerStep::kForm:
        step.form = static_cast<tokenizer::Form>(list.next<Whole<0, tokenizer::kForms - 1>>());
        list.next<Whole<0, 0>>();
        break;
      case NormalizerStep::kReplace:
      case NormalizerStep::kPrepend:
        step.from = list.next<std::string>();
        step.to = list.next<std::string>();
        if (step.kind == NormalizerStep::kReplace && step.from.empty()) list.wrong();
        break;
      case NormalizerStep::kStrip:
        step.left = list.next<bool>();
        step.right = list.next<bool>();
        break;
      case NormalizerStep::kSqueezeSpaces:
        step.from = list.next<std::string>();
        list.next<Whole<0, 0>>();
        break;
      case NormalizerStep::kLowercase:
      case NormalizerStep::kStripAccents:
        list.next<Whole<0, 0>>();
        list.next<Whole<0, 0>>();
        break;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

// [id, text, flags, what is sought or null] of each.
std::vector<tokenizer::AddedToken> addedTokens(Elements list) {
  std::vector<tokenizer::AddedToken> added;
  while (list.areLeft()) {
    const auto id = static_cast<uint32_t>(list.next<Id>());
    auto text = list.next<std::string>();
    const auto flags = list.next<Whole<0, 31>>();
    const auto has = [flags](size_t bit) { return (flags >> bit & 1) != 0; };
    added.push_back({id, std::move(text), has(0), has(1), has(2), has(3), has(4)});
    added.back().sought = list.next<std::optional<std::string>>();
  }
  return added;
}

// [mark, everywhere, spaces, prepends]
void readMarks(Elements list, tokenizer::TextTokenizerParts& parts) {
  tokenizer::MarkCuts::Options marks;
  marks.mark = list.next<std::string>();
  if (marks.mark.empty() || tokenizer::characterBytes(static_cast<uint8_t>(marks.mark[0])) != marks.mark.size()) {
    list.wrong();
  }
  marks.everywhere = list.next<bool>();
  marks.spaces = list.next<bool>();
  parts.prepends = static_cast<tokenizer::Prepends>(list.next<Whole<0, 2>>());
  parts.marks = std::move(marks);
}

// [asBytes, id or -1, fused]
tokenizer::Unknown unknownOf(Elements list) {
  tokenizer::Unknown unknown;
  unknown.asBytes = list.next<bool>();
  if (const auto id = list.next<Whole<-1, INT32_MAX>>(); id >= 0) unknown.id = static_cast<uint32_t>(id);
  unknown.fused = list.next<bool>();
  return unknown;
}

// [bytes, stripped, strips, droppedInFirst, onlyPrefix, untilText, keepsValid], then from and to of each replacement
tokenizer::Decoding::Steps decodingSteps(Elements list) {
  tokenizer::Decoding::Steps steps;
  steps.bytes = list.next<bool>();
  steps.stripped = list.next<std::string>();
  steps.strips = static_cast<uint32_t>(list.next<Whole<0, UINT16_MAX>>());
  steps.droppedInFirst = list.next<std::string>();
  steps.onlyPrefix = list.next<bool>();
  steps.untilText = list.next<bool>();
  steps.keepsValid = list.next<bool>();
  while (list.areLeft()) {
    auto from = list.next<std::string>();
    steps.replacements.emplace_back(std::move(from), list.next<std::string>());
    if (steps.replacements.back().first.empty()) list.wrong();
  }
  return steps;
}

}  // namespace

tokenizer::Normalizer normalizerOf(const Arguments& arguments, size_t index, Napi::Array list) {
  return tokenizer::Normalizer(normalizerSteps({arguments, index, list, "a kind of step and two values for it each"}));
}

tokenizer::TextTokenizerParts tokenizerParts(const Arguments& arguments, bool ofCharacters) {
  const auto [pattern, wholePieces, normalizer, added, marks, unknown, decoding] =
      arguments
          .read<Whole<-1, tokenizer::kPatterns - 1>, bool, List, List, std::optional<List>, List, std::optional<List>>(
              1);
  if (pattern >= 0 && ofCharacters) arguments.wrong(1, "-1, as tokens are text");
  if (marks && !ofCharacters) arguments.wrong(5, "nothing, as tokens are bytes");
  tokenizer::TextTokenizerParts parts{
      .normalizer = normalizerOf(arguments, 3, normalizer),
      .added = addedTokens({arguments, 4, added, "an id of 24 bits, a text, five flags, and a text or null each"})};
  if (pattern >= 0) parts.pattern = static_cast<tokenizer::Pattern>(pattern);
  if (marks) readMarks({arguments, 5, *marks, "a character, two flags and a number up to 2"}, parts);
  parts.encoding.wholePieces = wholePieces;
  parts.encoding.unknown = unknownOf({arguments, 6, unknown, "a flag, an id or -1, and a flag"});
  if (decoding) {
    parts.decoding = decodingSteps(
        {arguments, 7, *decoding, "a flag, a text, a number, a text, three flags, and two texts for each replacement"});
  }
  return parts;
}

}  // namespace quipu::binding
