/*
 * offline_row.c -- a message in the store
 *
 * The table is ejabberd's: whole stanzas as XML, with a <delay/> of the host's that
 * says when they were stored.
 */
#include "base/clock.h"
#include "modules/offline.h"
#include "xmpp/delay.h"

struct sql_value
offline_user(const struct job *j)
{
    return sql_text(account_jid(j->account).local);
}

bool
offline_retries(struct job *j, unsigned step, const struct sql_result *result)
{
    if (result->status != SQL_UNAVAILABLE)
        return false;
    job_retry(j, step);
    return true;
}

bool
offline_has_expired(
        const struct conf_host *host, const struct xml_el *el, int64_t stored_us)
{
    struct jid domain = { .domain = host->name };
    struct xml_el *x = xml_child(el, "x", NS_EXPIRE);
    uint64_t seconds;

    if (!x || str_to_u64(xml_attr(x, "seconds"), &seconds) < 0)
        return false;
    delay_find(el, &domain, &stored_us);
    return seconds < INT64_MAX / 2000000 &&
           stored_us + (int64_t)(seconds * 1000000) <= (int64_t)clock_wall_us();
}

void
offline_row(struct job *j, const struct sql_result *result, size_t i,
        struct offline_row *ret)
{
    const struct sql_value *v = &result->value[i * result->n_cols];
    struct jid domain = { .domain = j->host->name };
    int64_t us;

    *ret = (struct offline_row){ .seq = v[0].i };
    ret->el = stanza_parse(j->w, j->arena, v[1].s);
    if (!ret->el || stanza_kind(ret->el) != STANZA_MESSAGE) {
        log_warning(NULL, "a stored message of %.*s cannot be read: %.*s",
                STR_ARG(account_bare(j->account)),
                (int)(v[1].s.n < 500 ? v[1].s.n : 500), v[1].s.p ? v[1].s.p : "");
        ret->el = NULL;
        return;
    }
    if (delay_find(ret->el, &domain, &us) < 0)
        delay_add(ret->el, j->host->name, v[2].i, STR("Offline Storage"));
    ret->expired = offline_has_expired(j->host, ret->el, v[2].i);
}

size_t
offline_give(struct job *j, uint64_t conn, const struct xml_el *el, bool once)
{
    struct stanza s = { .kind = STANZA_MESSAGE,
        .type = (uint8_t)message_type(el),
        .hops = once ? DELIVER_ONCE : 0,
        .flags = STANZA_FILTERED | STANZA_STORED | (once ? 0 : STANZA_OLDER),
        .traits = traits_of(el),
        .to = account_jid(j->account) };
    struct buf bytes = { 0 };
    size_t n;

    jid_parse(j->arena, xml_attr(el, "from"), &s.from);
    xml_write(&bytes, el, STR(NS_CLIENT));
    s.bytes = buf_str(&bytes);
    route_bytes_to_conn(j->w, conn, &s);
    n = bytes.n;
    buf_fini(&bytes);
    return n;
}
