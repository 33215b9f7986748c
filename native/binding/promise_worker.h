// Work on a thread of the pool, and the promise of what comes of it.
#pragma once

#include <napi.h>

#include <exception>
#include <new>

#include "binding/errors.h"

namespace quipu::binding {

// Made with new; start() once, and it deletes itself when it is done.
class PromiseWorker : private Napi::AsyncWorker {
 public:
  Napi::Promise start() {
    Queue();
    return deferred_.Promise();
  }

 protected:
  PromiseWorker(Napi::Env env, const char* name)
      : Napi::AsyncWorker(env, name), deferred_(Napi::Promise::Deferred::New(env)) {}

  // On a thread of the pool. May throw.
  virtual Status work() = 0;
  // On the JavaScript thread, whatever work() came to; then, where that was good, what the promise resolves to.
  virtual void done(Napi::Env) {}
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  void Execute() final {
    try {
      status_ = work();
    } catch (const std::bad_alloc&) {  // none for words either
      status_ = {ErrorCode::kOutOfMemory, {}};
    } catch (const std::exception& error) {
      status_ = Status::error(ErrorCode::kInternal, error.what());
    }
  }
  void OnOK() final {
    const Napi::Env env = Env();
    done(env);
    try {
      check(env, status_);
      deferred_.Resolve(guarded(env, [&] { return result(env); }));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  Napi::Promise::Deferred deferred_;
  Status status_;
};

}  // namespace quipu::binding
