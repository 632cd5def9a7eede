/*
 * forward.c -- stanzas within stanzas, and carbons
 *
 * A message to an account with many clients is serialised once. A copy wraps those
 * bytes; they rely on the default namespace around them, which <forwarded/> changes, so
 * the namespace has to be said in their own start tag.
 */
#include "xmpp/forward.h"

#include <errno.h>
#include <stdbool.h>

#include "xml/el.h"
#include "xml/writer.h"
#include "xmpp/delay.h"
#include "xmpp/ns.h"

static bool
ends_name(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '/' || c == '>';
}

/*
 * Looks through the start tag: where the element's name ends, and whether an attribute
 * xmlns stands there. Values may hold anything but their own quote and '<'. -EINVAL: it
 * is no whole start tag.
 */
static int
scan_start(struct str s, size_t *ret_name_end, bool *ret_declares)
{
    size_t i = 1, from;

    if (s.n < 3 || s.p[0] != '<')
        return -EINVAL;
    while (i < s.n && !ends_name(s.p[i]) && s.p[i] != '<')
        i++;
    if (i == 1 || i == s.n || s.p[i] == '<' || memchr("!?", s.p[1], 2))
        return -EINVAL;
    *ret_name_end = i;
    *ret_declares = false;
    while (i < s.n && s.p[i] != '>') {
        char quote = s.p[i];

        from = i;
        if (quote == '<')
            return -EINVAL;
        if (quote == '\'' || quote == '"') {
            const char *end = memchr(s.p + i + 1, quote, s.n - i - 1);

            if (!end)
                return -EINVAL;
            i = (size_t)(end - s.p) + 1;
            continue;
        }
        while (i < s.n && !ends_name(s.p[i]) && s.p[i] != '=' && s.p[i] != '\'' &&
                s.p[i] != '"')
            i++;
        if (i - from == 5 && memcmp(s.p + from, "xmlns", 5) == 0)
            *ret_declares = true;
        if (i == from)
            i++;
    }
    return i < s.n ? 0 : -EINVAL;
}

int
forward_write(struct buf *out, struct str stanza, struct str from, int64_t stamp_us)
{
    size_t name_end;
    bool declares;

    if (scan_start(stanza, &name_end, &declares) < 0)
        return -EINVAL;
    buf_add_c(out, "<forwarded xmlns='" NS_FORWARD "'>");
    if (stamp_us != FORWARD_NO_STAMP)
        delay_write(out, from, stamp_us, STR_NULL);
    buf_add(out, stanza.p, name_end);
    if (!declares)
        buf_add_c(out, " xmlns='" NS_CLIENT "'");
    buf_add(out, stanza.p + name_end, stanza.n - name_end);
    buf_add_c(out, "</forwarded>");
    return 0;
}

int
carbon_write(struct buf *out, enum carbon_kind kind, struct str from, struct str to,
        enum message_type type, struct str stanza)
{
    const char *name = kind == CARBON_SENT ? "sent" : "received";
    size_t before = out->n;
    int r;

    xml_open(out, "message");
    xml_put(out, "from", from);
    xml_put(out, "to", to);
    if (type != MESSAGE_NORMAL)
        xml_put(out, "type", str_from(message_type_name(type)));
    buf_addf(out, "><%s xmlns='" NS_CARBONS "'>", name);
    r = forward_write(out, stanza, STR_NULL, FORWARD_NO_STAMP);
    if (r < 0) {
        out->n = before;
        out->p[before] = '\0';
        return r;
    }
    buf_addf(out, "</%s></message>", name);
    return 0;
}

struct xml_el *
forward_stanza(const struct xml_el *el, int64_t *ret_stamp_us)
{
    const struct xml_el *forwarded = xml_child(el, "forwarded", NS_FORWARD);

    xml_for(c, forwarded, NULL, NULL)
    {
        if (stanza_kind(c) == STANZA_OTHER)
            continue;
        if (ret_stamp_us && delay_find(forwarded, NULL, ret_stamp_us) < 0)
            *ret_stamp_us = FORWARD_NO_STAMP;
        return c;
    }
    return NULL;
}
