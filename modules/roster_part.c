/*
 * roster_part.c -- contacts as the database has them
 *
 * Rows are ejabberd's. What it has no column for is in `subscribe`, which it leaves
 * empty and empties when it writes: the mark "+" of an item that no other column shows
 * to be one, and the whole stanza of a request that waits.
 */
#include "base/hash.h"
#include "modules/roster.h"

struct subscription
roster_subscription(const struct contact *c)
{
    static const char ask[] = { 'N', 'O', 'I', 'B' }, kind[] = { 'N', 'T', 'F', 'B' };
    unsigned pending =
            (c->bits & CONTACT_ASK_OUT ? 1 : 0) | (c->bits & CONTACT_ASK_IN ? 2 : 0);
    unsigned granted =
            (c->bits & CONTACT_TO ? 1 : 0) | (c->bits & CONTACT_FROM ? 2 : 0);
    struct subscription s = { 0 };

    subscription_from_db(kind[granted], ask[pending], c->bits & CONTACT_APPROVED,
            c->bits & CONTACT_LISTED, &s);
    s.listed = c->bits & CONTACT_LISTED;
    return s;
}

uint8_t
roster_bits(struct subscription s, uint8_t before)
{
    unsigned kind = subscription_kind(s);

    return (uint8_t)((before & (CONTACT_SHARED | CONTACT_SEES)) |
                     (kind & SUBSCRIPTION_KIND_TO ? CONTACT_TO : 0) |
                     (kind & SUBSCRIPTION_KIND_FROM ? CONTACT_FROM : 0) |
                     (subscription_pending_out(s) ? CONTACT_ASK_OUT : 0) |
                     (subscription_pending_in(s) ? CONTACT_ASK_IN : 0) |
                     (s.approved ? CONTACT_APPROVED : 0) |
                     (s.listed ? CONTACT_LISTED : 0));
}

bool
roster_is_shown(const struct contact *c)
{
    return c->bits & (CONTACT_LISTED | CONTACT_SHARED);
}

size_t
roster_count(const struct contacts *cs, uint8_t bit)
{
    struct contact c;
    size_t at = 0, n = 0;

    while (contacts_next(cs, &at, &c))
        n += (c.bits & bit) != 0;
    return n;
}

/* --- Is it still what we have written? --- */

static uint64_t
hash_str(uint64_t seed, struct str s)
{
    struct hash_key key = { { seed, 0x726f73746572 } };

    return hash_bytes(&key, s.p, s.n);
}

uint64_t
roster_hash_one(const struct contact *c)
{
    struct str groups = c->groups, group;
    unsigned bits = c->bits & ~(unsigned)CONTACT_SEES;
    uint64_t sum = 0;

    if (bits == 0)
        return 0; /* nothing of it is in the database */
    while (contact_group_next(&groups, &group))
        sum += hash_str(1, group);
    return hash_str(hash_str(hash_str(sum, c->name) + bits, c->jid), STR_NULL);
}

uint64_t
roster_hash(const struct contacts *cs)
{
    struct contact c;
    size_t at = 0;
    uint64_t sum = 0;

    while (contacts_next(cs, &at, &c)) {
        if (!(c.bits & CONTACT_SHARED))
            sum += roster_hash_one(&c);
    }
    return sum;
}

/* --- Reading --- */

/* The columns of the rows (sql/op_roster.def). */
enum {
    KIND,
    JID,
    NICK,
    SUBSCRIPTION,
    ASK,
    ASKMESSAGE,
    NUMBER,
    APPROVED,
    SUBSCRIBE
};

static char
letter(const struct sql_value *cell)
{
    return cell->s.n ? cell->s.p[0] : '\0';
}

/* A request of which only the words are known. */
static struct str
ask_of_words(struct buf *out, struct str jid, struct str own, struct str words)
{
    buf_reset(out, SIZE_MAX);
    xml_open(out, "presence");
    xml_put(out, "type", STR("subscribe"));
    xml_put(out, "from", jid);
    xml_put(out, "to", own);
    buf_add_c(out, words.n ? ">" : "/>");
    if (words.n) {
        xml_leaf(out, "status", words);
        buf_add_c(out, "</presence>");
    }
    return buf_str(out);
}

struct reading {
    struct account *a;
    const struct sql_result *rows;
    struct map groups; /* by jid: its first row of groups; they stand together */
    struct buf packed, ask;
    struct arena arena;
};

static void
groups_index(struct reading *r)
{
    struct str last = STR_NULL;

    for (size_t i = 0; i < r->rows->n_rows; i++) {
        const struct sql_value *row = &r->rows->value[i * r->rows->n_cols];

        if (letter(&row[KIND]) != 'g' || str_eq(row[JID].s, last))
            continue;
        last = row[JID].s;
        map_set(&r->groups, last, (void *)(uintptr_t)(i + 1));
    }
}

static struct str
groups_of(struct reading *r, struct str jid)
{
    size_t i = (size_t)(uintptr_t)map_get(&r->groups, jid);

    buf_reset(&r->packed, SIZE_MAX);
    for (; i > 0 && i <= r->rows->n_rows; i++) {
        const struct sql_value *row = &r->rows->value[(i - 1) * r->rows->n_cols];

        if (letter(&row[KIND]) != 'g' || !str_eq(row[JID].s, jid) ||
                r->packed.n + row[NICK].s.n > UINT16_MAX - sizeof(uint16_t))
            break;
        contact_group_add(&r->packed, row[NICK].s);
    }
    return buf_str(&r->packed);
}

static void
item_read(struct reading *r, const struct sql_value *row)
{
    struct contact c = {
        .jid = row[JID].s, .name = row[NICK].s, .groups = groups_of(r, row[JID].s)
    };
    struct str kept = row[SUBSCRIBE].s;
    bool marked = str_starts(kept, STR("+"));
    struct subscription s = { .listed = true };
    struct jid jid;

    if (jid_parse(&r->arena, c.jid, &jid) < 0)
        return; /* nobody could ever be meant by it */
    subscription_from_db(letter(&row[SUBSCRIPTION]), letter(&row[ASK]),
            row[APPROVED].i != 0, c.name.n || c.groups.n || marked, &s);
    c.bits = roster_bits(s, 0);
    if (c.bits & CONTACT_ASK_IN) {
        kept.p += marked;
        kept.n -= marked;
        c.ask = str_starts(kept, STR("<"))
                        ? kept
                        : ask_of_words(&r->ask, c.jid, account_bare(r->a),
                                  row[ASKMESSAGE].s);
    }
    contacts_append(account_contacts(r->a), &c);
}

static void
version_read(struct roster *r, struct str text, uint64_t hash)
{
    struct roster_version v;

    if (!roster_version_parse(text, &v) || !v.has_hash || v.hash != hash)
        return; /* somebody else has written since: clients begin anew */
    r->known = true;
    r->n = v.n;
    memcpy(r->epoch, v.epoch.p, v.epoch.n);
}

void *
roster_load(struct account *a, void *config, const struct sql_result *rows)
{
    struct roster *roster = mem_zalloc(sizeof *roster);
    struct reading r = { .a = a, .rows = rows };
    struct str version = STR_NULL;

    (void)config;
    arena_init(&r.arena, 1024);
    groups_index(&r);
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct sql_value *row = &rows->value[i * rows->n_cols];

        switch (letter(&row[KIND])) {
        case 'v':
            version = row[JID].s;
            break;
        case 'f':
            roster->log = true;
            break;
        case 'i':
            item_read(&r, row);
            break;
        }
    }
    if (version.n)
        version_read(roster, version, roster_hash(account_contacts(a)));
    map_fini(&r.groups);
    buf_fini(&r.packed);
    buf_fini(&r.ask);
    arena_fini(&r.arena);
    return roster;
}

void
roster_free(void *part)
{
    mem_free_p(part);
}
