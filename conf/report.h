#ifndef CONF_REPORT_H
#define CONF_REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "conf/node.h"

/* What is wrong with a configuration, or may surprise. */
enum conf_severity {
    CONF_ERROR,
    CONF_WARNING
};

struct conf_problem {
    struct conf_problem *next;
    enum conf_severity severity;
    struct conf_pos pos;
    const char *text;   /* what is wrong */
    const char *advice; /* what to do about it; NULL: nothing to say */
};

/*
 * Collected over one run. The errors that cause others come first: each stage (reading,
 * includes, macros, options, what they mean together) runs only when the ones before it
 * found no error, and within a stage problems are in the order of the file.
 */
struct conf_report {
    struct arena arena;
    struct conf_problem *first, *last;
    size_t n_errors, n_warnings, n_omitted;
};

#define CONF_REPORT_MAX 500 /* further problems are only counted, in n_omitted */

void conf_report_init(struct conf_report *rep);
void conf_report_fini(struct conf_report *rep);

/* advice may be NULL; both texts are copied. */
void conf_report_add(struct conf_report *rep, enum conf_severity severity,
        struct conf_pos pos, const char *advice, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/* "FILE:LINE:COL: error: TEXT; ADVICE" without a newline, into buf. */
void conf_problem_format(const struct conf_problem *p, struct buf *out);

/* All of them, errors first, one a line. */
void conf_report_print(const struct conf_report *rep, FILE *out);

#endif
