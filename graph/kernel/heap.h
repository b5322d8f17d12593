/* A binary heap of users, the smallest (cost, hops) first, and of these those put off. Entries that were overtaken
 * stay in it. */
#ifndef TL_HEAP_H
#define TL_HEAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t cost;
    uint32_t hops;
    uint32_t user; /* perhaps with PUT_OFF: something of it has been put off until here */
} entry;

#define PUT_OFF 0x80000000U

typedef struct {
    entry *entries;
    size_t count, room;
} heap;

static inline bool comes_before(uint64_t cost, uint32_t hops, uint64_t other_cost, uint32_t other_hops) {
    return cost < other_cost || (cost == other_cost && hops < other_hops);
}

static inline bool is_sooner(const entry *e, const entry *other) {
    if (e->cost != other->cost) return e->cost < other->cost;
    return e->hops != other->hops ? e->hops < other->hops : (e->user & PUT_OFF) > (other->user & PUT_OFF);
}

/* Puts an entry at the end, which makes a list of it and no heap. */
static inline bool append_entry(heap *h, entry e) {
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
    if (!append_entry(h, e)) return false;
    size_t at = h->count - 1;
    while (at) {
        size_t parent = (at - 1) / 2;
        entry *p = &h->entries[parent];
        if (!is_sooner(&e, p)) break;
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
        if (child + 1 < h->count && is_sooner(&c[1], c)) child++, c++;
        if (!is_sooner(c, &last)) break;
        h->entries[at] = *c;
        at = child;
    }
    h->entries[at] = last;
    return top;
}

#endif
