#ifndef MASTER_BLOB_H
#define MASTER_BLOB_H

#include "base/str.h"

/*
 * Memory that holds these bytes and can never be changed again, so that many processes
 * may be given it: a descriptor, or -errno.
 */
int blob_new(struct str bytes);

#endif
