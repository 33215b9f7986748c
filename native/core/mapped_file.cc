#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace quipu {

namespace {

Status failure(const std::string& path, const char* what) {
  return Status::error(ErrorCode::kModelInvalid, path + ": " + what + ": " + strerror(errno));
}

Status refused(const std::string& path, const char* doing, size_t bytes, const char* of) {
  return Status::error(ErrorCode::kOutOfMemory, path + ": " + doing + " it needs " + std::to_string(bytes) +
                                                    " bytes of " + of + ", which the system refused");
}

}  // namespace

MappedFile::MappedFile(std::string path, size_t first, size_t bytes, bool mapped)
    : path_(std::move(path)), first_(first), bytes_(bytes), mapped_(mapped) {}

MappedFile::~MappedFile() {
  close();
  if (data_ != nullptr) munmap(data_, bytes_);
}

void MappedFile::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

Status MappedFile::find(size_t expectedBytes) {
  // Whoever put a pipe into its place since the header was read: opening it must not wait for a writer.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) return failure(path_, "cannot be opened");
  struct stat info;
  if (fstat(descriptor_, &info) != 0) return failure(path_, "cannot be examined");
  if (!S_ISREG(info.st_mode)) return Status::error(ErrorCode::kModelInvalid, path_ + ": expected a file");
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes != expectedBytes) {
    return Status::error(ErrorCode::kModelInvalid, path_ + ": its size changed while it was being opened: expected " +
                                                       std::to_string(expectedBytes) + " bytes, got " +
                                                       std::to_string(bytes) + ". Is it still being written?");
  }
  return {};
}

Status MappedFile::map(const std::string& path, size_t expectedBytes, std::shared_ptr<MappedFile>& out) {
  std::shared_ptr<MappedFile> file(new MappedFile(path, 0, expectedBytes, true));
  if (Status status = file->find(expectedBytes); !status.ok()) return status;
  if (expectedBytes > 0) {
    void* data = mmap(nullptr, expectedBytes, PROT_READ, MAP_SHARED, file->descriptor_, 0);
    if (data == MAP_FAILED && errno == ENOMEM) return refused(path, "mapping", expectedBytes, "address space");
    if (data == MAP_FAILED) return failure(path, "cannot be mapped, but perhaps be read into memory");
    file->data_ = static_cast<std::byte*>(data);
  }
  file->ready_ = expectedBytes;
  file->close();
  out = std::move(file);
  return {};
}

Status MappedFile::open(const std::string& path, size_t expectedBytes, size_t first, size_t bytes,
                        std::shared_ptr<MappedFile>& out) {
  if (first > expectedBytes || bytes > expectedBytes - first) {
    return Status::error(ErrorCode::kInternal, path + ": " + std::to_string(bytes) + " bytes from " +
                                                   std::to_string(first) + " on leave the file of " +
                                                   std::to_string(expectedBytes));
  }
  std::shared_ptr<MappedFile> file(new MappedFile(path, first, bytes, false));
  if (Status status = file->find(expectedBytes); !status.ok()) return status;
  if (bytes > 0) {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return refused(path, "reading", bytes, "memory");
    file->data_ = static_cast<std::byte*>(data);
    file->preferLargePages();
  } else {
    file->close();
  }
  out = std::move(file);
  return {};
}

Status MappedFile::create(const std::string& path, int descriptor, size_t bytes, std::shared_ptr<MappedFile>& out) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) return failure(path, "cannot be mapped");
  std::shared_ptr<MappedFile> file(new MappedFile(path, 0, bytes, true));
  file->data_ = static_cast<std::byte*>(data);
  file->preferLargePages();
  file->ready_ = bytes;
  file->writable_ = true;
  out = std::move(file);
  return {};
}

void MappedFile::preferLargePages() {
#ifdef MADV_HUGEPAGE
  if (bytes_ > 0) madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
}

Status MappedFile::read(size_t most) {
  const size_t end = ready_ + std::min(most, bytes_ - ready_);
  while (ready_ < end) {
    const ssize_t got = pread(descriptor_, data_ + ready_, end - ready_, static_cast<off_t>(first_ + ready_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path_, "cannot be read");
    if (got == 0) return Status::error(ErrorCode::kModelInvalid, path_ + ": ended early while it was being read");
    ready_ += static_cast<size_t>(got);
  }
  if (ready_ == bytes_) close();
  return {};
}

}  // namespace quipu
