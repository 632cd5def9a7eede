#ifndef PROC_SANDBOX_H
#define PROC_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "ipc/ipc.h"

/*
 * Gives up what a role does not need, for good, in this order: chroot (when dir is not
 * empty and we are root), groups and user (when uid is not 0 and we are root), resource
 * limits, no-new-privileges, and the role's system-call filter. 0 or -errno; a process
 * that cannot be confined does not serve.
 *
 * Where the system has no filter of ours, or the process runs as an ordinary user, what
 * is possible is done, and *out_missing (may be NULL) says in words what is not.
 */
struct sandbox {
    enum proc_role role;
    uint32_t uid, gid;
    struct str chroot_dir;
};
int sandbox_enter(const struct sandbox *sb, struct buf *out_missing);

/* Will sandbox_enter() change the root directory (asked before it does)? */
bool sandbox_has_root(const struct sandbox *sb);

/*
 * Tries what must not be possible, and writes a line "NAME refused|allowed TEXT" for
 * each: open_file, write_routes, connect_database, exec, ptrace, raise_privileges.
 * routes_fd_base: where the route table is mapped here (NULL: it is not).
 */
void sandbox_probe(const void *routes, struct buf *out);

#endif
