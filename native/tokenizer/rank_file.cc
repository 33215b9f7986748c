#include "tokenizer/rank_file.h"

#include <algorithm>
#include <array>
#include <string>

#include "tokenizer/table_builder.h"

namespace quipu::tokenizer {

namespace {

constexpr uint32_t kMaxRanks = 1 << 21;
constexpr uint8_t kNoDigit = 0xff;

constexpr std::array<uint8_t, 256> base64Digits() {
  std::array<uint8_t, 256> digits{};
  for (uint8_t& digit : digits) digit = kNoDigit;
  for (uint8_t i = 0; i < 26; ++i) digits['A' + i] = i, digits['a' + i] = static_cast<uint8_t>(26 + i);
  for (uint8_t i = 0; i < 10; ++i) digits['0' + i] = static_cast<uint8_t>(52 + i);
  digits['+'] = 62, digits['/'] = 63;
  return digits;
}

constexpr std::array<uint8_t, 256> kDigits = base64Digits();

// Writes what `text` encodes at `to`, where there is room for as many bytes as it has, and returns the end; null for
// what is not base64 of at least one byte.
uint8_t* decodeBase64(std::string_view text, uint8_t* to) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1 || text.empty()) return nullptr;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const uint8_t digit = kDigits[static_cast<uint8_t>(c)];
    if (digit == kNoDigit) return nullptr;
    bits = bits << 6 | digit;
    held += 6;
    if (held >= 8) {
      held -= 8;
      *to++ = static_cast<uint8_t>(bits >> held);
    }
  }
  return to;
}

bool parseRank(std::string_view text, uint32_t& rank) {
  if (text.empty() || text.size() > 8) return false;
  rank = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    rank = rank * 10 + static_cast<uint32_t>(c - '0');
  }
  return rank < kMaxRanks;
}

// What a message may quote of a file: printable ASCII.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 60)) out += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  return out + '"';
}

Status invalid(std::string message) { return Status::error(ErrorCode::kTokenizerInvalid, std::move(message)); }

std::string lineName(size_t line) { return "line " + std::to_string(line) + ": "; }

// Calls `each(line, number)` for every line that is not empty; stops where it returns a failure.
template <typename Each>
Status forEachLine(std::string_view file, Each each) {
  size_t number = 0;
  while (!file.empty()) {
    const size_t end = std::min(file.find('\n'), file.size());
    std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (Status status = each(line, number); !status.ok()) return status;
  }
  return {};
}

Status finishRanks(TableBuilder& builder, std::shared_ptr<Tables>& out) {
  if (builder.tokens() == 0) return invalid("no ranks: expected lines \"base64 rank\"");
  if (Status status = builder.finish({}, out); !status.ok()) return status;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (out->byteToken(static_cast<uint8_t>(byte)) != kNoToken) continue;
    constexpr char kHex[] = "0123456789abcdef";
    return invalid(std::string("no token for the byte 0x") + kHex[byte / 16] + kHex[byte % 16]);
  }
  return {};
}

}  // namespace

Status readRankFile(std::string_view file, std::shared_ptr<Tables>& out) {
  TableBuilder builder(Tables::kRanks, file.size());
  Status status = forEachLine(file, [&](std::string_view line, size_t number) -> Status {
    const size_t space = line.find(' ');
    const uint8_t* const end = decodeBase64(line.substr(0, space), builder.next());
    uint32_t rank;
    if (space == std::string_view::npos || end == nullptr || end > builder.next() + kMaxTokenBytes ||
        !parseRank(line.substr(space + 1), rank)) {
      return invalid(lineName(number) + "expected \"base64 rank\", got " + quoted(line));
    }
    builder.add(rank, end, true);
    return {};
  });
  if (!status.ok()) return status;
  if (const auto twice = builder.indexTokens(); twice.index != TableBuilder::kNone) {
    size_t index = 0;
    return forEachLine(file, [&](std::string_view line, size_t number) -> Status {
      if (index++ != twice.index) return {};
      return invalid(lineName(number) + "the token or its rank is there twice: " + quoted(line));
    });
  }
  return finishRanks(builder, out);
}

Status readPackedRanks(std::string_view packed, std::shared_ptr<Tables>& out) {
  TableBuilder builder(Tables::kRanks, packed.size());
  Status status = forEachLine(packed, [&](std::string_view line, size_t number) -> Status {
    uint32_t rank = 0;
    for (size_t field = 0; !line.empty(); ++field) {
      const std::string_view text = line.substr(0, line.find(' '));
      line.remove_prefix(std::min(text.size() + 1, line.size()));
      if (field == 0) continue;
      const uint8_t* const end = field == 1 ? builder.next() : decodeBase64(text, builder.next());
      const bool valid = field == 1 ? parseRank(text, rank) : end != nullptr && end <= builder.next() + kMaxTokenBytes;
      if (!valid || rank >= kMaxRanks) {
        return invalid(lineName(number) + "expected \"! rank base64 …\", got " + quoted(text));
      }
      if (field > 1) builder.add(rank++, end, true);
    }
    return {};
  });
  if (!status.ok()) return status;
  if (builder.indexTokens().index != TableBuilder::kNone) return invalid("a token or its rank is there twice");
  return finishRanks(builder, out);
}

}  // namespace quipu::tokenizer
