// A part of a stream encoded on another thread, where it may take long: a piece of many megabytes.
#pragma once

#include <napi.h>

#include "tokenizer/stream_encoder.h"

namespace quipu::binding {

class EncodeStreamWrap;

// Resolves with the ids of `text`, or, without one, of the end of the stream. `owner` is kept until then.
Napi::Value encodeLater(Napi::Env env, Napi::Object owner, EncodeStreamWrap& stream, tokenizer::Text text, bool isEnd);

}  // namespace quipu::binding
