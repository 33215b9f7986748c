// Stacks of their own for the threads of a kernel, and the switch between them: some ten instructions, where
// swapcontext() makes two system calls.
#pragma once

#include <cstddef>

namespace quipu::simt {

// Where a stack that does not run has stopped.
using StackPointer = void*;

// A new stack of `bytes` from `low` on that begins with `entry`, which never returns.
StackPointer prepareStack(std::byte* low, size_t bytes, void (*entry)());

// Goes on at `to`; returns when somebody goes on at what it left in `from`.
void switchStack(StackPointer& from, StackPointer to);

}  // namespace quipu::simt
