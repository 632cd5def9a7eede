#ifndef SQL_RESOLVE_H
#define SQL_RESOLVE_H

#include "base/loop.h"

/*
 * The addresses of a host by the system's resolver, which can only wait: so in a
 * thread.
 */
struct sql_resolve; /* opaque: one question */

/*
 * error NULL: addresses separated by commas, at least one. Called once from the loop.
 */
typedef void (*sql_resolve_fn)(void *arg, const char *error, const char *addresses);

int sql_resolve_start(struct loop *loop, const char *host, sql_resolve_fn fn, void *arg,
        struct sql_resolve **ret_resolve);

/*
 * Also after fn was called, and from in it. The thread goes on alone and ends itself.
 */
void sql_resolve_free(struct sql_resolve **resolve);

#endif
