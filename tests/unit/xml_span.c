/*
 * xml_span.c -- runs of bytes that need no care, compared with a byte by byte look
 */
#include "xml/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool
is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x80 && !strchr("\"&'<>]", c);
}

/* Every byte at every place of memory that begins and ends where the text does. */
static void
every_byte_everywhere(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 50; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                char *p = malloc(n);
                size_t found;

                assert_non_null(p);
                memset(p, 'x', n);
                p[at] = (char)c;
                found = xml_span_plain(p, n);
                if (found != (is_plain((unsigned char)c) ? n : at))
                    fail_msg("%#x at %zu of %zu: %zu", c, at, n, found);
                /* The first of several counts. */
                p[n - 1] = '<';
                found = xml_span_plain(p, n);
                if (found != (is_plain((unsigned char)c) ? n - 1 : at))
                    fail_msg("%#x at %zu of %zu and <: %zu", c, at, n, found);
                free(p);
            }
        }
    }
    assert_int_equal(xml_span_plain("", 0), 0);
}

/* All of Unicode, and what is not. */
static void
characters(void **state)
{
    static const struct {
        const char *bytes;
        size_t n, size;
    } cases[] = {
        { "\xc2\x80", 2, 2 },
        { "\xdf\xbf", 2, 2 },
        { "\xc1\xbf", 2, 0 },
        { "\x80", 1, 0 },
        { "\xc3", 1, 0 },
        { "\xc3\x28", 2, 0 },
        { "\xe0\xa0\x80", 3, 3 },
        { "\xe0\x9f\xbf", 3, 0 },
        { "\xed\x9f\xbf", 3, 3 },
        { "\xed\xa0\x80", 3, 0 },
        { "\xed\xbf\xbf", 3, 0 },
        { "\xee\x80\x80", 3, 3 },
        { "\xef\xbf\xbd", 3, 3 },
        { "\xef\xbf\xbe", 3, 0 },
        { "\xef\xbf\xbf", 3, 0 },
        { "\xef\xbf", 2, 0 },
        { "\xf0\x90\x80\x80", 4, 4 },
        { "\xf0\x8f\xbf\xbf", 4, 0 },
        { "\xf0\x9f\xbf\xbe", 4, 4 },
        { "\xf4\x8f\xbf\xbf", 4, 4 },
        { "\xf4\x90\x80\x80", 4, 0 },
        { "\xf5\x80\x80\x80", 4, 0 },
        { "\xff\xff\xff\xff", 4, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cases[i].n, size = xml_span_utf8(cases[i].bytes, n);
        char *run = malloc(2 * n + 5);

        if (size != cases[i].size)
            fail_msg("case %zu: %zu", i, size);
        /* In a run that ends with it, or with ASCII. */
        assert_non_null(run);
        memcpy(run, "\xc3\xa9", 2);
        memcpy(run + 2, cases[i].bytes, n);
        if (xml_span_utf8(run, 2 + n) != 2 + size)
            fail_msg("case %zu: behind another", i);
        memcpy(run + 2 + n, cases[i].bytes, n);
        run[2 + 2 * n] = 'x';
        if (size == n && xml_span_utf8(run, 3 + 2 * n) != 2 + 2 * n)
            fail_msg("case %zu: twice", i);
        free(run);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_everywhere),
        cmocka_unit_test(characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
