/*
 * caps.c -- entity capabilities (XEP-0115)
 *
 * The parts of the hashed text are sorted by bytes (i;octet). After sorting, what comes
 * twice stands side by side.
 */
#include "xmpp/caps.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "xml/el.h"
#include "xmpp/form.h"
#include "xmpp/ns.h"

static int
by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int
by_identity(const void *x, const void *y)
{
    const struct caps_identity *a = x, *b = y;
    int r;

    r = str_cmp(a->category, b->category);
    if (r == 0)
        r = str_cmp(a->type, b->type);
    if (r == 0)
        r = str_cmp(a->lang, b->lang);
    return r ? r : str_cmp(a->name, b->name);
}

struct field {
    struct str var;
    const struct xml_el *el;
};

static int
by_var(const void *a, const void *b)
{
    return str_cmp(((const struct field *)a)->var, ((const struct field *)b)->var);
}

struct form {
    struct str type;
    const struct xml_el *el;
};

static int
by_form_type(const void *a, const void *b)
{
    return str_cmp(((const struct form *)a)->type, ((const struct form *)b)->type);
}

static void
sort(void *items, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    if (n > 1)
        qsort(items, n, size, compare);
}

static size_t
count(const struct xml_el *el, const char *name, const char *ns)
{
    size_t n = 0;

    xml_for(c, el, name, ns) n++;
    return n;
}

/* Reading */

static bool
is_clean(struct str s)
{
    return s.n == 0 || !memchr(s.p, '<', s.n);
}

static int
read_identities(struct arena *arena, const struct xml_el *info, struct caps_info *ret)
{
    size_t n = count(info, "identity", NS_DISCO_INFO), i = 0;
    struct caps_identity *all = arena_alloc(arena, n * sizeof *all);

    xml_for(el, info, "identity", NS_DISCO_INFO)
    {
        struct caps_identity *id = &all[i++];

        id->category = xml_attr(el, "category");
        id->type = xml_attr(el, "type");
        /* Not inherited: whoever made the hash has seen the identity alone. */
        id->lang = xml_attr_ns(el, "lang", XML_NS);
        id->name = xml_attr(el, "name");
        if (id->category.n == 0 || id->type.n == 0 || !is_clean(id->category) ||
                !is_clean(id->type) || !is_clean(id->lang) || !is_clean(id->name))
            return -EINVAL;
    }
    sort(all, n, sizeof *all, by_identity);
    for (i = 1; i < n; i++)
        if (by_identity(&all[i - 1], &all[i]) == 0)
            return -EINVAL;
    ret->identities = all;
    ret->n_identities = n;
    return 0;
}

static int
read_features(struct arena *arena, const struct xml_el *info, struct caps_info *ret)
{
    size_t n = count(info, "feature", NS_DISCO_INFO), i = 0;
    struct str *all = arena_alloc(arena, n * sizeof *all);

    xml_for(el, info, "feature", NS_DISCO_INFO)
    {
        all[i] = xml_attr(el, "var");
        if (all[i].n == 0 || !is_clean(all[i]))
            return -EINVAL;
        i++;
    }
    sort(all, n, sizeof *all, by_bytes);
    for (i = 1; i < n; i++)
        if (str_eq(all[i - 1], all[i]))
            return -EINVAL;
    ret->features = all;
    ret->n_features = n;
    return 0;
}

/* 0: to be left out; 1: counts; or -EINVAL. */
static int
form_counts(const struct xml_el *x)
{
    const struct xml_el *type = form_field(x, "FORM_TYPE");
    struct str first = form_value(x, "FORM_TYPE");

    if (!type || form_field_type(type) != FIELD_HIDDEN || first.n == 0)
        return 0;
    xml_for(f, x, "field", NS_DATA)
    {
        if (!is_clean(xml_attr(f, "var")))
            return -EINVAL;
        form_for_value(v, f)
        {
            struct str value = xml_text(v);

            if (!is_clean(value) || (f == type && !str_eq(value, first)))
                return -EINVAL;
        }
    }
    return 1;
}

static int
read_forms(struct arena *arena, const struct xml_el *info, struct caps_info *ret)
{
    size_t n_max = count(info, "x", NS_DATA), n = 0;
    struct form *all = arena_alloc(arena, n_max * sizeof *all);
    const struct xml_el **els = arena_alloc(arena, n_max * sizeof *els);
    int r;

    xml_for(x, info, "x", NS_DATA)
    {
        r = form_counts(x);
        if (r < 0)
            return r;
        if (r > 0)
            all[n++] = (struct form){ form_type_of(x), x };
    }
    sort(all, n, sizeof *all, by_form_type);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(all[i - 1].type, all[i].type))
            return -EINVAL;
        els[i] = all[i].el;
    }
    ret->forms = els;
    ret->n_forms = n;
    return 0;
}

int
caps_read(struct arena *arena, const struct xml_el *info, struct caps_info *ret)
{
    struct caps_info read = { 0 };
    int r;

    if (!xml_is(info, "query", NS_DISCO_INFO))
        return -EINVAL;
    r = read_identities(arena, info, &read);
    if (r == 0)
        r = read_features(arena, info, &read);
    if (r == 0)
        r = read_forms(arena, info, &read);
    if (r == 0)
        *ret = read;
    return r;
}

int
caps_find(const struct xml_el *el, struct caps *ret)
{
    const struct xml_el *c = xml_child(el, "c", NS_CAPS);
    struct caps caps = { xml_attr(c, "hash"), xml_attr(c, "node"), xml_attr(c, "ver") };

    if (!c)
        return -ENOENT;
    if (caps.node.n == 0 || caps.ver.n == 0)
        return -EINVAL;
    *ret = caps;
    return 0;
}

struct xml_el *
caps_add(struct xml_el *el, const struct caps *caps)
{
    struct xml_el *c = xml_add(el, "c", NS_CAPS);

    xml_set(c, "hash", caps->hash);
    xml_set(c, "node", caps->node);
    xml_set(c, "ver", caps->ver);
    return c;
}

/* The text that is hashed (5.1) */

static void
put(struct buf *s, struct str part, char end)
{
    buf_add_str(s, part);
    buf_add_char(s, end);
}

static void *
copy(struct arena *arena, const void *items, size_t n, size_t size)
{
    void *to = arena_alloc(arena, n * size);

    if (n > 0)
        memcpy(to, items, n * size);
    return to;
}

static void
put_values(struct arena *arena, struct buf *s, const struct xml_el *field)
{
    size_t n = count(field, "value", NS_DATA), i = 0;
    struct str *all = arena_alloc(arena, n * sizeof *all);

    form_for_value(v, field) all[i++] = xml_text(v);
    sort(all, n, sizeof *all, by_bytes);
    for (i = 0; i < n; i++)
        put(s, all[i], '<');
}

static void
put_form(struct arena *arena, struct buf *s, const struct form *form)
{
    size_t n = count(form->el, "field", NS_DATA), i = 0;
    struct field *all = arena_alloc(arena, n * sizeof *all);

    put(s, form->type, '<');
    xml_for(f, form->el, "field", NS_DATA) all[i++] =
            (struct field){ xml_attr(f, "var"), f };
    sort(all, n, sizeof *all, by_var);
    for (i = 0; i < n; i++) {
        if (str_eq(all[i].var, STR("FORM_TYPE")))
            continue;
        put(s, all[i].var, '<');
        put_values(arena, s, all[i].el);
    }
}

static void
put_info(struct arena *arena, struct buf *s, const struct caps_info *info)
{
    struct caps_identity *ids =
            copy(arena, info->identities, info->n_identities, sizeof *ids);
    struct str *features =
            copy(arena, info->features, info->n_features, sizeof *features);
    struct form *forms = arena_alloc(arena, info->n_forms * sizeof *forms);

    sort(ids, info->n_identities, sizeof *ids, by_identity);
    for (size_t i = 0; i < info->n_identities; i++) {
        put(s, ids[i].category, '/');
        put(s, ids[i].type, '/');
        put(s, ids[i].lang, '/');
        put(s, ids[i].name, '<');
    }
    sort(features, info->n_features, sizeof *features, by_bytes);
    for (size_t i = 0; i < info->n_features; i++)
        put(s, features[i], '<');
    for (size_t i = 0; i < info->n_forms; i++)
        forms[i] = (struct form){ form_type_of(info->forms[i]), info->forms[i] };
    sort(forms, info->n_forms, sizeof *forms, by_form_type);
    for (size_t i = 0; i < info->n_forms; i++)
        put_form(arena, s, &forms[i]);
}

/* By their names in IANA's registry of textual names of hash functions. */
static const EVP_MD *
function_named(struct str name)
{
    static const struct {
        const char *name;
        const EVP_MD *(*md)(void);
    } functions[] = {
        { "sha-1", EVP_sha1 },
        { "sha-224", EVP_sha224 },
        { "sha-256", EVP_sha256 },
        { "sha-384", EVP_sha384 },
        { "sha-512", EVP_sha512 },
    };

    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (str_eq_c(name, functions[i].name))
            return functions[i].md();
    return NULL;
}

int
caps_ver(struct arena *arena, struct str hash, const struct caps_info *info,
        struct str *ret_ver)
{
    const EVP_MD *md = function_named(hash);
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct buf s = { 0 }, ver = { 0 };
    unsigned n = 0;
    int ok;

    if (!md)
        return -ENOTSUP;
    put_info(arena, &s, info);
    ok = EVP_Digest(s.p, s.n, digest, &n, md, NULL);
    buf_fini(&s);
    if (!ok)
        return -ENOTSUP;
    b64_encode(&ver, (struct str){ (const char *)digest, n });
    *ret_ver = str_dup(arena, buf_str(&ver));
    buf_fini(&ver);
    return 0;
}

int
caps_verify(struct arena *arena, const struct caps *caps, const struct xml_el *info)
{
    struct caps_info read;
    struct str ver;
    int r;

    if (!function_named(caps->hash))
        return -ENOTSUP;
    r = caps_read(arena, info, &read);
    if (r == 0)
        r = caps_ver(arena, caps->hash, &read, &ver);
    if (r == 0 && !str_eq(ver, caps->ver))
        r = -EINVAL;
    return r;
}
