/* The narrow search: where nothing but fees and capacities counts, two walks meet.
 *
 * The exact walk begins where the amount is known: at the receiver if the sender pays, at the sender if the receiver
 * does. Its labels are the fees that are certain so far. The other walk comes from the far end and bounds what the rest
 * of a path must cost: it takes every amount for the smallest that is possible, so no real fee is lower, and what cannot
 * pass so little cannot pass more. Both grow by turns until neither can beat the best path known; then the exact walk
 * alone goes on, only where label and bound together are no worse than that path.
 *
 * If the sender pays, the smallest amount is the one with which the walk began, and the answer is exact. Labels are
 * ordered by (fees, hops). Different amounts stay different on the same continuation, so a path that ties with the best
 * one in fees and hops has the best label at each of its users; among those the path whose users' keys come first is
 * read off from the sender's end.
 *
 * If the receiver pays, the smallest amount follows from the most that the fees may come to, and there can be doubts
 * whether the labels tell all; ties.c says when. Without doubts the path is read off there; with them the answer
 * narrows the general search: fees and hops of a good path, and the bounds.
 */
#include "scratch.h"
#include "search.h"

typedef struct {
    const network *net;
    const question *asked;
    scratch *work;
    uint32_t target, start; /* the far end, and the user at which the begun walk stands */
    walk begun;
    uint64_t least; /* the smallest amount that a hop can have to move */
    uint64_t best_fees; /* of the best path known, and its hops */
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

/* Whether the exact walk may go from user u to user p. */
static bool may_walk(const search *s, uint32_t u, uint32_t p) {
    if (p == s->start || (p != s->target && s->work->is_avoided[p])) return false;
    if (u != s->start) return true;
    if (is_among(s->asked->not_next, s->asked->not_next_count, p)) return false;
    /* A cycle does not come back over the trustline with which it began. */
    return !(p == s->target && s->asked->begun_count == 2 && is_among(s->asked->begun, 2, p));
}

/* The fees after a hop of the exact walk from a user with these fees and hops; `is_last` where it ends the path. */
static bool fees_after(const search *s, const hop *h, uint64_t fees, uint32_t hops, bool is_last, uint64_t *after) {
    uint64_t value = s->asked->value;
    if (!s->asked->receiver_pays) {
        uint64_t amount = value + fees;
        if (hops && !add_fee(amount, h->balance, s->net->divisor, &amount)) return false;
        *after = amount - value;
        return can_pay(h, amount);
    }
    uint64_t amount = value - fees;
    *after = fees + (is_last ? 0 : fee_withheld(imbalance(amount, h->balance), s->net->divisor));
    return can_pay(h, amount);
}

/* The fee of a hop that moves as little as it can; `is_free` where the rules charge none. */
static bool least_fee(const search *s, const hop *h, bool is_free, uint64_t *fee) {
    *fee = 0;
    if (s->asked->receiver_pays) {
        if (!is_free) *fee = fee_withheld(imbalance(s->least, h->balance), s->net->divisor);
        return can_pay(h, s->least);
    }
    uint64_t amount = s->least;
    if (!is_free && !add_fee(amount, h->balance, s->net->divisor, &amount)) return false;
    *fee = amount - s->least;
    return can_pay(h, amount);
}

/* Whether the exact walk to a user and the bounding walk on from there have nobody else in common. */
static bool is_simple(const search *s, uint32_t joint) {
    for (uint32_t ahead = joint; ahead != s->target;) {
        ahead = s->work->bound[ahead].parent;
        for (uint32_t u = joint; u != s->start;) {
            u = s->work->exact[u].parent;
            if (u == ahead) return false;
        }
    }
    return true;
}

/* Follows the bounding walk from a user to the far end, with the amounts that really move. */
static void try_to_join(search *s, uint32_t joint) {
    uint32_t u = joint;
    uint64_t fees = s->work->exact[u].cost;
    uint32_t hops = s->work->exact[u].hops;
    while (u != s->target) {
        const label *there = &s->work->bound[u];
        const end *e = &s->net->users[there->parent].ends[there->parent_end];
        hop h = hop_over(e, !s->asked->receiver_pays, s->asked->at);
        if (!fees_after(s, &h, fees, hops, there->parent == s->target, &fees)) return;
        hops++;
        u = there->parent;
        if (!comes_before(fees, hops, s->best_fees, s->best_hops)) return;
    }
    if (fees > s->asked->max_fees) return;
    /* What comes back to a user could leave the way between out. If the sender pays that is better still; does the
     * receiver, more would have to pass. */
    if (s->asked->receiver_pays && !is_simple(s, joint)) return;
    s->best_fees = fees;
    s->best_hops = hops;
}

/* Whether no path through a user can be as good as the best one known. What the rest costs is known where the bounding
 * walk has settled the user; elsewhere it is no less than where that walk stands. */
static bool is_hopeless(const search *s, uint64_t fees, uint32_t hops, uint32_t u) {
    const label *rest = &s->work->bound[u];
    uint64_t more;
    uint32_t more_hops;
    if (rest->is_settled) {
        more = rest->cost;
        more_hops = rest->hops;
    } else if (s->work->bound_heap.count) {
        more = s->work->bound_heap.entries[0].cost;
        more_hops = s->work->bound_heap.entries[0].hops;
    } else {
        return true; /* the bounding walk has been everywhere, but not here */
    }
    if (more > MAX_AMOUNT - fees || fees + more > s->asked->max_fees) return true;
    return comes_before(s->best_fees, s->best_hops, fees + more, hops + more_hops);
}

/* Notes what a walk that the labels leave out would have at a user: see ties.c. */
static __attribute__((noinline)) void doubt(search *s, uint32_t u, uint64_t fees, uint32_t hops) {
    if (!append(&s->work->doubts, (entry){fees, hops, u})) s->failed = NO_MEMORY;
}

/* The same where a dearer walk might pass a hop, and the one that is taken up cannot. */
static __attribute__((noinline)) void doubt_hop(search *s, const hop *h, uint32_t hops, uint32_t p) {
    if (h->is_frozen || h->capacity < (wide)s->least) return;
    uint64_t fees = 0;
    fees_after(s, h, s->asked->value - (uint64_t)h->capacity, hops, p == s->target, &fees);
    doubt(s, p, fees, hops);
}

static void step_exact(search *s) {
    uint32_t u = heap_pop(&s->work->exact_heap).user;
    label *here = &s->work->exact[u];
    if (here->is_settled) return;
    here->is_settled = true;
    if (u == s->target && u != s->start) return;
    if (u != s->start && is_hopeless(s, here->cost, here->hops, u)) return;
    const user *owner = &s->net->users[u];
    if (!spend(s, owner->degree)) return;
    const bool has_doubts = s->asked->receiver_pays;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other;
        if (owner->ends[i].leads_nowhere && p != s->target) continue;
        label *there = &s->work->exact[p];
        uint32_t hops = here->hops + 1;
        if (there->is_settled && (!has_doubts || hops >= there->hops)) continue;
        if (!may_walk(s, u, p)) continue;
        hop h = hop_over(&owner->ends[i], s->asked->receiver_pays, s->asked->at);
        uint64_t fees;
        if (!fees_after(s, &h, here->cost, here->hops, p == s->target, &fees)) {
            if (has_doubts) doubt_hop(s, &h, hops, p);
            continue;
        }
        if (there->is_reached && !comes_before(fees, hops, there->cost, there->hops)) {
            if (has_doubts && hops < there->hops) doubt(s, p, fees, hops);
            continue;
        }
        if (is_hopeless(s, fees, hops, p)) continue;
        if (has_doubts && there->is_reached && there->hops < hops) doubt(s, p, there->cost, there->hops);
        touch(s->work, p);
        *there = (label){.cost = fees, .hops = hops, .parent = u, .is_reached = true};
        push(s, &s->work->exact_heap, fees, hops, p);
        if (s->work->bound[p].is_reached) try_to_join(s, p);
    }
}

static void step_bound(search *s) {
    uint32_t u = heap_pop(&s->work->bound_heap).user;
    label *here = &s->work->bound[u];
    if (here->is_settled) return;
    here->is_settled = true;
    const user *owner = &s->net->users[u];
    if (!spend(s, owner->degree)) return;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other;
        bool is_first = p == s->start;
        if (owner->ends[i].leads_nowhere && !is_first) continue;
        label *there = &s->work->bound[p];
        if (there->is_settled || p == s->target) continue;
        if (is_first ? !may_walk(s, p, u) : s->work->is_avoided[p]) continue;
        hop h = hop_over(&owner->ends[i], !s->asked->receiver_pays, s->asked->at);
        bool is_free = s->asked->receiver_pays ? u == s->target : is_first && s->begun.hops == 0;
        uint64_t fee;
        if (!least_fee(s, &h, is_free, &fee) || fee > MAX_AMOUNT - here->cost) continue;
        uint64_t fees = here->cost + fee;
        uint32_t hops = here->hops + 1;
        if (fees > s->asked->max_fees) continue;
        if (there->is_reached && !comes_before(fees, hops, there->cost, there->hops)) continue;
        touch(s->work, p);
        *there = (label){.cost = fees, .hops = hops, .parent = u, .parent_end = i, .is_reached = true};
        if (!is_first) push(s, &s->work->bound_heap, fees, hops, p);
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
    return !comes_before(s->best_fees, s->best_hops, b->cost + f->cost, b->hops + f->hops);
}

static void grow_both(search *s) {
    while (s->failed == FOUND) {
        drop_settled(&s->work->exact_heap, s->work->exact);
        drop_settled(&s->work->bound_heap, s->work->bound);
        if (!s->work->exact_heap.count || !s->work->bound_heap.count || !is_open(s)) return;
        if (s->work->exact_heap.count <= s->work->bound_heap.count)
            step_exact(s);
        else
            step_bound(s);
    }
}

/* If the sender pays. */
static outcome read_path(search *s, answer *out) {
    out->path = malloc((s->work->exact[s->target].hops + 1) * sizeof *out->path);
    if (out->path == NULL) return NO_MEMORY;
    uint32_t u = s->target;
    out->path[out->path_length++] = u;
    while (u != s->start) {
        const user *owner = &s->net->users[u];
        const label *here = &s->work->exact[u];
        uint32_t next = NOBODY;
        for (uint32_t i = 0; i < owner->degree; i++) {
            uint32_t p = owner->ends[i].other;
            const label *after = &s->work->exact[p];
            if (!after->is_reached || after->hops + 1 != here->hops || !may_walk(s, p, u)) continue;
            if (next != NOBODY && compare_users(s->net, next, p) < 0) continue;
            hop h = hop_over(&owner->ends[i], true, s->asked->at);
            uint64_t fees;
            if (fees_after(s, &h, after->cost, after->hops, false, &fees) && fees == here->cost) next = p;
        }
        out->path[out->path_length++] = u = next;
    }
    for (uint32_t i = 1; i < s->asked->begun_count; i++) out->path[out->path_length++] = s->asked->begun[i];
    out->is_proven = true;
    return FOUND;
}

/* Drops the doubts that the bounds or the labels dispel, now that the best path is known. */
static void settle_doubts(search *s) {
    heap *doubts = &s->work->doubts;
    size_t kept = 0;
    for (size_t i = 0; i < doubts->count; i++) {
        entry e = doubts->entries[i];
        const label *known = &s->work->exact[e.user];
        if (is_hopeless(s, e.cost, e.hops, e.user)) continue;
        if (known->is_reached && e.cost >= known->cost) {
            if (e.hops >= known->hops || s->best_hops < e.hops || e.cost - known->cost > s->best_hops - e.hops) continue;
        }
        doubts->entries[kept++] = e;
    }
    doubts->count = kept;
}

static void begin(search *s) {
    uint64_t value = s->asked->value, onward = s->begun.onward;
    uint64_t fees = s->asked->receiver_pays ? value - onward : onward - value;
    touch(s->work, s->start);
    touch(s->work, s->target);
    s->work->exact[s->start] = (label){.cost = fees, .hops = s->begun.hops, .is_reached = true};
    s->work->bound[s->target] = (label){.is_reached = true};
    push(s, &s->work->exact_heap, fees, s->begun.hops, s->start);
    push(s, &s->work->bound_heap, 0, 0, s->target);
}

outcome narrow(network *net, scratch *work, const question *asked, known_path *known, answer *out) {
    search s = {.net = net, .asked = asked, .work = work, .best_fees = known->fees, .best_hops = known->hops};
    s.target = asked->target;
    s.start = asked->begun[asked->receiver_pays ? asked->begun_count - 1 : 0];
    if (!walk_begun(net, asked, &s.begun)) return NOT_FOUND;
    s.least = s.begun.onward;
    if (asked->receiver_pays) {
        uint64_t fees = known->fees < asked->max_fees ? known->fees : asked->max_fees;
        s.least = fees < asked->value ? asked->value - fees : 0;
    }
    begin(&s);
    grow_both(&s);
    while (s.failed == FOUND && work->exact_heap.count) step_exact(&s);
    known_path best = {s.best_fees, s.best_hops};
    *known = best;
    bool is_reached = work->exact[s.target].is_reached;
    if (s.failed == FOUND && !asked->receiver_pays) s.failed = is_reached ? read_path(&s, out) : NOT_FOUND;
    if (s.failed == FOUND && asked->receiver_pays) {
        settle_doubts(&s);
        if (work->doubts.count == 0)
            s.failed = is_reached ? read_forwards(net, work, asked, &s.begun, best, &s.spent, out) : NOT_FOUND;
    }
    out->work += s.spent;
    return s.failed;
}
