#ifndef ADMIN_ROSTERS_H
#define ADMIN_ROSTERS_H

/*
 * The arguments of "roster_add" (modules/roster_call.c): user and host of the account,
 * then these.
 */
enum {
    ROSTER_ADD_JID = 2,
    ROSTER_ADD_NICK,
    ROSTER_ADD_SUBSCRIPTION,
    ROSTER_ADD_GROUPS,
    ROSTER_ADD_ARGS_MAX = ROSTER_ADD_GROUPS + 60
};

#endif
