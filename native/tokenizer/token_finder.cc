#include "tokenizer/token_finder.h"

#include <algorithm>
#include <cstring>

namespace quipu::tokenizer {

TokenFinder::TokenFinder(const std::vector<std::pair<std::string_view, uint32_t>>& texts) {
  struct Range {
    size_t low, high;
  };
  std::vector<Range> ranges{{0, texts.size()}};  // of the texts that begin with a node
  nodes_.push_back({.depth = 0});
  for (uint32_t parent = 0; parent < nodes_.size(); ++parent) {
    const uint32_t depth = nodes_[parent].depth;
    auto [low, high] = ranges[parent];
    while (low < high && texts[low].first.size() == depth) ++low;
    nodes_[parent].children = static_cast<uint32_t>(nodes_.size());
    while (low < high) {
      const char byte = texts[low].first[depth];
      size_t end = low + 1;
      while (end < high && texts[end].first[depth] == byte) ++end;
      Node node{.depth = depth + 1, .byte = static_cast<uint8_t>(byte)};
      if (texts[low].first.size() == node.depth) {
        node.token = texts[low].second;
        node.tokenBytes = node.depth;
      } else {
        node.token = nodes_[parent].token;
        node.tokenBytes = nodes_[parent].tokenBytes;
        if (parent != kRoot) setFailure(node, nodes_[parent]);
      }
      if (parent == kRoot) first_[node.byte] = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back(node);
      ranges.push_back({low, end});
      ++nodes_[parent].count;
      low = end;
    }
  }
  if (nodes_[kRoot].count == 1) only_ = nodes_[1].byte;
}

// The parent's failure goes on by the node's last byte: what Scan::next does, ahead of any text.
void TokenFinder::setFailure(Node& node, const Node& parent) {
  node.failure = parent.failure;
  node.between = parent.between;
  for (;;) {
    if (const uint32_t child = childOf(node.failure, node.byte); child != kRoot) {
      node.failure = child;
      return;
    }
    if (node.failure == kRoot) return;
    const Node& failed = nodes_[node.failure];
    uint32_t start = parent.depth - failed.depth;
    uint32_t link = node.failure;
    if (failed.token == kNone && failed.between != kNone && links_[failed.between].before == kNone) {
      start += links_[failed.between].start;  // so that no chain of these is ever walked
      link = links_[failed.between].node;
    }
    if (failed.token != kNone || failed.between != kNone) {
      links_.push_back({link, start, node.between});
      node.between = static_cast<uint32_t>(links_.size() - 1);
    }
    node.failure = failed.failure;
  }
}

uint32_t TokenFinder::childOf(uint32_t node, uint8_t byte) const {
  if (node == kRoot) return first_[byte];
  const auto first = nodes_.begin() + nodes_[node].children, last = first + nodes_[node].count;
  const auto at = std::lower_bound(first, last, byte, [](const Node& child, uint8_t b) { return child.byte < b; });
  return at != last && at->byte == byte ? static_cast<uint32_t>(at - nodes_.begin()) : kRoot;
}

bool TokenFinder::Scan::next(Found& found) {
  for (;;) {
    while (!behind_.empty()) {
      const auto [index, start] = behind_.back();
      const Node& node = finder_.nodes_[index];
      behind_.pop_back();
      for (uint32_t link = node.between; link != kNone; link = finder_.links_[link].before) {
        behind_.push_back({finder_.links_[link].node, start + finder_.links_[link].start});
      }
      if (node.token == kNone) continue;
      found = {start, start + node.tokenBytes, node.token, false};
      return true;
    }
    if (node_ == kRoot && !skip()) return false;
    if (at_ < bytes_) {
      if (const uint32_t child = finder_.childOf(node_, text_[at_]); child != kRoot) {
        node_ = child;
        ++at_;
        continue;
      }
    } else if (goesOn_ && finder_.nodes_[node_].count > 0) {
      found = {bytes_ - finder_.nodes_[node_].depth, bytes_, kNone, true};
      return true;
    }
    fail();
  }
}

// Skips to the next byte that one of the texts can begin with.
bool TokenFinder::Scan::skip() {
  if (finder_.only_ >= 0) {
    const void* const first = memchr(text_ + at_, finder_.only_, bytes_ - at_);
    if (first == nullptr) return false;
    at_ = static_cast<size_t>(static_cast<const uint8_t*>(first) - text_);
    return true;
  }
  while (at_ < bytes_ && finder_.first_[text_[at_]] == kRoot) ++at_;
  return at_ < bytes_;
}

void TokenFinder::Scan::fail() {
  const Node& node = finder_.nodes_[node_];
  behind_.push_back({node_, at_ - node.depth});
  node_ = node.failure;
}

}  // namespace quipu::tokenizer
