#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "base/buf.h"
#include "conf/conf.h"

struct listeners; /* opaque: the sockets that accept, open as long as the service */

/*
 * n_workers: each worker has a socket of its own, where the system balances among them.
 */
struct listeners *listeners_new(unsigned n_workers);

/* stay: Unix sockets keep their names in the file system, for those who go on there. */
void listeners_free(struct listeners **ls, bool stay);

/*
 * Opens what conf names and is not open yet. 0, or -errno with a sentence per problem
 * in errors: then nothing has changed. On success one of _commit and _abandon must
 * follow.
 */
int listeners_prepare(
        struct listeners *ls, const struct conf *conf, struct buf *errors);
void listeners_abandon(struct listeners *ls);

/* Makes the prepared set the one in force and closes what is not in it. */
void listeners_commit(struct listeners *ls);

/* One of the sockets that belong to a listener. */
struct listener_socket {
    struct str name;
    uint32_t id; /* of the listener: one that is opened anew under this name has another
                  */
    unsigned worker, n_fds;
};

/* All that are in force or prepared. Start with { 0 }; false at the end. */
struct listener_walk {
    unsigned place, worker;
};
bool listeners_next(const struct listeners *ls, struct listener_walk *at,
        struct listener_socket *ret_socket, int *ret_fd);

/*
 * For those that a master before us had opened: each socket (which becomes the
 * listeners' to close), then all by the configuration that was in force. False: some
 * were missing.
 */
void listeners_adopt(
        struct listeners *ls, const struct listener_socket *socket, int fd);
bool listeners_settle(struct listeners *ls, const struct conf *conf);

/*
 * The socket of a listener for one worker, still ours, and the listener's id; -1: no
 * such listener.
 */
int listeners_fd(
        const struct listeners *ls, unsigned index, unsigned worker, uint32_t *ret_id);
unsigned listeners_n(const struct listeners *ls); /* indices in force are below this */

#endif
