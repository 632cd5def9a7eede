/*
 * privacy_list.c -- the lists in force: an account's default list, a session's own
 */
#include "modules/privacy.h"

/* --- The default list --- */

struct privacy_part *
privacy_part_new(struct str name, struct privacy_list *list)
{
    struct privacy_part *part = mem_zalloc(sizeof *part + name.n);

    part->list = list;
    part->name_n = name.n;
    memcpy(part->name, name.p, name.n);
    return part;
}

void
privacy_part_free(void *p)
{
    struct privacy_part *part = p;

    privacy_list_free(&part->list);
    mem_free_p(part);
}

struct str
privacy_part_name(const struct privacy_part *part)
{
    return part ? (struct str){ part->name, part->name_n } : STR_NULL;
}

void
privacy_set_default(
        struct worker *w, struct account *a, struct str name, struct privacy_list *list)
{
    struct privacy_part *part = name.n ? privacy_part_new(name, list) : NULL;

    account_set_part(a, &module, part);
    account_set_flags(w, a, &module, part && list ? ROUTE_FILTER : 0);
}

/* --- A session's own --- */

/*
 * Kept: the size of the rules, the rules, the name. The rules are at a multiple of 4,
 * as what a session keeps begins at one.
 */
struct privacy_own
privacy_own(struct str kept)
{
    struct privacy_own own = { .name = STR_NULL };
    uint32_t n;

    if (kept.n < sizeof n)
        return own;
    memcpy(&n, kept.p, sizeof n);
    if (n > kept.n - sizeof n)
        return own;
    own.name = (struct str){ kept.p + sizeof n + n, kept.n - sizeof n - n };
    if (n > 0)
        own.list = privacy_list_view(kept.p + sizeof n);
    return own;
}

struct privacy_own
privacy_own_of(const struct conn *c)
{
    return privacy_own(session_flags(c) & ROUTE_OWN_LIST
                               ? session_kept(c, SESSION_OWN_LIST)
                               : STR_NULL);
}

void
privacy_set_own(struct worker *w, struct conn *c, struct str name,
        const struct privacy_list *list)
{
    struct str bytes = privacy_list_bytes(list);
    uint32_t n = (uint32_t)bytes.n;
    struct buf kept = { 0 };

    if (name.n) {
        buf_add(&kept, &n, sizeof n);
        buf_add_str(&kept, bytes);
        buf_add_str(&kept, name);
    }
    session_keep(w, c, SESSION_OWN_LIST, buf_str(&kept));
    if (name.n)
        session_set_flags(w, c, ROUTE_OWN_LIST, 0);
    else
        session_set_flags(w, c, 0, ROUTE_OWN_LIST);
    buf_fini(&kept);
}

void
privacy_refresh_own(struct worker *w, struct conn *c)
{
    struct privacy_own own = privacy_own_of(c);
    struct home_call call = { .module = &module,
        .step = PRIVACY_STEP_REFRESH,
        .bare = conn_bare(c),
        .conn = conn_id(w, c),
        .data = own.name };

    if (own.name.n)
        home_call(w, &call);
}

const struct privacy_list *
privacy_list_of(const struct privacy_part *part, const struct conn *c)
{
    if (session_flags(c) & ROUTE_OWN_LIST)
        return privacy_own_of(c).list;
    return part ? part->list : NULL;
}

/* --- What they say --- */

static bool
in_group(void *arg, struct str group)
{
    return contact_in_group(arg, group);
}

enum privacy_verdict
privacy_verdict(struct account *a, const struct privacy_list *list,
        const struct jid *peer, enum privacy_way way, enum privacy_stanza stanza)
{
    struct privacy_peer p = { .jid = *peer };
    struct jid user = account_jid(a);
    struct contact contact;
    struct arena arena;
    enum privacy_verdict verdict;

    if (!privacy_list_needs_roster(list))
        return privacy_judge(list, &user, &p, way, stanza);
    arena_init(&arena, 1024);
    if (contacts_find(account_contacts(a), jid_text(&arena, peer), &contact) ||
            contacts_find(account_contacts(a), jid_bare_text(&arena, peer), &contact)) {
        p.subscription =
                (enum subscription_kind)(contact.bits & (CONTACT_TO | CONTACT_FROM));
        p.in_group = in_group;
        p.arg = &contact;
    }
    verdict = privacy_judge(list, &user, &p, way, stanza);
    arena_fini(&arena);
    return verdict;
}

/* --- Rows --- */

static bool
is_true(const struct sql_value *v)
{
    return v->kind == SQL_INT && v->i;
}

bool
privacy_row_item(struct arena *arena, const struct sql_value *row, unsigned ord,
        struct privacy_item *ret)
{
    const struct sql_value *match = row + ord + 1;
    struct privacy_row r = { .t = row[0].s.n == 1 ? row[0].s.p[0] : '\0',
        .value = row[1].s,
        .action = row[2].s.n == 1 ? row[2].s.p[0] : '\0',
        .ord = row[ord].i > 0 ? (uint64_t)row[ord].i : 0,
        .match_all = is_true(&match[0]),
        .match_iq = is_true(&match[1]),
        .match_message = is_true(&match[2]),
        .match_presence_in = is_true(&match[3]),
        .match_presence_out = is_true(&match[4]) };

    if (row[0].kind == SQL_NULL)
        return false; /* a list without rules */
    if (privacy_item_from_row(arena, &r, ret) == 0)
        return true;
    log_warning(NULL, "a privacy list has a rule that means nothing: %.*s %.*s %.*s",
            STR_ARG(row[0].s), STR_ARG(row[1].s), STR_ARG(row[2].s));
    return false;
}

bool
privacy_rows(const struct sql_result *rows, unsigned first, struct privacy_list **ret)
{
    struct privacy_item *items;
    struct arena arena;
    size_t n = 0;

    if (rows->n_rows == 0)
        return false;
    arena_init(&arena, 1024);
    items = arena_zalloc(&arena, (rows->n_rows + 1) * sizeof *items);
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct sql_value *row = rows->value + i * rows->n_cols + first;

        if (privacy_row_item(&arena, row, 3, &items[n]))
            n++;
    }
    *ret = privacy_list_new(items, n);
    arena_fini(&arena);
    return true;
}
