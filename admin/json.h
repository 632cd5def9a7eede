#ifndef ADMIN_JSON_H
#define ADMIN_JSON_H

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends s as a JSON string (RFC 8259): quotes, backslashes and control characters
 * escaped. Bytes that are not UTF-8 come out as U+FFFD, so that the text is always
 * JSON.
 */
void json_string(struct buf *out, struct str s);

#endif
