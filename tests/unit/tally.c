/*
 * tally.c -- counts by key, of several processes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shm/tally.h"

static void *
zone(void)
{
    void *p = mmap(NULL, tally_size(), PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

static void
all_count_together(void **state)
{
    struct tally t[3];
    void *z = zone();

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        tally_begin(&t[i], z, i, 77);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k <= i; k++)
            tally_add(&t[i], 5);
        tally_add(&t[i], 6 + i);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tally_count(&t[i], 5, 3), 6);
        assert_int_equal(tally_count(&t[i], 5, 2), 3);
        assert_int_equal(tally_count(&t[i], 6, 3), 1);
        assert_int_equal(tally_count(&t[i], 9, 3), 0);
        assert_int_equal(tally_count(&t[i], 5, 256), 6);
    }
    /* A successor has nothing yet, and recounts. */
    tally_begin(&t[2], z, 2, 77);
    assert_int_equal(tally_count(&t[0], 5, 3), 3);
    tally_add(&t[2], 5);
    assert_int_equal(tally_count(&t[0], 5, 3), 4);
    tally_remove(&t[2], 5);
    tally_remove(&t[0], 5);
    assert_int_equal(tally_count(&t[0], 5, 3), 2);
    munmap(z, tally_size());
}

static void
it_agrees_with_a_plain_table(void **state)
{
    enum {
        KEYS = 20000
    };
    static uint32_t want[KEYS];
    struct tally t;
    void *z = zone();

    (void)state;
    srand(3);
    tally_begin(&t, z, 0, UINT64_C(0x1234567890abcdef));
    for (unsigned round = 0; round < 400000; round++) {
        /* It grows, shrinks to a tenth, and grows again. */
        uint32_t range = round / 100000 % 2 ? KEYS / 10 : KEYS;
        uint32_t k = (uint32_t)rand() % range;

        if (rand() % 2 || want[k] == 0) {
            tally_add(&t, ((uint64_t)k << 32) + 1);
            want[k]++;
        } else {
            tally_remove(&t, ((uint64_t)k << 32) + 1);
            want[k]--;
        }
        k = (uint32_t)rand() % KEYS;
        assert_int_equal(tally_count(&t, ((uint64_t)k << 32) + 1, 1), want[k]);
    }
    for (uint32_t k = 0; k < KEYS; k++)
        assert_int_equal(tally_count(&t, ((uint64_t)k << 32) + 1, 1), want[k]);
    munmap(z, tally_size());
}

static void
as_many_keys_as_connections(void **state)
{
    struct tally t;
    void *z = zone();

    (void)state;
    tally_begin(&t, z, 255, 1);
    for (int again = 0; again < 3; again++) {
        for (uint64_t k = 1; k <= TALLY_KEYS_MAX; k++)
            tally_add(&t, k + ((uint64_t)again << 40));
        assert_int_equal(tally_count(&t, ((uint64_t)again << 40) + 1, 256), 1);
        for (uint64_t k = 1; k <= TALLY_KEYS_MAX; k++)
            tally_remove(&t, k + ((uint64_t)again << 40));
        assert_int_equal(tally_count(&t, ((uint64_t)again << 40) + 1, 256), 0);
    }
    munmap(z, tally_size());
}

/* What others have written, in their regions and in ours, however wrong it is. */
static void
nonsense_does_no_harm(void **state)
{
    struct tally t;
    uint8_t *z = zone();

    (void)state;
    tally_begin(&t, z, 3, 1);
    tally_add(&t, 5);
    srand(5);
    for (int round = 0; round < 1000; round++) {
        for (size_t i = 0; i < 20000; i++)
            z[i] = (uint8_t)rand();
        *(uint32_t *)(void *)z = (uint32_t)(round % 33);
        assert_true(tally_count(&t, 5, 4) >= 1);
    }
    tally_begin(&t, z, 0, 1);
    tally_add(&t, 5);
    assert_int_equal(tally_count(&t, 5, 1), 1);
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < 100; i++)
            z[(size_t)rand() % 20000] = (uint8_t)rand();
        for (int i = 0; i < 20; i++)
            tally_add(&t, (uint64_t)(rand() % 500 + 1));
        for (int i = 0; i < 20; i++)
            tally_remove(&t, (uint64_t)(rand() % 500 + 1));
        tally_count(&t, 5, 256);
        if (round % 500 == 0)
            memset(z + 8, 0xff, 20000);
    }
    tally_begin(&t, z, 0, 1);
    tally_add(&t, 5);
    assert_int_equal(tally_count(&t, 5, 1), 1);
    munmap(z, tally_size());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_count_together),
        cmocka_unit_test(it_agrees_with_a_plain_table),
        cmocka_unit_test(as_many_keys_as_connections),
        cmocka_unit_test(nonsense_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
