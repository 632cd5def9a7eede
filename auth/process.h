#ifndef AUTH_PROCESS_H
#define AUTH_PROCESS_H

#include "proc/proc.h"

/*
 * The auth process: verifies credentials, and is the only one that reads them.
 * Contract:
 *
 * AUTH_STEP     One message of a SASL dialogue, base64 undone. With `initial` it begins
 * one (has_data: there was an initial response) and ends another of that conn. Each
 * step is answered by one AUTH_RESULT, at once or later; the worker sends the next step
 * only after it. AUTH_ABORT    Ends the dialogue of a connection. Not answered.
 * AUTH_RESULT   CHALLENGE: data for the client. SUCCESS: user is the prepared local
 * part; data, when not empty, goes with <success/>. FAILURE: the condition; text, when
 * not empty, may be shown. The dialogue is over with either. A dialogue that this
 * process does not know (it was started again, or it was too long ago) fails with
 * temporary-auth-failure.
 *
 * The answer to wrong credentials, and everything else that this address or account
 * tries then, is delayed when there were many; beyond that it is refused unread, with
 * temporary-auth-failure. How many tries one connection has is the worker's matter.
 *
 * ACCOUNT_CALL  name and arguments; answered by ACCOUNT_REPLY:
 *
 *     register         user host password   CONFLICT: exists already
 *     change_password  user host password   NOT_FOUND: no such account
 *     check_password   user host password   DENIED: wrong, or no such account
 *     remove           user host            NOT_FOUND; deletes all that is kept of it
 *     check_account    user host            NOT_FOUND
 *
 *               INVALID: user, host or password cannot be one (text says which);
 *               UNAVAILABLE: the database is away, or too much is waiting.
 *               They are not slowed: who may ask is the caller's matter.
 */
extern const struct proc_role_ops auth_ops;

#endif
