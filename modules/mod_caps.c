/*
 * mod_caps.c -- entity capabilities (XEP-0115)
 *
 * Other modules ask session_caps() and are told by HOOK_CAPS; how a client's features
 * are found out is in caps_ask.c. The server's own are a hash of what mod_disco and the
 * hooks of others say of it to everybody, and are announced in the stream features.
 */
#include "modules/caps.h"

#define OWN_NODE "urn:x-stanzad:server"
#define OWN_HASH "sha-1"

enum {
    ORDER_AFTER = 90 /* HOOK_CAPS comes after what others do with a presence */
};

/* What the server says of itself, as children of query. */
static void
own_info(struct event *e, struct xml_el *query)
{
    struct event info = { .w = e->w,
        .host = e->host,
        .arena = query->arena,
        .disco_to = { .domain = e->host->name },
        .query = query };

    hook_run(e->w, HOOK_DISCO_INFO, &info);
}

/* Empty: nothing could be said. */
static struct str
own_ver(struct event *e)
{
    struct caps_config *config = e->config;
    struct caps_info info;
    struct arena arena;
    struct xml_el *query;
    struct str ver;

    if (config->own_ver.n || !host_has_module(e->w, e->host, "mod_disco"))
        return config->own_ver;
    arena_init(&arena, 4096);
    query = xml_el_new(&arena, "query", NS_DISCO_INFO);
    own_info(e, query);
    if (caps_read(&arena, query, &info) == 0 &&
            caps_ver(&arena, STR(OWN_HASH), &info, &ver) == 0 &&
            ver.n <= sizeof config->own_ver_text) {
        memcpy(config->own_ver_text, ver.p, ver.n);
        config->own_ver = (struct str){ config->own_ver_text, ver.n };
    } else {
        log_warning(NULL, "mod_caps: %.*s cannot announce what it can do",
                STR_ARG(e->host->name));
    }
    arena_fini(&arena);
    return config->own_ver;
}

static enum hook_result
on_features(struct event *e)
{
    struct str ver = own_ver(e);

    if (ver.n == 0)
        return HOOK_PASS;
    xml_open(e->out, "c");
    xml_put(e->out, "xmlns", STR(NS_CAPS));
    xml_put(e->out, "hash", STR(OWN_HASH));
    xml_put(e->out, "node", STR(OWN_NODE));
    xml_put(e->out, "ver", ver);
    buf_add_c(e->out, "/>");
    return HOOK_PASS;
}

/* A question for the node that we announced (6.2). */
static enum hook_result
on_info(struct event *e)
{
    struct str rest = e->node, ver;

    if (e->disco_to.local.n || !str_starts(rest, STR(OWN_NODE "#")))
        return HOOK_PASS;
    rest.p += sizeof OWN_NODE;
    rest.n -= sizeof OWN_NODE;
    ver = own_ver(e);
    if (ver.n == 0 || !str_eq(rest, ver))
        return HOOK_PASS;
    own_info(e, e->query);
    return HOOK_DONE;
}

static enum hook_result
on_presence(struct event *e)
{
    caps_examine(e, e->c);
    return HOOK_PASS;
}

/* After a death or a reload: sessions whose capabilities nobody remembers. */
static enum hook_result
on_account(struct event *e)
{
    const struct client_caps *caps;
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(e->w, e->account, &at))) {
        if (session_caps(e->w, c, &caps) != SESSION_CAPS_KNOWN)
            caps_examine(e, c);
    }
    return HOOK_PASS;
}

static enum hook_result
on_close(struct event *e)
{
    caps_asked_forget(e->config, conn_id(e->w, e->c));
    return HOOK_PASS;
}

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct caps_config *config = mem_zalloc(sizeof *config);

    config->host = host;
    config->settings = conf_module_cache(host, options);
    list_init(&config->used);
    return config;
}

static void
unconfigure(void *arg)
{
    struct caps_config *config = arg;

    caps_cache_fini(config);
    caps_ask_fini(config);
    mem_free_p(config);
}

static const struct module_hook hooks[] = {
    { HOOK_STREAM_FEATURES, 50, on_features },
    { HOOK_DISCO_INFO, 50, on_info },
    { HOOK_PRESENCE, ORDER_AFTER, on_presence },
    { HOOK_SESSION_MOVED, ORDER_AFTER, on_presence },
    { HOOK_SESSION_CLOSE, ORDER_AFTER, on_close },
    { HOOK_ACCOUNT_LOADED, ORDER_AFTER, on_account },
    { 0 },
};

static const char *const features[] = { NS_CAPS, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_caps",
    .doc = "Entity capabilities (XEP-0115)",
    .features = features,
    .configure = configure,
    .unconfigure = unconfigure,
    .hooks = hooks,
    .steps = caps_steps,
    .n_steps = CAPS_STEPS,
};
