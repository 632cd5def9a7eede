#ifndef MASTER_ESTATE_H
#define MASTER_ESTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "ipc/ipc.h"

enum estate_kind {
#define ESTATE(NAME, sentence) ESTATE_##NAME,
#include "master/estate.def"
#undef ESTATE
    ESTATE_KINDS
};

/* One descriptor and what must be known of it. */
struct thing {
    struct list node;
    enum estate_kind kind;
    ipc_addr addr;
    uint32_t index;
    uint64_t value;
    char *text; /* terminated */
    int fd;
};

/*
 * What is held: a set that is in force, and perhaps another one that is being sent and
 * will replace it as a whole.
 */
struct estate {
    struct list things, coming;
    size_t n, n_coming;
    uint64_t number; /* of the set that is coming */
    bool complete;   /* there is a set in force */
    bool is_coming;
};

void estate_init(struct estate *e);
void estate_fini(struct estate *e); /* closes all */

/* A set follows; one that was coming and did not end is forgotten. */
void estate_begin(struct estate *e, uint64_t number);

/*
 * One thing of it; outside of a set it replaces what is held under its name. The
 * descriptor becomes the estate's. 0; -EINVAL or -ENOSPC (the descriptor is closed).
 */
int estate_put(struct estate *e, const struct ipc_hold *m, int fd);

/* That was all: 0, now the set is in force; -EPROTO: it is not complete and forgotten.
 */
int estate_end(struct estate *e, const struct ipc_hold_end *m);

/* Forgets what was coming. */
void estate_abort(struct estate *e);

/* NULL when it is not held. */
struct thing *estate_find(
        const struct estate *e, enum estate_kind kind, ipc_addr addr, uint32_t index);

/* Takes its descriptor out; -1 when it is not held. */
int estate_take(struct estate *e, enum estate_kind kind, ipc_addr addr, uint32_t index);

struct ipc_hold estate_message(const struct thing *t);

#endif
