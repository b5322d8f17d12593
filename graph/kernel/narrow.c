/* The cheapest transfer of which the sender bears the fees, where nothing but fees and capacities counts.
 *
 * The walk goes backwards from the receiver: a label of a user is the amount that must leave it, and a smaller one is
 * never worse. A second walk goes forwards from the sender and bounds what the rest of a path must cost: on any path
 * an amount is never below that with which the walk began, so no fee is below the fee of that amount, and what cannot
 * pass it cannot pass more. Both walks grow by turns until they have met and neither can beat the best path known;
 * then the backward walk alone goes on, only where label and bound together are no worse than that path.
 *
 * Labels are ordered by (amount, hops). Different amounts stay different on the same continuation, so a path that ties
 * with the best one in fees and hops has the best label at each of its users; among those the path whose users' keys
 * come first is read off from the sender's end.
 */
#include "scratch.h"
#include "search.h"

typedef struct {
    const network *net;
    const question *asked;
    scratch *work;
    uint32_t sender, start; /* the target, and the user at which the begun walk stands */
    walk begun;
    uint64_t best_cost; /* of the best path known: what the sender must send, and its hops */
    uint32_t best_hops;
    uint64_t spent;
    outcome failed; /* FOUND while nothing has */
} search;

static bool spend(search *s, uint32_t amount) {
    if (is_spent(s->asked, &s->spent, amount)) s->failed = SPENT;
    return s->failed == FOUND;
}

static void push(search *s, heap *h, uint64_t cost, uint32_t hops, uint32_t u) {
    if (!heap_push(h, (entry){cost, hops, u})) s->failed = NO_MEMORY;
}

/* Whether a path may go from user p to user u, u being nearer to the receiver. */
static bool may_walk(const search *s, uint32_t p, uint32_t u) {
    if (p == s->start || (p != s->sender && s->work->is_avoided[p])) return false;
    if (u != s->start) return true;
    if (is_among(s->asked->not_next, s->asked->not_next_count, p)) return false;
    /* A cycle does not come back over the trustline with which it began. */
    return !(p == s->sender && s->asked->begun_count == 2 && s->asked->begun[1] == p);
}

static bool amount_on(const search *s, const hop *h, uint64_t after, uint32_t hops_after, uint64_t *amount) {
    if (hops_after == 0)
        *amount = after;
    else if (!add_fee(after, h->balance, s->net->divisor, amount))
        return false;
    return can_pay(h, *amount);
}

static uint64_t fees_of(const search *s, uint64_t cost) { return cost - s->asked->value; }

/* Follows the forward walk from a user back to the sender, with the amounts that really move. */
static void try_to_join(search *s, uint32_t u) {
    uint64_t cost = s->work->exact[u].cost;
    uint32_t hops = s->work->exact[u].hops;
    while (u != s->sender) {
        const label *there = &s->work->bound[u];
        hop h = hop_over(&s->net->users[there->parent].ends[there->parent_end], true, s->asked->at);
        if (!amount_on(s, &h, cost, hops, &cost)) return;
        hops++;
        u = there->parent;
        if (!comes_before(cost, hops, s->best_cost, s->best_hops)) return;
    }
    if (fees_of(s, cost) > s->asked->max_fees) return;
    s->best_cost = cost;
    s->best_hops = hops;
}

/* Whether no path through a user can be as good as the best one known. What the rest costs is known where the forward
 * walk has settled the user; elsewhere it is no less than where that walk stands. */
static bool is_hopeless(const search *s, uint64_t cost, uint32_t hops, uint32_t u) {
    const label *rest = &s->work->bound[u];
    uint64_t fees;
    uint32_t before;
    if (rest->is_settled) {
        fees = rest->cost;
        before = rest->hops;
    } else if (s->work->bound_heap.count) {
        fees = s->work->bound_heap.entries[0].cost;
        before = s->work->bound_heap.entries[0].hops;
    } else {
        return true; /* the forward walk has been everywhere, but not here */
    }
    if (fees > MAX_AMOUNT - cost || fees_of(s, cost + fees) > s->asked->max_fees) return true;
    return comes_before(s->best_cost, s->best_hops, cost + fees, hops + before);
}

static void step_back(search *s) {
    uint32_t u = heap_pop(&s->work->exact_heap).user;
    label *here = &s->work->exact[u];
    if (here->is_settled) return;
    here->is_settled = true;
    if (u == s->sender || (u != s->start && is_hopeless(s, here->cost, here->hops, u))) return;
    const user *owner = &s->net->users[u];
    if (!spend(s, owner->degree)) return;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other;
        label *there = &s->work->exact[p];
        if (there->is_settled || !may_walk(s, p, u)) continue;
        hop h = hop_over(&owner->ends[i], false, s->asked->at);
        uint64_t cost;
        if (!amount_on(s, &h, here->cost, here->hops, &cost)) continue;
        uint32_t hops = here->hops + 1;
        if (there->is_reached && !comes_before(cost, hops, there->cost, there->hops)) continue;
        if (is_hopeless(s, cost, hops, p)) continue;
        touch(s->work, p);
        *there = (label){.cost = cost, .hops = hops, .is_reached = true};
        push(s, &s->work->exact_heap, cost, hops, p);
        if (s->work->bound[p].is_reached) try_to_join(s, p);
    }
}

static void step_front(search *s) {
    uint32_t u = heap_pop(&s->work->bound_heap).user;
    label *here = &s->work->bound[u];
    if (here->is_settled) return;
    here->is_settled = true;
    const user *owner = &s->net->users[u];
    if (!spend(s, owner->degree)) return;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other;
        label *there = &s->work->bound[p];
        bool is_last = p == s->start;
        if (there->is_settled || p == s->sender) continue;
        if (is_last ? !may_walk(s, u, p) : s->work->is_avoided[p]) continue;
        hop h = hop_over(&owner->ends[i], true, s->asked->at);
        uint64_t least = s->begun.onward;
        if (!amount_on(s, &h, least, is_last ? s->begun.hops : 1, &least)) continue;
        uint64_t fee = least - s->begun.onward;
        if (fee > MAX_AMOUNT - here->cost) continue;
        uint64_t cost = here->cost + fee;
        uint32_t hops = here->hops + 1;
        if (cost > s->asked->max_fees) continue;
        if (there->is_reached && !comes_before(cost, hops, there->cost, there->hops)) continue;
        touch(s->work, p);
        *there = (label){.cost = cost, .hops = hops, .parent = u, .parent_end = i, .is_reached = true};
        if (!is_last) push(s, &s->work->bound_heap, cost, hops, p);
        if (s->work->exact[p].is_reached) try_to_join(s, p);
    }
}

static void drop_settled(heap *h, const label *labels) {
    while (h->count && labels[h->entries[0].user].is_settled) heap_pop(h);
}

/* Whether a path through parts that neither walk has seen could still be as good as the best one known. */
static bool is_open(const search *s) {
    const entry *b = &s->work->exact_heap.entries[0], *f = &s->work->bound_heap.entries[0];
    if (f->cost > MAX_AMOUNT - b->cost) return false;
    return !comes_before(s->best_cost, s->best_hops, b->cost + f->cost, b->hops + f->hops);
}

static void grow_both(search *s) {
    while (s->failed == FOUND) {
        drop_settled(&s->work->exact_heap, s->work->exact);
        drop_settled(&s->work->bound_heap, s->work->bound);
        if (!s->work->exact_heap.count || !s->work->bound_heap.count || !is_open(s)) return;
        if (s->work->exact_heap.count <= s->work->bound_heap.count)
            step_back(s);
        else
            step_front(s);
    }
}

static outcome read_path(search *s, answer *out) {
    out->path = malloc((s->work->exact[s->sender].hops + 1) * sizeof *out->path);
    if (out->path == NULL) return NO_MEMORY;
    uint32_t u = s->sender;
    out->path[out->path_length++] = u;
    while (u != s->start) {
        const user *owner = &s->net->users[u];
        const label *here = &s->work->exact[u];
        uint32_t next = NOBODY;
        for (uint32_t i = 0; i < owner->degree; i++) {
            uint32_t p = owner->ends[i].other;
            const label *after = &s->work->exact[p];
            if (!after->is_reached || after->hops + 1 != here->hops || !may_walk(s, u, p)) continue;
            if (next != NOBODY && compare_users(s->net, next, p) < 0) continue;
            hop h = hop_over(&owner->ends[i], true, s->asked->at);
            uint64_t cost;
            if (amount_on(s, &h, after->cost, after->hops, &cost) && cost == here->cost) next = p;
        }
        out->path[out->path_length++] = u = next;
    }
    for (uint32_t i = 1; i < s->asked->begun_count; i++) out->path[out->path_length++] = s->asked->begun[i];
    out->is_proven = true;
    return FOUND;
}

outcome cheapest_sender_pays(network *net, scratch *work, const question *asked, answer *out) {
    search s = {.net = net, .asked = asked, .work = work, .best_cost = MAX_AMOUNT, .best_hops = UINT32_MAX};
    s.sender = asked->target;
    s.start = asked->begun[0];
    if (!walk_begun(net, asked, &s.begun)) return NOT_FOUND;
    touch(work, s.start);
    touch(work, s.sender);
    work->exact[s.start] = (label){.cost = s.begun.onward, .hops = s.begun.hops, .is_reached = true};
    work->bound[s.sender] = (label){.is_reached = true};
    push(&s, &work->exact_heap, s.begun.onward, s.begun.hops, s.start);
    push(&s, &work->bound_heap, 0, 0, s.sender);
    grow_both(&s);
    while (s.failed == FOUND && work->exact_heap.count) step_back(&s);
    out->work += s.spent;
    if (s.failed != FOUND) return s.failed;
    return work->exact[s.sender].is_reached ? read_path(&s, out) : NOT_FOUND;
}
