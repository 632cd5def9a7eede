#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/mem.h"

/* A ring of nodes that are members of their owners; the head is a node of its own. */
struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

static inline void
list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void
list_link(struct list *node, struct list *prev, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

/* At the end. */
static inline void
list_add(struct list *head, struct list *node)
{
    list_link(node, head->prev, head);
}

/* In front. */
static inline void
list_push(struct list *head, struct list *node)
{
    list_link(node, head, head->next);
}

/*
 * Takes the node out and makes it a ring of its own, so that doing it twice is
 * harmless.
 */
static inline void
list_del(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_for(pos, head) \
    for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* The current node may be deleted. */
#define list_for_safe(pos, head)                                                  \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); \
            pos = pos##_next, pos##_next = pos->next)

#endif
