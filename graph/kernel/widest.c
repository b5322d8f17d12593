/* The largest value that can be sent, the sender bearing the fees.
 *
 * Forwards from the sender the label of a user is the largest amount that can leave it, and a larger one is never
 * worse. A second walk goes backwards from the receiver and bounds what can come through a user: no more than what
 * each hop behind it could pass on. Both take up the largest first and grow by turns; where they meet, a value that
 * goes through is known, and nothing whose label or bound is below it need be looked at.
 *
 * Neither label nor bound knows the fees on the other side, so the two walks alone look at much that is only a little
 * too small. They leave out, therefore, what is not larger by some share; from there the search for the cheapest path
 * tells whether one unit more goes through, over which path, and what that path can carry. Should that need many turns,
 * the walks go to the end.
 *
 * With a hop limit only the forward walk goes, and a user is taken up again with fewer hops. */
#include "scratch.h"
#include "search.h"

#define MOST_TURNS 12
#define ROUGH_SHARE 16

typedef struct {
    const network *net;
    const question *asked;
    scratch *work; /* exact: what can leave a user; bound: what can come through it */
    uint32_t sender, receiver;
    uint64_t best; /* the largest value known to go through */
    bool is_rough;
    uint64_t spent;
    outcome failed; /* FOUND while nothing has */
} search;

/* The heap has the smallest on top. */
static uint64_t turned(uint64_t amount) { return MAX_AMOUNT - amount; }

/* What is not larger than this need not be looked at. */
static uint64_t floor_of(const search *s) {
    uint64_t share = s->is_rough ? s->best / ROUGH_SHARE : 0;
    return s->best < MAX_AMOUNT - share ? s->best + share : MAX_AMOUNT;
}

static void offer(search *s, heap *h, uint64_t amount, uint32_t hops, uint32_t u) {
    if (!heap_push(h, (entry){turned(amount), hops, u})) s->failed = NO_MEMORY;
}

/* What the payee of a hop can do with what its payer has: pass it on, or keep it as the receiver. */
static uint64_t passed(const search *s, const hop *h, uint64_t amount, bool is_last) {
    if (h->is_frozen || h->capacity <= 0) return 0;
    uint64_t arriving = (wide)amount < h->capacity ? amount : (uint64_t)h->capacity;
    return is_last ? arriving : forwardable(arriving, h->balance, s->net->divisor);
}

static bool may_pass(const search *s, uint32_t u) {
    return u == s->receiver || u == s->sender || !s->work->is_avoided[u];
}

/* Follows the backward walk from a user to the receiver, with the amounts that really move. */
static void try_to_join(search *s, uint32_t u) {
    uint64_t amount = s->work->exact[u].cost;
    while (u != s->receiver && amount > s->best) {
        const label *here = &s->work->bound[u];
        const end *e = &s->net->users[u].ends[here->parent_end];
        hop h = hop_over(e, true, s->asked->at);
        amount = passed(s, &h, amount, e->other == s->receiver);
        u = e->other;
    }
    if (u == s->receiver && amount > s->best) s->best = amount;
}

static void step_forwards(search *s) {
    entry top = heap_pop(&s->work->exact_heap);
    label *here = &s->work->exact[top.user];
    if (here->is_settled || turned(top.cost) <= floor_of(s)) return;
    here->is_settled = true;
    const user *owner = &s->net->users[top.user];
    if (is_spent(s->asked, &s->spent, owner->degree)) s->failed = SPENT;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other;
        if (owner->ends[i].leads_nowhere && p != s->receiver) continue;
        label *there = &s->work->exact[p];
        if (there->is_settled || !may_pass(s, p)) continue;
        hop h = hop_over(&owner->ends[i], true, s->asked->at);
        uint64_t amount = passed(s, &h, here->cost, p == s->receiver);
        if (amount <= floor_of(s) || (there->is_reached && amount <= there->cost)) continue;
        const label *rest = &s->work->bound[p];
        uint64_t bound = rest->is_settled              ? rest->cost
                         : s->work->bound_heap.count ? turned(s->work->bound_heap.entries[0].cost)
                                                       : 0;
        if (bound <= floor_of(s)) continue;
        touch(s->work, p);
        *there = (label){.cost = amount, .is_reached = true};
        if (p != s->receiver) offer(s, &s->work->exact_heap, amount, 0, p);
        if (rest->is_reached) try_to_join(s, p);
    }
}

static void step_backwards(search *s) {
    entry top = heap_pop(&s->work->bound_heap);
    label *here = &s->work->bound[top.user];
    if (here->is_settled) return;
    here->is_settled = true;
    const user *owner = &s->net->users[top.user];
    if (is_spent(s->asked, &s->spent, owner->degree)) s->failed = SPENT;
    for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
        uint32_t p = owner->ends[i].other;
        if (owner->ends[i].leads_nowhere && p != s->sender) continue;
        label *there = &s->work->bound[p];
        if (there->is_settled || !may_pass(s, p)) continue;
        hop h = hop_over(&owner->ends[i], false, s->asked->at);
        uint64_t amount = passed(s, &h, MAX_AMOUNT, top.user == s->receiver);
        if (amount > here->cost) amount = here->cost;
        if (amount <= floor_of(s) || (there->is_reached && amount <= there->cost)) continue;
        touch(s->work, p);
        *there = (label){.cost = amount, .parent_end = owner->ends[i].twin, .is_reached = true};
        offer(s, &s->work->bound_heap, amount, 0, p);
        if (s->work->exact[p].is_reached) try_to_join(s, p);
    }
}

static void drop_useless(const search *s, heap *h, const label *labels) {
    while (h->count && (labels[h->entries[0].user].is_settled || turned(h->entries[0].cost) <= floor_of(s)))
        heap_pop(h);
}

static void start(search *s, label *labels, heap *h, uint32_t u) {
    touch(s->work, u);
    labels[u] = (label){.cost = MAX_AMOUNT, .is_reached = true};
    offer(s, h, MAX_AMOUNT, 0, u);
}

static outcome run_both(search *s) {
    start(s, s->work->exact, &s->work->exact_heap, s->sender);
    start(s, s->work->bound, &s->work->bound_heap, s->receiver);
    while (s->failed == FOUND) {
        drop_useless(s, &s->work->exact_heap, s->work->exact);
        drop_useless(s, &s->work->bound_heap, s->work->bound);
        if (!s->work->exact_heap.count) break;
        if (s->work->bound_heap.count && s->work->bound_heap.count <= s->work->exact_heap.count)
            step_backwards(s);
        else
            step_forwards(s);
    }
    return s->failed;
}

/* exact: `hops` are the fewest with which a user was taken up. */
static outcome run_limited(search *s) {
    heap *open = &s->work->exact_heap;
    touch(s->work, s->sender);
    offer(s, open, MAX_AMOUNT, 0, s->sender);
    while (s->failed == FOUND && open->count) {
        entry top = heap_pop(open);
        label *here = &s->work->exact[top.user];
        if (top.user == s->receiver) {
            s->best = turned(top.cost);
            return FOUND;
        }
        if ((here->is_settled && here->hops <= top.hops) || top.hops >= s->asked->max_hops) continue;
        here->is_settled = true;
        here->hops = top.hops;
        const user *owner = &s->net->users[top.user];
        if (is_spent(s->asked, &s->spent, owner->degree)) s->failed = SPENT;
        for (uint32_t i = 0; i < owner->degree && s->failed == FOUND; i++) {
            uint32_t p = owner->ends[i].other;
            const label *there = &s->work->exact[p];
            if (!may_pass(s, p) || (there->is_settled && there->hops <= top.hops + 1)) continue;
            hop h = hop_over(&owner->ends[i], true, s->asked->at);
            uint64_t amount = passed(s, &h, turned(top.cost), p == s->receiver);
            if (amount == 0) continue;
            touch(s->work, p);
            offer(s, open, amount, top.hops + 1, p);
        }
    }
    return s->failed;
}

/* The most that any of a user's hops can move, as payer or payee. */
static uint64_t most_at(const network *net, uint32_t u, bool is_payer, uint64_t at) {
    const user *owner = &net->users[u];
    wide most = 0;
    for (uint32_t i = 0; i < owner->degree; i++) {
        hop h = hop_over(&owner->ends[i], is_payer, at);
        if (!h.is_frozen && h.capacity > most) most = h.capacity;
    }
    return most < (wide)MAX_AMOUNT ? (uint64_t)most : MAX_AMOUNT;
}

/* The value that a path can carry. */
static uint64_t carried(const search *s, const answer *along) {
    uint64_t amount = MAX_AMOUNT;
    for (uint32_t i = 1; i < along->path_length; i++) {
        hop h = hop_over(end_between(s->net, along->path[i - 1], along->path[i]), true, s->asked->at);
        amount = passed(s, &h, amount, i + 1 == along->path_length);
    }
    return amount;
}

static scratch *prepare(network *net, const question *asked) {
    scratch *work = scratch_take(net);
    for (uint32_t i = 0; work != NULL && i < asked->avoid_count; i++) {
        touch(work, asked->avoid[i]);
        work->is_avoided[asked->avoid[i]] = true;
    }
    return work;
}

/* Looks for a path that carries more than the best one known; NOT_FOUND where there is none. */
static outcome improve(network *net, search *s, uint64_t leaving) {
    uint32_t receiver = s->receiver;
    question more = *s->asked;
    known_path known = {UINT64_MAX, UINT32_MAX};
    answer along = {0};
    more.receiver_pays = false;
    more.begun = &receiver;
    more.begun_count = 1;
    more.target = s->sender;
    more.value = s->best + 1;
    if (leaving < more.value) return NOT_FOUND;
    more.max_fees = leaving - more.value;
    if (more.budget <= s->spent) return SPENT;
    more.budget -= s->spent;
    s->work = prepare(net, s->asked);
    if (s->work == NULL) return NO_MEMORY;
    outcome result = narrow(net, s->work, &more, &known, &along);
    scratch_give_back(net, s->work);
    s->spent += along.work;
    if (result == FOUND) s->best = carried(s, &along);
    free(along.path);
    return result;
}

static outcome walk_both(network *net, search *s, bool is_rough) {
    s->is_rough = is_rough;
    s->work = prepare(net, s->asked);
    if (s->work == NULL) return NO_MEMORY;
    outcome result = s->asked->max_hops == UINT32_MAX ? run_both(s) : run_limited(s);
    scratch_give_back(net, s->work);
    return result;
}

static outcome run(network *net, search *s) {
    outcome result = walk_both(net, s, true);
    if (result != FOUND || s->best == 0 || s->asked->max_hops != UINT32_MAX) return result;
    uint64_t leaving = most_at(net, s->sender, true, s->asked->at);
    uint64_t arriving = most_at(net, s->receiver, false, s->asked->at);
    for (int turn = 0; turn < MOST_TURNS; turn++) {
        if (s->best >= (leaving < arriving ? leaving : arriving)) return FOUND;
        result = improve(net, s, leaving);
        if (result != FOUND) return result == NOT_FOUND ? FOUND : result;
    }
    return walk_both(net, s, false);
}

outcome widest(network *net, uint32_t sender, const question *asked, uint64_t *value, uint64_t *work) {
    search s = {.net = net, .asked = asked, .sender = sender, .receiver = asked->target};
    outcome result = run(net, &s);
    *value = s.best;
    *work = s.spent;
    if (result != FOUND) return result;
    return s.best ? FOUND : NOT_FOUND;
}
