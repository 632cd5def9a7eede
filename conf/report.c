/*
 * report.c -- what is wrong with a configuration
 *
 * One line per problem in the form that editors understand. The same text at the same
 * place is kept once: an option that several hosts share is looked at for each of them.
 */
#include "conf/report.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"

void
conf_report_init(struct conf_report *rep)
{
    *rep = (struct conf_report){ 0 };
    arena_init(&rep->arena, 4096);
}

void
conf_report_fini(struct conf_report *rep)
{
    arena_fini(&rep->arena);
    *rep = (struct conf_report){ 0 };
}

static bool
is_known(const struct conf_report *rep, struct conf_pos pos, const char *text)
{
    for (const struct conf_problem *p = rep->first; p; p = p->next)
        if (p->pos.line == pos.line && p->pos.column == pos.column &&
                strcmp(p->text, text) == 0 &&
                (p->pos.file == pos.file ||
                        (p->pos.file && pos.file &&
                                strcmp(p->pos.file, pos.file) == 0)))
            return true;
    return false;
}

void
conf_report_add(struct conf_report *rep, enum conf_severity severity,
        struct conf_pos pos, const char *advice, const char *fmt, ...)
{
    struct conf_problem *p;
    struct buf text = { 0 };
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (is_known(rep, pos, buf_c(&text)))
        goto out;
    if (severity == CONF_ERROR)
        rep->n_errors++;
    else
        rep->n_warnings++;
    if (rep->n_errors + rep->n_warnings > CONF_REPORT_MAX) {
        rep->n_omitted++;
        goto out;
    }
    p = arena_new(&rep->arena, struct conf_problem);
    p->severity = severity;
    p->pos = pos;
    if (pos.file)
        p->pos.file = str_dup_c(&rep->arena, str_from(pos.file));
    p->text = str_dup_c(&rep->arena, buf_str(&text));
    p->advice = advice ? str_dup_c(&rep->arena, str_from(advice)) : NULL;
    if (rep->last)
        rep->last->next = p;
    else
        rep->first = p;
    rep->last = p;
out:
    buf_fini(&text);
}

/* What a file says goes to a terminal: no control characters. */
static void
add_clean(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        unsigned char u = (unsigned char)*c;

        if (u < 0x20 || u == 0x7f)
            buf_addf(out, "\\x%02x", u);
        else
            buf_add_char(out, *c);
    }
}

void
conf_problem_format(const struct conf_problem *p, struct buf *out)
{
    if (p->pos.file) {
        add_clean(out, p->pos.file);
        if (p->pos.line)
            buf_addf(out, ":%u:%u", p->pos.line, p->pos.column);
        buf_add_c(out, ": ");
    }
    buf_add_c(out, p->severity == CONF_ERROR ? "error: " : "warning: ");
    add_clean(out, p->text);
    if (p->advice) {
        buf_add_c(out, "; ");
        add_clean(out, p->advice);
    }
}

void
conf_report_print(const struct conf_report *rep, FILE *out)
{
    struct buf line = { 0 };

    for (int severity = CONF_ERROR; severity <= CONF_WARNING; severity++)
        for (const struct conf_problem *p = rep->first; p; p = p->next) {
            if ((int)p->severity != severity)
                continue;
            buf_reset(&line, 4096);
            conf_problem_format(p, &line);
            fprintf(out, "%s\n", buf_c(&line));
        }
    if (rep->n_omitted)
        fprintf(out, "%zu more problems are not shown\n", rep->n_omitted);
    buf_fini(&line);
}
