/*
 * roster_version.c -- versions of a roster (RFC 6121, 2.6)
 *
 * EPOCH:N counts the changes since the epoch began. What is stored has in addition the
 * hash of the contacts: if somebody else has changed them since, be it ejabberd that
 * served for a while or a hand in the database, it does not fit any more, and a new
 * epoch begins with the next change.
 *
 * Without store_current_id clients are told a hash of what they see, as ejabberd does:
 * then each version is either theirs or unknown, and no differences can be named.
 */
#include <stdio.h>

#include "modules/roster.h"

void
roster_version_write(struct buf *out, const char *epoch, uint64_t n)
{
    buf_addf(out, "%s:%llu", epoch, (unsigned long long)n);
}

void
roster_version_store(struct buf *out, const char *epoch, uint64_t n, uint64_t hash)
{
    roster_version_write(out, epoch, n);
    buf_addf(out, ":%016llx", (unsigned long long)hash);
}

static bool
hash_parse(struct str text, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.n != 16)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = strchr("0123456789abcdef", text.p[i]);

        if (!digit || !*digit)
            return false;
        value = value << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    *ret = value;
    return true;
}

bool
roster_version_parse(struct str text, struct roster_version *ret)
{
    struct roster_version v = { 0 };
    struct str number;

    if (!str_cut(&text, ':', &v.epoch) || v.epoch.n != ROSTER_EPOCH ||
            !str_cut(&text, ':', &number) || str_to_u64(number, &v.n) < 0 || v.n == 0)
        return false;
    v.has_hash = hash_parse(text, &v.hash);
    *ret = v;
    return true;
}

/* Of what clients see. */
static uint64_t
shown_hash(const struct contacts *cs)
{
    struct contact c;
    size_t at = 0;
    uint64_t sum = 0;

    while (contacts_next(cs, &at, &c)) {
        if (!roster_is_shown(&c))
            continue;
        c.bits &= (uint8_t)~CONTACT_ASK_IN;
        sum += roster_hash_one(&c);
    }
    return sum;
}

/*
 * What groups show is in no log: an account that has such contacts is told the hash, as
 * if no log were kept.
 */
bool
roster_has_log(struct account *a, const struct roster_config *config)
{
    const struct contacts *cs = account_contacts(a);
    struct contact c;
    size_t at = 0;

    if (!config->stored)
        return false;
    while (contacts_next(cs, &at, &c)) {
        if (c.bits & CONTACT_SHARED)
            return false;
    }
    return true;
}

void
roster_version_now(
        struct buf *out, struct account *a, const struct roster_config *config)
{
    const struct roster *r = account_part(a, &module);

    if (r->known && roster_has_log(a, config))
        roster_version_write(out, r->epoch, r->n);
    else
        buf_addf(out, "%016llx", (unsigned long long)shown_hash(account_contacts(a)));
}
