#include <string>

#include "binding/arguments.h"
#include "binding/classes.h"
#include "binding/errors.h"
#include "binding/promise_worker.h"

namespace quipu::binding {

// Reads the next bytes of a file on a thread of the pool, as the disk may take its time.
class FileWrap::ReadWorker final : public PromiseWorker {
 public:
  ReadWorker(Napi::Env env, FileWrap& wrap, Napi::Object self, size_t most)
      : PromiseWorker(env, "quipu read"), wrap_(wrap), self_(Napi::Persistent(self)), file_(wrap.file_), most_(most) {}

 protected:
  Status work() override { return file_->read(most_); }
  void done(Napi::Env env) override {
    wrap_.reading_ = false;
    if (wrap_.file_ == nullptr) return;  // disposed of meanwhile
    Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(file_->readyBytes() - wrap_.told_));
    wrap_.told_ = file_->readyBytes();
  }
  Napi::Value result(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(file_->readyBytes()));
  }

 private:
  FileWrap& wrap_;
  Napi::ObjectReference self_;  // keeps wrap_
  const std::shared_ptr<MappedFile> file_;
  const size_t most_;
};

Napi::Function FileWrap::define(Napi::Env env) {
  return DefineClass(env, "MappedFile", {method<&FileWrap::read>("read"), method<&FileWrap::dispose>("dispose")});
}

FileWrap::FileWrap(const Napi::CallbackInfo& info) : Wrapped<FileWrap>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  const Arguments arguments(info, "new MappedFile(path, expectedBytes, map, first, bytes)");
  const auto [path, expected, map, first, bytes] = arguments.read<std::string, Size, bool, Size, Size>();
  guarded(info.Env(), [&, &path = path, &expected = expected, &map = map, &first = first, &bytes = bytes] {
    check(info.Env(),
          map ? MappedFile::map(path, expected, file_) : MappedFile::open(path, expected, first, bytes, file_));
  });
}

FileWrap::~FileWrap() { handOver(Env(), told_); }

const std::shared_ptr<MappedFile>& FileWrap::get(Napi::Env env) const {
  if (file_ == nullptr) throw toError(env, Status::error(ErrorCode::kDisposed, "the file is closed"));
  if (reading_) throw toError(env, Status::error(ErrorCode::kInternal, "the file is being read"));
  return file_;
}

void FileWrap::handOver(Napi::Env env, size_t bytes) {
  const size_t less = bytes < told_ ? bytes : told_;
  Napi::MemoryManagement::AdjustExternalMemory(env, -static_cast<int64_t>(less));
  told_ -= less;
}

// read(most) → Promise of the bytes that are there then: all from the beginning.
Napi::Value FileWrap::read(const Napi::CallbackInfo& info) {
  const auto [most] = Arguments(info, "read(most)").read<Size>();
  if (get(info.Env())->mapped()) {
    throw toError(info.Env(), Status::error(ErrorCode::kInternal, "native call read(most): the file is mapped"));
  }
  auto* worker = new ReadWorker(info.Env(), *this, info.This().As<Napi::Object>(), most);
  reading_ = true;
  return worker->start();
}

void FileWrap::dispose(const Napi::CallbackInfo& info) {
  handOver(info.Env(), told_);
  file_.reset();
}

}  // namespace quipu::binding
