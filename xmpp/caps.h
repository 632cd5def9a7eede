#ifndef XMPP_CAPS_H
#define XMPP_CAPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct xml_el;

/*
 * Entity capabilities (XEP-0115): a hash over what disco#info says, so that it has to
 * be asked only once for all who say the same.
 */

struct caps_identity {
    struct str category, type;
    struct str lang, name; /* may be absent */
};

/* What an entity says of itself, in any order. forms: <x xmlns='jabber:x:data'/>. */
struct caps_info {
    const struct caps_identity *identities;
    const struct str *features;
    const struct xml_el *const *forms;
    size_t n_identities, n_features, n_forms;
};

/*
 * Reads a disco#info <query/>; everything in *ret is views of it, and arrays in arena.
 * 0, or -EINVAL: ill-formed as a whole (5.4): an identity, a feature or a FORM_TYPE
 * comes twice, a FORM_TYPE has several values, or an identity lacks its category or
 * type. Nor is accepted what holds a '<': the hash takes that for an end, so that two
 * different infos could have the same one. Forms without a hidden FORM_TYPE are left
 * out.
 *
 * Such an info may still be used for the one who sent it, but not for others.
 */
int caps_read(struct arena *arena, const struct xml_el *info, struct caps_info *ret);

/* What <c/> says. hash with p == NULL: a client older than version 1.4 (legacy). */
struct caps {
    struct str hash, node, ver;
};

/* The <c/> of a presence, or of stream features. 0; -ENOENT; -EINVAL: node or ver
 * empty. */
int caps_find(const struct xml_el *el, struct caps *ret);
struct xml_el *caps_add(struct xml_el *el, const struct caps *caps);

/*
 * The verification string, by the hash function of this name: sha-1, sha-224, sha-256,
 * sha-384 or sha-512. 0 or -ENOTSUP: another one.
 */
int caps_ver(struct arena *arena, struct str hash, const struct caps_info *info,
        struct str *ret_ver);

/*
 * Whether the <query/> that was answered is what <c/> announced: 0: yes, keep it for
 * all who announce the same; -ENOTSUP: nobody can tell (legacy, or hash unknown);
 * -EINVAL: no, or ill-formed.
 */
int caps_verify(
        struct arena *arena, const struct caps *caps, const struct xml_el *info);

#endif
