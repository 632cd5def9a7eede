/*
 * forged.c -- what a client may not say in our name
 *
 * Whoever reads a message believes some of its elements because of whose address is in
 * them: that we have delayed it (XEP-0203, 8), or that an archive of ours has given it
 * an ID (XEP-0359, 5). Those go, the message stays: a client may have copied them in
 * good faith. A carbon copy is made by the recipient's own server only, and clients
 * have been fooled by others (XEP-0280, 11): no client has reason to send one, and none
 * of them passes.
 */
#include "worker/forged.h"

#include "worker/deliver.h"
#include "worker/modules.h"
#include "xmpp/traits.h"

/* Is it an address of ours: a host, a service, an account, a room? */
static bool
is_ours(const struct worker *w, const struct xml_el *el, const char *attr,
        bool domains_only)
{
    struct jid jid;

    if (jid_parse(el->arena, xml_attr(el, attr), &jid) < 0 ||
            (domains_only && !jid_is_domain(&jid)))
        return false;
    return host_of(w, jid.domain) || service_find(w, jid.domain);
}

/* A client may say that it, or somebody else, has kept the message for a while. */
static bool
is_forged(const struct xml_el *el, const void *w)
{
    if (xml_is(el, "delay", NS_DELAY) || xml_is(el, "x", NS_DELAY_OLD))
        return is_ours(w, el, "from", true);
    if (xml_is(el, "stanza-id", NS_SID) || xml_is(el, "archived", NS_MAM_TMP))
        return is_ours(w, el, "by", false);
    return false;
}

bool
forged_check(struct worker *w, struct stanza *s)
{
    if (!(s->traits & (TRAITS_CARBON | TRAIT(DELAY) | TRAIT(STANZA_ID))))
        return true;
    if (s->traits & TRAITS_CARBON) {
        deliver_error(w, s, STANZA_ERROR_POLICY_VIOLATION,
                "only the server makes copies of messages");
        return false;
    }
    if (xml_remove_if(s->el, is_forged, w) > 0)
        s->traits = traits_of(s->el);
    return true;
}
