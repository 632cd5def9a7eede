/*
 * vcard.c -- vCards (XEP-0054)
 *
 * Administrators and the search service know vCards as names with values; that is all
 * that a server has to understand of them.
 */
#include "xmpp/vcard.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stringprep.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "xml/el.h"
#include "xmpp/ns.h"

enum {
    NAME_MAX_SIZE = 64,
    PROFILE_MAX = 20,
    GROWTH = 12, /* no character becomes more bytes than this for each of its own */
    SHA1_SIZE = 20
};

static const struct {
    const char *column, *var, *label, *name, *subname;
} fields[VCARD_FIELDS] = {
#define VCARD_FIELD(id, column, var, label, name, subname) \
    { column, var, label, name, subname },
#include "xmpp/vcard.def"
};

const char *
vcard_column(enum vcard_field field)
{
    return fields[field].column;
}

const char *
vcard_search_var(enum vcard_field field)
{
    return fields[field].var;
}

const char *
vcard_label(enum vcard_field field)
{
    return fields[field].label;
}

int
vcard_field_by_var(struct str var, enum vcard_field *ret)
{
    for (unsigned i = 0; i < VCARD_FIELDS; i++) {
        if (str_eq_c(var, fields[i].var)) {
            *ret = (enum vcard_field)i;
            return 0;
        }
    }
    return -ENOENT;
}

/* Folding */

static bool
is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static struct str
fold_ascii(struct arena *arena, struct str s)
{
    char *to = arena_alloc_unaligned(arena, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
    return (struct str){ to, s.n };
}

/*
 * nameprep without its prohibitions: libidn keeps the sizes of its tables to itself, so
 * they are taken from there. It insists on a table of what right-to-left text may not
 * have; ours is empty.
 */
static void
fold_profile(Stringprep_profile to[PROFILE_MAX])
{
    static const Stringprep_table_element nothing[1];
    unsigned n = 0;

    for (const Stringprep_profile *from = stringprep_nameprep;
            from->operation && n < PROFILE_MAX - 1; from++) {
        if (from->operation == STRINGPREP_PROHIBIT_TABLE ||
                from->operation == STRINGPREP_UNASSIGNED_TABLE)
            continue;
        to[n] = *from;
        if (from->operation == STRINGPREP_BIDI_PROHIBIT_TABLE) {
            to[n].table = nothing;
            to[n].table_size = 0;
        }
        n++;
    }
    to[n] = (Stringprep_profile){ 0 };
}

struct str
vcard_fold(struct arena *arena, struct str text)
{
    Stringprep_profile profile[PROFILE_MAX];
    struct buf work = { 0 };
    struct str folded = text;
    size_t size = GROWTH * text.n + 1;

    if (is_ascii(text))
        return fold_ascii(arena, text);
    if (memchr(text.p, '\0', text.n) || !str_is_utf8(text))
        return text;
    fold_profile(profile);
    memcpy(buf_reserve(&work, size), text.p, text.n);
    buf_added(&work, text.n);
    if (stringprep(work.p, size, (Stringprep_profile_flags)0, profile) == STRINGPREP_OK)
        folded = str_dup(arena, str_from(work.p));
    buf_fini(&work);
    return folded;
}

/* At most so many characters; never in the middle of one. */
static struct str
cut(struct str s)
{
    size_t n = 0, i = 0;

    for (; i < s.n; i++)
        if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n++ == VCARD_SEARCH_MAX)
            break;
    return (struct str){ s.p, i };
}

static struct str
search_value(const struct xml_el *vcard, enum vcard_field field)
{
    const struct xml_el *el = xml_child(vcard, fields[field].name, NS_VCARD);
    const struct xml_el *part = el;
    struct str value;

    if (fields[field].subname)
        part = xml_child(el, fields[field].subname, NS_VCARD);
    value = xml_text(part);
    /* Some clients write the address into EMAIL itself. */
    if (field == VCARD_EMAIL && value.n == 0)
        value = xml_text(el);
    return value.p ? value : STR("");
}

void
vcard_search(struct arena *arena, const struct xml_el *vcard, struct vcard_search *ret)
{
    for (unsigned i = 0; i < VCARD_FIELDS; i++) {
        ret->value[i] = cut(search_value(vcard, (enum vcard_field)i));
        ret->folded[i] = cut(vcard_fold(arena, ret->value[i]));
    }
}

/* Fields by name */

/* From el on, el included. */
static struct xml_el *
named(struct xml_el *el, struct str name)
{
    while (el && !(xml_is(el, NULL, NS_VCARD) && str_eq(el->name, name)))
        el = el->next;
    return el;
}

static struct xml_el *
child_named(const struct xml_el *el, struct str name)
{
    return el ? named(el->first, name) : NULL;
}

static bool
is_tel(struct str name, struct str subname)
{
    return str_eq(name, STR("TEL")) && subname.n > 0;
}

struct xml_el *
vcard_get(const struct xml_el *vcard, struct str name, struct str subname)
{
    struct xml_el *number = NULL;

    if (subname.n == 0)
        return child_named(vcard, name);
    if (!is_tel(name, subname))
        return child_named(child_named(vcard, name), subname);
    xml_for(tel, vcard, "TEL", NS_VCARD)
    {
        if (child_named(tel, subname))
            number = xml_child(tel, "NUMBER", NS_VCARD);
    }
    return number;
}

struct xml_el *
vcard_get_next(const struct xml_el *el)
{
    /* The number of a telephone has no second one. */
    if (!el || (el->parent && xml_is(el->parent, "TEL", NS_VCARD)))
        return NULL;
    return named(el->next, el->name);
}

static bool
is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!is_letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-' || c == '_')))
            return false;
    }
    return s.n > 0 && s.n <= NAME_MAX_SIZE;
}

static bool
has_name(const struct xml_el *el, const void *name)
{
    return xml_is(el, NULL, NS_VCARD) && str_eq(el->name, *(const struct str *)name);
}

static bool
is_tel_of_kind(const struct xml_el *el, const void *kind)
{
    return xml_is(el, "TEL", NS_VCARD) &&
           child_named(el, *(const struct str *)kind) != NULL;
}

static struct xml_el *
add(struct xml_el *parent, struct str name)
{
    struct xml_el *el = xml_el_new_str(parent->arena, name, parent->ns);

    xml_add_el(parent, el);
    return el;
}

static void
replace(struct xml_el *parent, struct str name, const struct str *values, size_t n)
{
    xml_remove_if(parent, has_name, &name);
    for (size_t i = 0; i < n; i++)
        xml_add_text(add(parent, name), values[i]);
}

int
vcard_set(struct xml_el *vcard, struct str name, struct str subname,
        const struct str *values, size_t n)
{
    struct xml_el *el;

    if (!is_name(name) || (subname.n > 0 && !is_name(subname)))
        return -EINVAL;
    if (is_tel(name, subname)) {
        if (n > 1)
            return -EINVAL;
        xml_remove_if(vcard, is_tel_of_kind, &subname);
        if (n == 0)
            return 0;
        el = add(vcard, name);
        add(el, subname);
        replace(el, STR("NUMBER"), values, n);
    } else if (subname.n > 0) {
        el = child_named(vcard, name);
        if (!el && n == 0)
            return 0;
        replace(el ? el : add(vcard, name), subname, values, n);
    } else {
        replace(vcard, name, values, n);
    }
    return 0;
}

/* The avatar */

static bool
is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '+' || c == '/';
}

/*
 * As MIME has it (RFC 2045, 6.8): BINVAL usually has line ends in it, and what else is
 * no letter of base64 is ignored.
 */
static int
decode_binval(struct buf *out, struct str text)
{
    struct buf letters = { 0 };
    int r;

    for (size_t i = 0; i < text.n; i++)
        if (is_base64(text.p[i]))
            buf_add_char(&letters, text.p[i]);
    while (letters.n % 4 != 0)
        buf_add_char(&letters, '=');
    r = b64_decode(out, buf_str(&letters));
    buf_fini(&letters);
    return r;
}

static void
write_hash(struct str image, char ret[VCARD_HASH_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (!EVP_Digest(image.p, image.n, digest, &n, EVP_sha1(), NULL))
        return;
    for (unsigned i = 0; i < SHA1_SIZE && i < n; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

int
vcard_photo(const struct xml_el *vcard, struct vcard_photo *ret)
{
    const struct xml_el *el = xml_child(vcard, "PHOTO", NS_VCARD);
    struct str binval = xml_child_text(el, "BINVAL", NS_VCARD);
    struct buf image = { 0 };

    *ret = (struct vcard_photo){ .type = xml_child_text(el, "TYPE", NS_VCARD) };
    if (binval.n > 0 && decode_binval(&image, binval) == 0 && image.n > 0) {
        ret->size = image.n;
        write_hash(buf_str(&image), ret->hash);
    } else {
        ret->is_external = str_trim(xml_child_text(el, "EXTVAL", NS_VCARD)).n > 0;
    }
    buf_fini(&image);
    return ret->size > 0 || ret->is_external ? 0 : -ENOENT;
}

void
vcard_update_set(struct xml_el *presence, const char *hash)
{
    xml_remove(presence, "x", NS_VCARD_UPDATE);
    xml_add_leaf(
            xml_add(presence, "x", NS_VCARD_UPDATE), "photo", NULL, str_from(hash));
}
