/*
 * xml_seen.c -- handlers of a parser that write down what they see
 */
#include "tests/unit/rig/xml_seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xml/writer.h"

static bool
on_open(void *arg, const struct xml_header *header)
{
    struct seen *seen = arg;

    buf_add_c(&seen->text, "open ");
    xml_write_start(&seen->text, header->el, STR(""));
    buf_addf(&seen->text, " default=%.*s end=%zu\n", STR_ARG(header->default_ns),
            seen->offset + header->end);
    buf_reset(&seen->scopes, 0);
    buf_add_str(&seen->scopes, header->scopes);
    seen->has_scopes = true;
    seen->last_end = seen->offset + header->end;
    return true;
}

static bool
on_stanza(void *arg, struct xml_el *el, size_t end)
{
    struct seen *seen = arg;

    xml_write(&seen->text, el, STR(""));
    buf_addf(&seen->text, " end=%zu\n", seen->offset + end);
    seen->last_end = seen->offset + end;
    return ++seen->n_stanzas != seen->stop_at;
}

static bool
on_close(void *arg, size_t end)
{
    struct seen *seen = arg;

    buf_addf(&seen->text, "close end=%zu\n", seen->offset + end);
    seen->closed = true;
    return false;
}

const struct xml_handlers handlers = { on_open, on_stanza, on_close };

void
seen_fini(struct seen *seen)
{
    buf_fini(&seen->text);
    buf_fini(&seen->scopes);
}

enum xml_error
feed_in_pieces(struct xml_parser *p, struct seen *seen, struct str text, size_t piece_n)
{
    enum xml_error e = XML_OK;

    for (size_t i = 0; i < text.n && e == XML_OK; i += piece_n) {
        /* A copy of its own, so that the sanitizer sees every byte read too far. */
        size_t n = text.n - i < piece_n ? text.n - i : piece_n;
        char *piece = malloc(n);

        assert_non_null(piece);
        memcpy(piece, text.p + i, n);
        seen->offset = i;
        e = xml_parser_feed(p, piece, n);
        free(piece);
    }
    return e;
}
