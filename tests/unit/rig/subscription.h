#ifndef TESTS_UNIT_RIG_SUBSCRIPTION_H
#define TESTS_UNIT_RIG_SUBSCRIPTION_H

#include "xmpp/subscription.h"

/* By the RFC's name of it: "None + Pending Out". */
enum subscription_state state_by_name(const char *name);

/* An item that a user has, not approved in advance. */
struct subscription item(enum subscription_state state);

#endif
