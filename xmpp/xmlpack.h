#ifndef XMPP_XMLPACK_H
#define XMPP_XMLPACK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

struct xml_el;

/*
 * A message in the form in which ejabberd stores it with mod_mam's compress_xml, in the
 * column xml of the table archive; its first byte is not '<'. Addresses are left out:
 * own is the archive's bare JID, peer what the column of that name says.
 */

/* Appends it; false, and nothing appended: it has something that this form cannot say.
 */
bool xmlpack_write(
        struct buf *out, const struct xml_el *message, struct str own, struct str peer);

/*
 * Appends it as XML for the default namespace jabber:client. 0, or -EBADMSG: it is
 * damaged; out may then have a part of it.
 */
int xmlpack_read(struct buf *out, struct str packed, struct str own, struct str peer);

#endif
