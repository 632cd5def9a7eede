#ifndef XMPP_JID_H
#define XMPP_JID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

struct arena;

enum {
    JID_PART_MAX = 1023,
    JID_TEXT_MAX = 3 * JID_PART_MAX + 2
};

/*
 * An address (RFC 7622), prepared: two that are the same compare equal by bytes. An
 * absent part has n == 0. The parts are views: a jid belongs to the arena or text it
 * came from.
 */
struct jid {
    struct str local, domain, resource;
};

/*
 * Splits and prepares. Returns 0 or -EINVAL (syntax, characters, length). Parts that
 * are prepared already (lower-case ASCII as a rule) are not copied: *ret_jid may point
 * into text; use jid_dup() for longer.
 */
int jid_parse(struct arena *arena, struct str text, struct jid *ret_jid);

/* The same from parts; local and resource may be empty. */
int jid_make(struct arena *arena, struct str local, struct str domain,
        struct str resource, struct jid *ret_jid);

/*
 * The preparation of single parts, none of them may come out empty: nodeprep, nameprep
 * of a domain (with IDNA: labels in their Unicode form, lower case, no trailing dot, at
 * most 253 characters; IPv4, [IPv6]), resourceprep. 0 or -EINVAL; *ret may be a view of
 * in.
 */
int jid_prep_local(struct arena *arena, struct str in, struct str *ret);
int jid_prep_domain(struct arena *arena, struct str in, struct str *ret);
int jid_prep_resource(struct arena *arena, struct str in, struct str *ret);

/*
 * Passwords (SASLprep, RFC 4013). To be stored: unassigned code points are refused;
 * from a client that logs in (JID_QUERY): allowed. 0 or -EINVAL; *ret may be a view of
 * in.
 */
enum jid_prep_use {
    JID_STORED,
    JID_QUERY
};
int jid_saslprep(
        struct arena *arena, struct str in, enum jid_prep_use use, struct str *ret);

/* The domain as it goes into DNS: A-labels. 0 or -EINVAL. */
int jid_domain_ascii(struct arena *arena, struct str domain, struct str *ret);

bool jid_eq(const struct jid *a, const struct jid *b);
bool jid_eq_bare(const struct jid *a, const struct jid *b); /* the resource aside */

bool jid_is_bare(const struct jid *jid);   /* no resource; a bare domain is bare, too */
bool jid_is_full(const struct jid *jid);   /* a resource */
bool jid_is_domain(const struct jid *jid); /* the domain and nothing else */

struct jid jid_bare(const struct jid *jid);      /* without the resource; same views */
struct jid jid_of_domain(const struct jid *jid); /* only the domain; same views */
struct jid jid_dup(struct arena *arena, const struct jid *jid);

/* As text, and appended to out. A jid without domain gives nothing. */
struct str jid_text(struct arena *arena, const struct jid *jid);
struct str jid_bare_text(struct arena *arena, const struct jid *jid);
void jid_write(struct buf *out, const struct jid *jid);
void jid_write_bare(struct buf *out, const struct jid *jid);

#endif
