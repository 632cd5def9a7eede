#ifndef WORKER_RECOVER_H
#define WORKER_RECOVER_H

#include "worker/worker.h"

/*
 * Taking over from a dead predecessor: its records are in the slot, its sockets with
 * the keeper. recover_begin asks for them; each comes with recover_conn, and
 * recover_end closes the records whose socket is lost.
 */
void recover_begin(struct worker *w);
void recover_ask(
        struct worker *w); /* once more: the keeper may have lost the question */
void recover_conn(struct worker *w, uint64_t conn, int fd);
void recover_end(struct worker *w);

/* The keeper was replaced and holds nothing: gives it all sockets again. */
void recover_keeper(struct worker *w);

/*
 * Bytes that the kernel has ever taken from us and given to us; 0 where it cannot say.
 */
void recover_kernel_counts(int fd, uint64_t *ret_took, uint64_t *ret_gave);

/* The same of a socket that nobody has read from or written to. */
void recover_kernel_counts_new(int fd, uint64_t *ret_took, uint64_t *ret_gave);

#endif
