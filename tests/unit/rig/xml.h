#ifndef TESTS_UNIT_RIG_XML_H
#define TESTS_UNIT_RIG_XML_H

#include "base/arena.h"
#include "xml/el.h"
#include "xml/parser.h"
#include "xmpp/jid.h"

/* A parser and an arena for a whole group of tests. */
extern struct xml_pool *pool;
extern struct arena arena;
int xml_setup(void **state);
int xml_teardown(void **state);

/* The tree of a text, which must be good, in a namespace; in jabber:client. */
struct xml_el *parse_in(const char *text, const char *ns);
struct xml_el *parse(const char *text);

/* A JID that must be good. */
struct jid jid(const char *text);

#endif
