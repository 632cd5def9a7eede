/*
 * table.c -- the tables of options
 *
 * The three .def files are the only place that names an option. A section (a module, a
 * kind of listener) is a row, and its options are the rows up to the next section.
 */
#include "conf/table.h"

#include <stddef.h>

#include "base/mem.h"
#include "conf/bind.h"
#include "conf/conf.h"

#define YES     true
#define NO      false
#define GLOBAL  false
#define HOST    true
#define NOWHERE .where = CONF_NOWHERE
#define FIELD(in, type, x) \
    .where = (in), .offset = offsetof(type, x), .size = sizeof(((type *)0)->x)
#define C(x) FIELD(CONF_IN_CONF, struct conf, x)
#define H(x) FIELD(CONF_IN_HOST, struct conf_host, x)
#define L(x) FIELD(CONF_IN_LISTENER, struct conf_listener, x)

#define ROW(kind, rowname, ...) \
    { .row = CONF_ROW_##kind, .name = #rowname, __VA_ARGS__ },
#define ALIAS(name, new)   ROW(ALIAS, name, .words = #new)
#define GONE(name, advice) ROW(GONE, name, .words = advice)

static const struct conf_option options[] = {
#define OPT(name, t, w, d, scope, eff, sec, field, sentence)                       \
    ROW(OPTION, name, .type = CONF_T_##t, .words = w, .deflt = d, .host = (scope), \
            .effect = (eff), .secret = (sec), .doc = sentence, field)
#include "conf/options.def"
#undef OPT
};

static const struct conf_option listen_options[] = {
#define LISTENER(name, eff, sentence) \
    ROW(SECTION, name, .effect = (eff), .doc = sentence)
#define LOPT(name, t, w, d, eff, sec, field, sentence)                             \
    ROW(OPTION, name, .type = CONF_T_##t, .words = w, .deflt = d, .effect = (eff), \
            .secret = (sec), .doc = sentence, field)
#include "conf/listen_options.def"
};

static const struct conf_option modules[] = {
#define MODULE(name, eff, sentence) ROW(SECTION, name, .effect = (eff), .doc = sentence)
#define MOPT(name, t, w, d, sec)                                                   \
    ROW(OPTION, name, .type = CONF_T_##t, .words = w, .deflt = d, .secret = (sec), \
            .effect = true, NOWHERE)
#define MOPT_NO(name, t, w, d, sec)                                                \
    ROW(OPTION, name, .type = CONF_T_##t, .words = w, .deflt = d, .secret = (sec), \
            .effect = false, NOWHERE)
#define MDEP(name)            ROW(DEP, name, .effect = true)
#define CONTRIB(name)         ROW(CONTRIB, name, .effect = false)
#define REMOVED(name, advice) ROW(REMOVED, name, .words = advice)
#include "conf/modules.def"
};

const struct conf_table conf_options = { options, ARRAY_LEN(options) };
const struct conf_table conf_listen_options = { listen_options,
    ARRAY_LEN(listen_options) };
struct conf_table conf_modules = { modules, ARRAY_LEN(modules) };

static const struct {
    const char *text;
    size_t size;
} types[] = {
#define TYPE(name, ctype, what) { what, sizeof(ctype) },
#include "conf/type.def"
#undef TYPE
};

const char *
conf_type_text(enum conf_type type)
{
    return types[type].text;
}

size_t
conf_type_size(enum conf_type type)
{
    return types[type].size;
}

const struct conf_option *
conf_table_find(const struct conf_table *t, struct str name, unsigned kinds)
{
    for (size_t i = 0; i < t->n; i++)
        if ((kinds & 1u << t->row[i].row) && str_eq_c(name, t->row[i].name))
            return &t->row[i];
    return NULL;
}

const struct conf_option *
conf_section_next(const struct conf_table *t, const struct conf_option *section,
        const struct conf_option *at)
{
    const struct conf_option *next = at ? at + 1 : section + 1;

    if (next == t->row + t->n)
        return NULL;
    return next->row == CONF_ROW_OPTION || next->row == CONF_ROW_DEP ? next : NULL;
}

const struct conf_option *
conf_section_find(
        const struct conf_table *t, const struct conf_option *section, struct str name)
{
    const struct conf_option *o = NULL, *common;

    while ((o = conf_section_next(t, section, o)))
        if (o->row == CONF_ROW_OPTION && str_eq_c(name, o->name))
            return o;
    common = conf_table_find(t, STR("COMMON"), 1u << CONF_ROW_SECTION);
    return common && common != section ? conf_section_find(t, common, name) : NULL;
}

void
conf_guess_init(struct conf_guess *g, struct str wanted)
{
    size_t far = wanted.n / 3 < 2 ? 2 : wanted.n / 3;

    *g = (struct conf_guess){ .wanted = wanted, .distance = (unsigned)far + 1 };
    if (wanted.n <= 2)
        g->distance = 2;
}

void
conf_guess_try(struct conf_guess *g, struct str name)
{
    unsigned d = str_distance(g->wanted, name);

    if (d < g->distance) {
        g->distance = d;
        g->best = name;
    }
}
