/*
 * events.c -- expat's events, to the builder
 *
 * Expat finds the tags and checks the text; what it tells is copied into the tree's
 * arena here and put together in builder.c. Sizes are checked here, as only expat knows
 * where a token began.
 *
 * Between stanzas expat must hold nothing, because another connection may be next. What
 * could make it differ there is refused: text, CDATA sections and processing
 * instructions.
 */
#include "xml/builder.h"
#include "xml/parser_priv.h"

int64_t
xml_parser_token_at(const struct xml_parser *p)
{
    return XML_GetCurrentByteIndex(p->expat) + (p->n_fed - p->expat_n);
}

static int64_t
token_end(const struct xml_parser *p)
{
    return xml_parser_token_at(p) + XML_GetCurrentByteCount(p->expat);
}

static struct str
keep(struct xml_parser *p, const char *s, size_t n)
{
    char *to;

    if (n == 0)
        return STR("");
    to = arena_alloc_unaligned(p->arena, n);
    memcpy(to, s, n);
    return (struct str){ to, n };
}

static void
flush_text(struct xml_parser *p)
{
    if (p->text.n > 0) {
        xml_add_text(p->at, keep(p, p->text.p, p->text.n));
        p->text.n = 0;
    }
}

/* One attribute more than is allowed is enough to be refused. */
static struct xml_tag
keep_tag(struct xml_parser *p, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_tag tag = { .name = keep(p, qname, strlen(qname)) };
    struct xml_tag_attr *to;
    size_t n = 0;

    while (atts[2 * n] && n <= p->limits.attrs_max)
        n++;
    buf_reset(&p->attrs, SIZE_MAX);
    to = (void *)buf_reserve(&p->attrs, n * sizeof *to);
    tag.attrs = to;
    tag.n_attrs = n;
    for (size_t i = 0; i < n; i++) {
        const XML_Char *name = atts[2 * i], *value = atts[2 * i + 1];

        to[i].name = keep(p, name, strlen(name));
        to[i].value = keep(p, value, strlen(value));
    }
    return tag;
}

static void
on_start(void *arg, const XML_Char *qname, const XML_Char **atts)
{
    struct xml_parser *p = arg;
    struct xml_tag tag;

    if (p->error)
        return;
    if (!p->at && p->state == XML_IN_STREAM) {
        xml_build_begin(p, xml_parser_token_at(p));
        xml_parser_watch_end(p, str_from(qname));
        p->pool->stats.by_expat++;
    }
    if ((size_t)(token_end(p) - p->stanza_at) > p->limits.stanza_size_max ||
            (size_t)XML_GetCurrentByteCount(p->expat) > p->limits.tag_size_max) {
        xml_parser_fail(p, XML_ERR_TOO_BIG);
        return;
    }
    tag = keep_tag(p, qname, atts);
    if (p->state == XML_AT_HEADER) {
        xml_build_header(p, &tag, token_end(p));
        return;
    }
    if (p->at)
        flush_text(p);
    xml_build_start(p, &tag);
}

static void
on_end(void *arg, const XML_Char *qname)
{
    struct xml_parser *p = arg;
    int64_t end = token_end(p);

    (void)qname;
    if (p->error)
        return;
    if (!p->at) {
        p->state = XML_ENDED;
        if (p->handlers->on_close)
            p->handlers->on_close(p->arg, (size_t)(end - p->feed_at));
        xml_parser_account(p);
        xml_parser_fail(p, XML_STOPPED);
        return;
    }
    flush_text(p);
    if (p->depth == 1 && (size_t)(end - p->stanza_at) > p->limits.stanza_size_max) {
        xml_parser_fail(p, XML_ERR_TOO_BIG);
        return;
    }
    if (!xml_build_end(p, end)) {
        xml_parser_fail(p, XML_STOPPED);
    } else if (!p->at && p->expat_size > EXPAT_SIZE_MAX) {
        p->worn_at = end;
        XML_StopParser(p->expat, XML_FALSE);
    }
}

static void
on_text(void *arg, const XML_Char *s, int len)
{
    struct xml_parser *p = arg;

    if (p->error || p->worn_at)
        return;
    if (!p->at) {
        if (!xml_is_space(s, (size_t)len))
            xml_parser_fail(p, XML_ERR_TEXT);
        p->n_space += (size_t)len;
        return;
    }
    if ((size_t)(token_end(p) - p->stanza_at) > p->limits.stanza_size_max)
        xml_parser_fail(p, XML_ERR_TOO_BIG);
    else
        buf_add(&p->text, s, (size_t)len);
}

/*
 * An empty section between stanzas would go unseen, and an open one would be inherited.
 */
static void
on_cdata(void *arg)
{
    struct xml_parser *p = arg;

    if (!p->at)
        xml_parser_fail(p, XML_ERR_TEXT);
}

static void
on_declaration(
        void *arg, const XML_Char *version, const XML_Char *encoding, int standalone)
{
    (void)version, (void)standalone;
    if (encoding && !str_caseeq(str_from(encoding), STR("utf-8")))
        xml_parser_fail(arg, XML_ERR_BAD_ENCODING);
}

static void
on_comment(void *arg, const XML_Char *text)
{
    (void)text;
    xml_parser_fail(arg, XML_ERR_RESTRICTED);
}

static void
on_instruction(void *arg, const XML_Char *target, const XML_Char *data)
{
    (void)target, (void)data;
    xml_parser_fail(arg, XML_ERR_RESTRICTED);
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
        const XML_Char *pubid, int has_internal_subset)
{
    (void)name, (void)sysid, (void)pubid, (void)has_internal_subset;
    xml_parser_fail(arg, XML_ERR_RESTRICTED);
}

void
xml_parser_set_callbacks(struct xml_parser *p)
{
    XML_SetUserData(p->expat, p);
    XML_SetElementHandler(p->expat, on_start, on_end);
    XML_SetCharacterDataHandler(p->expat, on_text);
    XML_SetCdataSectionHandler(p->expat, on_cdata, NULL);
    XML_SetXmlDeclHandler(p->expat, on_declaration);
    XML_SetCommentHandler(p->expat, on_comment);
    XML_SetProcessingInstructionHandler(p->expat, on_instruction);
    XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);
}
