#include "tokenizer/vocabulary_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/prepared_file.h"
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

Status invalid(std::string message) { return Status::error(ErrorCode::kTokenizerInvalid, std::move(message)); }

// Tables of this very file, which is told by size, time and inode.
Preparation preparationOf(Tables::Kind kind, const struct stat& info) {
#if defined(__APPLE__)
  const timespec& modified = info.st_mtimespec;
#else
  const timespec& modified = info.st_mtim;
#endif
  const uint64_t nanoseconds =
      static_cast<uint64_t>(modified.tv_sec) * 1000000000 + static_cast<uint64_t>(modified.tv_nsec);
  return {kind == Tables::kMerges ? "merges" : "ranks",
          kTablesVersion,
          {static_cast<uint64_t>(info.st_size), nanoseconds, info.st_ino, info.st_dev}};
}

// Whether the sections have the sizes that lookups rely on.
bool isSound(const Sections& sections, Tables::Kind kind) {
  if (sections[kSummary].size() != sizeof(Summary)) return false;
  const auto& summary = *reinterpret_cast<const Summary*>(sections[kSummary].data());
  const auto offsetsOf = [](uint64_t count) { return (count + 1) * sizeof(uint32_t); };
  if (sections[kOffsets].size() != offsetsOf(summary.vocabSize)) return false;
  const uint32_t blobBytes = reinterpret_cast<const uint32_t*>(sections[kOffsets].data())[summary.vocabSize];
  return summary.kind == kind && summary.unit <= Unit::kCharacter && summary.vocabSize <= kNoToken &&
         summary.tokens <= summary.vocabSize && sections[kBlob].size() == uint64_t{blobBytes} + kPadding &&
         sections[kIds].size() == summary.tokens * sizeof(uint32_t) && sections[kTrie].size() % sizeof(TrieSlot) == 0 &&
         sections[kMergeList].size() % sizeof(Merge) == 0 &&
         sections[kMergeOffsets].size() == mergeOffsetsBytes(kind, summary.tokens);
}

// The description comes before the sections of the tables.
constexpr uint32_t kFirst = 1;

std::shared_ptr<const Tables> mapPrepared(const std::string& path, Tables::Kind kind, const Preparation& expected) {
  std::shared_ptr<PreparedFile> file;
  if (PreparedFile::open(path, expected, file) != PreparedFile::Finding::kUsable) return nullptr;
  if (file->sections() != kFirst + kSections || !file->verify(1)) return nullptr;
  Sections sections;
  for (uint32_t i = 0; i < kSections; ++i) sections[i] = file->section(kFirst + i);
  if (!isSound(sections, kind)) return nullptr;
  return std::make_shared<const Tables>(std::move(file), sections);
}

void writePrepared(const PreparedPlace& place, const Preparation& made, const Tables& tables) {
  std::vector<std::span<const uint8_t>> parts;
  parts.emplace_back(reinterpret_cast<const uint8_t*>(place.description.data()), place.description.size());
  parts.insert(parts.end(), tables.sections().begin(), tables.sections().end());
  std::vector<uint64_t> sizes;
  for (const std::span<const uint8_t> part : parts) sizes.push_back(part.size());
  std::string problem;
  const std::shared_ptr<PreparedFile> file = PreparedFile::make(place.path, made, sizes, problem);
  if (file == nullptr) return;
  for (size_t i = 0; i < parts.size(); ++i) std::copy(parts[i].begin(), parts[i].end(), file->room(i).begin());
  file->finish(1);
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

Status loadVocabulary(const std::string& path, VocabularyFormat format, const PreparedPlace& place, Vocabulary& out,
                      bool& prepared) {
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
  const Tables::Kind tablesKind = json ? Tables::kMerges : Tables::kRanks;
  const Preparation preparation = preparationOf(tablesKind, info);
  if (!place.path.empty()) {
    out.tables = mapPrepared(place.path, tablesKind, preparation);
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
  if (!place.path.empty() && out.tables != nullptr) writePrepared(place, preparation, *out.tables);
  return {};
}

}  // namespace quipu::tokenizer
