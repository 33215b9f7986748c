// Files in which something is kept that took time to make, to be mapped from then on: the tables of vocabularies. One
// is used only if it is of the kind, version and source that are asked for, and undamaged to its last byte; else it is
// to be made anew. Only undamaged: who may write to the folder may put anything there.
//
// Sections of bytes lie at multiples of 64, in order, with zeros up to the next multiple. They follow the header and
// their table:
//
//   magic "quipupre", kind (16 bytes, zeros after its name), version, sections (32 bits each), source (4 × 64 bits),
//   bytes of the file, checksum of header and table (64 bits each); for each section its bytes and their checksum
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quipu {

// What a prepared file must be.
struct Preparation {
  std::string_view kind;           // a literal of up to 16 bytes
  uint32_t version;                // of what lies in the sections
  std::array<uint64_t, 4> source;  // tells what it was made of from all else
  uint32_t sections;
};

// Of bytes in pieces, each but the last whole units of 64 bytes: the last is taken with zeros behind it.
class Checksum {
 public:
  void add(std::span<const uint8_t> piece);
  uint64_t sum() const;

 private:
  std::array<uint64_t, 4> sums_ = {1, 2, 3, 4};
};

struct PreparedSection {
  uint64_t bytes;
  uint64_t checksum;
};

class PreparedFile {
 public:
  // Null where there is none that may be used. What is mapped stays as it is: files are replaced, never written again.
  static std::shared_ptr<const PreparedFile> open(const std::string& path, const Preparation& expected);
  ~PreparedFile();
  PreparedFile(const PreparedFile&) = delete;
  PreparedFile& operator=(const PreparedFile&) = delete;

  std::span<const uint8_t> section(uint32_t index) const { return sections_[index]; }

 private:
  PreparedFile() = default;
  bool read(const Preparation& expected);

  const uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
  std::vector<std::span<const uint8_t>> sections_;
};

// Writes one beside its place, section after section, and renames it into it: a reader sees all of it or nothing. What
// fails (a folder that cannot be written, a full disk) leaves nothing there, or what was there before.
class PreparedWriter {
 public:
  PreparedWriter(std::string path, const Preparation& made);
  ~PreparedWriter();
  PreparedWriter(const PreparedWriter&) = delete;
  PreparedWriter& operator=(const PreparedWriter&) = delete;

  // Begins the next section.
  void begin();
  // Goes on with it. All pieces of a section but the last are multiples of 64 bytes.
  void write(std::span<const uint8_t> piece);
  // After the last section: puts it into its place.
  void finish();

 private:
  void endSection();
  void put(const void* data, size_t bytes, uint64_t at);

  const std::string path_;
  std::string temporary_;
  const Preparation made_;
  std::vector<PreparedSection> sections_;
  Checksum checksum_;    // of the last of them, so far
  uint64_t end_;         // of what is written
  int descriptor_ = -1;  // −1 once something has failed, or it is finished
};

}  // namespace quipu
