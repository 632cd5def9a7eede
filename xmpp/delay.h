#ifndef XMPP_DELAY_H
#define XMPP_DELAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct jid;
struct xml_el;

/*
 * Delayed delivery (XEP-0203): when a stanza was sent, as somebody says who kept it.
 *
 * from is that somebody's prepared address as text; p == NULL: the attribute is left
 * out. us: microseconds since 1970 (xmpp/datetime.h). reason: text for people, p ==
 * NULL: none.
 */

/* <delay/> as the last child; returns it. from and reason are not copied. */
struct xml_el *delay_add(
        struct xml_el *stanza, struct str from, int64_t us, struct str reason);
void delay_write(struct buf *out, struct str from, int64_t us, struct str reason);

/*
 * The first <delay/> in el whose from= is this address (compared prepared, with its
 * resource), or anybody's if from is NULL. One whose stamp cannot be read does not
 * count; jabber:x:delay of XEP-0091 does, in stanzas that were stored long ago. 0 or
 * -ENOENT.
 */
int delay_find(const struct xml_el *el, const struct jid *from, int64_t *ret_us);

/*
 * Takes such elements out, of both namespaces, readable or not; how many. A server does
 * so with those that claim to be its own (XEP-0203, 8).
 */
size_t delay_remove(struct xml_el *el, const struct jid *from);

#endif
