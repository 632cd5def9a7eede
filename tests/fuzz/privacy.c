/*
 * privacy.c -- any element as a privacy list, a block request and a message
 *
 * A list that is accepted comes back the same from what is written of it; whoever is
 * blocked in it is blocked, and only he is set free again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "xml/parser.h"
#include "xml/writer.h"
#include "xmpp/blocking.h"
#include "xmpp/ns.h"
#include "xmpp/traits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct xml_pool *pool;

static void
check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static struct str
text_of(struct arena *arena, const struct privacy_list *list)
{
    struct xml_el *query = xml_el_new(arena, "query", NS_PRIVACY);
    struct buf out = { 0 };
    struct str text;

    privacy_list_write(list, STR("x"), query);
    xml_write(&out, xml_child(query, "list", NULL), STR(NS_PRIVACY));
    text = str_dup(arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

/* Written and read again, with the orders that it has. */
static void
check_round_trip(struct arena *arena, const struct privacy_list *list)
{
    struct str text = text_of(arena, list);
    struct privacy_list *again = NULL;
    enum stanza_error error;
    struct xml_el *el;

    check(xml_parse(pool, NULL, arena, text, NS_PRIVACY, &el) == XML_OK, "not XML");
    check(privacy_list_read(arena, el, NULL, NULL, &again, &error) == 0, "refused");
    check(str_eq(text_of(arena, again), text), "not the same");
    privacy_list_free(&again);
}

static void
block_one(struct arena *arena, const struct privacy_list *list, struct jid jid)
{
    struct jid user = { STR("juliet"), STR("example.net"), STR_NULL };
    struct privacy_peer peer = { .jid = jid };
    struct blocking_request request = { BLOCKING_BLOCK, &jid, 1 };
    struct privacy_list *blocked = NULL, *freed = NULL;
    const struct privacy_list *now = list;
    bool exempt = jid_eq_bare(&jid, &user) ||
                  (jid.local.n == 0 && str_eq(jid.domain, user.domain));

    if (blocking_edit(list, &request, &blocked) == 1) {
        now = blocked;
        if (privacy_list_count(now) > 0)
            check_round_trip(arena, now);
    }
    check(exempt || privacy_judge(now, &user, &peer, PRIVACY_OUT, PRIVACY_OTHER) !=
                            PRIVACY_ALLOWED,
            "not blocked");
    request.op = BLOCKING_UNBLOCK;
    check(blocking_edit(now, &request, &freed) == 1, "not set free");
    check(privacy_list_count(freed) < privacy_list_count(now), "nothing taken out");
    privacy_list_free(&freed);
    privacy_list_free(&blocked);
}

static void
try_list(struct arena *arena, const struct xml_el *el)
{
    struct privacy_list *list = NULL;
    struct privacy_item item;
    enum stanza_error error;
    size_t at = 0, n = 0;

    if (privacy_list_read(arena, el, NULL, NULL, &list, &error) < 0)
        return;
    check_round_trip(arena, list);
    while (privacy_next(list, &at, &item)) {
        n++;
        if (item.type == PRIVACY_JID)
            block_one(arena, list, item.jid);
    }
    check(n == privacy_list_count(list), "count");
    privacy_list_free(&list);
}

static void
try_request(struct arena *arena, struct xml_el *el)
{
    struct blocking_request request;
    struct privacy_list *list = NULL;
    enum stanza_error error;

    if (blocking_request(arena, el, IQ_SET, &request, &error) < 0)
        return;
    if (blocking_edit(NULL, &request, &list) == 1)
        check(privacy_list_count(list) == request.n, "as many rules as addresses");
    xml_set_c(blocking_push(arena, &request), "id", "1");
    privacy_list_free(&list);
}

static void
try_message(const struct xml_el *el)
{
    enum message_type type = message_type(el);
    uint64_t traits = traits_of(el);
    struct buf out = { 0 };

    traits_write(&out, traits_inside(el, traits, &type));
    check(!(traits & TRAITS_CARBON) || !traits_archivable(traits, type),
            "a copy is archived");
    buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size };
    struct privacy_request request;
    struct xml_el *el = NULL;
    struct arena arena;

    if (!pool)
        pool = xml_pool_new("stream:stream", NS_STREAMS, NS_CLIENT);
    arena_init(&arena, 4096);
    if (xml_parse(pool, NULL, &arena, text, NS_PRIVACY, &el) == XML_OK) {
        privacy_request(el, IQ_GET, &request);
        privacy_request(el, IQ_SET, &request);
        try_list(&arena, el);
        try_request(&arena, el);
        try_message(el);
    }
    arena_fini(&arena);
    return 0;
}
