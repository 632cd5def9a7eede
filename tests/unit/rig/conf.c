/*
 * conf.c -- configurations out of texts, for tests of what they mean
 */
#include "tests/unit/rig/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

const struct conf_loader loader = { .home = "/h",
    .database_path = "/db",
    .log_path = "/log",
    .version = "1.2.3",
    .skip_files = true };

struct conf *
load(const char *yaml)
{
    struct conf *conf = NULL;
    struct conf_report rep;
    int r;

    conf_report_init(&rep);
    r = conf_load_text("t.yml", str_from(yaml), &loader, &rep, &conf);
    if (r < 0) {
        conf_report_print(&rep, stderr);
        fail_msg("of\n%s", yaml);
    }
    conf_report_fini(&rep);
    return conf;
}

bool
says(const struct conf_report *rep, enum conf_severity severity, const char *text)
{
    for (const struct conf_problem *p = rep->first; p; p = p->next)
        if (p->severity == severity && strstr(p->text, text))
            return true;
    return false;
}
