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

void list_init(struct list *l);
bool list_empty(const struct list *head);
void list_add(struct list *head, struct list *node);  /* at the end */
void list_push(struct list *head, struct list *node); /* in front */

/*
 * Takes the node out and makes it a ring of its own, so that doing it twice is
 * harmless.
 */
void list_del(struct list *node);

#define list_entry(node, type, member) container_of(node, type, member)
#define list_for(pos, head) \
    for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* The current node may be deleted. */
#define list_for_safe(pos, head)                                                  \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); \
            pos = pos##_next, pos##_next = pos->next)

#endif
