// The classes that JavaScript sees. Each wraps a shared pointer to a core object, so that programs and runs keep alive
// what they use; dispose() drops the wrapper's own reference at once, the garbage collector is the backstop.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/errors.h"
#include "core/buffer.h"
#include "core/mapped_file.h"
#include "core/program.h"
#include "core/run_queue.h"

namespace quipu::binding {

// Constructors of one environment (main thread or worker): the addon keeps no global JavaScript state.
struct Classes {
  Napi::FunctionReference buffer, file, program, cancelFlag, device, vocabulary, tokenizer, encodeStream, trainer;
};

// Unwraps `value` if it was made by the class with this tag, and throws otherwise: a cast is never trusted.
template <typename Wrapper>
Wrapper& unwrap(const Napi::Value& value);

class BufferWrap : public Wrapped<BufferWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0001, 0x6275666665720000};
  static Napi::Function define(Napi::Env env);
  static Napi::Object wrap(Napi::Env env, std::shared_ptr<Buffer> buffer);
  explicit BufferWrap(const Napi::CallbackInfo& info);
  ~BufferWrap() override;

  const std::shared_ptr<Buffer>& get(Napi::Env env) const;

 private:
  void dispose(const Napi::CallbackInfo& info);
  void account(Napi::Env env, bool add);

  std::shared_ptr<Buffer> buffer_;
};

class FileWrap : public Wrapped<FileWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0002, 0x66696c6500000000};
  static Napi::Function define(Napi::Env env);
  explicit FileWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value view(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<MappedFile> file_;
};

class ProgramWrap : public Wrapped<ProgramWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0003, 0x70726f6772616d00};
  static Napi::Function define(Napi::Env env);
  explicit ProgramWrap(const Napi::CallbackInfo& info);

  const std::shared_ptr<const Program>& get(Napi::Env env) const;

 private:
  void dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<const Program> program_;
};

class CancelFlagWrap : public Wrapped<CancelFlagWrap> {
 public:
  static constexpr napi_type_tag kTag = {0x71756970755f0004, 0x63616e63656c0000};
  static Napi::Function define(Napi::Env env);
  explicit CancelFlagWrap(const Napi::CallbackInfo& info);

  const std::shared_ptr<CancelFlag>& get() const { return flag_; }

 private:
  std::shared_ptr<CancelFlag> flag_;
};

template <typename Wrapper>
Wrapper& unwrap(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&Wrapper::kTag)) {
    throw Napi::TypeError::New(value.Env(), "native call: an object of another class");
  }
  return *Wrapper::Unwrap(value.As<Napi::Object>());
}

}  // namespace quipu::binding
