/*
 * mod_vcard_xupdate.c -- avatar hashes in presence (XEP-0153)
 *
 * The hash of the photo in an account's vCard is read with the account, so that every
 * available presence can carry it. When another photo is stored, the sessions say again
 * what they said last, with the new hash.
 */
#include "worker/module.h"
#include "xmpp/vcard.h"

enum {
    WHAT_HASH
};

struct avatar {
    char hash[VCARD_HASH_SIZE]; /* "": there is no photo */
};

static void *
take(struct worker *w, struct account *a, void *config, const struct sql_result *rows)
{
    struct avatar *avatar = mem_zalloc(sizeof *avatar);
    struct vcard_photo photo;
    struct xml_el *vcard;
    struct buf text = { 0 };
    struct arena arena;

    (void)a, (void)config;
    if (rows->n_rows == 0 || rows->value[0].s.n == 0)
        return avatar;
    arena_init(&arena, 4096);
    buf_add_c(&text, "<vCard xmlns='" NS_VCARD "'>");
    buf_add_str(&text, rows->value[0].s);
    buf_add_c(&text, "</vCard>");
    vcard = stanza_parse(w, &arena, buf_str(&text));
    if (vcard && vcard_photo(vcard, &photo) == 0)
        memcpy(avatar->hash, photo.hash, sizeof avatar->hash);
    buf_fini(&text);
    arena_fini(&arena);
    return avatar;
}

/* Presence of a client, to everybody or to somebody. */
static enum hook_result
on_presence(struct event *e)
{
    const struct avatar *avatar;

    if (e->s->kind != STANZA_PRESENCE || e->s->type != PRESENCE_AVAILABLE ||
            !e->account)
        return HOOK_PASS;
    avatar = account_part(e->account, e->module);
    if (avatar)
        vcard_update_set(e->s->el, avatar->hash);
    return HOOK_PASS;
}

static enum hook_result
on_vcard(struct event *e)
{
    struct vcard_photo photo;

    vcard_photo(e->el, &photo);
    sessions_notify(
            e->w, e->module, account_bare(e->account), WHAT_HASH, str_from(photo.hash));
    return HOOK_PASS;
}

static bool
says(const struct xml_el *presence, const char *hash)
{
    const struct xml_el *x = xml_child(presence, "x", NS_VCARD_UPDATE);

    return x && str_eq_c(xml_child_text(x, "photo", NS_VCARD_UPDATE), hash);
}

/*
 * What counts is what the session has said: a successor of its worker reads the account
 * with the new hash, and is told of the change then.
 */
static void
say_again(struct worker *w, struct conn *c, const char *hash)
{
    struct xml_el *presence;
    struct arena arena;

    arena_init(&arena, 4096);
    presence = stanza_parse(w, &arena, session_presence(c));
    if (presence && !says(presence, hash)) {
        vcard_update_set(presence, hash);
        session_say(w, c, presence);
    }
    arena_fini(&arena);
}

static void
notify(struct event *e, unsigned what, struct str data)
{
    struct avatar *avatar = account_part(e->account, e->module);
    struct conn *c;
    uint32_t at = 0;

    if (what != WHAT_HASH || !avatar || data.n >= sizeof avatar->hash)
        return;
    memset(avatar->hash, 0, sizeof avatar->hash);
    if (data.n)
        memcpy(avatar->hash, data.p, data.n);
    while ((c = session_next(e->w, e->account, &at))) {
        if (session_is_available(c))
            say_again(e->w, c, avatar->hash);
    }
}

static const struct module_hook hooks[] = {
    { HOOK_PRESENCE_OUT, 50, on_presence },
    { HOOK_USER_SEND, 80, on_presence },
    { HOOK_VCARD_SET, 50, on_vcard },
    { 0 },
};

static const struct module_part part = {
    .take = take, .free = mem_free_p, .op = SQL_VCARD_PHOTO
};

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_vcard_xupdate",
    .doc = "Avatar hashes in presence (XEP-0153)",
    .db_of = "mod_vcard",
    .hooks = hooks,
    .part = &part,
    .notify = notify,
};
