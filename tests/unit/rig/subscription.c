/*
 * subscription.c -- states of subscriptions, as RFC 6121 names them
 */
#include "tests/unit/rig/subscription.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum subscription_state
state_by_name(const char *name)
{
    unsigned i = 0;

    while (i < SUBSCRIPTION_STATES &&
            strcmp(subscription_state_name((enum subscription_state)i), name) != 0)
        i++;
    if (i == SUBSCRIPTION_STATES)
        fail_msg("no state %s", name);
    return (enum subscription_state)i;
}

struct subscription
item(enum subscription_state state)
{
    return (struct subscription){ .state = (uint8_t)state, .listed = true };
}
