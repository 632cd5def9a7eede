/*
 * conf_manual.c -- stanzad.yml(5) lists the options that there are
 *
 * Between `.\" BEGIN what` and `.\" END what` the manual holds what conf_write_manual()
 * writes. With CONF_MANUAL=write in the environment the page is brought up to date.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

#define PAGE "man/stanzad.yml.5"

static void
read_page(struct buf *out)
{
    FILE *f = fopen(PAGE, "r");
    size_t n;

    assert_non_null(f);
    while ((n = fread(buf_reserve(out, 65536), 1, 65536, f)) > 0)
        buf_added(out, n);
    fclose(f);
    buf_add(out, "", 0);
}

/* The page with its parts written anew. */
static void
write_page(const char *page, struct buf *out)
{
    static const char *const parts[] = { "options", "listen", "modules" };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        char begin[64], end[64], *text = NULL;
        const char *from, *to;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        snprintf(begin, sizeof begin, ".\\\" BEGIN %s\n", parts[i]);
        snprintf(end, sizeof end, ".\\\" END %s\n", parts[i]);
        from = strstr(page, begin);
        to = strstr(page, end);
        assert_non_null(from);
        assert_non_null(to);
        assert_int_equal(conf_write_manual(f, parts[i]), 0);
        fclose(f);
        assert_true(n > 1000);
        buf_add(out, page, (size_t)(from - page) + strlen(begin));
        buf_add(out, text, n);
        free(text);
        page = to;
    }
    buf_add_c(out, page);
}

static void
test_manual_is_up_to_date(void **state)
{
    const char *mode = getenv("CONF_MANUAL");
    struct buf page = { 0 }, now = { 0 };

    (void)state;
    read_page(&page);
    write_page(buf_c(&page), &now);
    if (mode && strcmp(mode, "write") == 0) {
        FILE *f = fopen(PAGE, "w");

        assert_non_null(f);
        assert_int_equal(fwrite(now.p, 1, now.n, f), now.n);
        assert_int_equal(fclose(f), 0);
    } else if (!str_eq(buf_str(&page), buf_str(&now))) {
        fail_msg("%s is out of date: run CONF_MANUAL=write build/unit/conf_manual",
                PAGE);
    }
    buf_fini(&page);
    buf_fini(&now);
}

static void
test_unknown_part(void **state)
{
    (void)state;
    assert_int_equal(conf_write_manual(stdout, "nothing"), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manual_is_up_to_date),
        cmocka_unit_test(test_unknown_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
