#ifndef XMPP_FORWARD_H
#define XMPP_FORWARD_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "xmpp/stanza.h"

struct xml_el;

/*
 * A stanza within a stanza (XEP-0297), and the copies of messages that an account's
 * other clients get (XEP-0280).
 *
 * stanza: one element, serialised for the default namespace jabber:client, as stanzas
 * are that go out to clients or come from the archive. It is not parsed again: only its
 * start tag is read, and xmlns='jabber:client' put into it unless it declares its
 * namespace. What does not begin with a start tag gives -EINVAL, and out stays as it
 * was.
 */

/* No <delay/>, for the stamps below, which are microseconds since 1970. */
#define FORWARD_NO_STAMP INT64_MIN

/* <forwarded><delay/>stanza</forwarded>; from: who delayed it, p == NULL: not said. */
int forward_write(
        struct buf *out, struct str stanza, struct str from, int64_t stamp_us);

/*
 * The whole copy: <message from='' to='' type=''><sent><forwarded>…, for jabber:client.
 * from: the account's bare JID; to: the full JID that gets the copy. type is that of
 * the message (XEP-0280, 6 and 7).
 */
enum carbon_kind {
    CARBON_SENT,
    CARBON_RECEIVED
};
int carbon_write(struct buf *out, enum carbon_kind kind, struct str from, struct str to,
        enum message_type type, struct str stanza);

/*
 * The stanza in the <forwarded/> child of el, such as <sent/> or <result/>; NULL if
 * there is none. It may be of any of the namespaces of stanzas. *ret_stamp_us: of its
 * <delay/>, or FORWARD_NO_STAMP; may be NULL.
 */
struct xml_el *forward_stanza(const struct xml_el *el, int64_t *ret_stamp_us);

#endif
