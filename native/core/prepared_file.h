// Files in which something is kept that took time to make, to be mapped from then on: the tables of vocabularies,
// packed weights. One is used only if it is of the kind, version and source that are asked for, and undamaged to its
// last byte; else it is to be made anew. Only undamaged: who may write to the folder may put anything there.
//
// Sections of bytes, at most 65,536, lie at multiples of 64, in order, with zeros up to the next multiple. They follow
// the header and their table:
//
//   magic "quipupre", kind (16 bytes, zeros after its name), version, sections (32 bits each), source (4 × 64 bits),
//   bytes of the file, checksum of header and table (64 bits each); for each section its bytes and their checksum:
//   that of the checksums of its blocks of a MiB, so that threads can share it out
//
// The first section says in words what the file is of, for who looks at the folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapped_file.h"

namespace quipu {

// What a prepared file must be.
struct Preparation {
  std::string kind;                // up to 16 bytes
  uint32_t version;                // of what lies in the sections
  std::array<uint64_t, 4> source;  // tells what it was made of from all else
};

// Of bytes in pieces, each but the last whole units of 64 bytes: the last is taken with zeros behind it.
class Checksum {
 public:
  void add(std::span<const uint8_t> piece);
  uint64_t sum() const;

 private:
  std::array<uint64_t, 4> sums_ = {1, 2, 3, 4};
};

class PreparedFile {
 public:
  ~PreparedFile();
  PreparedFile(const PreparedFile&) = delete;
  PreparedFile& operator=(const PreparedFile&) = delete;

  enum class Finding {
    kUsable,   // as far as its head tells: verify() looks at the sections
    kAbsent,   // or cannot be opened
    kOther,    // whole in its head, and of another kind, version or source
    kDamaged,  // or no prepared file at all
  };
  // Maps one. What is mapped stays as it is: files are replaced, never written again.
  static Finding open(const std::string& path, const Preparation& expected, std::shared_ptr<PreparedFile>& out);

  // One that is to be made, with sections of these sizes, zeros for now: a file without a name, or with one of its own,
  // beside its place, so that a reader sees all of it or nothing, and a process that is killed leaves nothing where the
  // system has such files. All its bytes on the disk are its own from the beginning: a disk that fills up later does
  // not make a write to its memory fail. Null where it cannot be; `problem` says why.
  static std::shared_ptr<PreparedFile> make(const std::string& path, const Preparation& made,
                                            std::span<const uint64_t> sizes, std::string& problem);

  size_t sections() const { return sections_.size(); }
  std::span<const uint8_t> section(size_t index) const;
  // To be written; of a file that is being made.
  std::span<uint8_t> room(size_t index);
  // From the beginning of file().
  size_t offset(size_t index) const { return sections_[index].offset; }
  const std::shared_ptr<MappedFile>& file() const { return file_; }

  // Whether every section is what was written, by up to so many threads.
  bool verify(uint32_t threads) const;
  // Puts what has been made into its place, in that of what is there, and says what keeps it from that; empty where
  // nothing does. Its memory stays what it is in any case, and is not written any more.
  std::string finish(uint32_t threads);

  // Of any prepared file whose head is whole: its kind and version, and the first section, where that is whole too and
  // has at most `most` bytes.
  static bool describe(const std::string& path, size_t most, Preparation& is, std::string& description);

 private:
  struct Section {
    size_t offset, bytes;
    uint64_t checksum;
  };

  PreparedFile() = default;
  bool readHead(Preparation& is);
  std::vector<uint64_t> sums(uint32_t threads, size_t sections) const;

  std::shared_ptr<MappedFile> file_;
  std::vector<Section> sections_;
  // While it is being made:
  Preparation made_;
  std::string path_, temporary_;  // no name as long as that is empty
  int descriptor_ = -1;
};

}  // namespace quipu
