/*
 * foreign.c -- the options of modules that others have written
 *
 * The table of modules grows at the start of each process, before anybody looks at it;
 * then it stays as it is: rows are pointed to.
 */
#include "conf/foreign.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "conf/table.h"

#ifndef MODULEDIR
#define MODULEDIR "/usr/local/lib/stanzad"
#endif

enum {
    FILE_MAX = 64 * 1024,
    LINE_MAX_OURS = 1024,
    FIELDS = 5,
    PATH_SIZE = 4096
};

/* Words of a row live as long as the process. */
static const char *
keep(struct str s)
{
    static struct arena words;

    if (words.chunk_size == 0)
        arena_init(&words, 1024);
    return str_dup_c(&words, s);
}

static bool
type_from(struct str name, enum conf_type *ret)
{
    static const char *const names[] = {
#define TYPE(name, ctype, text) #name,
#include "conf/type.def"
#undef TYPE
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (!str_eq_c(name, names[i]))
            continue;
        *ret = (enum conf_type)i;
        return true;
    }
    return false;
}

static bool
is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.n > 0;
}

static size_t
fields_of(struct str line, struct str ret[FIELDS])
{
    size_t n = 0;

    while (n < FIELDS && str_cut(&line, '|', &ret[n])) {
        ret[n] = str_trim(ret[n]);
        n++;
    }
    return n;
}

/* "option | name | TYPE words | default | sentence", where words may have bars. */
static int
read_option(struct str line, struct conf_option *o)
{
    struct str rest = line, kind, name, type, deflt, doc;
    size_t at, bars = 0;

    if (!str_cut(&rest, '|', &kind) || !str_cut(&rest, '|', &name) || !rest.p)
        return -EINVAL;
    for (at = rest.n; at > 0 && bars < 2; at--)
        bars += rest.p[at - 1] == '|';
    if (bars < 2)
        return -EINVAL;
    type = str_trim((struct str){ rest.p, at });
    rest = (struct str){ rest.p + at + 1, rest.n - at - 1 };
    if (!str_cut(&rest, '|', &deflt))
        return -EINVAL;
    doc = str_trim(rest);
    deflt = str_trim(deflt);
    name = str_trim(name);
    *o = (struct conf_option){ .row = CONF_ROW_OPTION, .effect = true };
    rest = type;
    str_cut(&rest, ' ', &type);
    if (!is_name(name) || !type_from(type, &o->type))
        return -EINVAL;
    o->name = keep(name);
    o->words = keep(str_trim(rest));
    o->deflt = deflt.n ? keep(deflt) : NULL;
    o->doc = keep(doc);
    return 0;
}

static int
read_line(struct str line, struct conf_option *o)
{
    struct str f[FIELDS] = { STR_NULL };
    size_t n = fields_of(line, f);

    if (str_eq(f[0], STR("option")))
        return read_option(line, o);
    if (!is_name(f[1]) || !str_starts(f[1], STR("mod_")))
        return -EINVAL;
    if (str_eq(f[0], STR("module")) && n == 3) {
        *o = (struct conf_option){ .row = CONF_ROW_SECTION,
            .effect = true,
            .name = keep(f[1]),
            .doc = keep(f[2]) };
        return 0;
    }
    if (str_eq(f[0], STR("needs")) && n == 2) {
        *o = (struct conf_option){ .row = CONF_ROW_DEP, .name = keep(f[1]) };
        return 0;
    }
    return -EINVAL;
}

/* Before anybody has a pointer to a row. The first table is not on the heap. */
static void
append(const struct conf_option *row, size_t n)
{
    static struct conf_option *grown;
    size_t n_before = conf_modules.n;

    if (!grown) {
        grown = mem_alloc(n_before * sizeof *grown);
        memcpy(grown, conf_modules.row, n_before * sizeof *grown);
    }
    grown = mem_realloc(grown, (n_before + n) * sizeof *grown);
    memcpy(grown + n_before, row, n * sizeof *grown);
    conf_modules = (struct conf_table){ grown, n_before + n };
}

int
conf_foreign_add(struct str text, unsigned *ret_line)
{
    struct conf_option row[64];
    struct str line;
    size_t n = 0;

    *ret_line = 0;
    while (text.n) {
        str_cut(&text, '\n', &line);
        ++*ret_line;
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (n == ARRAY_LEN(row) || line.n > LINE_MAX_OURS ||
                read_line(line, &row[n]) < 0 ||
                (row[n].row == CONF_ROW_SECTION) != (n == 0))
            return -EINVAL;
        n++;
    }
    if (n == 0 || conf_table_find(
                          &conf_modules, str_from(row[0].name), 1u << CONF_ROW_SECTION))
        return -EINVAL;
    append(row, n);
    return 0;
}

void
conf_modules_dir(char *ret_dir, size_t size)
{
    const char *env = getenv("STANZAD_MODULES");
    ssize_t n;
    char *slash;

    if (env) {
        snprintf(ret_dir, size, "%s", env);
        return;
    }
    n = readlink("/proc/self/exe", ret_dir, size - 1);
    if (n > 0) {
        ret_dir[n] = '\0';
        slash = strrchr(ret_dir, '/');
        if (slash && (size_t)(slash - ret_dir) + sizeof "/modules" <= size) {
            memcpy(slash, "/modules", sizeof "/modules");
            if (access(ret_dir, X_OK) == 0)
                return;
        }
    }
    snprintf(ret_dir, size, "%s", MODULEDIR);
}

static void
load_file(const char *path)
{
    struct buf text = { 0 };
    FILE *f = fopen(path, "re");
    unsigned line = 0;
    size_t n;

    if (!f) {
        fprintf(stderr, "stanzad: %s: %s\n", path, strerror(errno));
        return;
    }
    n = fread(buf_reserve(&text, FILE_MAX), 1, FILE_MAX, f);
    buf_added(&text, n);
    fclose(f);
    if (conf_foreign_add(buf_str(&text), &line) < 0)
        fprintf(stderr,
                "stanzad: %s, line %u: not understood, or a module that is known\n",
                path, line);
    buf_fini(&text);
}

void
conf_foreign_load(void)
{
    char dir[PATH_SIZE], path[PATH_SIZE + 256];
    struct dirent *d;
    DIR *dp;

    conf_modules_dir(dir, sizeof dir);
    dp = opendir(dir);
    while (dp && (d = readdir(dp))) {
        if (!str_ends(str_from(d->d_name), STR(".options")))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        load_file(path);
    }
    if (dp)
        closedir(dp);
}
