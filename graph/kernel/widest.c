/* The largest value that can be sent: forwards from the sender, the label of a user is the largest amount that can
 * leave it, and a larger one is never worse. */
#include "scratch.h"
#include "search.h"

typedef struct {
    const network *net;
    const question *asked;
    scratch *work; /* exact: the fewest hops with which a user was taken up */
    uint32_t receiver;
    uint64_t spent;
} search;

static bool offer(search *s, uint64_t amount, uint32_t hops, uint32_t u) {
    return heap_push(&s->work->exact_heap, (entry){MAX_AMOUNT - amount, hops, u});
}

static bool extend(search *s, const entry *top) {
    const user *owner = &s->net->users[top->user];
    uint64_t amount = MAX_AMOUNT - top->cost;
    for (uint32_t i = 0; i < owner->degree; i++) {
        uint32_t p = owner->ends[i].other;
        const label *there = &s->work->exact[p];
        if (p != s->receiver && s->work->is_avoided[p]) continue;
        if (there->is_settled && there->hops <= top->hops + 1) continue;
        hop h = hop_over(&owner->ends[i], true, s->asked->at);
        if (h.is_frozen || h.capacity <= 0) continue;
        uint64_t arriving = (wide)amount < h.capacity ? amount : (uint64_t)h.capacity;
        if (p != s->receiver) arriving = forwardable(arriving, h.balance, s->net->divisor);
        /* Without a hop limit only a user's best amount counts. */
        if (arriving == 0 || (s->asked->max_hops == UINT32_MAX && there->is_reached && there->cost >= arriving)) continue;
        touch(s->work, p);
        if (!there->is_reached || there->cost < arriving) {
            s->work->exact[p].is_reached = true;
            s->work->exact[p].cost = arriving;
        }
        if (!offer(s, arriving, top->hops + 1, p)) return false;
    }
    return true;
}

static outcome run(search *s, uint32_t sender, uint64_t *value) {
    if (!offer(s, MAX_AMOUNT, 0, sender)) return NO_MEMORY;
    touch(s->work, sender);
    while (s->work->exact_heap.count) {
        entry top = heap_pop(&s->work->exact_heap);
        label *here = &s->work->exact[top.user];
        if (top.user == s->receiver) {
            *value = MAX_AMOUNT - top.cost;
            return FOUND;
        }
        if ((here->is_settled && here->hops <= top.hops) || top.hops >= s->asked->max_hops) continue;
        here->is_settled = true;
        here->hops = top.hops;
        if (is_spent(s->asked, &s->spent, s->net->users[top.user].degree)) return SPENT;
        if (!extend(s, &top)) return NO_MEMORY;
    }
    return NOT_FOUND;
}

outcome widest(network *net, uint32_t sender, const question *asked, uint64_t *value, uint64_t *work) {
    scratch *memory = scratch_take(net);
    *value = 0;
    if (memory == NULL) return NO_MEMORY;
    for (uint32_t i = 0; i < asked->avoid_count; i++) {
        touch(memory, asked->avoid[i]);
        memory->is_avoided[asked->avoid[i]] = true;
    }
    search s = {.net = net, .asked = asked, .work = memory, .receiver = asked->target};
    outcome result = run(&s, sender, value);
    *work = s.spent;
    scratch_give_back(net, memory);
    return result;
}
