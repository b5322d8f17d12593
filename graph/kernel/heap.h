/* A binary heap of users, the smallest (cost, hops) first. Entries that were overtaken stay in it. */
#ifndef TL_HEAP_H
#define TL_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t cost;
    uint32_t hops;
    uint32_t user;
} entry;

typedef struct {
    entry *entries;
    size_t count, room;
} heap;

static inline bool comes_before(uint64_t cost, uint32_t hops, uint64_t other_cost, uint32_t other_hops) {
    return cost < other_cost || (cost == other_cost && hops < other_hops);
}

/* Puts an entry at the end, which makes a list of it and no heap. */
static inline bool append(heap *h, entry e) {
    if (h->count == h->room) {
        size_t room = h->room ? h->room * 2 : 256;
        entry *larger = realloc(h->entries, room * sizeof e);
        if (larger == NULL) return false;
        h->entries = larger;
        h->room = room;
    }
    h->entries[h->count++] = e;
    return true;
}

static inline bool heap_push(heap *h, entry e) {
    if (!append(h, e)) return false;
    size_t at = h->count - 1;
    while (at) {
        size_t parent = (at - 1) / 2;
        entry *p = &h->entries[parent];
        if (!comes_before(e.cost, e.hops, p->cost, p->hops)) break;
        h->entries[at] = *p;
        at = parent;
    }
    h->entries[at] = e;
    return true;
}

static inline entry heap_pop(heap *h) {
    entry top = h->entries[0], last = h->entries[--h->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->count) break;
        entry *c = &h->entries[child];
        if (child + 1 < h->count && comes_before(c[1].cost, c[1].hops, c->cost, c->hops)) child++, c++;
        if (!comes_before(c->cost, c->hops, last.cost, last.hops)) break;
        h->entries[at] = *c;
        at = child;
    }
    h->entries[at] = last;
    return top;
}

#endif
