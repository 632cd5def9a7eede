/*
 * out.c -- output that waits: how much for one client, and for all
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/rig/tls_alone.h"
#include "worker/out.h"
#include "worker/pressure.h"

static char text[1 << 20];

static void
add(void (*fn)(struct worker *w, struct conn *c, struct str bytes), size_t n)
{
    tx_begin(alone.w.tx);
    fn(&alone.w, &alone.conn, (struct str){ text, n });
    alone_commit();
}

static bool
is_slow(void)
{
    return alone.w.live[0]->flags & LIVE_SLOW;
}

static void
begin(void)
{
    alone_begin(RECORD_AES_128_GCM);
    memset(text, 'x', sizeof text);
    alone.conf.worker_memory_max = CONF_INFINITY;
    alone.conf.oom_watermark = 80;
    pressure_load(&alone.w);
}

/* Text and records count together: neither alone need be too much. */
static void
both_queues_count(void **state)
{
    static void (*const order[2][2])(struct worker * w, struct conn * c,
            struct str bytes) = { { out_add, out_add_wire },
        { out_add_wire, out_add } };

    (void)state;
    for (int o = 0; o < 2; o++) {
        begin();
        for (int i = 0; i < 10; i++) {
            add(order[o][0], 1 << 20);
            assert_false(is_slow());
        }
        for (int i = 0; i < 6; i++) {
            add(order[o][1], 1 << 20);
            assert_false(is_slow());
        }
        add(order[o][1], 1);
        assert_true(is_slow());
        alone_end();
    }
}

/* Whatever is added: the slot is never exhausted, which would end the worker. */
static void
the_slot_is_never_full(void **state)
{
    static const size_t sizes[] = { 100, 5000, 60000, 1 << 20 };

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct slab_stats st;

        print_message("pieces of %zu\n", sizes[s]);
        begin();
        alone.w.pressure.most = ALONE_PAGES;
        alone.w.pressure.mark = alone.w.pressure.stop = ALONE_PAGES * 8 / 10;
        alone.w.pressure.full = ALONE_PAGES * 9 / 10;
        for (size_t n = 0; n < 2 * (size_t)ALONE_PAGES * SLAB_PAGE; n += sizes[s])
            add(out_add, sizes[s]);
        slab_get_stats(alone.w.slab, &st);
        assert_true(st.pages_used >= ALONE_PAGES * 9 / 10);
        assert_true(alone.w.conns[0].flags & CONN_LOST);
        assert_false(pressure_allows(&alone.w));
        alone_end();
    }
}

static void
marks_follow_the_configuration(void **state)
{
    static const struct {
        uint64_t bytes;
        uint32_t per_cent, most, mark, full;
    } cases[] = {
        { CONF_INFINITY, 80, SLOT_PAGES_MAX, 104857, 117964 },
        { UINT64_C(1) << 40, 50, SLOT_PAGES_MAX, 65536, 98304 },
        { 1 << 30, 90, 16384, 14745, 15564 },
        { 1, 80, 512, 409, 460 },
        { 1, 99, 512, 506, 509 },
        { 1, 1, 512, 5, 258 },
    };

    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct pressure *p = &alone.w.pressure;

        print_message("case %zu\n", i);
        alone.conf.worker_memory_max = cases[i].bytes;
        alone.conf.oom_watermark = cases[i].per_cent;
        pressure_load(&alone.w);
        assert_int_equal(p->most, cases[i].most);
        assert_int_equal(p->mark, cases[i].mark);
        assert_int_equal(p->full, cases[i].full);
        assert_true(p->full <= p->last && p->last < p->most);
    }
    alone_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_queues_count),
        cmocka_unit_test(the_slot_is_never_full),
        cmocka_unit_test(marks_follow_the_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
