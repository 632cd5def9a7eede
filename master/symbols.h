#ifndef MASTER_SYMBOLS_H
#define MASTER_SYMBOLS_H

#include <stdint.h>

#include "base/buf.h"

/*
 * Adds "function+0x12" for an address relative to where the program begins; nothing
 * when it is not known (stripped, or not of the program but of a library).
 */
void symbols_find(const char *exe, uint64_t offset, struct buf *out);

#endif
