// cp.async: copies land when they are waited for, and what they will write is nobody's to use until then.
#pragma once

#include "simt/grid.h"

namespace quipu::simt {

// Lands all copies of the thread but those of its last `groupsLeft` committed groups.
void completeCopies(Thread& thread, uint32_t groupsLeft);
// At the end of a thread: one that leaves copies on their way has not waited for them.
void expectNoCopies(const Thread& thread);

}  // namespace quipu::simt
