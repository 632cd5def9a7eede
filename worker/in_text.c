/*
 * in_text.c -- text from the client, to the parser, element by element
 *
 * Text stays in the slot until the element it belongs to has been handled: each
 * element is one transaction, whose last word moves text_done behind it. A successor
 * begins there with a parser of its own.
 */
#include "worker/in_text.h"

#include "base/killpoint.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/shaper.h"

static bool on_open(void *arg, const struct xml_header *header);
static bool on_stanza(void *arg, struct xml_el *el, size_t end);
static bool on_close(void *arg, size_t end);

static const struct xml_handlers handlers = { on_open, on_stanza, on_close };

/* Which connection a parser belongs to, told to its handlers. */
static struct {
    struct worker *w;
    struct conn *c;
} feeding;

struct chunk **
in_text_of(struct conn *c)
{
    return c->tls == CONN_PLAIN ? &c->in : &c->plain;
}

static struct xml_limits
limits_of(const struct worker *w, const struct conn *c)
{
    const struct conf_listener *ln = conn_listener(w, c);
    bool authed = c->flags & CONN_AUTHED;
    uint64_t size = authed ? ln->max_stanza_size : ln->pre_auth_max_stanza_size;
    uint64_t n = authed ? ln->max_stanza_elements : ln->pre_auth_max_stanza_elements;

    return (struct xml_limits){
        .stanza_size_max = size < CONF_STANZA_SIZE_MAX ? size : CONF_STANZA_SIZE_MAX,
        .elements_max = n < UINT32_MAX ? (uint32_t)n : 0,
    };
}

static struct xml_parser *
parser_for(struct worker *w, struct conn *c)
{
    struct xml_limits limits = limits_of(w, c);

    if (c->state == STREAM_HEADER)
        return xml_parser_open(w->pool, &limits, &handlers, NULL);
    return xml_parser_get(
            w->pool, &limits, (struct str){ c->scopes, c->scopes_n }, &handlers, NULL);
}

/* After an element: may the next one come, by the same parser? */
static bool
goes_on(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    return in_may_read(w, c) && c->state != STREAM_CLOSING && c->state != STREAM_TLS &&
           !(l->flags & LIVE_REPLACE_PARSER);
}

static bool
on_open(void *arg, const struct xml_header *header)
{
    struct worker *w = feeding.w;
    struct conn *c = feeding.c;

    (void)arg;
    worker_begin(w, c);
    SET(w, c->text_done, live_of(w, c)->base + (uint32_t)header->end);
    c2s_on_header(w, c, header);
    worker_commit(w);
    return goes_on(w, c);
}

/* What it causes is for a process that is behind: it is not read until then. */
static void
wait_for_peer(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    if (c->state != STREAM_OPEN || l->flags & (LIVE_DEAD | LIVE_PAUSED))
        return;
    proc_count(w->proc, COUNTER_HELD_UP, 1);
    l->waits_for_peer = true;
    l->slow_peer = w->slow_peer;
    shaper_pause(w, c, IN_PEER_LOOK_MS);
}

static bool
on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct worker *w = feeding.w;
    struct conn *c = feeding.c;

    (void)arg;
    w->to_slow = false;
    worker_begin(w, c);
    SET(w, c->text_done, live_of(w, c)->base + (uint32_t)end);
    c2s_on_element(w, c, el);
    killpoint(IN_ELEMENT);
    worker_commit(w);
    killpoint(IN_HANDLED);
    if (w->to_slow)
        wait_for_peer(w, c);
    return goes_on(w, c);
}

static bool
on_close(void *arg, size_t end)
{
    struct worker *w = feeding.w;
    struct conn *c = feeding.c;

    (void)arg;
    worker_begin(w, c);
    SET(w, c->text_done, live_of(w, c)->base + (uint32_t)end);
    c2s_on_stream_end(w, c);
    worker_commit(w);
    return false;
}

/* Gives the parser what it has not seen; false: the connection is not to go on. */
static bool
text_feed(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct chunk **text = in_text_of(c);
    enum xml_error e = XML_OK;

    while (*text && l->fed < (*text)->len && in_may_read(w, c) &&
            c->state != STREAM_TLS && c->state != STREAM_CLOSING) {
        uint32_t n = (*text)->len - l->fed;

        if (!l->parser)
            l->parser = parser_for(w, c);
        l->base = l->fed;
        feeding.w = w;
        feeding.c = c;
        e = xml_parser_feed(l->parser, (*text)->data + l->fed, n);
        l->fed += n;
        if (l->flags & LIVE_DEAD)
            return false;
        if (e != XML_OK)
            break;
        if (xml_parser_idle(l->parser)) {
            if (c->text_done != l->fed) { /* white space behind the last element */
                worker_begin(w, NULL);
                SET(w, c->text_done, l->fed);
                worker_commit(w);
            }
            xml_parser_put(&l->parser);
        }
    }
    if (e == XML_STOPPED) {
        /* The rest goes to another parser: now, after a restart, or after an answer. */
        xml_parser_put(&l->parser);
        l->flags &= ~(unsigned)LIVE_REPLACE_PARSER;
        l->fed = c->text_done;
    } else if (e != XML_OK) {
        log_debug(conn_ctx(w, c), "bad XML: %s", xml_error_text(e));
        worker_begin(w, c);
        c2s_fail_xml(w, c, e);
        worker_commit(w);
    }
    return true;
}

void
in_text_trim(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    struct chunk **text = in_text_of(c);
    uint32_t done = c->text_done;

    if (!*text)
        return;
    if (c->state == STREAM_CLOSING)
        done = l->fed = (*text)->len;
    worker_begin(w, NULL);
    in_chunk_trim(w, text, c->tls == CONN_PLAIN ? w->read_chunk : w->plain_chunk, done);
    SET(w, c->text_done, 0);
    worker_commit(w);
    killpoint(IN_TRIMMED);
    l->fed -= done;
}

bool
in_text_handle(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);
    uint32_t before;

    do {
        before = c->text_done;
        if (!text_feed(w, c))
            return false;
    } while (
            *in_text_of(c) && l->fed < (*in_text_of(c))->len && c->text_done != before);
    in_text_trim(w, c);
    return !(l->flags & LIVE_DEAD);
}
