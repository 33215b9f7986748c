#include <string>

#include "binding/classes.h"
#include "binding/errors.h"

namespace quipu::binding {

Napi::Function FileWrap::define(Napi::Env env) {
  return DefineClass(env, "MappedFile", {method<&FileWrap::view>("view"), method<&FileWrap::dispose>("dispose")});
}

// new MappedFile(path, expectedBytes, map)
FileWrap::FileWrap(const Napi::CallbackInfo& info) : Wrapped<FileWrap>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  if (!info[0].IsString() || !info[2].IsBoolean()) wrongArgument(info.Env(), "(path, bytes, map)");
  guarded(info.Env(), [&] {
    check(info.Env(), MappedFile::open(info[0].As<Napi::String>().Utf8Value(), toSize(info[1], "a count of bytes"),
                                       info[2].As<Napi::Boolean>().Value(), file_));
  });
}

// view(offset, bytes, alignment) → Buffer, read-only
Napi::Value FileWrap::view(const Napi::CallbackInfo& info) {
  if (file_ == nullptr) throw toError(info.Env(), Status::error(ErrorCode::kDisposed, "the file is closed"));
  const size_t alignment = toSize(info[2], "an alignment");
  if (alignment == 0) wrongArgument(info.Env(), "an alignment of at least 1");
  std::shared_ptr<Buffer> buffer;
  check(info.Env(), file_->view(toSize(info[0], "an offset"), toSize(info[1], "a count of bytes"), alignment, buffer));
  return BufferWrap::wrap(info.Env(), std::move(buffer));
}

void FileWrap::dispose(const Napi::CallbackInfo&) { file_.reset(); }

}  // namespace quipu::binding
