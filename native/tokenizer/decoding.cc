#include "tokenizer/decoding.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at;; text.remove_prefix(at + from.size())) {
    at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
  }
}

// The byte of <0x00> to <0xFF>, with digits of either case.
std::optional<uint8_t> byteOf(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint32_t byte = 0;
  for (const char c : token.substr(3, 2)) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      byte = byte * 16 + static_cast<uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      byte = byte * 16 + static_cast<uint32_t>(lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return static_cast<uint8_t>(byte);
}

void append(std::string_view bytes, GrowingBuffer<uint8_t>& out) {
  uint8_t* const room = out.room(bytes.size());
  if (!bytes.empty()) memcpy(room, bytes.data(), bytes.size());
  out.advance(bytes.size());
}

std::string_view textOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string Decoding::inText(std::string_view token) const {
  std::string text(token);
  for (const auto& [from, to] : steps_.replacements) {
    if (text.find(from) != std::string::npos) text = replaced(text, from, to);
  }
  return text;
}

void Decoding::add(std::span<const uint8_t> token) {
  const auto id = static_cast<uint32_t>(tokens_.size());
  const std::string_view written = textOf(token);
  const std::string text = inText(written);
  const auto byte = steps_.bytes ? byteOf(text) : std::nullopt;
  tokens_.push_back({static_cast<uint32_t>(blob_.size()), 0, byte.has_value(), !token.empty()});
  if (byte) {
    blob_.push_back(*byte);
  } else {
    blob_.insert(blob_.end(), text.begin(), text.end());
  }
  tokens_.back().bytes = static_cast<uint32_t>(blob_.size()) - tokens_.back().start;
  const std::string& dropped = steps_.droppedInFirst;
  if (dropped.empty()) return;
  if (steps_.onlyPrefix) {
    if (written.starts_with(dropped)) firsts_.emplace_back(id, inText(written.substr(dropped.size())));
  } else if (written.find(dropped) != std::string_view::npos) {
    firsts_.emplace_back(id, replaced(written, dropped, {}));
  }
}

std::span<const uint8_t> Decoding::bytesOf(uint32_t id) const {
  const Token& token = tokens_[id];
  return {blob_.data() + token.start, token.bytes};
}

std::string Decoding::firstBytesOf(uint32_t id) const {
  const auto at = std::lower_bound(firsts_.begin(), firsts_.end(), id,
                                   [](const auto& first, uint32_t wanted) { return first.first < wanted; });
  return at != firsts_.end() && at->first == id ? at->second : std::string(textOf(bytesOf(id)));
}

void Decoding::Text::add(uint32_t id) {
  const Token& token = decoding_.tokens_[id];
  if (!token.isThere) return;
  if (token.isByte) {
    if (run_ == kNone) run_ = out_.size();
    append(textOf(decoding_.bytesOf(id)), out_);
  } else {
    if (run_ != kNone) endRun();
    if (isFirst_ && !decoding_.firsts_.empty()) {
      append(decoding_.firstBytesOf(id), out_);
    } else {
      append(textOf(decoding_.bytesOf(id)), out_);
    }
  }
  isFirst_ = isFirst_ && decoding_.steps_.untilText && out_.size() == 0;
}

void Decoding::Text::endRun() {
  const auto bytes = out_.contents().subspan(run_);
  if (lossy_ && validUtf8(bytes.data(), bytes.size()) < bytes.size()) {
    const std::string run(textOf(bytes));
    const auto* const p = reinterpret_cast<const uint8_t*>(run.data());
    out_.truncate(run_);
    for (size_t at = 0; at < run.size(); ++at) {
      const size_t valid = decoding_.steps_.keepsValid ? validUtf8(p + at, run.size() - at) : 0;
      append(std::string_view(run).substr(at, valid), out_);
      at += valid;
      if (at < run.size()) append("\xef\xbf\xbd", out_);
    }
  }
  run_ = kNone;
}

// Of a buffer that the text began.
void Decoding::Text::end() {
  if (run_ != kNone) endRun();
  const std::string& stripped = decoding_.steps_.stripped;
  size_t start = 0;
  for (uint32_t i = 0; i < decoding_.steps_.strips; ++i) {
    if (!textOf(out_.contents().subspan(start)).starts_with(stripped)) break;
    start += stripped.size();
  }
  out_.drop(start);
}

}  // namespace quipu::tokenizer
