/*
 * slab.c -- chunks of a slot segment, and the transactions that make them lasting
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shm/slab.h"
#include "shm/tx.h"

enum {
    PAGES = 256
};

static uint8_t classes[PAGES];

static void *
memory(void)
{
    char *p = mmap(NULL, (PAGES + 1) * SLAB_PAGE, PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    return (void *)(((uintptr_t)p + SLAB_PAGE - 1) & ~(uintptr_t)(SLAB_PAGE - 1));
}

static void
chunks_do_not_overlap(void **state)
{
    struct slab *slab = slab_new(memory(), PAGES, classes, true);
    static const size_t sizes[] = { 1, 31, 32, 33, 48, 100, 500, 4000, 16384, 65536,
        70000, 200000 };
    enum {
        N = 400
    };
    unsigned char *p[N] = { 0 };
    size_t size[N] = { 0 };
    struct slab_stats st;

    (void)state;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        int i = rand() % N;

        if (p[i]) {
            for (size_t k = 0; k < size[i]; k += 7)
                assert_int_equal(p[i][k], (unsigned char)i);
            slab_free(slab, p[i]);
            p[i] = NULL;
        } else {
            size[i] = sizes[(size_t)rand() % (round % 50 ? 8 : ARRAY_LEN(sizes))];
            p[i] = slab_alloc(slab, size[i]);
            if (!p[i])
                continue;
            assert_true(slab_size(slab, p[i]) >= size[i]);
            memset(p[i], i, size[i]);
        }
    }
    for (int i = 0; i < N; i++)
        slab_free(slab, p[i]);
    slab_get_stats(slab, &st);
    assert_int_equal(st.bytes_used, 0);
    slab_free_all(&slab);
}

/* 32, 48, 64, 96 … to a page, then whole pages: the smallest that fits. */
static void
sizes_are_the_next_larger_ones(void **state)
{
    struct slab *slab = slab_new(memory(), PAGES, classes, true);
    size_t expected = SLAB_CHUNK_MIN, power = SLAB_CHUNK_MIN;

    (void)state;
    for (size_t size = 1; size <= 2 * SLAB_PAGE; size++) {
        char *p = slab_alloc(slab, size);

        if (size > SLAB_PAGE) {
            expected = 2 * SLAB_PAGE;
        } else if (size > expected) {
            expected = expected == power ? power * 3 / 2 : power * 2;
            power = expected % 3 ? expected : power;
        }
        assert_int_equal(slab_size(slab, p), expected);
        slab_free(slab, p);
    }
    slab_free_all(&slab);
}

static void
a_successor_keeps_what_is_reachable(void **state)
{
    void *mem = memory();
    struct slab *slab = slab_new(mem, PAGES, classes, true);
    char *kept[100], *big;
    struct slab_stats st;

    (void)state;
    for (int i = 0; i < 100; i++) {
        kept[i] = slab_alloc(slab, 300);
        memset(kept[i], i, 300);
        slab_alloc(slab, 300); /* lost with the process */
        slab_alloc(slab, 5000);
    }
    big = slab_alloc(slab, 150000);
    memset(big, 'x', 150000);
    slab_alloc(slab, 150000);
    slab_free_all(&slab);

    slab = slab_new(mem, PAGES, classes, false);
    for (int i = 0; i < 100; i++)
        slab_mark(slab, kept[i]);
    slab_mark(slab, big);
    slab_sweep(slab);
    slab_get_stats(slab, &st);
    assert_int_equal(st.bytes_used, 100 * 384 + 3 * SLAB_PAGE);
    for (int i = 0; i < 2000; i++) {
        char *p = slab_alloc(slab, 300);

        if (p)
            memset(p, 0xee, 300);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(kept[i][299], i);
    assert_int_equal(big[149999], 'x');
    slab_free_all(&slab);
}

static void
an_exhausted_segment_says_so(void **state)
{
    struct slab *slab = slab_new(memory(), PAGES, classes, true);
    unsigned n = 0;

    (void)state;
    while (slab_alloc(slab, 65536))
        n++;
    assert_int_equal(n, PAGES);
    assert_null(slab_alloc(slab, 100));
    slab_free_all(&slab);
}

static void
runs_of_pages_come_back(void **state)
{
    struct slab *slab = slab_new(memory(), PAGES, classes, true);

    (void)state;
    for (int i = 0; i < 10 * PAGES; i++) {
        void *run = slab_alloc(slab, 3 * SLAB_PAGE), *small = slab_alloc(slab, 100);

        assert_non_null(run);
        assert_non_null(small);
        slab_free(slab, run);
        slab_free(slab, small);
    }
    slab_free_all(&slab);
}

static void
a_transaction_is_whole_or_nothing(void **state)
{
    static struct tx tx;
    uint64_t a = 1;
    uint8_t b = 2;
    void *c = &a;

    (void)state;
    tx_begin(&tx);
    TX_SET(&tx, a, 10);
    TX_SET(&tx, a, 11);
    TX_SET(&tx, b, 20);
    tx_begin(&tx);
    TX_SET(&tx, c, NULL);
    assert_false(tx_commit(&tx));
    assert_int_equal(tx_recover(&tx), 4); /* as after a death */
    assert_int_equal(a, 1);
    assert_int_equal(b, 2);
    assert_ptr_equal(c, &a);

    tx_begin(&tx);
    TX_SET(&tx, a, 10);
    assert_true(tx_commit(&tx));
    assert_int_equal(tx_recover(&tx), 0);
    assert_int_equal(a, 10);
}

/* Ending thousands of sessions at once is one transaction of very many words. */
static void
a_large_transaction(void **state)
{
    enum { WORDS = 1 << 20 };
    struct tx *tx = mmap(NULL, sizeof *tx, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint32_t *word = mem_zalloc(WORDS * sizeof *word);

    (void)state;
    assert_true(tx != MAP_FAILED);
    tx_begin(tx);
    for (uint32_t i = 0; i < WORDS; i++)
        TX_SET(tx, word[i], i + 1);
    assert_int_equal(tx_recover(tx), WORDS);
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(word[i], 0);
    mem_free_p(word);
    munmap(tx, sizeof *tx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_do_not_overlap),
        cmocka_unit_test(sizes_are_the_next_larger_ones),
        cmocka_unit_test(a_successor_keeps_what_is_reachable),
        cmocka_unit_test(an_exhausted_segment_says_so),
        cmocka_unit_test(runs_of_pages_come_back),
        cmocka_unit_test(a_transaction_is_whole_or_nothing),
        cmocka_unit_test(a_large_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
