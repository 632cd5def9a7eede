/*
 * privacy_report.c -- abuse that a block request reports (XEP-0377)
 *
 * A report changes nothing about the block: what is malformed in it is passed over. It
 * is for the administrators of this server: in the log, and as a message to report_to.
 * It goes to nobody else, whatever else the reporter would agree to.
 */
#include <stdio.h>

#include "modules/privacy.h"

enum {
    REPORTS_MAX = 20, /* of one request; more are counted only */
    IDS_MAX = 10,
    ID_MAX = 200, /* bytes */
    REASON_MAX = 200,
    TEXT_LOGGED = 500,
    TEXT_SENT = 4000
};

/* Not within a character. */
static struct str
cut(struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    s.n = max;
    while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
        s.n--;
    return s;
}

static void
write_ids(struct buf *out, const struct xml_el *report)
{
    unsigned n = 0;

    xml_for(id, report, "stanza-id", NS_SID)
    {
        struct str value = cut(xml_attr(id, "id"), 100),
                   by = cut(xml_attr(id, "by"), 100);

        if (++n <= IDS_MAX)
            buf_addf(out, "%s%.*s of %.*s", n == 1 ? "; messages " : ", ",
                    STR_ARG(value), STR_ARG(by));
    }
    if (n > IDS_MAX)
        buf_addf(out, " and %u more", n - IDS_MAX);
}

/* For people, and the report itself for programs. */
static void
mail(struct job *j, struct str to, struct str body, const struct xml_el *report)
{
    struct xml_el *el = xml_el_new(j->arena, "message", NS_CLIENT), *copy;
    unsigned n = 0;

    xml_set(el, "from", j->host->name);
    xml_set(el, "to", to);
    xml_set_c(el, "type", "normal");
    xml_add_leaf(el, "subject", NULL, STR("Report of abuse"));
    xml_add_leaf(el, "body", NULL, body);
    copy = xml_add(el, "report", NS_REPORTING);
    xml_set(copy, "reason", cut(xml_attr(report, "reason"), REASON_MAX));
    xml_for(id, report, "stanza-id", NS_SID)
    {
        struct xml_el *el_id =
                ++n <= IDS_MAX ? xml_add(copy, "stanza-id", NS_SID) : NULL;

        if (!el_id)
            break;
        xml_set(el_id, "by", cut(xml_attr(id, "by"), ID_MAX));
        xml_set(el_id, "id", cut(xml_attr(id, "id"), ID_MAX));
    }
    route_el(j->w, el);
}

static void
one(struct job *j, const struct xml_el *item, const struct xml_el *report)
{
    const struct conf_module *blocking = conf_module_find(j->host, STR("mod_blocking"));
    struct str jid = xml_attr(item, "jid"), reason = xml_attr(report, "reason"),
               text = xml_child_text(report, "text", NS_REPORTING),
               to = blocking ? conf_module_text(blocking, "report_to") : STR_NULL;
    struct log_ctx ctx = { .jid = account_bare(j->account) };
    struct buf ids = { 0 }, summary = { 0 };

    reason = cut(reason, REASON_MAX);
    write_ids(&ids, report);
    log_notice(&ctx, "abuse report (XEP-0377) about %.*s, %.*s: %.*s%.*s", STR_ARG(jid),
            STR_ARG(reason), STR_ARG(cut(text, TEXT_LOGGED)), STR_ARG(buf_str(&ids)));
    if (to.n) {
        buf_addf(&summary, "%.*s reports %.*s (%.*s)%.*s",
                STR_ARG(account_bare(j->account)), STR_ARG(jid), STR_ARG(reason),
                STR_ARG(buf_str(&ids)));
        text = cut(text, TEXT_SENT);
        if (text.n)
            buf_addf(&summary, "\n\n%.*s", STR_ARG(text));
        mail(j, to, buf_str(&summary), report);
    }
    buf_fini(&ids);
    buf_fini(&summary);
}

void
privacy_report(struct job *j)
{
    unsigned n = 0;

    if (!xml_is(j->payload, "block", NS_BLOCKING))
        return;
    xml_for(item, j->payload, "item", NS_BLOCKING)
    {
        struct xml_el *report = xml_child(item, "report", NS_REPORTING);

        if (!xml_attr(report, "reason").n)
            continue;
        if (n++ < REPORTS_MAX)
            one(j, item, report);
        worker_count(j->w, COUNTER_ABUSE_REPORTS, 1);
    }
}
