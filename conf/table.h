#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* The tables of options: options.def, listen_options.def and modules.def as rows. */
enum conf_type {
#define TYPE(name, ctype, text) CONF_T_##name,
#include "conf/type.def"
#undef TYPE
    CONF_TYPES
};

enum conf_row {
    CONF_ROW_OPTION,
    CONF_ROW_ALIAS,   /* words: the name it has now */
    CONF_ROW_GONE,    /* words: what to do */
    CONF_ROW_SECTION, /* a module or a listener; its options follow */
    CONF_ROW_DEP,     /* of the section above */
    CONF_ROW_CONTRIB,
    CONF_ROW_REMOVED /* words: what to do */
};

enum conf_where {
    CONF_NOWHERE,
    CONF_IN_CONF,
    CONF_IN_HOST,
    CONF_IN_LISTENER
};

struct conf_option {
    enum conf_row row;
    const char *name;
    enum conf_type type;
    const char *words;
    const char *deflt; /* as written in a file; NULL: unset */
    bool host;         /* may stand in host_config */
    bool effect;
    unsigned secret; /* enum conf_secret */
    enum conf_where where;
    size_t offset, size;
    const char *doc;
};

struct conf_table {
    const struct conf_option *row;
    size_t n;
};

extern const struct conf_table conf_options;
extern const struct conf_table conf_listen_options;
extern struct conf_table conf_modules; /* grows at the start: conf/foreign.h */

/* What type.def says of a type, and the size of its field. */
const char *conf_type_text(enum conf_type type);
size_t conf_type_size(enum conf_type type);

/* A row of one of the kinds in kinds (bits 1 << enum conf_row); NULL: none. */
const struct conf_option *conf_table_find(
        const struct conf_table *t, struct str name, unsigned kinds);

/* An option of a section; for listeners those of COMMON too. NULL: none. */
const struct conf_option *conf_section_find(
        const struct conf_table *t, const struct conf_option *section, struct str name);

/*
 * The next row after `at` (NULL: the first) that belongs to the section, DEPs included;
 * NULL at the end.
 */
const struct conf_option *conf_section_next(const struct conf_table *t,
        const struct conf_option *section, const struct conf_option *at);

/* The nearest of some names to what was written; it is near enough to be meant. */
struct conf_guess {
    struct str wanted;
    struct str best; /* STR_NULL: nothing is near */
    unsigned distance;
};
void conf_guess_init(struct conf_guess *g, struct str wanted);
void conf_guess_try(struct conf_guess *g, struct str name);

#endif
