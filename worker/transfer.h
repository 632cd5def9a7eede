#ifndef WORKER_TRANSFER_H
#define WORKER_TRANSFER_H

#include "worker/slot.h"

/*
 * The content of a slot in a form that does not depend on how this program lays it out
 * (transfer.def): one that lays it out in another way takes it from there.
 *
 * _out writes it into the file, which counts when it is complete only: 0 or -errno.
 * _in fills a slot that is empty and has no magic yet: 0; -ENODATA when the file is not
 * complete; -EBADMSG; -ENOMEM: the segment is too small.
 */
int transfer_out(const struct slot *slot, int fd);
int transfer_in(struct slot *slot, struct slab *slab, int fd);

#endif
