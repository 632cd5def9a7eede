/*
 * privacy.c -- what a privacy list costs
 *
 *     build/bench/privacy
 *
 * Prints the memory of lists of blocked addresses and the CPU time to judge a stanza of
 * somebody who is not on them: the usual case, and the slowest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "xmpp/privacy.h"

static double
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
bench(unsigned n)
{
    struct jid user = { STR("juliet"), STR("example.net"), STR("balcony") };
    struct privacy_peer peer = { .jid = { STR("romeo"), STR("example.com"),
                                         STR("orchard") } };
    struct arena arena;
    struct privacy_item *items;
    struct privacy_list *list;
    unsigned rounds = 20000000 / (n + 10), denied = 0;
    double start;

    arena_init(&arena, 65536);
    items = arena_zalloc(&arena, n * sizeof *items);
    for (unsigned i = 0; i < n; i++) {
        char local[30];

        snprintf(local, sizeof local, "spammer%u", i);
        items[i] = (struct privacy_item){ .type = PRIVACY_JID,
            .deny = true,
            .match = PRIVACY_MATCH_ALL,
            .jid = { str_dup(&arena, str_from(local)), STR("example.com"), STR_NULL } };
    }
    list = privacy_list_new(items, n);
    start = cpu_ns();
    for (unsigned i = 0; i < rounds; i++)
        denied += privacy_judge(list, &user, &peer, PRIVACY_IN, PRIVACY_MESSAGE);
    printf("%5u blocked addresses %8zu bytes %8.0f ns%s\n", n, privacy_list_size(list),
            (cpu_ns() - start) / rounds, denied ? " (wrong)" : "");
    privacy_list_free(&list);
    arena_fini(&arena);
}

int
main(void)
{
    bench(1);
    bench(10);
    bench(100);
    bench(1000);
    bench(5000);
    return 0;
}
