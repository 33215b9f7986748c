#include "tokenizer/trainer.h"

#include <algorithm>
#include <new>
#include <unordered_set>
#include <utility>

namespace quipu::tokenizer {

std::array<uint32_t, 256> byteIds() {
  const auto printable = [](int byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  };
  std::array<uint32_t, 256> ids{};
  uint32_t next = 0;
  for (const bool wanted : {true, false}) {
    for (int byte = 0; byte < 256; ++byte) {
      if (printable(byte) == wanted) ids[byte] = next++;
    }
  }
  return ids;
}

bool MergeTrainer::Candidate::operator<(const Candidate& other) const {
  if (count != other.count) return count < other.count;
  return left != other.left ? left > other.left : right > other.right;
}

Status MergeTrainer::reserve(size_t pieceBytes, size_t pieces) {
  if (pieceBytes >= kNone || pieces >= kNone) {
    return Status::error(ErrorCode::kOutOfMemory, "the distinct pieces have " + std::to_string(pieceBytes) +
                                                      " bytes; a training takes fewer than 2³². Leave out rare ones.");
  }
  try {
    symbols_.reserve(pieceBytes);
    counts_.reserve(pieces);
  } catch (const std::bad_alloc&) {
    return Status::error(ErrorCode::kOutOfMemory,
                         "training needs " + std::to_string(memoryBytes(pieceBytes, pieces)) +
                             " bytes of memory, which the system refused. Leave out rare pieces.");
  }
  return {};
}

void MergeTrainer::add(const PieceCount& piece) {
  static const std::array<uint32_t, 256> ids = byteIds();
  if (piece.length < 2) return;  // no pair in it
  const auto index = static_cast<uint32_t>(counts_.size());
  const auto begin = static_cast<uint32_t>(symbols_.size());
  const auto last = begin + static_cast<uint32_t>(piece.length) - 1;
  counts_.push_back(piece.count);
  for (size_t i = 0; i < piece.length; ++i) {
    const uint32_t at = begin + static_cast<uint32_t>(i);
    // Until pairs have numbers, `pair` is the pair of bytes itself.
    const uint32_t bytes = at == last ? kNone : ids[piece.bytes[i]] << 8 | ids[piece.bytes[i + 1]];
    symbols_.push_back({at == begin ? kNone : at - 1, at == last ? kNone : at + 1, bytes, index});
  }
}

void MergeTrainer::countPairs() {
  struct Tally {
    int64_t count = 0;
    uint32_t number = 0, pair = kNone;
  };
  std::vector<Tally> tallies(1 << 16);
  for (const Symbol& symbol : symbols_) {
    if (symbol.pair == kNone) continue;
    tallies[symbol.pair].count += static_cast<int64_t>(counts_[symbol.piece]);
    tallies[symbol.pair].number += 1;
  }
  for (uint32_t bytes = 0; bytes < tallies.size(); ++bytes) {
    Tally& tally = tallies[bytes];
    if (tally.number == 0) continue;
    tally.pair = static_cast<uint32_t>(pairs_.size());
    pairs_.push_back({bytes >> 8, bytes & 0xff, tally.count});
    reservePlaces(pairs_.back(), tally.number);
  }
  for (uint32_t at = 0; at < symbols_.size(); ++at) {
    if (symbols_[at].pair == kNone) continue;
    symbols_[at].pair = tallies[symbols_[at].pair].pair;
    addPlace(pairs_[symbols_[at].pair], at);
  }
  for (uint32_t pair = 0; pair < pairs_.size(); ++pair) offer(pair);
}

void MergeTrainer::reservePlaces(Pair& pair, uint32_t number) {
  if (number < 2) return;
  pair.places = std::make_unique_for_overwrite<uint32_t[]>(number);
  placeBytes_ += number * sizeof(uint32_t);
}

void MergeTrainer::addPlace(Pair& pair, uint32_t at) {
  if (pair.places != nullptr) {
    pair.places[pair.number++] = at;
  } else {
    pair.place = at;
    pair.number = 1;
  }
}

size_t MergeTrainer::heldBytes() const {
  return symbols_.capacity() * sizeof(Symbol) + counts_.capacity() * sizeof(uint64_t) +
         pairs_.capacity() * sizeof(Pair) + heap_.capacity() * sizeof(Candidate) + placed_.capacity() * sizeof(Place) +
         placeBytes_;
}

void MergeTrainer::offer(uint32_t pair) {
  Pair& p = pairs_[pair];
  if (p.count < minFrequency_) {  // for ever: counts only fall
    if (p.places != nullptr) placeBytes_ -= p.number * sizeof(uint32_t);
    p.places.reset();
    p.number = 0;
    return;
  }
  heap_.push_back({p.count, p.left, p.right, pair});
  std::push_heap(heap_.begin(), heap_.end());
}

Status MergeTrainer::train(const MergeOptions& options, const std::atomic<bool>& cancelled, std::atomic<size_t>& done,
                           std::vector<MergeRule>& merges) {
  try {
    minFrequency_ = static_cast<int64_t>(std::max<uint64_t>(options.minFrequency, 1));
    const std::unordered_set<std::string> forbidden(options.forbidden.begin(), options.forbidden.end());
    size_t longest = 0;
    for (const std::string& bytes : forbidden) longest = std::max(longest, bytes.size());
    std::vector<std::string> tokens(256);
    const std::array<uint32_t, 256> ids = byteIds();
    for (int byte = 0; byte < 256; ++byte) tokens[ids[byte]] = static_cast<char>(byte);
    const size_t vocabulary = 256 + options.merges;
    before_.pairOf.assign(vocabulary, kNone);
    after_.pairOf.assign(vocabulary, kNone);

    countPairs();
    while (merges.size() < options.merges && !heap_.empty()) {
      if (cancelled.load(std::memory_order_relaxed)) break;
      if (options.memoryBytes != 0 && heldBytes() > options.memoryBytes) {
        return Status::error(ErrorCode::kOutOfMemory,
                             "learning takes more than the " + std::to_string(options.memoryBytes) +
                                 " bytes that it was given after " + std::to_string(merges.size()) +
                                 " merges. Give it more, or leave out rare pieces.");
      }
      std::pop_heap(heap_.begin(), heap_.end());
      const Candidate best = heap_.back();
      heap_.pop_back();
      Pair& pair = pairs_[best.pair];
      if (pair.count != best.count) {  // other merges took some of it since it was offered
        offer(best.pair);
        continue;
      }
      std::string bytes = tokens[pair.left] + tokens[pair.right];
      if (bytes.size() <= longest && forbidden.contains(bytes)) continue;
      const auto token = static_cast<uint32_t>(tokens.size());
      tokens.push_back(std::move(bytes));
      merges.push_back({pair.left, pair.right, static_cast<uint64_t>(best.count)});
      merge(best.pair, token, cancelled);
      done.store(merges.size(), std::memory_order_relaxed);
    }
  } catch (const std::bad_alloc&) {
    return Status::error(ErrorCode::kOutOfMemory, "training needs more memory than the system gives after " +
                                                      std::to_string(merges.size()) +
                                                      " merges. Leave out rare pieces.");
  }
  if (cancelled.load(std::memory_order_relaxed)) return Status::error(ErrorCode::kAborted, "the training was aborted");
  return {};
}

// One merge everywhere: a b → token. From left to right in each piece, so of "aaa" the first two become a token.
void MergeTrainer::merge(uint32_t merged, uint32_t token, const std::atomic<bool>& cancelled) {
  const size_t firstFresh = pairs_.size();
  const std::unique_ptr<uint32_t[]> places = std::move(pairs_[merged].places);
  const uint32_t number = pairs_[merged].number;
  const uint32_t one = pairs_[merged].place;
  if (places != nullptr) placeBytes_ -= number * sizeof(uint32_t);
  placed_.clear();
  for (uint32_t i = 0; i < number; ++i) {
    if (i % 65536 == 65535 && cancelled.load(std::memory_order_relaxed)) return;
    const uint32_t at = places != nullptr ? places[i] : one;
    Symbol& first = symbols_[at];
    if (first.pair != merged) continue;
    Symbol& second = symbols_[first.next];
    const auto weight = static_cast<int64_t>(counts_[first.piece]);
    if (first.previous != kNone) {
      Pair& old = pairs_[symbols_[first.previous].pair];
      old.count -= weight;
      place(before_, old.left, old.left, token, first.previous, weight);
    }
    const uint32_t after = second.next;
    if (after != kNone) {
      Pair& old = pairs_[second.pair];
      old.count -= weight;
      place(after_, old.right, token, old.right, at, weight);
      symbols_[after].previous = at;
    } else {
      first.pair = kNone;
    }
    second.pair = kNone;
    first.next = after;
  }
  settlePlaces(firstFresh);
}

// The pair of the new token and `other` now stands at `at`.
void MergeTrainer::place(Fresh& fresh, uint32_t other, uint32_t left, uint32_t right, uint32_t at, int64_t weight) {
  uint32_t pair = fresh.pairOf[other];
  if (pair == kNone) {
    pair = static_cast<uint32_t>(pairs_.size());
    fresh.pairOf[other] = pair;
    fresh.tokens.push_back(other);
    pairs_.push_back({left, right});
  }
  pairs_[pair].count += weight;
  symbols_[at].pair = pair;
  placed_.push_back({pair, at});
}

// Gives the pairs that came up the lists of their places, and offers them for merging.
void MergeTrainer::settlePlaces(size_t firstFresh) {
  for (Fresh* fresh : {&before_, &after_}) {
    for (const uint32_t token : fresh->tokens) fresh->pairOf[token] = kNone;
    fresh->tokens.clear();
  }
  // In "abab" the first ab and the a behind it were a pair only until the second ab was merged.
  std::erase_if(placed_, [&](const Place& place) { return symbols_[place.at].pair != place.pair; });
  for (const Place& place : placed_) pairs_[place.pair].number += 1;
  for (size_t i = firstFresh; i < pairs_.size(); ++i) {
    Pair& pair = pairs_[i];
    const uint32_t number = std::exchange(pair.number, 0);
    if (pair.count >= minFrequency_) reservePlaces(pair, number);
  }
  for (const Place& place : placed_) {
    if (pairs_[place.pair].count >= minFrequency_) addPlace(pairs_[place.pair], place.at);
  }
  for (size_t i = firstFresh; i < pairs_.size(); ++i) offer(static_cast<uint32_t>(i));
}

}  // namespace quipu::tokenizer
