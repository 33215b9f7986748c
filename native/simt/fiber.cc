#include "simt/fiber.h"

#include <cstdint>

#if !defined(__x86_64__)
#include <ucontext.h>

#include <new>
#endif

namespace quipu::simt {

#if defined(__x86_64__)

// System V: rbx, rbp and r12 to r15 are the callee's to keep. Kernels change neither rounding nor exception masks.
extern "C" void quipuSimtSwitch(StackPointer* from, StackPointer to);
asm(R"(
  .text
  .hidden quipuSimtSwitch
  .globl quipuSimtSwitch
  .type quipuSimtSwitch, @function
quipuSimtSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size quipuSimtSwitch, .-quipuSimtSwitch
)");

StackPointer prepareStack(std::byte* low, size_t bytes, void (*entry)()) {
  const uintptr_t top = (reinterpret_cast<uintptr_t>(low) + bytes) & ~uintptr_t{15};
  auto* words = reinterpret_cast<uintptr_t*>(top) - 2;
  words[1] = 0;  // where entry() would return to
  words[0] = reinterpret_cast<uintptr_t>(entry);
  for (int i = 1; i <= 6; ++i) words[-i] = 0;
  return words - 6;
}

void switchStack(StackPointer& from, StackPointer to) { quipuSimtSwitch(&from, to); }

#else

// The context lies at the low end of a stack that was prepared; that of the scheduler, which was not, at `home`.
StackPointer prepareStack(std::byte* low, size_t bytes, void (*entry)()) {
  auto* context = new (low) ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = low + sizeof(ucontext_t);
  context->uc_stack.ss_size = bytes - sizeof(ucontext_t);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

void switchStack(StackPointer& from, StackPointer to) {
  static thread_local ucontext_t home;
  if (from == nullptr) from = &home;
  swapcontext(static_cast<ucontext_t*>(from), static_cast<ucontext_t*>(to));
}

#endif

}  // namespace quipu::simt
