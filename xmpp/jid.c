/*
 * jid.c -- addresses
 *
 * Nearly all addresses are lower-case ASCII and prepared already: a table look-up per
 * byte tells, and nothing is copied. ASCII with capitals is folded here. Only the rest
 * goes through libidn: the stringprep profiles, as every deployed server uses them, not
 * PRECIS of RFC 7622, which would tell apart what others hold to be the same.
 *
 * Whatever comes out has been prepared twice with the same result: so an address never
 * changes its identity when it is parsed again by another process.
 */
#include "xmpp/jid.h"

#include <arpa/inet.h>
#include <errno.h>
#include <idn-free.h>
#include <idna.h>
#include <stringprep.h>

#include "base/arena.h"

/*
 * What an ASCII byte may be part of as it stands; the excluded ones: RFC 7622, 3.3.1.
 */
enum {
    LOCAL = 1,
    DOMAIN = 2,
    RESOURCE = 4,
    UPPER = 8
};
#define L_R   (LOCAL | RESOURCE)
#define L_D_R (LOCAL | DOMAIN | RESOURCE)

/* clang-format off */
static const unsigned char classes[256] = {
    [' '] = RESOURCE, ['!'] = L_R, ['"'] = RESOURCE, ['#' ... '%'] = L_R,
    ['&' ... '\''] = RESOURCE, ['(' ... ','] = L_R, ['-' ... '.'] = L_D_R,
    ['/'] = RESOURCE, ['0' ... '9'] = L_D_R, [':'] = RESOURCE, [';'] = L_R,
    ['<'] = RESOURCE, ['='] = L_R, ['>'] = RESOURCE, ['?'] = L_R, ['@'] = RESOURCE,
    ['A' ... 'Z'] = UPPER | RESOURCE, ['[' ... '^'] = L_R, ['_'] = L_D_R, ['`'] = L_R,
    ['a' ... 'z'] = L_D_R, ['{' ... '~'] = L_R,
};
/* clang-format on */

enum ascii {
    PREPARED,
    FOLDABLE,  /* prepared after capitals have become small */
    FORBIDDEN, /* an ASCII character that may not be there */
    NOT_ASCII
};

static enum ascii
ascii_look(struct str s, unsigned part)
{
    unsigned all = part;
    bool upper = false;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x80)
            return NOT_ASCII;
        if ((classes[c] & UPPER) && part != RESOURCE)
            upper = true;
        else
            all &= classes[c];
    }
    return !all ? FORBIDDEN : upper ? FOLDABLE : PREPARED;
}

static struct str
fold(struct arena *arena, struct str s)
{
    char *to = arena_alloc_unaligned(arena, s.n);

    for (size_t i = 0; i < s.n; i++)
        to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
    return (struct str){ to, s.n };
}

/* Some characters become eighteen; what does not fit is too long anyway. */
enum {
    PREP_SIZE = 4 * JID_PART_MAX
};

static int
profile_run(char buf[PREP_SIZE], struct str in, Stringprep_profile_flags flags,
        const Stringprep_profile *profile)
{
    if (in.n == 0 || in.n > JID_PART_MAX || memchr(in.p, '\0', in.n) ||
            !str_is_utf8(in))
        return -EINVAL;
    memcpy(buf, in.p, in.n);
    buf[in.n] = '\0';
    return stringprep(buf, PREP_SIZE, flags, profile) == STRINGPREP_OK ? 0 : -EINVAL;
}

static int
profile_prep(struct arena *arena, struct str in, Stringprep_profile_flags flags,
        const Stringprep_profile *profile, struct str *ret)
{
    char once[PREP_SIZE], twice[PREP_SIZE];
    struct str out;

    if (profile_run(once, in, flags, profile) < 0)
        return -EINVAL;
    out = str_from(once);
    if (profile_run(twice, out, flags, profile) < 0 || !str_eq_c(out, twice))
        return -EINVAL;
    *ret = str_dup(arena, out);
    return 0;
}

static int
part_prep(struct arena *arena, struct str in, unsigned part,
        const Stringprep_profile *profile, struct str *ret)
{
    if (in.n == 0 || in.n > JID_PART_MAX)
        return -EINVAL;
    switch (ascii_look(in, part)) {
    case PREPARED:
        *ret = in;
        return 0;
    case FOLDABLE:
        *ret = fold(arena, in);
        return 0;
    case FORBIDDEN:
        return -EINVAL;
    case NOT_ASCII:
        break;
    }
    return profile_prep(arena, in, (Stringprep_profile_flags)0, profile, ret);
}

int
jid_prep_local(struct arena *arena, struct str in, struct str *ret)
{
    return part_prep(arena, in, LOCAL, stringprep_xmpp_nodeprep, ret);
}

int
jid_prep_resource(struct arena *arena, struct str in, struct str *ret)
{
    return part_prep(arena, in, RESOURCE, stringprep_xmpp_resourceprep, ret);
}

int
jid_saslprep(struct arena *arena, struct str in, enum jid_prep_use use, struct str *ret)
{
    if (in.n == 0 || in.n > JID_PART_MAX)
        return -EINVAL;
    switch (ascii_look(in, RESOURCE)) {
    case PREPARED:
        *ret = in;
        return 0;
    case FOLDABLE:
    case FORBIDDEN:
        return -EINVAL;
    case NOT_ASCII:
        break;
    }
    return profile_prep(arena, in,
            use == JID_STORED ? STRINGPREP_NO_UNASSIGNED : (Stringprep_profile_flags)0,
            stringprep_saslprep, ret);
}

/* Every label 1 to 63 bytes, as far as it is ASCII. Does one look like an A-label? */
static int
labels_check(struct str domain, bool *ret_a_label)
{
    struct str label;

    *ret_a_label = false;
    while (str_cut(&domain, '.', &label)) {
        if (label.n == 0 || (label.n > 63 && ascii_look(label, DOMAIN) != NOT_ASCII))
            return -EINVAL;
        if (label.n > 4 && strncasecmp(label.p, "xn--", 4) == 0)
            *ret_a_label = true;
    }
    return 0;
}

static int
ipv6_prep(struct arena *arena, struct str in, struct str *ret)
{
    char text[INET6_ADDRSTRLEN + 2];
    struct in6_addr addr;
    size_t n;

    if (in.n < 4 || in.n >= sizeof text || in.p[in.n - 1] != ']')
        return -EINVAL;
    memcpy(text, in.p + 1, in.n - 2);
    text[in.n - 2] = '\0';
    if (strlen(text) != in.n - 2 || inet_pton(AF_INET6, text, &addr) != 1)
        return -EINVAL;
    text[0] = '[';
    if (!inet_ntop(AF_INET6, &addr, text + 1, sizeof text - 2))
        return -EINVAL;
    n = strlen(text);
    text[n++] = ']';
    text[n] = '\0';
    if (str_eq_c(in, text))
        *ret = in;
    else
        *ret = str_dup(arena, str_from(text));
    return 0;
}

/* The other full stops of IDNA (RFC 3490, 3.1). */
static void
dots_replace(char *s)
{
    static const char *const dots[] = { "\xe3\x80\x82", "\xef\xbc\x8e",
        "\xef\xbd\xa1" };

    for (size_t i = 0; i < sizeof dots / sizeof *dots; i++) {
        for (char *at = s; (at = strstr(at, dots[i])); at++) {
            at[0] = '.';
            memmove(at + 1, at + 3, strlen(at + 3) + 1);
        }
    }
}

/* One pass over an internationalised domain: nameprep, and A-labels to Unicode. */
static int
idn_run(char buf[PREP_SIZE], struct str in)
{
    bool a_label = false;
    char *text = NULL;
    int r;

    r = profile_run(buf, in, (Stringprep_profile_flags)0, stringprep_nameprep);
    if (r < 0)
        return r;
    dots_replace(buf);
    r = labels_check(str_from(buf), &a_label);
    if (r < 0 || !a_label)
        return r;
    if (idna_to_unicode_8z8z(buf, &text, IDNA_ALLOW_UNASSIGNED) != IDNA_SUCCESS)
        return -EINVAL;
    r = profile_run(
            buf, str_from(text), (Stringprep_profile_flags)0, stringprep_nameprep);
    idn_free(text);
    if (r < 0)
        return r;
    dots_replace(buf);
    r = labels_check(str_from(buf), &a_label);
    return r < 0 || a_label ? -EINVAL : 0;
}

static int
idn_prep(struct arena *arena, struct str in, struct str *ret)
{
    char once[PREP_SIZE], twice[PREP_SIZE], *ascii = NULL;

    if (idn_run(once, in) < 0 || idn_run(twice, str_from(once)) < 0 ||
            strcmp(once, twice) != 0 || strlen(once) > JID_PART_MAX)
        return -EINVAL;
    for (const char *c = once; *c; c++)
        if ((unsigned char)*c < 0x80 && !(classes[(unsigned char)*c] & DOMAIN))
            return -EINVAL;
    /* Whether each label fits into DNS, ToASCII tells. */
    if (idna_to_ascii_8z(once, &ascii, IDNA_ALLOW_UNASSIGNED) != IDNA_SUCCESS)
        return -EINVAL;
    idn_free(ascii);
    *ret = str_dup(arena, str_from(once));
    return 0;
}

/* DNS has no longer names, and libidn takes its time for them. */
static bool
is_too_long_for_dns(struct str s)
{
    size_t n = 0;

    if (s.n <= 253)
        return false;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n > 253;
}

int
jid_prep_domain(struct arena *arena, struct str in, struct str *ret)
{
    enum ascii look;
    bool a_label;

    if (in.n > 0 && in.p[0] == '[')
        return ipv6_prep(arena, in, ret);
    if (in.n > 1 && in.p[in.n - 1] == '.')
        in.n--; /* RFC 7622, 3.2 */
    if (in.n == 0 || in.n > JID_PART_MAX || is_too_long_for_dns(in))
        return -EINVAL;
    look = ascii_look(in, DOMAIN);
    if (look == FORBIDDEN)
        return -EINVAL;
    if (look == NOT_ASCII)
        return idn_prep(arena, in, ret);
    if (labels_check(in, &a_label) < 0)
        return -EINVAL;
    if (a_label)
        return idn_prep(arena, in, ret);
    *ret = look == FOLDABLE ? fold(arena, in) : in;
    return 0;
}

int
jid_domain_ascii(struct arena *arena, struct str domain, struct str *ret)
{
    char in[JID_PART_MAX + 1], *ascii = NULL;

    if (domain.n == 0 || domain.n > JID_PART_MAX)
        return -EINVAL;
    if (domain.p[0] == '[' || ascii_look(domain, DOMAIN) == PREPARED) {
        *ret = domain;
        return 0;
    }
    if (memchr(domain.p, '\0', domain.n) || !str_is_utf8(domain))
        return -EINVAL;
    memcpy(in, domain.p, domain.n);
    in[domain.n] = '\0';
    if (idna_to_ascii_8z(in, &ascii, IDNA_ALLOW_UNASSIGNED) != IDNA_SUCCESS)
        return -EINVAL;
    *ret = str_dup(arena, str_from(ascii));
    idn_free(ascii);
    return 0;
}

int
jid_make(struct arena *arena, struct str local, struct str domain, struct str resource,
        struct jid *ret_jid)
{
    struct jid jid = { 0 };

    if (jid_prep_domain(arena, domain, &jid.domain) < 0 ||
            (local.n > 0 && jid_prep_local(arena, local, &jid.local) < 0) ||
            (resource.n > 0 && jid_prep_resource(arena, resource, &jid.resource) < 0))
        return -EINVAL;
    *ret_jid = jid;
    return 0;
}

/*
 * RFC 7622, 3.1: the first slash ends the bare part, within which the first @ counts.
 */
int
jid_parse(struct arena *arena, struct str text, struct jid *ret_jid)
{
    struct str local = STR_NULL, domain = text, resource = STR_NULL;
    const char *at;

    if (text.n == 0 || text.n > JID_TEXT_MAX)
        return -EINVAL;
    at = memchr(domain.p, '/', domain.n);
    if (at) {
        resource = (struct str){ at + 1, (size_t)(text.p + text.n - (at + 1)) };
        domain.n = (size_t)(at - text.p);
        if (resource.n == 0)
            return -EINVAL;
    }
    at = domain.n > 0 ? memchr(domain.p, '@', domain.n) : NULL;
    if (at) {
        local = (struct str){ domain.p, (size_t)(at - domain.p) };
        domain.n -= local.n + 1;
        domain.p = at + 1;
        if (local.n == 0)
            return -EINVAL;
    }
    return jid_make(arena, local, domain, resource, ret_jid);
}

bool
jid_eq_bare(const struct jid *a, const struct jid *b)
{
    return str_eq(a->local, b->local) && str_eq(a->domain, b->domain);
}

bool
jid_eq(const struct jid *a, const struct jid *b)
{
    return jid_eq_bare(a, b) && str_eq(a->resource, b->resource);
}

bool
jid_is_bare(const struct jid *jid)
{
    return jid->resource.n == 0;
}

bool
jid_is_full(const struct jid *jid)
{
    return jid->resource.n > 0;
}

bool
jid_is_domain(const struct jid *jid)
{
    return jid->local.n == 0 && jid->resource.n == 0;
}

struct jid
jid_bare(const struct jid *jid)
{
    return (struct jid){ .local = jid->local, .domain = jid->domain };
}

struct jid
jid_of_domain(const struct jid *jid)
{
    return (struct jid){ .domain = jid->domain };
}

struct jid
jid_dup(struct arena *arena, const struct jid *jid)
{
    struct jid to = { 0 };

    if (jid->local.n > 0)
        to.local = str_dup(arena, jid->local);
    if (jid->domain.n > 0)
        to.domain = str_dup(arena, jid->domain);
    if (jid->resource.n > 0)
        to.resource = str_dup(arena, jid->resource);
    return to;
}

/* Writes at most JID_TEXT_MAX bytes for a prepared jid; ret NULL only measures. */
static size_t
put_text(const struct jid *jid, bool with_resource, char *ret)
{
    size_t n = 0;

    if (jid->domain.n == 0)
        return 0;
    if (jid->local.n > 0) {
        if (ret) {
            memcpy(ret, jid->local.p, jid->local.n);
            ret[jid->local.n] = '@';
        }
        n = jid->local.n + 1;
    }
    if (ret)
        memcpy(ret + n, jid->domain.p, jid->domain.n);
    n += jid->domain.n;
    if (with_resource && jid->resource.n > 0) {
        if (ret) {
            ret[n] = '/';
            memcpy(ret + n + 1, jid->resource.p, jid->resource.n);
        }
        n += 1 + jid->resource.n;
    }
    return n;
}

static struct str
to_arena(struct arena *arena, const struct jid *jid, bool with_resource)
{
    size_t n = put_text(jid, with_resource, NULL);
    char *to = arena_alloc_unaligned(arena, n + 1);

    put_text(jid, with_resource, to);
    to[n] = '\0';
    return (struct str){ to, n };
}

struct str
jid_text(struct arena *arena, const struct jid *jid)
{
    return to_arena(arena, jid, true);
}

struct str
jid_bare_text(struct arena *arena, const struct jid *jid)
{
    return to_arena(arena, jid, false);
}

void
jid_write(struct buf *out, const struct jid *jid)
{
    size_t n = put_text(jid, true, NULL);

    put_text(jid, true, buf_reserve(out, n));
    buf_added(out, n);
}

void
jid_write_bare(struct buf *out, const struct jid *jid)
{
    size_t n = put_text(jid, false, NULL);

    put_text(jid, false, buf_reserve(out, n));
    buf_added(out, n);
}
