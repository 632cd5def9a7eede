#ifndef XMPP_VCARD_H
#define XMPP_VCARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct xml_el;

/*
 * vCards (XEP-0054) as trees: vcard is a <vCard xmlns='vcard-temp'/>. As in xml/el.h,
 * look-ups accept NULL.
 */

/* Searching (XEP-0055) */

enum vcard_field {
#define VCARD_FIELD(id, column, var, label, name, subname) VCARD_##id,
#include "xmpp/vcard.def"
    VCARD_FIELDS
};

enum {
    VCARD_SEARCH_MAX = 191 /* characters: what a column takes in every database */
};

/* The row of vcard_search; empty texts where the vCard has none. */
struct vcard_search {
    struct str value[VCARD_FIELDS];  /* the column */
    struct str folded[VCARD_FIELDS]; /* the column with l in front */
};

/* Longer texts are cut to VCARD_SEARCH_MAX characters. */
void vcard_search(
        struct arena *arena, const struct xml_el *vcard, struct vcard_search *ret);

/*
 * The case folding of search columns and of what is searched for, the same as
 * ejabberd's: the tables B.1 and B.2 of RFC 3454, then NFKC. Text that mixes directions
 * against its section 6 stays as it is. *ret may be a view of text.
 */
struct str vcard_fold(struct arena *arena, struct str text);

const char *vcard_column(enum vcard_field field);     /* "family" */
const char *vcard_search_var(enum vcard_field field); /* "last" */
const char *vcard_label(enum vcard_field field);      /* "Family Name" */
/* The field of a search form by its var: 0 or -ENOENT. */
int vcard_field_by_var(struct str var, enum vcard_field *ret);

/* Fields by name, as administrators have them: FN; N GIVEN; ADR CTRY; TEL WORK … */

/*
 * The element that holds the field, the first if there are several: its text is the
 * value, further ones are found by vcard_get_next(). TEL WORK is the number in the last
 * TEL that is marked <WORK/>. subname with n == 0: none. NULL: no such field.
 */
struct xml_el *vcard_get(
        const struct xml_el *vcard, struct str name, struct str subname);
struct xml_el *vcard_get_next(const struct xml_el *el);

/*
 * Gives the field these values in place of those that it had; n == 0 removes it. With a
 * subname the other parts of the (first) name stay. TEL takes one value per kind. Names
 * and values are not copied. 0, or -EINVAL: a name that no element can have.
 */
int vcard_set(struct xml_el *vcard, struct str name, struct str subname,
        const struct str *values, size_t n);

/* The avatar (XEP-0153) */

enum {
    VCARD_HASH_SIZE = 41
};

struct vcard_photo {
    size_t size; /* bytes of the image */
    struct str type;
    bool is_external;           /* only a link (EXTVAL): size 0, no hash */
    char hash[VCARD_HASH_SIZE]; /* SHA-1 of the image, hexadecimal; "" if there is none
                                 */
};

/* 0; -ENOENT: no photo, or an empty one. *ret is set in any case. */
int vcard_photo(const struct xml_el *vcard, struct vcard_photo *ret);

/*
 * Makes a presence say which photo is current: <x><photo>hash</photo></x>, in place of
 * what the client said; hash "": there is none. hash is not copied.
 */
void vcard_update_set(struct xml_el *presence, const char *hash);

#endif
