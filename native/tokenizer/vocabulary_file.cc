#include "tokenizer/vocabulary_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tokenizer/hash.h"
#include "tokenizer/rank_file.h"
#include "tokenizer/tokenizer_json.h"

namespace quipu::tokenizer {

namespace {

constexpr size_t kMaxRankFileBytes = 64 << 20, kMaxJsonBytes = 256 << 20;

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

struct Source {
  uint64_t key[4];
};

Status invalid(std::string message) { return Status::error(ErrorCode::kTokenizerInvalid, std::move(message)); }

uint64_t checksumOf(const uint8_t* p, size_t bytes) {
  uint64_t sums[4] = {1, 2, 3, 4}, words[8];
  size_t at = 0;
  for (; at + sizeof words <= bytes; at += sizeof words) {
    memcpy(words, p + at, sizeof words);
    for (int i = 0; i < 4; ++i) sums[i] = mixed(words[2 * i] ^ sums[i], words[2 * i + 1]);
  }
  for (; at < bytes; ++at) sums[0] = mixed(sums[0], p[at]);
  return mixed(mixed(sums[0], sums[1]), mixed(sums[2], sums[3]));
}

uint64_t checksumOf(const Header& header, const uint8_t* block) {
  Header summed = header;
  summed.checksum = 0;
  return mixed(checksumOf(reinterpret_cast<const uint8_t*>(&summed), sizeof summed),
               checksumOf(block + sizeof(Header), header.bytes - sizeof(Header)));
}

// Whether the sections lie in the block and have the sizes that lookups rely on.
bool isSound(const Header& header, size_t bytes) {
  if (header.bytes != bytes || header.vocabSize > kNoToken) return false;
  for (const auto& [offset, size] : header.sections) {
    if (offset < sizeof(Header) || offset % 64 != 0 || offset > bytes || size > bytes - offset) return false;
  }
  const auto bytesOf = [&](Section section) { return header.sections[section].bytes; };
  const auto offsetsOf = [](uint64_t count) { return (count + 1) * sizeof(uint32_t); };
  return header.tokens <= header.vocabSize && bytesOf(kOffsets) == offsetsOf(header.vocabSize) &&
         bytesOf(kBlob) + kPadding <= bytes - header.sections[kBlob].offset &&
         bytesOf(kIds) == header.tokens * sizeof(uint32_t) && bytesOf(kTrie) % sizeof(TrieSlot) == 0 &&
         bytesOf(kMergeList) % sizeof(Merge) == 0 &&
         bytesOf(kMergeOffsets) == (header.kind == Tables::kMerges ? offsetsOf(header.tokens) : 0);
}

std::shared_ptr<const Tables> mapPrepared(const std::string& path, Tables::Kind kind, const Source& source) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a pipe is refused, not waited for
  struct stat info;
  if (file.fd < 0 || fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode)) return nullptr;
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes < sizeof(Header)) return nullptr;
#if defined(MAP_POPULATE)
  constexpr int kFlags = MAP_PRIVATE | MAP_POPULATE;
#else
  constexpr int kFlags = MAP_PRIVATE;
#endif
  void* data = mmap(nullptr, bytes, PROT_READ, kFlags, file.fd, 0);
  if (data == MAP_FAILED) return nullptr;
  std::shared_ptr<const void> owner(data, [bytes](void* mapped) { munmap(mapped, bytes); });
  const auto* block = static_cast<const uint8_t*>(data);
  Header header;
  memcpy(&header, block, sizeof header);
  const bool ours = memcmp(header.magic, kTablesMagic, sizeof kTablesMagic) == 0 && header.version == kTablesVersion &&
                    header.kind == kind && memcmp(header.source, source.key, sizeof source.key) == 0;
  if (!ours || !isSound(header, bytes) || checksumOf(header, block) != header.checksum) return nullptr;
  return std::make_shared<const Tables>(std::move(owner), block);
}

bool writeAll(int fd, const uint8_t* p, size_t bytes) {
  while (bytes > 0) {
    const ssize_t wrote = write(fd, p, bytes);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    p += wrote;
    bytes -= static_cast<size_t>(wrote);
  }
  return true;
}

// Written beside its place and renamed into it, so that a reader sees all of it or nothing.
void writePrepared(const std::string& path, const Tables& tables, const Source& source) {
  Header header;
  memcpy(&header, tables.block(), sizeof header);
  memcpy(header.source, source.key, sizeof source.key);
  header.checksum = checksumOf(header, tables.block());
  std::string temporary = path + ".XXXXXX";
  bool whole;
  {
    const Descriptor file{mkstemp(temporary.data())};
    if (file.fd < 0) return;
    whole = writeAll(file.fd, reinterpret_cast<const uint8_t*>(&header), sizeof header) &&
            writeAll(file.fd, tables.block() + sizeof header, header.bytes - sizeof header);
  }
  if (!whole || rename(temporary.c_str(), path.c_str()) != 0) unlink(temporary.c_str());
}

Status readAll(int fd, const std::string& path, size_t bytes, std::shared_ptr<char>& out) {
  out.reset(static_cast<char*>(malloc(bytes + 1)), free);
  if (out == nullptr) return Status::error(ErrorCode::kOutOfMemory, path + ": reading it needs memory for all of it");
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = read(fd, out.get() + done, bytes - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return invalid(path + ": cannot be read: " + strerror(errno));
    if (got == 0) return invalid(path + ": ended early while it was being read");
    done += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace

Status loadVocabulary(const std::string& path, VocabularyFormat format, const std::string& preparedPath,
                      Vocabulary& out, bool& prepared) {
  const bool json = format == VocabularyFormat::kTokenizerJson;
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a pipe is refused, not waited for
  struct stat info;
  if (file.fd < 0 || fstat(file.fd, &info) != 0) return invalid(path + ": cannot be opened: " + strerror(errno));
  if (!S_ISREG(info.st_mode)) return invalid(path + ": expected a file");
  const auto bytes = static_cast<size_t>(info.st_size);
  if (const size_t most = json ? kMaxJsonBytes : kMaxRankFileBytes; bytes > most) {
    return invalid(path + ": " + std::to_string(bytes) + " bytes: expected a " +
                   (json ? "tokenizer.json" : "rank file") + " of at most " + std::to_string(most));
  }
#if defined(__APPLE__)
  const timespec& modified = info.st_mtimespec;
#else
  const timespec& modified = info.st_mtim;
#endif
  const Source source{{bytes,
                       static_cast<uint64_t>(modified.tv_sec) * 1000000000 + static_cast<uint64_t>(modified.tv_nsec),
                       info.st_ino, info.st_dev}};
  if (!preparedPath.empty()) {
    out.tables = mapPrepared(preparedPath, json ? Tables::kMerges : Tables::kRanks, source);
    prepared = out.tables != nullptr;
    if (prepared) {
      out.document = out.tables->document();
      return {};
    }
  }
  std::shared_ptr<char> text;
  if (Status status = readAll(file.fd, path, bytes, text); !status.ok()) return status;
  const std::string name = path.substr(path.rfind('/') + 1);
  Status status;
  if (json) {
    TokenizerJson read;
    status = readTokenizerJson({text.get(), bytes}, read);
    out.document = std::move(read.document);
    out.problem = std::move(read.problem);
    out.tables = std::move(read.tables);
  } else {
    std::shared_ptr<Tables> tables;
    status = readRankFile({text.get(), bytes}, tables);
    out.tables = std::move(tables);
  }
  if (!status.ok()) return {status.code, name + ": " + status.message};
  if (!preparedPath.empty() && out.tables != nullptr) writePrepared(preparedPath, *out.tables, source);
  return {};
}

}  // namespace quipu::tokenizer
