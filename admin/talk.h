#ifndef ADMIN_TALK_H
#define ADMIN_TALK_H

#include <stdio.h>

#include "admin/control.h"

/*
 * stanzactl's end of the control socket: one request, its answer written as it comes.
 *
 * timeout_ms: how long nothing may come (-1: for ever). 0 with the exit status of the
 * command, or
 *
 *     -ENOENT, -ECONNREFUSED  no service in this directory
 *     -EACCES                 the directory or the socket is not for this user
 *     -ETIMEDOUT              the service is there and says nothing
 *     -EPIPE                  it went away in the middle of the answer
 *     -EBADMSG                it speaks something else
 *     -E2BIG                  the request is too large
 *
 * out and err may be NULL: only the exit status matters.
 *
 * The socket is looked for in the working directory, so that its path is never too long
 * for the system.
 */
int talk(const struct control_request *request, int timeout_ms, FILE *out, FILE *err,
        int *ret_status);

#endif
