/*
 * zone.c -- shared memory that is mapped, given back and protected
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shm/zone.h"

enum {
    PAGES = 64
};

static void
a_discarded_page_reads_as_zeros_and_costs_nothing(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct zone z;
    struct stat before, after;
    int rw, ro;
    char *p;

    (void)state;
    assert_int_equal(zone_create(PAGES * page, &rw, &ro), 0);
    assert_int_equal(zone_map(&z, rw, PAGES * page, 0, true), 0);
    p = z.base;
    memset(p, 'x', PAGES * page);
    assert_int_equal(fstat(rw, &before), 0);

    /* From within the second page to within the last but one. */
    zone_discard(p + page + 1, (PAGES - 3) * page);
    assert_int_equal(fstat(rw, &after), 0);
    assert_int_equal(p[2 * page - 1], 'x');
    assert_int_equal(p[(PAGES - 2) * page], 'x');
#ifdef __linux__
    for (size_t i = 2 * page; i < (PAGES - 2) * page; i++)
        assert_int_equal(p[i], 0);
    assert_true(
            before.st_blocks - after.st_blocks >= (blkcnt_t)((PAGES - 4) * page / 512));
#endif
    zone_discard(p + 1, page); /* no whole page */
    assert_int_equal(p[1], 'x');
    zone_unmap(&z);
    close_fd(&rw);
    close_fd(&ro);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_discarded_page_reads_as_zeros_and_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
