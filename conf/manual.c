/*
 * manual.c -- the option lists of stanzad.yml(5), as mdoc
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/table.h"

/* Text in which nothing is a request or an escape of roff; a sentence has its line. */
static void
put(FILE *out, const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c == '\\')
            fputs("\\e", out);
        else if ((c == text || c[-1] == ' ') && (*c == '.' || *c == '\''))
            fprintf(out, "\\&%c", *c);
        else if (*c == ' ' && c > text && c[-1] == '.')
            fputc('\n', out);
        else
            fputc(*c, out);
}

static void
put_type(FILE *out, const struct conf_option *o)
{
    const char *text = conf_type_text(o->type), *hole = strstr(text, "%s");
    struct str words = str_from(o->words), word;
    size_t n = 0;

    if (!hole) {
        put(out, text);
        return;
    }
    fprintf(out, "%.*s", (int)(hole - text), text);
    if (o->type == CONF_T_INT && str_cut(&words, ',', &word)) {
        fprintf(out, "%.*s to %.*s", STR_ARG(word), STR_ARG(words));
    } else {
        while (str_cut(&words, '|', &word)) {
            fprintf(out, "%s%.*s",
                    n == 0    ? ""
                    : words.p ? ", "
                              : " or ",
                    STR_ARG(word));
            n++;
        }
    }
    put(out, hole + 2);
}

static void
put_option(FILE *out, const struct conf_option *o, bool with_scope)
{
    fprintf(out, ".It Cm %s\n", o->name);
    if (o->doc) {
        put(out, o->doc);
        fputs(".\n", out);
    }
    fputs("Type: ", out);
    put_type(out, o);
    if (o->deflt && o->deflt[0]) {
        fputs("; default: ", out);
        put(out, o->deflt);
    }
    if (with_scope && o->host)
        fputs("; also for one host", out);
    if (!o->effect)
        fputs("; no effect yet", out);
    fputs(".\n", out);
}

static void
write_options(FILE *out)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < conf_options.n; i++)
        if (conf_options.row[i].row == CONF_ROW_OPTION)
            put_option(out, &conf_options.row[i], true);
    fputs(".El\n", out);
}

static void
write_sections(FILE *out, const struct conf_table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_option *s = &t->row[i], *o = NULL;
        bool open = false;

        if (s->row != CONF_ROW_SECTION)
            continue;
        fprintf(out, ".Ss %s\n",
                strcmp(s->name, "COMMON") == 0 ? "Options of every listener" : s->name);
        put(out, s->doc);
        fprintf(out, ".%s\n", s->effect ? "" : "\nNo effect yet.");
        while ((o = conf_section_next(t, s, o))) {
            if (o->row != CONF_ROW_OPTION)
                continue;
            if (!open)
                fputs(".Bl -tag -width Ds\n", out);
            open = true;
            put_option(out, o, false);
        }
        if (open)
            fputs(".El\n", out);
    }
}

int
conf_write_manual(FILE *out, const char *what)
{
    if (strcmp(what, "options") == 0)
        write_options(out);
    else if (strcmp(what, "listen") == 0)
        write_sections(out, &conf_listen_options);
    else if (strcmp(what, "modules") == 0)
        write_sections(out, &conf_modules);
    else
        return -EINVAL;
    return 0;
}
