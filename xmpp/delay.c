/*
 * delay.c -- when a stanza was sent (XEP-0203)
 */
#include "xmpp/delay.h"

#include <errno.h>
#include <stdbool.h>

#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/datetime.h"
#include "xmpp/jid.h"
#include "xmpp/ns.h"

struct xml_el *
delay_add(struct xml_el *stanza, struct str from, int64_t us, struct str reason)
{
    struct xml_el *el = xml_add_leaf(stanza, "delay", NS_DELAY, reason);

    xml_set(el, "from", from);
    xml_set(el, "stamp", datetime_text(el->arena, us, DATETIME_EXACT));
    return el;
}

void
delay_write(struct buf *out, struct str from, int64_t us, struct str reason)
{
    buf_add_c(out, "<delay xmlns='" NS_DELAY "'");
    xml_put(out, "from", from);
    buf_add_c(out, " stamp='");
    datetime_write(out, us, DATETIME_EXACT);
    if (reason.n > 0) {
        buf_add_c(out, "'>");
        xml_escape(out, reason);
        buf_add_c(out, "</delay>");
    } else {
        buf_add_c(out, "'/>");
    }
}

/* arg: whose, or NULL for anybody's. */
static bool
is_delay(const struct xml_el *el, const void *arg)
{
    const struct jid *from = arg;
    struct jid jid;

    if (!xml_is(el, "delay", NS_DELAY) && !xml_is(el, "x", NS_DELAY_OLD))
        return false;
    return !from || (jid_parse(el->arena, xml_attr(el, "from"), &jid) == 0 &&
                            jid_eq(&jid, from));
}

int
delay_find(const struct xml_el *el, const struct jid *from, int64_t *ret_us)
{
    xml_for(c, el, NULL, NULL)
    {
        struct str stamp = xml_attr(c, "stamp");
        int r;

        if (!is_delay(c, from))
            continue;
        r = xml_is(c, NULL, NS_DELAY) ? datetime_parse(stamp, ret_us)
                                      : datetime_parse_legacy(stamp, ret_us);
        if (r == 0)
            return 0;
    }
    return -ENOENT;
}

size_t
delay_remove(struct xml_el *el, const struct jid *from)
{
    return xml_remove_if(el, is_delay, from);
}
