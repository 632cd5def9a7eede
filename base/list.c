/*
 * list.c -- rings of nodes
 */
#include "base/list.h"

void
list_init(struct list *l)
{
    l->next = l->prev = l;
}

bool
list_empty(const struct list *head)
{
    return head->next == head;
}

static void
list_link(struct list *node, struct list *prev, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

void
list_add(struct list *head, struct list *node)
{
    list_link(node, head->prev, head);
}

void
list_push(struct list *head, struct list *node)
{
    list_link(node, head, head->next);
}

void
list_del(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}
