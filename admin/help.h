#ifndef ADMIN_HELP_H
#define ADMIN_HELP_H

#include "admin/command.h"
#include "base/buf.h"

/*
 * What `stanzactl help WHAT` prints, out of the table of commands. STR_NULL: the
 * overview; "commands", "tags", a tag, a command, or a pattern with `*`. 0, or -ENOENT
 * with a sentence that says so.
 */
int help_write(struct buf *out, struct str what, unsigned api_version);

/* How to call it: "register user host password". */
void help_usage(struct buf *out, const struct command *c);

/* All about one command. */
void help_command(struct buf *out, const struct command *c);

/* The list of commands as stanzactl(8) has it between its markers, in mdoc. */
void help_manual(struct buf *out);

#endif
