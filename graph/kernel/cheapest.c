/* The cheapest transfer of which the sender bears the fees.
 *
 * The walk goes backwards from the receiver: a label of a user is the amount that must leave it, and a smaller one is
 * never worse. A second walk goes forwards from the sender and bounds what the rest of a path must cost: on any path
 * an amount is never below the value, so no fee is below the fee of the value itself, and what cannot pass the value
 * cannot pass more. Both walks grow by turns until they have met and neither can beat the best path known; then the
 * backward walk alone goes on, only where label and bound together are no worse than that path.
 *
 * Labels are ordered by (amount, hops). Different amounts stay different on the same continuation, so a path that ties
 * with the best one in fees and hops has the best label at each of its users; among those the path whose users' keys
 * come first is read off from the sender's end.
 */
#include <string.h>
#include <time.h>

#include "heap.h"
#include "search.h"

typedef struct {
    uint64_t cost; /* backwards: the amount that must leave; forwards: the least fees from the sender */
    uint32_t hops;
    uint32_t parent; /* forwards: the end by which the user was reached, seen from the one before */
    bool is_reached;
    bool is_settled;
} label;

typedef struct {
    const network *net;
    const question *asked;
    label *back, *front;
    heap back_heap, front_heap;
    bool *is_avoided;
    uint64_t best_cost; /* of the best path known: what the sender must send, and its hops */
    uint32_t best_hops;
    uint64_t work;
    outcome failed; /* FOUND while nothing has */
} search;

static bool spend(search *s, uint32_t amount) {
    s->work += amount;
    if (s->work > s->asked->budget) s->failed = SPENT;
    if (s->asked->deadline > 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec + now.tv_nsec / 1e9 > s->asked->deadline) s->failed = SPENT;
    }
    return s->failed == FOUND;
}

static bool may_pass(const search *s, uint32_t u) {
    return s->is_avoided == NULL || !s->is_avoided[u];
}

static void push(search *s, heap *h, uint64_t cost, uint32_t hops, uint32_t u) {
    if (!heap_push(h, (entry){cost, hops, u})) s->failed = NO_MEMORY;
}

static bool amount_on(const search *s, const hop *h, const label *after, uint64_t *amount) {
    if (after->hops == 0)
        *amount = after->cost;
    else if (!add_fee(after->cost, h->balance, s->net->divisor, amount))
        return false;
    return can_pay(h, *amount);
}

/* Follows the forward walk from a user, which must send `amount` on, back to the sender, with real amounts. */
static void try_to_join(search *s, uint32_t u) {
    label at_u = s->back[u];
    while (u != s->asked->sender) {
        uint32_t end = s->front[u].parent;
        hop h = hop_over(s->net, end, true, s->asked->at);
        uint64_t amount;
        if (!amount_on(s, &h, &at_u, &amount)) return;
        at_u.cost = amount;
        at_u.hops++;
        u = other_end(s->net, end ^ 1);
        if (!comes_before(at_u.cost, at_u.hops, s->best_cost, s->best_hops)) return;
    }
    if (at_u.cost - s->asked->value > s->asked->max_fees) return;
    s->best_cost = at_u.cost;
    s->best_hops = at_u.hops;
}

/* The least that a path through a user costs from the sender to it: known where the forward walk has settled it. */
static bool is_hopeless(const search *s, uint64_t amount, uint32_t hops, uint32_t u) {
    uint64_t fees = 0;
    uint32_t before = 0;
    if (s->front[u].is_settled) {
        fees = s->front[u].cost;
        before = s->front[u].hops;
    } else if (s->front_heap.count) {
        fees = s->front_heap.entries[0].cost;
        before = s->front_heap.entries[0].hops;
    } else {
        return true; /* the forward walk has been everywhere, but not here */
    }
    if (fees > MAX_AMOUNT - amount || amount + fees - s->asked->value > s->asked->max_fees) return true;
    return comes_before(s->best_cost, s->best_hops, amount + fees, hops + before);
}

static void step_back(search *s) {
    entry top = heap_pop(&s->back_heap);
    uint32_t u = top.user;
    label *here = &s->back[u];
    if (here->is_settled) return;
    here->is_settled = true;
    if (u == s->asked->sender || is_hopeless(s, here->cost, here->hops, u)) return;
    const user *owner = &s->net->users[u];
    if (!spend(s, owner->degree)) return;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = other_end(s->net, owner->ends[i]);
        label *there = &s->back[p];
        if (there->is_settled || !may_pass(s, p)) continue;
        hop h = hop_over(s->net, owner->ends[i], false, s->asked->at);
        uint64_t amount;
        if (!amount_on(s, &h, here, &amount)) continue;
        uint32_t hops = here->hops + 1;
        if (there->is_reached && !comes_before(amount, hops, there->cost, there->hops)) continue;
        if (is_hopeless(s, amount, hops, p)) continue;
        *there = (label){.cost = amount, .hops = hops, .is_reached = true};
        push(s, &s->back_heap, amount, hops, p);
        if (s->front[p].is_reached) try_to_join(s, p);
    }
}

static void step_front(search *s) {
    entry top = heap_pop(&s->front_heap);
    uint32_t u = top.user;
    label *here = &s->front[u];
    if (here->is_settled) return;
    here->is_settled = true;
    const user *owner = &s->net->users[u];
    if (!spend(s, owner->degree)) return;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = other_end(s->net, owner->ends[i]);
        label *there = &s->front[p];
        if (there->is_settled || p == s->asked->sender || !may_pass(s, p)) continue;
        hop h = hop_over(s->net, owner->ends[i], true, s->asked->at);
        uint64_t amount = s->asked->value;
        bool is_last = p == s->asked->receiver;
        if (!is_last && !add_fee(amount, h.balance, s->net->divisor, &amount)) continue;
        if (!can_pay(&h, amount)) continue;
        uint64_t fee = amount - s->asked->value;
        if (fee > MAX_AMOUNT - here->cost) continue;
        uint64_t cost = here->cost + fee;
        uint32_t hops = here->hops + 1;
        if (cost > s->asked->max_fees) continue;
        if (there->is_reached && !comes_before(cost, hops, there->cost, there->hops)) continue;
        *there = (label){.cost = cost, .hops = hops, .parent = owner->ends[i], .is_reached = true};
        if (!is_last) push(s, &s->front_heap, cost, hops, p);
        if (s->back[p].is_reached) try_to_join(s, p);
    }
}

static void drop_settled(heap *h, const label *labels) {
    while (h->count && labels[h->entries[0].user].is_settled) heap_pop(h);
}

/* Whether a path through parts that neither walk has seen could still be as good as the best one known. */
static bool is_open(const search *s) {
    const entry *b = &s->back_heap.entries[0], *f = &s->front_heap.entries[0];
    if (f->cost > MAX_AMOUNT - b->cost) return false;
    return !comes_before(s->best_cost, s->best_hops, b->cost + f->cost, b->hops + f->hops);
}

static void grow_both(search *s) {
    while (s->failed == FOUND) {
        drop_settled(&s->back_heap, s->back);
        drop_settled(&s->front_heap, s->front);
        if (!s->back_heap.count || !s->front_heap.count || !is_open(s)) return;
        if (s->back_heap.count <= s->front_heap.count)
            step_back(s);
        else
            step_front(s);
    }
}

static outcome read_path(search *s, answer *out) {
    const label *now = &s->back[s->asked->sender];
    out->fees = now->cost - s->asked->value;
    out->path = malloc((now->hops + 1) * sizeof *out->path);
    if (out->path == NULL) return NO_MEMORY;
    uint32_t u = s->asked->sender;
    out->path[out->path_length++] = u;
    while (u != s->asked->receiver) {
        const user *owner = &s->net->users[u];
        uint32_t next = NOBODY;
        for (uint32_t i = 0; i < owner->degree; i++) {
            uint32_t p = other_end(s->net, owner->ends[i]);
            const label *after = &s->back[p];
            if (!after->is_reached || after->hops + 1 != s->back[u].hops) continue;
            hop h = hop_over(s->net, owner->ends[i], true, s->asked->at);
            uint64_t amount;
            if (!amount_on(s, &h, after, &amount) || amount != s->back[u].cost) continue;
            if (next == NOBODY || compare_users(s->net, p, next) < 0) next = p;
        }
        out->path[out->path_length++] = u = next;
    }
    return FOUND;
}

static outcome run(search *s, answer *out) {
    const question *asked = s->asked;
    s->back[asked->receiver] = (label){.cost = asked->value, .is_reached = true};
    s->front[asked->sender] = (label){.is_reached = true};
    push(s, &s->back_heap, asked->value, 0, asked->receiver);
    push(s, &s->front_heap, 0, 0, asked->sender);
    grow_both(s);
    while (s->failed == FOUND && s->back_heap.count) step_back(s);
    if (s->failed != FOUND) return s->failed;
    return s->back[asked->sender].is_reached ? read_path(s, out) : NOT_FOUND;
}

outcome cheapest_sender_pays(const network *net, const question *asked, answer *out) {
    search s = {.net = net, .asked = asked, .best_cost = MAX_AMOUNT, .best_hops = UINT32_MAX};
    outcome result = NO_MEMORY;
    *out = (answer){0};
    s.back = calloc(net->user_count, sizeof *s.back);
    s.front = calloc(net->user_count, sizeof *s.front);
    if (asked->avoid_count) s.is_avoided = calloc(net->user_count, sizeof *s.is_avoided);
    if (s.back && s.front && (s.is_avoided || !asked->avoid_count)) {
        for (uint32_t i = 0; i < asked->avoid_count; i++) s.is_avoided[asked->avoid[i]] = true;
        if (s.is_avoided) s.is_avoided[asked->sender] = s.is_avoided[asked->receiver] = false;
        result = run(&s, out);
    }
    out->work = s.work;
    free(s.back);
    free(s.front);
    free(s.is_avoided);
    free(s.back_heap.entries);
    free(s.front_heap.entries);
    return result;
}
