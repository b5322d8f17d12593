/* The largest value that can be sent: forwards from the sender, the label of a user is the largest amount that can
 * leave it, and a larger one is never worse. */
#include "heap.h"
#include "search.h"

typedef struct {
    const network *net;
    const question *asked;
    uint32_t *fewest; /* the hops with which a user was last taken up, each time fewer */
    bool *is_avoided;
    heap open;
    uint64_t work;
} search;

static bool offer(search *s, uint64_t amount, uint32_t hops, uint32_t u) {
    return heap_push(&s->open, (entry){MAX_AMOUNT - amount, hops, u});
}

static bool extend(search *s, const entry *top) {
    const user *owner = &s->net->users[top->user];
    uint64_t amount = MAX_AMOUNT - top->cost;
    s->work += owner->degree;
    for (uint32_t i = 0; i < owner->degree; i++) {
        uint32_t p = other_end(s->net, owner->ends[i]);
        if (s->fewest[p] <= top->hops + 1 || (s->is_avoided && s->is_avoided[p])) continue;
        hop h = hop_over(s->net, owner->ends[i], true, s->asked->at);
        if (h.is_frozen || h.capacity <= 0) continue;
        uint64_t arriving = (wide)amount < h.capacity ? amount : (uint64_t)h.capacity;
        if (p != s->asked->receiver) arriving = forwardable(arriving, h.balance, s->net->divisor);
        if (arriving && !offer(s, arriving, top->hops + 1, p)) return false;
    }
    return true;
}

static outcome run(search *s, uint64_t *value) {
    if (!offer(s, MAX_AMOUNT, 0, s->asked->sender)) return NO_MEMORY;
    while (s->open.count) {
        entry top = heap_pop(&s->open);
        if (top.user == s->asked->receiver) {
            *value = MAX_AMOUNT - top.cost;
            return FOUND;
        }
        if (s->fewest[top.user] <= top.hops || top.hops >= s->asked->max_hops) continue;
        s->fewest[top.user] = top.hops;
        if (!extend(s, &top)) return NO_MEMORY;
        if (s->work > s->asked->budget) return SPENT;
    }
    return NOT_FOUND;
}

outcome widest(const network *net, const question *asked, uint64_t *value, uint64_t *work) {
    search s = {.net = net, .asked = asked};
    outcome result = NO_MEMORY;
    *value = 0;
    s.fewest = malloc(net->user_count * sizeof *s.fewest);
    if (asked->avoid_count) s.is_avoided = calloc(net->user_count, sizeof *s.is_avoided);
    if (s.fewest && (s.is_avoided || !asked->avoid_count)) {
        for (uint32_t i = 0; i < net->user_count; i++) s.fewest[i] = UINT32_MAX;
        for (uint32_t i = 0; i < asked->avoid_count; i++) s.is_avoided[asked->avoid[i]] = true;
        if (s.is_avoided) s.is_avoided[asked->sender] = s.is_avoided[asked->receiver] = false;
        result = run(&s, value);
    }
    *work = s.work;
    free(s.fewest);
    free(s.is_avoided);
    free(s.open.entries);
    return result;
}
