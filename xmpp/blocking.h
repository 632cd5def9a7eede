#ifndef XMPP_BLOCKING_H
#define XMPP_BLOCKING_H

#include <stddef.h>

#include "base/str.h"
#include "xmpp/jid.h"
#include "xmpp/privacy.h"

struct arena;

/*
 * The block list (XEP-0191) is a view of the default privacy list: its addresses are
 * the rules that deny everything for an address (privacy_item_blocks()). So both
 * protocols, and ejabberd's modules for them, work on the same rows.
 *
 * A user without a default list gets one of this name, at his first block, as
 * mod_blocking names it. A list of that name that is not the default one is kept: block
 * in it, and make it the default.
 */
#define BLOCKING_LIST_NAME "Blocked contacts"

struct blocking_request {
    enum blocking_op {
        BLOCKING_GET,
        BLOCKING_BLOCK,
        BLOCKING_UNBLOCK,
        BLOCKING_UNBLOCK_ALL
    } op;
    struct jid *jids; /* sorted as blocking_request() does, each once */
    size_t n;
};

/*
 * Reads <blocklist/>, <block/> or <unblock/>. Returns 0, or -EINVAL with the error to
 * answer.
 */
int blocking_request(struct arena *arena, const struct xml_el *payload,
        enum iq_type type, struct blocking_request *ret_request,
        enum stanza_error *ret_error);

/*
 * Carries a request out on a list, which stays as it is. Returns 1 and the new list
 * (NULL: without rules), 0 if nothing changes, or -ENOSPC if it would be too large
 * (answer resource-constraint).
 *
 * What is blocked comes first (XEP-0191, 5); the others are renumbered only where
 * orders would no longer differ. Unblocking an address takes out every rule that denies
 * it something; unblocking all, every rule that denies an address something. Rules
 * about groups, subscriptions and everybody else are not the block list's.
 */
int blocking_edit(const struct privacy_list *list,
        const struct blocking_request *request, struct privacy_list **ret_list);

/* Adds an <item jid='…'/> for each blocked address to a <blocklist/>. */
void blocking_write(const struct privacy_list *list, struct xml_el *blocklist);

/*
 * The push to the user's devices that tells of a request: <block/> or <unblock/> with
 * its items, as a payload in arena.
 */
struct xml_el *blocking_push(
        struct arena *arena, const struct blocking_request *request);

#endif
