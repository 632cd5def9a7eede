#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "base/buf.h"
#include "conf/conf.h"

struct listeners; /* opaque: the sockets that accept, open as long as the service */

/*
 * n_workers: each worker has a socket of its own, where the system balances among them.
 */
struct listeners *listeners_new(unsigned n_workers);
void listeners_free(
        struct listeners **ls); /* removes Unix sockets from the file system */

/*
 * Opens what conf names and is not open yet. 0, or -errno with a sentence per problem
 * in errors: then nothing has changed. On success one of _commit and _abandon must
 * follow.
 */
int listeners_prepare(
        struct listeners *ls, const struct conf *conf, struct buf *errors);
void listeners_abandon(struct listeners *ls);

/*
 * Makes the prepared set the one in force and closes what is not in it. on_close is
 * called with the former index of each that goes, then between once, then on_open with
 * the new index of each that came; they may be NULL.
 */
void listeners_commit(struct listeners *ls,
        void (*on_close)(void *arg, unsigned old_index), void (*between)(void *arg),
        void (*on_open)(void *arg, unsigned index), void *arg);

/* The socket of a listener for one worker, still ours; -1: no such listener. */
int listeners_fd(const struct listeners *ls, unsigned index, unsigned worker);
unsigned listeners_n(const struct listeners *ls); /* indices in force are below this */

/*
 * The stream socket at DIR/stanzad.sock for the admin process: a descriptor or -errno.
 */
int control_socket_open(const char *path);

#endif
