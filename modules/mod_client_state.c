/*
 * mod_client_state.c -- client state indication (XEP-0352)
 *
 * While a client says that nobody looks at it, what may wait is kept in its session's
 * slot: presence, of which only the newest of each address matters, lone chat states,
 * and events of contacts (XEP-0163). It goes out, in order and with the time at which
 * it came (XEP-0203), when the client becomes active or leaves, when there is too much,
 * and before anything else of the same sender, so that nobody is heard in another order
 * than he spoke.
 *
 * The state is the session's own flag, in the slot: it is in force with the next
 * stanza, whatever the router knows of it.
 */
#include "worker/module.h"
#include "xmpp/traits.h"

enum {
    HELD_MAX = 100, /* as ejabberd's */
    HELD_BYTES_MAX = 512 << 10
};

struct config {
    bool presence, chat_states, events;
};

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct config *cf = mem_zalloc(sizeof *cf);

    (void)host;
    cf->presence = conf_module_bool(options, "queue_presence");
    cf->chat_states = conf_module_bool(options, "queue_chat_states");
    cf->events = conf_module_bool(options, "queue_pep");
    return cf;
}

static void
unconfigure(void *config)
{
    mem_free_p(config);
}

static enum hook_result
on_features(struct event *e)
{
    const struct config *cf = e->config;

    if (cf->presence || cf->chat_states || cf->events)
        buf_add_c(e->out, "<csi xmlns='" NS_CSI "'/>");
    return HOOK_PASS;
}

/* --- What is held --- */

/*
 * Keys: what it is, the sender's address, and the node of an event behind a newline,
 * which no address has in it.
 */
enum {
    KEY_MAX = 4096
};

static bool
is_of(struct str key, const void *arg)
{
    const struct str *bare = arg;

    return key.n > bare->n && memcmp(key.p + 1, bare->p, bare->n) == 0 &&
           (key.n == bare->n + 1 || key.p[bare->n + 1] == '/' ||
                   key.p[bare->n + 1] == '\n');
}

static void
hold(struct event *e, struct str key, bool instead)
{
    size_t bytes;

    if (session_held(e->c, &bytes) >= HELD_MAX ||
            bytes + e->s->bytes.n > HELD_BYTES_MAX)
        session_release(e->w, e->c, NULL, NULL);
    session_hold(e->w, e->c, key, instead, e->s->bytes);
}

/*
 * The node of which an event says one new item: only that makes an older one of no
 * interest. p == NULL: something else, as a retraction.
 */
static struct str
event_node(const struct xml_el *message)
{
    const struct xml_el *items = xml_path(message, NS_PUBSUB_EVENT, "event/items");

    if (!xml_child(items, "item", NS_PUBSUB_EVENT) ||
            xml_next(xml_child(items, NULL, NULL), NULL, NULL))
        return STR_NULL;
    return xml_attr(items, "node");
}

static enum traits_wait
wait_of_presence(struct event *e, struct arena *arena)
{
    const struct stanza *s = e->s;
    struct xml_el *el = NULL;
    struct jid own = conn_jid(e->c);

    if (jid_eq(&s->from, &own))
        return TRAITS_WAIT_NOT; /* its own: the client waits for it */
    /* Only what a room says has to be looked into. */
    if (memmem(s->bytes.p, s->bytes.n, NS_MUC_USER, sizeof NS_MUC_USER - 1)) {
        el = stanza_parse(e->w, arena, s->bytes);
        if (!el)
            return TRAITS_WAIT_NOT;
    }
    return traits_wait_presence(el, (enum presence_type)s->type);
}

static enum traits_wait
wait_of(struct event *e, struct arena *arena)
{
    struct jid own = conn_jid(e->c);

    if (e->s->kind == STANZA_PRESENCE)
        return wait_of_presence(e, arena);
    if (e->s->kind == STANZA_MESSAGE && e->s->type != MESSAGE_ERROR)
        return traits_wait_message(e->s->traits, &e->s->from, &own);
    return TRAITS_WAIT_NOT;
}

/* What the key begins with; 0: what waits so is not to be held here. */
static char
kind_of(const struct config *cf, enum traits_wait wait)
{
    switch (wait) {
    case TRAITS_WAIT_PRESENCE:
        return cf->presence ? 'p' : 0;
    case TRAITS_WAIT_CHAT_STATE:
        return cf->chat_states ? 'c' : 0;
    case TRAITS_WAIT_EVENT:
        return cf->events ? 'e' : 0;
    case TRAITS_WAIT_NOT:
        break;
    }
    return 0;
}

/* true: it is held. */
static bool
may_hold(struct event *e, struct str from, struct arena *arena)
{
    char kind = kind_of(e->config, wait_of(e, arena));
    struct str node = STR_NULL;
    struct buf key = { 0 };
    bool fits;

    if (!kind)
        return false;
    buf_addf(&key, "%c%.*s", kind, STR_ARG(from));
    if (kind == 'e') {
        node = event_node(stanza_parse(e->w, arena, e->s->bytes));
        buf_addf(&key, "\n%.*s", STR_ARG(node));
    }
    fits = key.n <= KEY_MAX;
    if (fits)
        hold(e, buf_str(&key), kind != 'e' || node.p);
    buf_fini(&key);
    return fits;
}

static enum hook_result
on_stanza(struct event *e)
{
    struct arena arena;
    struct str from, bare;
    bool held;

    arena_init(&arena, 1024);
    from = jid_text(&arena, &e->s->from);
    held = may_hold(e, from, &arena);
    if (!held && session_held(e->c, NULL) > 0) {
        bare = jid_bare_text(&arena, &e->s->from);
        session_release(e->w, e->c, is_of, &bare);
    }
    arena_fini(&arena);
    return held ? HOOK_DONE : HOOK_PASS;
}

/* --- The state --- */

static enum hook_result
on_nonza(struct event *e)
{
    if (xml_is(e->el, "inactive", NS_CSI)) {
        session_set_flags(e->w, e->c, ROUTE_CSI_INACTIVE, 0);
    } else if (xml_is(e->el, "active", NS_CSI)) {
        session_set_flags(e->w, e->c, 0, ROUTE_CSI_INACTIVE);
        session_release(e->w, e->c, NULL, NULL);
    } else {
        return HOOK_PASS;
    }
    return HOOK_DONE;
}

/* When it comes back, it is told anew what others have said last: nothing older then.
 */
static enum hook_result
on_presence(struct event *e)
{
    if (!session_is_available(e->c))
        session_release(e->w, e->c, NULL, NULL);
    return HOOK_PASS;
}

static const struct module_hook hooks[] = {
    { HOOK_STREAM_FEATURES, 50, on_features },
    { HOOK_NONZA, 50, on_nonza },
    { HOOK_TO_INACTIVE, 50, on_stanza },
    { HOOK_PRESENCE, 50, on_presence },
    { 0 },
};

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_client_state",
    .doc = "Client state indication (XEP-0352)",
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
};
