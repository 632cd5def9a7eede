#ifndef MASTER_CERTS_H
#define MASTER_CERTS_H

#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"

/*
 * The text of all files that `certfiles` names, one after the other, each behind a line
 * "# PATH". Files that cannot be read are left out, with a sentence each in problems.
 * Only the master has the right to read them; what they mean is the workers' business.
 */
void certs_read(const struct conf *conf, struct buf *ret_text, struct buf *problems);

/* A number that changes when one of the files was replaced, added or removed. */
uint64_t certs_stamp(const struct conf *conf);

#endif
