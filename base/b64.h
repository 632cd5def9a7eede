#ifndef BASE_B64_H
#define BASE_B64_H

#include "base/buf.h"
#include "base/str.h"

/* RFC 4648, section 4, with padding, no line ends. */
void b64_encode(struct buf *out, struct str bytes);

/* Strict: wrong length, character or padding gives -EINVAL, and out is as before. */
int b64_decode(struct buf *out, struct str text);

#endif
