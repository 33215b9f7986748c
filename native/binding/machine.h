// Facts of this machine: instruction sets, processors, roofs.
#pragma once

#include <napi.h>

namespace quipu::binding {

// targets() → names of the instruction sets this machine can run, slowest first
Napi::Value targets(const Napi::CallbackInfo& info);
// describeBuild() → [compiler, glibc]: "g++ 12.2.0", and whose headers: "2.36"; "" for another C library
Napi::Value describeBuild(const Napi::CallbackInfo& info);
// processors() → processors that this process may run on
Napi::Value processors(const Napi::CallbackInfo& info);
// measureReadBandwidth(target, threads, bytes, passes, stop) → Promise<bytes per second>; stop[0] other than 0 ends it.
Napi::Value measureReadBandwidth(const Napi::CallbackInfo& info);
// measureOperations(target, threads, codes, stop) → Promise<operations per second>, of codes or of f32; stopped
// likewise.
Napi::Value measureOperations(const Napi::CallbackInfo& info);

}  // namespace quipu::binding
