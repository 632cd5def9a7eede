/*
 * pool.c -- parsers that connections take turns with
 *
 * A parser between two stanzas holds nothing that belongs to its connection: expat
 * knows that one element, the root, is open, and the same is true of every stream. So a
 * parser is primed with a root once, lent to whoever has bytes to be parsed, and taken
 * back as soon as it is idle. An idle connection costs no parser.
 *
 * Expat never forgets a name it has seen. Its allocations are counted, and a parser
 * that has grown beyond EXPAT_SIZE_MAX is not lent again.
 */
#include "xml/parser_priv.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    N_IDLE_MAX = 128,
    N_IDLE_KEPT = 4, /* though nobody needed them for a while */
    ARENA_CHUNK = 4096 - 64,
    KEEP_SIZE = 4096, /* of buffers of an idle parser */
    TAG_SIZE_MAX = 65536
};

const struct str XML_SCOPES_NONE = { "\0", 2 };

/* Newer expat only; where it is missing there is nothing to switch off. */
extern XML_Bool XML_SetReparseDeferralEnabled(XML_Parser parser, XML_Bool enabled)
        __attribute__((weak));

/*
 * Expat's allocation functions get no context, so the parser at work is noted here.
 * Each block is preceded by its size.
 */
static _Thread_local struct xml_parser *payer;

struct block {
    size_t size;
    alignas(max_align_t) char data[];
};

static void
pay(int64_t size)
{
    if (payer)
        payer->expat_size += (size_t)size;
}

static void *
expat_realloc(void *p, size_t size)
{
    struct block *b = p ? container_of(p, struct block, data) : NULL;

    pay((int64_t)size - (b ? (int64_t)b->size : 0));
    b = mem_realloc(b, sizeof *b + size);
    b->size = size;
    return b->data;
}

static void *
expat_malloc(size_t size)
{
    return expat_realloc(NULL, size);
}

static void
expat_free(void *p)
{
    struct block *b;

    if (!p)
        return;
    b = container_of(p, struct block, data);
    pay(-(int64_t)b->size);
    mem_free_p(b);
}

struct xml_parser *
xml_parser_account(struct xml_parser *p)
{
    struct xml_parser *before = payer;

    payer = p;
    return before;
}

void
xml_parser_make_expat(struct xml_parser *p, bool primed)
{
    static const XML_Memory_Handling_Suite suite = { expat_malloc, expat_realloc,
        expat_free };
    struct xml_parser *before = xml_parser_account(p);
    struct buf root = { 0 };

    assert(!p->expat);
    p->expat_size = 0;
    p->expat_n = 0;
    p->expat = XML_ParserCreate_MM("UTF-8", &suite, NULL);
    assert(p->expat);
    if (XML_SetReparseDeferralEnabled)
        XML_SetReparseDeferralEnabled(p->expat, XML_FALSE);
    if (primed) {
        buf_addf(&root, "<%s>", p->pool->root);
        if (XML_Parse(p->expat, root.p, (int)root.n, 0) != XML_STATUS_OK)
            abort();
        p->expat_n = (int64_t)root.n;
        buf_fini(&root);
    }
    xml_parser_account(before);
    xml_parser_set_callbacks(p);
    p->pool->stats.created++;
}

void
xml_parser_drop_expat(struct xml_parser *p)
{
    struct xml_parser *before = xml_parser_account(p);

    XML_ParserFree(p->expat);
    xml_parser_account(before);
    assert(p->expat_size == 0);
    p->expat = NULL;
}

struct xml_pool *
xml_pool_new(const char *root, const char *root_ns, const char *default_ns)
{
    struct xml_pool *pool = mem_zalloc(sizeof *pool);
    struct str name = str_from(root), prefix;

    list_init(&pool->idle);
    pool->root = root;
    str_cut(&name, ':', &prefix);
    pool->root_prefix = name.p ? prefix : STR("");
    pool->root_ns = str_from(root_ns);
    pool->default_ns = str_from(default_ns);
    return pool;
}

static void
parser_free(struct xml_parser *p)
{
    xml_parser_drop_expat(p);
    arena_fini(&p->own);
    buf_fini(&p->text);
    buf_fini(&p->attrs);
    buf_fini(&p->held);
    buf_fini(&p->header_scopes);
    xml_scopes_fini(&p->scopes);
    mem_free_p(p);
}

void
xml_pool_free(struct xml_pool **pool)
{
    if (!*pool)
        return;
    assert((*pool)->stats.n_out == 0);
    list_for_safe(node, &(*pool)->idle)
            parser_free(list_entry(node, struct xml_parser, node));
    mem_free(pool);
}

/* What was in the pool at all times since the last call, nobody has needed. */
size_t
xml_pool_trim(struct xml_pool *pool)
{
    size_t n = pool->n_unused > N_IDLE_KEPT ? pool->n_unused - N_IDLE_KEPT : 0;

    for (size_t i = 0; i < n; i++) {
        struct xml_parser *p = list_entry(pool->idle.prev, struct xml_parser, node);

        list_del(&p->node);
        parser_free(p);
    }
    pool->stats.n_idle -= n;
    pool->n_unused = pool->stats.n_idle;
    return n;
}

void
xml_pool_use_expat(struct xml_pool *pool)
{
    pool->only_expat = true;
}

void
xml_pool_stats(const struct xml_pool *pool, struct xml_pool_stats *ret_stats)
{
    *ret_stats = pool->stats;
}

void
xml_parser_set_limits(struct xml_parser *p, const struct xml_limits *limits)
{
    static const struct xml_limits defaults = {
        .stanza_size_max = 262144,
        .tag_size_max = 16384,
        .depth_max = 100,
        .attrs_max = 100,
        .elements_max = 10000,
        .namespaces_max = 64,
    };
    struct xml_limits l = limits ? *limits : defaults;

#define DEFAULT(member) l.member = l.member ? l.member : defaults.member
    DEFAULT(stanza_size_max);
    DEFAULT(tag_size_max);
    DEFAULT(depth_max);
    DEFAULT(attrs_max);
    DEFAULT(elements_max);
    DEFAULT(namespaces_max);
#undef DEFAULT
    if (l.tag_size_max > TAG_SIZE_MAX)
        l.tag_size_max = TAG_SIZE_MAX;
    if (l.tag_size_max > l.stanza_size_max)
        l.tag_size_max = l.stanza_size_max;
    p->limits = l;
}

static struct xml_parser *
parser_new(struct xml_pool *pool, bool primed)
{
    struct xml_parser *p = mem_zalloc(sizeof *p);

    p->magic = XML_PARSER_MAGIC;
    p->pool = pool;
    list_init(&p->node);
    arena_init(&p->own, ARENA_CHUNK);
    xml_parser_make_expat(p, primed);
    return p;
}

static struct xml_parser *
parser_lend(struct xml_parser *p, enum xml_parser_state state,
        const struct xml_limits *limits, const struct xml_handlers *handlers, void *arg)
{
    p->state = state;
    p->arena = &p->own;
    p->handlers = handlers;
    p->arg = arg;
    xml_parser_set_limits(p, limits);
    p->pool->stats.n_out++;
    return p;
}

struct xml_parser *
xml_parser_open(struct xml_pool *pool, const struct xml_limits *limits,
        const struct xml_handlers *handlers, void *arg)
{
    return parser_lend(parser_new(pool, false), XML_AT_HEADER, limits, handlers, arg);
}

struct xml_parser *
xml_parser_get(struct xml_pool *pool, const struct xml_limits *limits,
        struct str scopes, const struct xml_handlers *handlers, void *arg)
{
    struct xml_parser *p;

    if (list_empty(&pool->idle)) {
        p = parser_new(pool, true);
    } else {
        p = list_entry(pool->idle.next, struct xml_parser, node);
        list_del(&p->node);
        pool->stats.n_idle--;
        pool->stats.reused++;
        if (pool->n_unused > pool->stats.n_idle)
            pool->n_unused = pool->stats.n_idle;
    }
    if (scopes.n > 0) {
        xml_scopes_load(&p->scopes, scopes);
    } else {
        xml_scopes_declare(&p->scopes, pool->root_prefix, pool->root_ns, 0);
        xml_scopes_declare(&p->scopes, STR(""), pool->default_ns, 0);
    }
    return parser_lend(p, XML_IN_STREAM, limits, handlers, arg);
}

void
xml_parser_put(struct xml_parser **ptr)
{
    struct xml_parser *p = *ptr;
    struct xml_pool *pool;

    *ptr = NULL;
    if (!p)
        return;
    assert(p->magic == XML_PARSER_MAGIC);
    pool = p->pool;
    pool->stats.n_out--;
    if (!(xml_parser_idle(p) || p->rested) || p->expat_size > EXPAT_SIZE_MAX ||
            pool->stats.n_idle >= N_IDLE_MAX) {
        pool->stats.worn += p->expat_size > EXPAT_SIZE_MAX;
        parser_free(p);
        return;
    }
    p->scopes.n = 0;
    p->n_fed = p->stanza_at = 0;
    p->error = XML_OK;
    p->rested = false;
    p->n_space = 0;
    p->handlers = NULL;
    p->arg = NULL;
    arena_reset(&p->own);
    buf_reset(&p->text, KEEP_SIZE);
    buf_reset(&p->attrs, KEEP_SIZE);
    buf_reset(&p->held, KEEP_SIZE);
    buf_fini(&p->header_scopes);
    list_push(&pool->idle, &p->node);
    pool->stats.n_idle++;
}

struct one {
    struct xml_el *el;
    bool more;
};

static bool
one_on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct one *one = arg;

    (void)end;
    one->more = one->el != NULL;
    one->el = el;
    return !one->more;
}

static bool
one_on_close(void *arg, size_t end)
{
    (void)end;
    ((struct one *)arg)->more = true;
    return false;
}

enum xml_error
xml_parse(struct xml_pool *pool, const struct xml_limits *limits, struct arena *arena,
        struct str text, const char *default_ns, struct xml_el **ret_el)
{
    static const struct xml_handlers handlers = {
        .on_stanza = one_on_stanza,
        .on_close = one_on_close,
    };
    struct one one = { 0 };
    struct xml_parser *p =
            xml_parser_get(pool, limits, XML_SCOPES_NONE, &handlers, &one);
    enum xml_error e;

    p->arena = arena;
    xml_scopes_declare(&p->scopes, STR(""), str_from(default_ns), 0);
    text = str_trim(text);
    e = xml_parser_feed(p, text.p, text.n);
    if (e == XML_STOPPED || (e == XML_OK && (!one.el || !xml_parser_idle(p))))
        e = XML_ERR_NOT_WELL_FORMED;
    if (e == XML_OK)
        *ret_el = one.el;
    xml_parser_put(&p);
    return e;
}
