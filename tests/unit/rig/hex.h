#ifndef TESTS_UNIT_RIG_HEX_H
#define TESTS_UNIT_RIG_HEX_H

#include <stdint.h>

#include "base/str.h"

/* Bytes from pairs of digits, with spaces where it pleases: a view of out. */
struct str unhex(const char *hex, uint8_t *out);

#endif
