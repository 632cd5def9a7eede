#ifndef XMPP_STANZA_ID_H
#define XMPP_STANZA_ID_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

struct jid;
struct xml_el;

/*
 * Unique and stable stanza IDs (XEP-0359): <stanza-id/> is given by an archive, the
 * account or the room whose address is in by=; <origin-id/> by the sender.
 *
 * by is a prepared address as text. Whoever gives IDs first removes what claims to be
 * his (section 3, rule 2), from every stanza that he passes on, with an own ID or
 * without.
 */

/* <stanza-id/> as the last child; returns it. by and id are not copied. */
struct xml_el *stanza_id_add(struct xml_el *stanza, struct str by, struct str id);
void stanza_id_write(struct buf *out, struct str by, struct str id);

/* The id that by (compared prepared) has given; p == NULL: none. */
struct str stanza_id_get(const struct xml_el *stanza, const struct jid *by);

/*
 * Takes out what claims to come from by, <archived xmlns='urn:xmpp:mam:tmp'/> of old
 * archives too; how many.
 */
size_t stanza_id_remove(struct xml_el *stanza, const struct jid *by);

/* The sender's own; p == NULL or n == 0: none. */
struct str origin_id_get(const struct xml_el *stanza);
struct xml_el *origin_id_add(struct xml_el *stanza, struct str id);

#endif
