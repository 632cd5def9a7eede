/*
 * listen.c -- listeners
 *
 * Every listener is checked, also those whose module has no effect yet; only the others
 * end up in conf->listeners. Two that would get in each other's way are an error: the
 * second bind() would fail, or worse, succeed.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "conf/bind.h"

struct listen_at {
    struct conf_listener *ln;
    bool udp;
};

static const struct conf_option *
common(void)
{
    return conf_table_find(&conf_listen_options, STR("COMMON"), 1u << CONF_ROW_SECTION);
}

static int
fail_unknown(struct conf_binder *b, const struct conf_option *section,
        const struct conf_node *node)
{
    const struct conf_option *sections[] = { section, common() };
    const struct conf_option *o = NULL;
    struct buf advice = { 0 };
    struct conf_guess g;

    conf_guess_init(&g, node->key->text);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        while ((o = conf_section_next(&conf_listen_options, sections[i], o)))
            conf_guess_try(&g, str_from(o->name));
    if (g.best.p)
        buf_addf(&advice, "did you mean %.*s?", STR_ARG(g.best));
    else if (conf_table_find(&conf_options, node->key->text, 1u << CONF_ROW_OPTION))
        buf_add_c(&advice, "it is an option of the top level");
    else
        buf_add_c(&advice, "stanzad.yml(5) lists the options");
    conf_say(b, CONF_ERROR, node->key->pos, buf_c(&advice),
            "unknown option of a listener of %s: %.*s", section->name,
            STR_ARG(node->key->text));
    buf_fini(&advice);
    return -EINVAL;
}

/* The options that are plain values: checked, and stored where the table says. */
static int
bind_options(struct conf_binder *b, const struct conf_option *section,
        const struct conf_node *map, struct conf_listener *ln)
{
    const struct conf_option *sections[] = { section, common() };
    const struct conf_option *o = NULL;
    struct buf where = { 0 };
    int r = 0, one;

    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        while ((o = conf_section_next(&conf_listen_options, sections[i], o)))
            if (o->where == CONF_IN_LISTENER) {
                assert(o->size == conf_type_size(o->type));
                conf_default(b, o, (char *)ln + o->offset);
            }
    buf_addf(&where, "listen->%s->", section->name);
    conf_node_for(c, map)
    {
        if (conf_node_find(map, c->key->text) != c) {
            conf_say(b, CONF_ERROR, c->key->pos, "remove one of the two",
                    "%s%.*s is given twice", buf_c(&where), STR_ARG(c->key->text));
            r = -EINVAL;
            continue;
        }
        o = conf_section_find(&conf_listen_options, section, c->key->text);
        if (!o) {
            r = fail_unknown(b, section, c);
            continue;
        }
        if (!o->effect && section->effect)
            conf_say(b, CONF_WARNING, c->key->pos, NULL, "%s%s has no effect yet",
                    buf_c(&where), o->name);
        one = conf_value(b, o, buf_c(&where), c,
                o->where == CONF_IN_LISTENER ? (char *)ln + o->offset : NULL);
        if (one < 0)
            r = one;
    }
    buf_fini(&where);
    return r;
}

static int
bind_unix(struct conf_binder *b, const struct conf_node *port, struct conf_listener *ln)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&ln->addr;
    struct str path = { port->text.p + 5, port->text.n - 5 };
    struct buf name = { 0 };

    path = conf_absolute(b, path);
    if (path.n == 0 || path.n >= sizeof un->sun_path) {
        conf_say(b, CONF_ERROR, port->pos, "use a shorter path",
                "listen->port: the path of a Unix socket has 1 to %zu bytes",
                sizeof un->sun_path - 1);
        return -EINVAL;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    ln->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    ln->unix_path = path;
    buf_addf(&name, "unix:%.*s", STR_ARG(path));
    ln->name = str_dup(b->arena, buf_str(&name));
    buf_fini(&name);
    return 0;
}

static int
bind_inet(struct conf_binder *b, const struct conf_node *port,
        const struct conf_node *ip, struct conf_listener *ln)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ln->addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&ln->addr;
    struct str text = ip ? ip->text : STR("0.0.0.0");
    struct buf name = { 0 };
    uint64_t n;
    char c[INET6_ADDRSTRLEN] = "";

    if (!conf_is_number(port, &n) || n > 65535) {
        conf_say(b, CONF_ERROR, port->pos,
                port->kind == CONF_SCALAR && port->quoted
                        ? "remove the quotation marks, or write unix:PATH"
                        : "write a port such as 5222, or unix:PATH",
                "listen->port: expected a number from 0 to 65535, or unix:PATH");
        return -EINVAL;
    }
    if (text.p && text.n < sizeof c)
        memcpy(c, text.p, text.n);
    if (inet_pton(AF_INET, c, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)n);
        ln->addr_len = sizeof *in;
        buf_addf(&name, "%s:%u", c, (unsigned)n);
    } else if (inet_pton(AF_INET6, c, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)n);
        ln->addr_len = sizeof *in6;
        buf_addf(&name, "[%s]:%u", c, (unsigned)n);
    } else {
        conf_say(b, CONF_ERROR, ip ? ip->pos : port->pos,
                "write an address, such as 0.0.0.0, 192.0.2.1 or \"::\"",
                "listen->ip: not an IP address");
        return -EINVAL;
    }
    ln->name = str_dup(b->arena, buf_str(&name));
    buf_fini(&name);
    return 0;
}

static int
bind_unix_mode(
        struct conf_binder *b, const struct conf_node *map, struct conf_listener *ln)
{
    static const struct conf_option mode = {
        .name = "mode", .type = CONF_T_OCTAL, .words = ""
    };
    static const struct conf_option id = {
        .name = "owner and group", .type = CONF_T_NAT, .words = ""
    };
    uint32_t n;
    int r = 0;

    ln->unix_owner = ln->unix_group = -1;
    conf_node_for(c, map)
    {
        bool owner = str_eq_c(c->key->text, "owner");

        if (str_eq_c(c->key->text, "mode")) {
            if (conf_value(b, &mode, "listen->unix_socket->", c, &n) == 0)
                ln->unix_mode = n;
            else
                r = -EINVAL;
        } else if (owner || str_eq_c(c->key->text, "group")) {
            if (conf_value(b, &id, "listen->unix_socket->", c, &n) == 0)
                *(owner ? &ln->unix_owner : &ln->unix_group) = n;
            else
                r = -EINVAL;
        } else {
            conf_say(b, CONF_ERROR, c->key->pos, "use mode, owner or group",
                    "unknown option of listen->unix_socket: %.*s",
                    STR_ARG(c->key->text));
            r = -EINVAL;
        }
    }
    return r;
}

static int
bind_address(struct conf_binder *b, const struct conf_node *map,
        struct conf_listener *ln, bool *ret_udp)
{
    const struct conf_node *port = conf_node_get(map, "port");
    const struct conf_node *ip = conf_node_get(map, "ip");
    const struct conf_node *transport = conf_node_get(map, "transport");
    static const char *const tcp_only[] = { "backlog", "use_proxy_protocol",
        "accept_interval" };
    int r = bind_unix_mode(b, conf_node_get(map, "unix_socket"), ln);

    *ret_udp = transport && str_eq_c(transport->text, "udp");
    for (size_t i = 0; *ret_udp && i < ARRAY_LEN(tcp_only); i++) {
        const struct conf_node *c = conf_node_get(map, tcp_only[i]);

        if (c) {
            conf_say(b, CONF_ERROR, c->key->pos, "remove it",
                    "listen->%s makes no sense with transport: udp", tcp_only[i]);
            r = -EINVAL;
        }
    }
    if (!port) {
        conf_say(b, CONF_ERROR, map->pos, "add, for example, `port: 5222`",
                "a listener without a port");
        return -EINVAL;
    }
    if (port->kind == CONF_SCALAR && str_starts(port->text, STR("unix:")))
        return bind_unix(b, port, ln) < 0 ? -EINVAL : r;
    return bind_inet(b, port, ip, ln) < 0 ? -EINVAL : r;
}

/* Does the address stand for all of its family? */
static bool
is_any(const struct conf_listener *ln)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&ln->addr;
    const struct sockaddr_in6 *in6 =
            (const struct sockaddr_in6 *)(const void *)&ln->addr;

    if (ln->addr.ss_family == AF_INET)
        return in->sin_addr.s_addr == INADDR_ANY;
    return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static bool
overlaps(const struct listen_at *x, const struct listen_at *y)
{
    const struct conf_listener *a = x->ln, *b = y->ln;
    const struct sockaddr_in *a4 = (const struct sockaddr_in *)(const void *)&a->addr;
    const struct sockaddr_in *b4 = (const struct sockaddr_in *)(const void *)&b->addr;
    bool a_is_unix = a->unix_path.p != NULL, b_is_unix = b->unix_path.p != NULL;

    if (a_is_unix || b_is_unix)
        return a_is_unix && b_is_unix && str_eq(a->unix_path, b->unix_path);
    /* The port is at the same place in both families. */
    if (a4->sin_port != b4->sin_port || a4->sin_port == 0 || x->udp != y->udp)
        return false;
    if (str_eq(a->name, b->name))
        return true;
    /* "::" takes IPv4 as well, but leaves it to a listener of its own. */
    return a->addr.ss_family == b->addr.ss_family && (is_any(a) || is_any(b));
}

static int
check_tls(struct conf_binder *b, const struct conf_node *map, struct conf_listener *ln)
{
    const struct conf_node *options = conf_node_get(map, "protocol_options");
    const struct conf_node *starttls = conf_node_get(map, "starttls");

    ln->tls_settings.has_protocol_options = options != NULL;
    if (ln->tls && (ln->starttls || ln->starttls_required)) {
        conf_say(b, CONF_WARNING, (starttls ? starttls : map)->pos,
                "remove one of the two",
                "%.*s: starttls has no meaning when tls is set", STR_ARG(ln->name));
        ln->starttls = ln->starttls_required = false;
    } else if (!ln->tls && (ln->starttls_required || ln->tls_verify)) {
        ln->starttls = true;
    }
    return 0;
}

static void
check_limits(
        struct conf_binder *b, const struct conf_node *map, struct conf_listener *ln)
{
    const struct conf_node *size = conf_node_get(map, "max_stanza_size");
    const struct conf_node *queue = conf_node_get(b->tree->root, "max_fsm_queue");
    uint64_t n;

    if (size && ln->max_stanza_size != CONF_INFINITY &&
            ln->max_stanza_size > CONF_STANZA_SIZE_MAX)
        conf_say(b, CONF_WARNING, size->pos, NULL,
                "max_stanza_size is reduced to its highest value, 10 MiB");
    if (queue && conf_is_number(queue, &n) && !conf_node_get(map, "max_fsm_queue"))
        ln->max_fsm_queue = n;
    if (ln->max_stanza_size > CONF_STANZA_SIZE_MAX)
        ln->max_stanza_size = CONF_STANZA_SIZE_MAX;
    if (ln->pre_auth_max_stanza_size > ln->max_stanza_size)
        ln->pre_auth_max_stanza_size = ln->max_stanza_size;
    if (ln->pre_auth_max_stanza_elements > ln->max_stanza_elements)
        ln->pre_auth_max_stanza_elements = ln->max_stanza_elements;
}

static const struct conf_option *
find_section(struct conf_binder *b, const struct conf_node *map)
{
    const struct conf_node *module = conf_node_get(map, "module");
    const struct conf_option *section = NULL;
    struct buf advice = { 0 };
    struct conf_guess g;

    if (!module || module->kind != CONF_SCALAR) {
        conf_say(b, CONF_ERROR, map->pos, "add `module: ejabberd_c2s` for clients",
                "a listener without a module");
        return NULL;
    }
    if (!str_eq_c(module->text, "COMMON"))
        section = conf_table_find(
                &conf_listen_options, module->text, 1u << CONF_ROW_SECTION);
    if (section)
        return section;
    conf_guess_init(&g, module->text);
    for (size_t i = 0; i < conf_listen_options.n; i++)
        if (conf_listen_options.row[i].row == CONF_ROW_SECTION)
            conf_guess_try(&g, str_from(conf_listen_options.row[i].name));
    if (g.best.p)
        buf_addf(&advice, "did you mean %.*s?", STR_ARG(g.best));
    else
        buf_add_c(&advice, "use ejabberd_c2s for clients");
    conf_say(b, CONF_ERROR, module->pos, buf_c(&advice),
            "unknown module of a listener: %.*s", STR_ARG(module->text));
    buf_fini(&advice);
    return NULL;
}

static int
bind_one(struct conf_binder *b, const struct conf_node *map, struct conf_listener *ln,
        bool *ret_udp, bool *ret_effect)
{
    const struct conf_option *section;
    int r, one;

    if (map->kind != CONF_MAP) {
        conf_say(b, CONF_ERROR, map->pos, "write `- port: 5222` and its options below",
                "a listener must be a map of options");
        return -EINVAL;
    }
    section = find_section(b, map);
    if (!section)
        return -EINVAL;
    *ret_effect = section->effect;
    ln->pos = map->pos;
    r = bind_options(b, section, map, ln);
    one = bind_address(b, map, ln, ret_udp);
    if (r < 0 || one < 0)
        return -EINVAL;
    if (!section->effect) {
        conf_say(b, CONF_WARNING, map->pos, NULL,
                "the listener %.*s is ignored: %s has no effect yet", STR_ARG(ln->name),
                section->name);
        return 0;
    }
    if (*ret_udp) {
        conf_say(b, CONF_ERROR, map->pos, "remove transport",
                "%s is not spoken over udp", section->name);
        return -EINVAL;
    }
    check_limits(b, map, ln);
    return check_tls(b, map, ln);
}

int
conf_bind_listeners(struct conf_binder *b, const struct conf_node *list)
{
    struct conf *conf = b->conf;
    struct listen_at *all;
    size_t n = 0;
    int r = 0;

    if (list->kind != CONF_LIST || list->n > CONF_LISTENERS_MAX) {
        conf_say(b, CONF_ERROR, list->pos, "write each listener as `- port: 5222`",
                "listen must be a list of at most %d listeners", CONF_LISTENERS_MAX);
        return -EINVAL;
    }
    conf->n_listeners = 0;
    conf->listeners = arena_zalloc(b->arena, (list->n + 1) * sizeof *conf->listeners);
    all = arena_zalloc(b->arena, (list->n + 1) * sizeof *all);
    conf_node_for(c, list)
    {
        struct conf_listener *ln = arena_new(b->arena, struct conf_listener);
        bool effect = false;

        all[n].ln = ln;
        if (bind_one(b, c, ln, &all[n].udp, &effect) < 0) {
            r = -EINVAL;
            continue;
        }
        for (size_t i = 0; i < n; i++)
            if (overlaps(&all[i], &all[n])) {
                conf_say(b, CONF_ERROR, ln->pos,
                        "change the port or the address of one",
                        "the listeners %.*s and %.*s (line %u) overlap",
                        STR_ARG(ln->name), STR_ARG(all[i].ln->name),
                        all[i].ln->pos.line);
                r = -EINVAL;
                break;
            }
        n++;
        if (effect)
            conf->listeners[conf->n_listeners++] = *ln;
    }
    return r;
}
