/*
 * disco.c -- what modules put into answers to service discovery (XEP-0030)
 *
 * An identity or a feature must not come twice (XEP-0115, 5.4), whoever adds it.
 */
#include "conf/node.h"
#include "worker/module.h"
#include "xmpp/form.h"

static const char module_of_server_info[] = "mod_disco";

void
disco_identity(
        struct xml_el *query, const char *category, const char *type, struct str name)
{
    struct xml_el *el;

    xml_for(found, query, "identity", NS_DISCO_INFO)
    {
        if (str_eq_c(xml_attr(found, "category"), category) &&
                str_eq_c(xml_attr(found, "type"), type))
            return;
    }
    el = xml_add(query, "identity", NS_DISCO_INFO);
    xml_set_c(el, "category", category);
    xml_set_c(el, "type", type);
    if (name.n)
        xml_set(el, "name", name);
}

void
disco_feature(struct xml_el *query, const char *feature)
{
    xml_for(found, query, "feature", NS_DISCO_INFO)
    {
        if (str_eq_c(xml_attr(found, "var"), feature))
            return;
    }
    xml_set_c(xml_add(query, "feature", NS_DISCO_INFO), "var", feature);
}

void
disco_item(
        struct xml_el *query, const struct jid *jid, struct str node, struct str name)
{
    struct str text = jid_text(query->arena, jid);
    struct xml_el *el;

    xml_for(found, query, "item", NS_DISCO_ITEMS)
    {
        struct str other = xml_attr(found, "node");

        if (str_eq(xml_attr(found, "jid"), text) && str_eq(other, node))
            return;
    }
    el = xml_add(query, "item", NS_DISCO_ITEMS);
    xml_set(el, "jid", text);
    if (node.n)
        xml_set(el, "node", node);
    if (name.n)
        xml_set(el, "name", name);
}

/* --- Addresses of contact (XEP-0157) --- */

/* Is the text the node's, or in its list? */
static bool
says(const struct conf_node *node, const char *text)
{
    if (!node)
        return false;
    if (node->kind == CONF_SCALAR)
        return str_eq_c(node->text, text);
    conf_node_for(c, node)
    {
        if (str_eq_c(c->text, text))
            return true;
    }
    return false;
}

static void
add_urls(struct xml_el *x, const struct conf_node *entry)
{
    const struct conf_node *name = conf_node_get(entry, "name"),
                           *urls = conf_node_get(entry, "urls");
    struct xml_el *field;

    if (!name || !urls || name->text.n == 0)
        return;
    field = form_field(x, name->text.p);
    if (!field) {
        field = xml_add(x, "field", NS_DATA);
        xml_set(field, "var", name->text);
    }
    if (urls->kind == CONF_SCALAR)
        form_put(field, urls->text);
    conf_node_for(c, urls) form_put(field, c->text);
}

void
disco_server_info(
        struct xml_el *query, const struct conf_host *host, const char *module)
{
    const struct conf_module *m =
            conf_module_find(host, str_from(module_of_server_info));
    const struct conf_node *list = m ? conf_module_node(m, "server_info") : NULL;
    struct xml_el *x = NULL;

    conf_node_for(entry, list)
    {
        const struct conf_node *modules = conf_node_get(entry, "modules");

        if (modules && !says(modules, "all") && !says(modules, module))
            continue;
        if (!x)
            x = form_add(query, FORM_RESULT, NS_SERVERINFO);
        add_urls(x, entry);
    }
}
