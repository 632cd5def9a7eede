/*
 * scram.c -- the messages of SCRAM
 *
 *     C: n,,n=user,r=NONCE                gs2-header, client-first-message-bare
 *     S: r=NONCE+OURS,s=SALT,i=4096,h=…   server-first-message, h= from XEP-0474
 *     C: c=biws,r=NONCE+OURS,p=PROOF      client-final-message
 *     S: v=SIGNATURE                      server-final-message
 *
 * The attributes have a fixed order; unknown ones may follow and are ignored, but for
 * "m=", which means "refuse me if you do not know this" (RFC 5802, section 5.1).
 */
#include "auth/scram.h"

#include <errno.h>
#include <stdlib.h>

#include "base/b64.h"
#include "base/mem.h"

static bool
attr_is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Cuts the next "x=value" from *rest. */
static int
attr_cut(struct str *rest, char *ret_name, struct str *ret_value)
{
    struct str part;

    if (!str_cut(rest, ',', &part))
        return -EBADMSG;
    if (part.n < 2 || !attr_is_name(part.p[0]) || part.p[1] != '=')
        return -EBADMSG;
    *ret_name = part.p[0];
    *ret_value = (struct str){ part.p + 2, part.n - 2 };
    return 0;
}

static int
attr_want(struct str *rest, char name, struct str *ret_value)
{
    struct str value;
    char got;
    int r = attr_cut(rest, &got, &value);

    if (r < 0)
        return r;
    if (got == 'm')
        return -EOPNOTSUPP;
    if (got != name)
        return -EBADMSG;
    *ret_value = value;
    return 0;
}

/* Printable ASCII without comma. */
static bool
nonce_is_valid(struct str nonce)
{
    for (size_t i = 0; i < nonce.n; i++) {
        if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7e || nonce.p[i] == ',')
            return false;
    }
    return nonce.n > 0;
}

static bool
text_has_nul(struct str s)
{
    return s.n && memchr(s.p, '\0', s.n) != NULL;
}

static bool
cb_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!attr_is_name(c) && !(c >= '0' && c <= '9') && c != '.' && c != '-')
            return false;
    }
    return name.n > 0;
}

/* gs2-header: ("n" / "y" / "p=" name) "," ["a=" name] ",", then the rest. */
static int
parse_header(struct str msg, struct str *ret_rest, struct scram_first *f)
{
    struct str rest = msg, flag, authzid;

    if (!str_cut(&rest, ',', &flag) || !str_cut(&rest, ',', &authzid) || !rest.p)
        return -EBADMSG;
    if (str_eq(flag, STR("n"))) {
        f->flag = SCRAM_CB_NO;
    } else if (str_eq(flag, STR("y"))) {
        f->flag = SCRAM_CB_UNSEEN;
    } else if (str_starts(flag, STR("p="))) {
        f->flag = SCRAM_CB_USED;
        f->cb_name = (struct str){ flag.p + 2, flag.n - 2 };
        if (!cb_name_is_valid(f->cb_name))
            return -EBADMSG;
    } else {
        return -EBADMSG;
    }
    f->authzid = STR_NULL;
    if (authzid.n) {
        if (!str_starts(authzid, STR("a=")) || authzid.n == 2)
            return -EBADMSG;
        f->authzid = (struct str){ authzid.p + 2, authzid.n - 2 };
    }
    f->header = (struct str){ msg.p, (size_t)(authzid.p + authzid.n + 1 - msg.p) };
    *ret_rest = rest;
    return 0;
}

/* What follows the known attributes must look like attributes and not be mandatory. */
static int
parse_extensions(struct str rest)
{
    struct str value;
    char name;

    while (rest.p) {
        int r = attr_cut(&rest, &name, &value);

        if (r < 0)
            return r;
        if (name == 'm')
            return -EOPNOTSUPP;
    }
    return 0;
}

int
scram_parse_first(struct str msg, struct scram_first *ret_first)
{
    struct scram_first f = { 0 };
    struct str rest;
    int r;

    if (msg.n > SCRAM_FIRST_MAX || text_has_nul(msg))
        return -EBADMSG;
    r = parse_header(msg, &rest, &f);
    if (r < 0)
        return r;
    f.bare = rest;
    r = attr_want(&rest, 'n', &f.username);
    if (r == 0)
        r = attr_want(&rest, 'r', &f.nonce);
    if (r == 0)
        r = parse_extensions(rest);
    if (r < 0)
        return r;
    if (!nonce_is_valid(f.nonce) || f.nonce.n > SCRAM_NONCE_MAX)
        return -EBADMSG;
    *ret_first = f;
    return 0;
}

int
scram_parse_final(struct str msg, struct scram_final *ret_final)
{
    struct scram_final f = { 0 };
    struct str rest = msg;
    int r;

    if (msg.n > SCRAM_FINAL_MAX || text_has_nul(msg))
        return -EBADMSG;
    r = attr_want(&rest, 'c', &f.channel);
    if (r == 0)
        r = attr_want(&rest, 'r', &f.nonce);
    if (r < 0)
        return r;
    while (!f.proof.p) {
        char name;
        struct str value;

        r = attr_cut(&rest, &name, &value);
        if (r < 0)
            return r;
        if (name == 'm')
            return -EOPNOTSUPP;
        if (name == 'p')
            f.proof = value;
    }
    if (rest.p || !nonce_is_valid(f.nonce))
        return -EBADMSG; /* the proof comes last */
    f.without_proof = (struct str){ msg.p, (size_t)(f.proof.p - msg.p) - 3 };
    *ret_final = f;
    return 0;
}

int
scram_unescape(struct str name, struct buf *out)
{
    if (name.n == 0 || text_has_nul(name) || !str_is_utf8(name))
        return -EBADMSG;
    for (size_t i = 0; i < name.n; i++) {
        struct str at = { name.p + i, name.n - i };

        if (name.p[i] == '=' && !str_starts(at, STR("=2C")) &&
                !str_starts(at, STR("=3D")))
            return -EBADMSG;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '=') {
            buf_add_char(out, name.p[i + 1] == '2' ? ',' : '=');
            i += 2;
        } else {
            buf_add_char(out, name.p[i]);
        }
    }
    return 0;
}

void
scram_write_first(struct buf *out, struct str nonce, struct str salt,
        uint32_t iterations, struct str ssdp)
{
    buf_add_c(out, "r=");
    buf_add_str(out, nonce);
    buf_add_c(out, ",s=");
    b64_encode(out, salt);
    buf_addf(out, ",i=%u", (unsigned)iterations);
    if (ssdp.n) {
        buf_add_c(out, ",h=");
        buf_add_str(out, ssdp);
    }
}

static int
cmp_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void
write_sorted(struct buf *out, struct str *at, size_t n)
{
    if (n > 1)
        qsort(at, n, sizeof *at, cmp_str);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(out, '\x1e');
        buf_add_str(out, at[i]);
    }
}

void
scram_write_ssdp(struct buf *out, struct str *mechanisms, size_t n_mechanisms,
        struct str *cb_types, size_t n_cb_types)
{
    write_sorted(out, mechanisms, n_mechanisms);
    if (n_cb_types)
        buf_add_char(out, '\x1f');
    write_sorted(out, cb_types, n_cb_types);
}

bool
scram_proof_is(enum digest d, const struct scram_keys *keys, struct str auth_message,
        struct str proof)
{
    uint8_t sign[DIGEST_SIZE_MAX], client[DIGEST_SIZE_MAX], stored[DIGEST_SIZE_MAX];
    size_t size = digest_size(d);
    struct buf b = { 0 };
    bool is = false;

    digest_hmac(d, (struct str){ (const char *)keys->stored, size }, &auth_message, 1,
            sign);
    if (b64_decode(&b, proof) == 0 && b.n == size) {
        for (size_t i = 0; i < size; i++)
            client[i] = (uint8_t)((uint8_t)b.p[i] ^ sign[i]);
        digest_hash(d, (struct str){ (const char *)client, size }, stored);
        is = str_eq_secret((struct str){ (const char *)stored, size },
                (struct str){ (const char *)keys->stored, size });
        mem_wipe(client, sizeof client);
    }
    mem_wipe(sign, sizeof sign);
    buf_fini(&b);
    return is;
}

void
scram_write_final(struct buf *out, enum digest d, const struct scram_keys *keys,
        struct str auth_message)
{
    uint8_t sign[DIGEST_SIZE_MAX];
    size_t size = digest_size(d);

    digest_hmac(d, (struct str){ (const char *)keys->server, size }, &auth_message, 1,
            sign);
    buf_add_c(out, "v=");
    b64_encode(out, (struct str){ (const char *)sign, size });
}
