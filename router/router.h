#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "proc/proc.h"

/*
 * The router process: the only writer of the route table (router/route.h). Contract
 * with the workers:
 *
 * ROUTE_BIND      Answered by ROUTE_BOUND when the table has it. Sending it again for
 * the same connection gives the same answer. The session that has to go gets
 *                 SESSION_END with <conflict/>; it is not in the table any more by
 * then, and its ROUTE_UNBIND is not needed, and harmless. ROUTE_PRESENCE  Answered by
 * ROUTE_PRESENT with the same serial, and with whether the session was available
 * before; the same serial again (it is never 0) gives the same answer. Not answered
 * when the connection has no session. ROUTE_FLAGS     Changes flags only; answered by
 * ROUTE_PRESENT as well. ROUTE_UNBIND    Ends the session of that connection, if there
 * is one. Not answered.
 *
 * ROUTE_SYNC (to a worker) asks for all of its sessions: for each one a ROUTE_BIND with
 * resync = 1 (its resource, flags, last presence and the serial of that). It has no
 * ROUTE_BOUND, but when there was a presence it is answered by ROUTE_PRESENT, as if
 * that had come alone: so one that was lost on its way, or its answer, is made up for.
 * A session that lost its resource to another one gets SESSION_END. Then ROUTE_SYNCED
 * with the value of ROUTE_SYNC: sessions of the worker that it did not name are removed
 * now. ROUTE_BINDs that wait for an answer are sent once more, before or after. The
 * router asks at its start; a worker that was started again asks to be asked, with
 * ROUTE_RESYNC, when it has taken over its slot.
 *
 * PROC_CALL: "sessions" (how many), "table" (lines "name number").
 */
extern const struct proc_role_ops router_ops;

#endif
