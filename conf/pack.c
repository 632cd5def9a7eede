/*
 * pack.c -- a configuration for another process
 *
 * Not the values travel but the resolved tree, and the receiver binds it like the file:
 * so there is one way to make a struct conf. What has no effect stays behind, and so do
 * secrets that the receiver has no business with. What the master found out about the
 * machine (number of cores, its name, paths) goes along, because a process in an empty
 * directory would find out something else.
 *
 *   "STZC" 1, workers, fqdn, home, database_path, log_path, version, path,
 *   number of files, their names, the root
 *   node: kind | quoted << 2 | has_key << 3, file, line, column, [key node],
 *         scalar: text; list or map: number of children, children
 *   Numbers are LEB128; text is its length and its bytes.
 */
#include <errno.h>

#include "base/mem.h"
#include "conf/bind.h"

static const char magic[5] = { 'S', 'T', 'Z', 'C', 1 };

static void
put_number(struct buf *out, uint64_t n)
{
    while (n >= 0x80) {
        buf_add_char(out, (char)(0x80 | (n & 0x7f)));
        n >>= 7;
    }
    buf_add_char(out, (char)n);
}

static void
put_text(struct buf *out, struct str s)
{
    put_number(out, s.n);
    buf_add_str(out, s);
}

/* Where in the tree a node is: what may be left out depends on it. */
enum pack_place {
    PACK_ANYWHERE,
    PACK_TOP,
    PACK_HOSTS,
    PACK_HOST,
    PACK_LISTENERS,
    PACK_LISTENER,
    PACK_MODULES,
    PACK_MODULE
};

struct packer {
    const struct conf_tree *tree;
    struct buf *out;
    unsigned may_see;
};

static const struct conf_option *
section_of(enum pack_place place, const struct conf_node *node)
{
    const struct conf_node *module;

    if (place == PACK_MODULE)
        return conf_table_find(&conf_modules, node->key->text, 1u << CONF_ROW_SECTION);
    module = conf_node_get(node, "module");
    return module ? conf_table_find(
                            &conf_listen_options, module->text, 1u << CONF_ROW_SECTION)
                  : NULL;
}

static bool
may_see(const struct packer *p, const struct conf_option *opt)
{
    return opt && (!opt->secret || (opt->secret & p->may_see));
}

static bool
is_kept(const struct packer *p, enum pack_place place, const struct conf_node *parent,
        const struct conf_node *child)
{
    const struct conf_option *opt, *section;

    switch (place) {
    case PACK_TOP:
    case PACK_HOST:
        opt = conf_table_find(&conf_options, child->key->text, 1u << CONF_ROW_OPTION);
        return may_see(p, opt) && (opt->effect || opt->where != CONF_NOWHERE);
    case PACK_LISTENERS:
        section = section_of(PACK_LISTENER, child);
        return section && section->effect;
    case PACK_LISTENER:
        return may_see(p, conf_section_find(&conf_listen_options,
                                  section_of(place, parent), child->key->text));
    case PACK_MODULES:
        return section_of(PACK_MODULE, child) != NULL;
    case PACK_MODULE:
        return may_see(p, conf_section_find(&conf_modules, section_of(place, parent),
                                  child->key->text));
    case PACK_HOSTS:
    case PACK_ANYWHERE:
        return true;
    }
    return true;
}

static enum pack_place
place_of(enum pack_place place, const struct conf_node *child)
{
    const struct conf_option *opt;

    switch (place) {
    case PACK_TOP:
    case PACK_HOST:
        opt = conf_table_find(&conf_options, child->key->text, 1u << CONF_ROW_OPTION);
        return opt->type == CONF_T_LISTEN        ? PACK_LISTENERS
               : opt->type == CONF_T_MODULES     ? PACK_MODULES
               : opt->type == CONF_T_HOST_CONFIG ? PACK_HOSTS
                                                 : PACK_ANYWHERE;
    case PACK_HOSTS:
        return PACK_HOST;
    case PACK_LISTENERS:
        return PACK_LISTENER;
    case PACK_MODULES:
        return PACK_MODULE;
    case PACK_LISTENER:
    case PACK_MODULE:
    case PACK_ANYWHERE:
        return PACK_ANYWHERE;
    }
    return PACK_ANYWHERE;
}

static void
put_node(struct packer *p, enum pack_place place, const struct conf_node *node)
{
    size_t file = 0, n = 0;

    while (file < p->tree->n_files && p->tree->files[file] != node->pos.file)
        file++;
    buf_add_char(p->out, (char)((unsigned)node->kind | (unsigned)node->quoted << 2 |
                                 (unsigned)(node->key != NULL) << 3));
    put_number(p->out, file);
    put_number(p->out, node->pos.line);
    put_number(p->out, node->pos.column);
    if (node->key)
        put_node(p, PACK_ANYWHERE, node->key);
    if (node->kind == CONF_SCALAR) {
        put_text(p->out, node->text);
        return;
    }
    conf_node_for(c, node) n += is_kept(p, place, node, c);
    put_number(p->out, n);
    conf_node_for(c, node) if (is_kept(p, place, node, c))
            put_node(p, place_of(place, c), c);
}

void
conf_pack(const struct conf *conf, unsigned may_see_bits, struct buf *out)
{
    struct packer p = { .tree = conf->tree, .out = out, .may_see = may_see_bits };

    buf_add(out, magic, sizeof magic);
    put_number(out, conf->workers);
    put_text(out, conf->fqdn);
    put_text(out, conf->home);
    put_text(out, conf->database_path);
    put_text(out, conf->log_path);
    put_text(out, conf->version);
    put_text(out, conf->path);
    put_number(out, conf->tree->n_files);
    for (size_t i = 0; i < conf->tree->n_files; i++)
        put_text(out, str_from(conf->tree->files[i]));
    put_node(&p, PACK_TOP, conf->tree->root);
}

struct unpacker {
    struct arena *arena;
    struct conf_tree *tree;
    struct str in;
};

static int
get_number(struct unpacker *u, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    for (unsigned shift = 0; shift < 63; shift += 7) {
        unsigned char c;

        if (u->in.n == 0)
            return -EBADMSG;
        c = (unsigned char)*u->in.p++;
        u->in.n--;
        n |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            if (n > max)
                return -EBADMSG;
            *ret = n;
            return 0;
        }
    }
    return -EBADMSG;
}

/*
 * A view of the input; text never holds a zero byte, because it ends up in C strings.
 */
static int
get_text(struct unpacker *u, struct str *ret)
{
    uint64_t n;

    if (get_number(u, u->in.n, &n) < 0 || n > u->in.n || (n && memchr(u->in.p, 0, n)))
        return -EBADMSG;
    *ret = (struct str){ u->in.p, (size_t)n };
    u->in.p += n;
    u->in.n -= (size_t)n;
    return 0;
}

static int get_node(struct unpacker *u, unsigned depth, struct conf_node **ret);

static int
get_children(struct unpacker *u, unsigned depth, struct conf_node *node)
{
    struct conf_node *child;
    uint64_t n;

    if (get_number(u, u->in.n, &n) < 0)
        return -EBADMSG;
    while (n--) {
        if (get_node(u, depth + 1, &child) < 0 ||
                (child->key != NULL) != (node->kind == CONF_MAP))
            return -EBADMSG;
        conf_node_add(node, child);
    }
    return 0;
}

static int
get_node(struct unpacker *u, unsigned depth, struct conf_node **ret)
{
    struct conf_node *key = NULL, *node;
    struct conf_pos pos = { 0 };
    uint64_t head, file, line, column;
    struct str text;

    if (depth > CONF_DEPTH_MAX + 2 || get_number(u, 15, &head) < 0 ||
            (head & 3) > CONF_MAP || get_number(u, CONF_FILES_MAX, &file) < 0 ||
            get_number(u, UINT32_MAX, &line) < 0 ||
            get_number(u, UINT32_MAX, &column) < 0)
        return -EBADMSG;
    if (file < u->tree->n_files)
        pos = (struct conf_pos){ u->tree->files[file], (uint32_t)line,
            (uint32_t)column };
    if ((head & 8) &&
            (get_node(u, depth + 1, &key) < 0 || key->kind != CONF_SCALAR || key->key))
        return -EBADMSG;
    if ((head & 3) == CONF_SCALAR) {
        if (get_text(u, &text) < 0)
            return -EBADMSG;
        node = conf_node_scalar(u->arena, u->tree, text, (head & 4) != 0, pos);
        if (!node)
            return -EBADMSG;
    } else {
        node = conf_node_new(u->arena, u->tree, (enum conf_kind)(head & 3), pos);
        if (!node || get_children(u, depth, node) < 0)
            return -EBADMSG;
    }
    node->key = key;
    *ret = node;
    return 0;
}

static int
get_files(struct unpacker *u)
{
    uint64_t n;
    struct str name;

    if (get_number(u, CONF_FILES_MAX, &n) < 0)
        return -EBADMSG;
    for (; n; n--) {
        if (get_text(u, &name) < 0)
            return -EBADMSG;
        u->tree->files[u->tree->n_files++] = str_dup_c(u->arena, name);
    }
    return 0;
}

int
conf_unpack(struct str packed, const struct conf_loader *loader, struct conf **ret_conf)
{
    struct conf *conf = mem_zalloc(sizeof *conf);
    struct conf_loader own = loader ? *loader : (struct conf_loader){ 0 };
    struct conf_report report;
    struct conf_binder b = {
        .conf = conf, .arena = &conf->arena, .loader = &own, .report = &report
    };
    struct unpacker u = { .arena = &conf->arena, .in = packed };
    struct str fqdn, *texts[] = { &fqdn, &conf->home, &conf->database_path,
        &conf->log_path, &conf->version, &conf->path };
    uint64_t workers;
    int r = -EBADMSG;

    own.skip_files = true;
    conf_report_init(&report);
    arena_init(&conf->arena, 16384);
    u.tree = b.tree = conf->tree = arena_new(&conf->arena, struct conf_tree);
    if (!str_starts(u.in, (struct str){ magic, sizeof magic }))
        goto out;
    u.in.p += sizeof magic;
    u.in.n -= sizeof magic;
    if (get_number(&u, 256, &workers) < 0)
        goto out;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (get_text(&u, texts[i]) < 0)
            goto out;
        *texts[i] = str_dup(&conf->arena, *texts[i]);
    }
    if (get_files(&u) < 0 || get_node(&u, 0, &conf->tree->root) < 0 || u.in.n ||
            conf->tree->root->kind != CONF_MAP || conf->tree->root->key)
        goto out;
    b.path = conf->path.p;
    r = conf_bind(&b) < 0 || report.n_errors ? -EINVAL : 0;
    conf->workers = (uint32_t)workers;
    conf->fqdn = fqdn;
out:
    conf_report_fini(&report);
    if (r < 0)
        conf_free(&conf);
    else
        *ret_conf = conf;
    return r;
}
