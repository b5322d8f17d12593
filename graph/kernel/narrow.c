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
#include "ends.h"
#include "narrow.h"

/* So few ends are all looked at at once: coming back to a user costs more. */
#define FEW 8
/* So many are gone through twice. */
#define MANY 64

/* Notes that the ends of a user that cost the whole fee are still to be looked at. */
static void put_off(search *s, bool is_exact, uint64_t fees, uint32_t hops, uint32_t u) {
    heap *h = is_exact ? &s->work->exact_heap : &s->work->bound_heap;
    bool prunes = is_exact || s->prunes_bounds;
    if (fees > s->asked->max_fees || (prunes && comes_before(s->best_fees, s->best_hops, fees, hops))) return;
    push(s, h, fees, hops, u | PUT_OFF);
}

static void look_exact(search *s, uint32_t u, uint32_t p, const end *e) {
    uint8_t state = s->work->state[p];
    if ((state || u == s->start) && !may_walk(s, u, p)) return;
    const bool has_doubts = s->asked->receiver_pays;
    const label *here = &s->work->exact[u];
    label *there = &s->work->exact[p];
    uint32_t hops = here->hops + 1;
    if (state & EXACT_SETTLED && hops >= there->hops) return;
    uint64_t fees;
    if (!fees_after(s, e, s->asked->receiver_pays, here->cost, here->hops, p == s->target, &fees)) {
        /* No walk comes to the start with less. */
        if (has_doubts && u != s->start) doubt_hop(s, e, hops);
        return;
    }
    if (state & EXACT_REACHED && !comes_before(fees, hops, there->cost, there->hops)) {
        bool ties = fees == there->cost && hops == there->hops;
        if (ties && compare_users(s->net, u, there->parent) < 0) there->parent = u;
        if (has_doubts && hops < there->hops) doubt(s, p, fees, hops);
        return;
    }
    if (is_hopeless_exact(s, fees, hops, p)) return;
    if (has_doubts && state & EXACT_REACHED && there->hops < hops) doubt(s, p, there->cost, there->hops);
    touch(s->work, p);
    s->work->state[p] |= EXACT_REACHED;
    *there = (label){.cost = fees, .hops = hops, .parent = u, .is_reached = true};
    push(s, &s->work->exact_heap, fees, hops, p);
    if (state & BOUND_REACHED) try_to_join(s, p);
}

static void look_bound(search *s, uint32_t u, uint32_t p, const end *e) {
    uint8_t state = s->work->state[p];
    /* The exact walk begins with the ends of its start, and meets this one there. */
    if (state && (p == s->target || p == s->start || s->work->is_avoided[p])) return;
    const label *here = &s->work->bound[u];
    passage over;
    uint64_t fees;
    if (!passage_over(e, !s->asked->receiver_pays, s->asked->at, &over)) return;
    if (!fee_over(s, &over, s->least, s->asked->receiver_pays && u == s->target, &fees)) return;
    if (fees > MAX_AMOUNT - here->cost) return;
    fees += here->cost;
    uint32_t hops = here->hops + 1;
    label *there = &s->work->bound[p];
    if (state & BOUND_REACHED && !comes_before(fees, hops, there->cost, there->hops)) return;
    if (is_hopeless_bound(s, fees, hops, p)) return;
    touch(s->work, p);
    s->work->state[p] |= BOUND_REACHED;
    uint32_t index = (uint32_t)(e - s->net->users[u].ends);
    *there = (label){.cost = fees, .hops = hops, .parent = u, .parent_end = index, .is_reached = true};
    push(s, &s->work->bound_heap, fees, hops, p);
    if (state & EXACT_REACHED) try_to_join(s, p);
}

/* Looks at those of some ends of a user that lead to users in a wanted state, whichever if it is 0, and in no unwanted one;
 * returns how many they are. */
static inline uint32_t go_through(search *s, bool is_exact, uint32_t u, selected_ends some, uint8_t wanted,
                                  uint8_t unwanted) {
    const user *owner = &s->net->users[u];
    const uint32_t *others = others_of(owner);
    uint32_t looked = 0;
    for (uint32_t i = next_end(&some); i != NOBODY && s->failed == FOUND; i = next_end(&some)) {
        uint8_t state = s->work->state[others[i]];
        if (state & unwanted || (wanted && !(state & wanted))) continue;
        looked++;
        if (is_exact)
            look_exact(s, u, others[i], &owner->ends[i]);
        else
            look_bound(s, u, others[i], &owner->ends[i]);
    }
    return looked;
}

/* Looks at some ends of a user, from where hops lead to others with these fees or more. If they are many, those come first
 * where the other walk has been: the better the best path known, the fewer of the rest need be looked at. */
static inline uint32_t look_at(search *s, bool is_exact, uint32_t u, selected_ends some, uint64_t fees, uint32_t hops) {
    const heap *other_heap = is_exact ? &s->work->bound_heap : &s->work->exact_heap;
    /* Where the receiver pays, a walk to a settled user may have fewer hops: see ties.c. */
    uint8_t settled = !is_exact ? BOUND_SETTLED : s->asked->receiver_pays ? 0 : EXACT_SETTLED, met = is_exact ? BOUND_REACHED : EXACT_REACHED;
    uint8_t met_settled = is_exact ? BOUND_SETTLED : EXACT_SETTLED;
    bool prunes = is_exact || s->prunes_bounds, is_many = s->net->users[u].degree >= MANY;
    uint32_t looked = is_many ? go_through(s, is_exact, u, some, met, settled) : 0;
    bool is_rest_hopeless = prunes && is_hopeless(s, NULL, other_heap, fees, hops);
    if (is_many && is_rest_hopeless) return looked;
    return looked + go_through(s, is_exact, u, some, is_rest_hopeless ? met_settled : 0, is_many ? settled | met : settled);
}

/* Looks at the ends of the first user of a heap from which this amount, or more, is to move on. Where the payer is owed
 * nothing the fee is the whole one, the same on all these ends. They are put off until the walk stands where they lead:
 * often it has ended by then. Not so on the exact walk if the receiver pays: the last hop is free, and what is too much for
 * some ends is noted. */
static inline void look_around(search *s, bool is_exact, entry top, uint64_t amount, bool is_free) {
    uint32_t u = top.user & ~PUT_OFF;
    const user *owner = &s->net->users[u];
    const label *here = is_exact ? &s->work->exact[u] : &s->work->bound[u];
    uint64_t whole;
    passage unowed = {.most = MAX_AMOUNT};
    bool can_charge = fee_over(s, &unowed, amount, is_free, &whole) && whole <= MAX_AMOUNT - here->cost;
    bool was_put_off = top.user & PUT_OFF;
    selection which = was_put_off ? OTHER_ONES : can_charge && (whole == 0 || owner->degree <= FEW) ? ALL : OWED_ONES;
    bool has_doubts = is_exact && s->asked->receiver_pays;
    if (has_doubts) which = ALL;
    uint64_t fees = here->cost;
    if (was_put_off) {
        fees += whole;
        if (!s->asked->receiver_pays) amount += whole;
    }
    selected_ends some = select_ends(owner, s->asked->receiver_pays == is_exact, has_doubts ? s->least : amount, which);
    uint32_t looked = look_at(s, is_exact, u, some, fees, here->hops + 1);
    if (s->failed == FOUND) spend(s, 1 + owner->degree / 8 + looked);
    if (which == OWED_ONES && can_charge)
        put_off(s, is_exact, here->cost + whole, here->hops + 1, u);
    else if (!is_exact && u == s->target)
        s->has_seen_target = true;
}

/* Whether the ends of a user, leading to others with these fees and hops, are on no path as good as the best one. They
 * lead to the far end itself only where the bounding walk has come from there to the user. */
static bool is_vain(const search *s, uint64_t fees, uint32_t hops, uint32_t u) {
    bool has_met = s->work->state[u] & BOUND_REACHED || u == s->start; /* the bounding walk passes over the start */
    if (s->at_target.user != NOBODY || (s->has_seen_target && !has_met)) {
        fees = fees > MAX_AMOUNT - s->least_fees ? MAX_AMOUNT : fees + s->least_fees;
        hops += s->least_hops;
    }
    return comes_before(s->best_fees, s->best_hops, fees, hops);
}

static void step_exact(search *s) {
    entry top = heap_pop(&s->work->exact_heap);
    uint32_t u = top.user & ~PUT_OFF;
    label *here = &s->work->exact[u];
    if (!(top.user & PUT_OFF)) {
        if (here->is_settled) return;
        here->is_settled = true;
        s->work->state[u] |= EXACT_SETTLED;
        if (u == s->target && u != s->start) return;
        if (u == s->at_target.user) look_exact(s, u, s->target, &s->net->users[u].ends[s->at_target.index]);
    }
    bool was_put_off = top.user & PUT_OFF;
    if (is_vain(s, was_put_off ? top.cost : here->cost, here->hops + 1, u)) return;
    if (u != s->start && is_hopeless_exact(s, here->cost, here->hops, u)) return;
    look_around(s, true, top, amount_after(s, here->cost), !s->asked->receiver_pays && here->hops == 0);
}

static void step_bound(search *s) {
    entry top = heap_pop(&s->work->bound_heap);
    uint32_t u = top.user & ~PUT_OFF;
    label *here = &s->work->bound[u];
    if (here->is_settled && !(top.user & PUT_OFF)) return;
    here->is_settled = true;
    s->work->state[u] |= BOUND_SETTLED;
    if (u != s->target && !s->least_hops) {
        s->least_fees = top.cost;
        s->least_hops = top.hops;
    }
    look_around(s, false, top, s->least, s->asked->receiver_pays && u == s->target);
}

static void drop_settled(heap *h, const label *labels) {
    while (h->count && !(h->entries[0].user & PUT_OFF) && labels[h->entries[0].user].is_settled) heap_pop(h);
}

/* Whether a path through parts that neither walk has seen could still be as good as the best one known. */
static bool is_open(const search *s) {
    const entry *b = &s->work->exact_heap.entries[0], *f = &s->work->bound_heap.entries[0];
    if (f->cost > MAX_AMOUNT - b->cost) return false;
    return !comes_before(s->best_fees, s->best_hops, b->cost + f->cost, b->hops + f->hops);
}

/* About what the next step of a walk costs. Few trustlines have someone owed, and eight at once are judged for that. */
static uint32_t next_cost(const search *s, const heap *h) {
    uint32_t degree = s->net->users[h->entries[0].user & ~PUT_OFF].degree;
    return h->entries[0].user & PUT_OFF ? degree : degree / 8;
}

static void grow_both(search *s) {
    step_exact(s);
    while (s->failed == FOUND) {
        drop_settled(&s->work->exact_heap, s->work->exact);
        drop_settled(&s->work->bound_heap, s->work->bound);
        if (!s->work->exact_heap.count || !s->work->bound_heap.count || !is_open(s)) return;
        /* By turns of as much work, what has been done and what the next user would cost, who can have very many ends. */
        uint64_t before = s->spent;
        if (s->spent_on_exact + next_cost(s, &s->work->exact_heap) <=
            s->spent - s->spent_on_exact + next_cost(s, &s->work->bound_heap)) {
            step_exact(s);
            s->spent_on_exact += s->spent - before;
        } else {
            step_bound(s);
        }
    }
}

/* If the sender pays. */
static outcome read_path(search *s, answer *out) {
    out->path = malloc((s->work->exact[s->target].hops + 1) * sizeof *out->path);
    if (out->path == NULL) return NO_MEMORY;
    uint32_t u = s->target;
    out->path[out->path_length++] = u;
    while (u != s->start) out->path[out->path_length++] = u = s->work->exact[u].parent;
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
        if (is_hopeless_exact(s, e.cost, e.hops, e.user)) continue;
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
    s->work->state[s->start] |= EXACT_REACHED;
    s->work->state[s->target] |= BOUND_REACHED;
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
    s.at_target = only_arrival(net, s.target);
    s.prunes_bounds = !asked->receiver_pays && asked->max_hops == UINT32_MAX;
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
