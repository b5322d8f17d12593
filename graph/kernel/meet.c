/* Two exact walks that meet, for the largest value and for the cheapest path; the sender bears the fees.
 *
 * The walk out, from the sender, knows the most that can leave each user. The walk in, from the receiver, knows the
 * least that has to leave each user for a given value to arrive. Either is a Dijkstra search, exact by itself: more
 * passes wherever less does, and what passes on more needs more. A value goes through a user if what has to leave it is
 * no more than what can, and at each user of a path that carries the value that is so. Once all that the walk out has
 * still to take up has less than the least that the walk in has to, each user of such a path has been taken up by one of
 * them, and they have met where it passes from the one to the other. Where they have not met, no path goes.
 *
 * To find the cheapest path, the walk in stays, and the walk out begins with one unit less than the sender sends over
 * the cheapest path known, until they do not meet. Then it begins with just that much, and all paths that go are cheapest
 * ones: at their users what can leave is what has to, so that the hops of both walks add up to no more than theirs. The
 * walk in goes on alone where this sum is not above the fewest hops known; the path whose users' keys come first is read
 * off from the sender's end. */
#include "meet.h"

/* What can leave a user is of use only if it is more. */
static uint64_t floor_of(const meeting *m) { return m->aim <= FOR_VALUE ? m->best : m->value - 1; }

/* Whether no path through a user is looked for, as more has to leave it than can. */
static bool is_apart(const meeting *m, uint64_t needed, uint32_t needed_hops, uint64_t able, uint32_t able_hops) {
    if (needed > able) return true;
    return m->aim == FOR_HOPS && needed == able && needed_hops + able_hops > m->best_hops;
}

static bool is_too_much(const meeting *m, uint64_t needed, uint32_t hops, uint32_t u) {
    const label *able = &m->out->exact[u];
    /* The walk in stays when the walk out begins with one unit more; no user can then have more than one unit more. */
    if (m->aim == FOR_FEES) return able->is_settled ? needed - 1 > able->cost : needed - 1 > m->leaving;
    if (able->is_settled) return is_apart(m, needed, hops, able->cost, able->hops);
    const heap *open = &m->out->exact_heap;
    return !open->count || is_apart(m, needed, hops, turned(open->entries[0].cost), open->entries[0].hops);
}

static bool is_too_little(const meeting *m, uint64_t able, uint32_t hops, uint32_t u) {
    if (able <= floor_of(m)) return true;
    if (m->aim == ROUGHLY) {
        const label *rest = &m->out->bound[u];
        const heap *open = &m->out->bound_heap;
        return (rest->is_settled ? rest->cost : open->count ? turned(open->entries[0].cost) : 0) <= m->best;
    }
    const label *needed = &m->in->exact[u];
    if (needed->is_settled) return is_apart(m, needed->cost, needed->hops, able, hops);
    const heap *open = &m->in->exact_heap;
    return !open->count || is_apart(m, open->entries[0].cost, open->entries[0].hops, able, hops);
}

/* What has to leave the payer of a hop for so much to leave, or stay with, its payee; false where it cannot. */
static bool needed_before(const meeting *m, const end *e, bool is_payer, uint64_t amount, uint32_t payee,
                          uint64_t *before) {
    passage over;
    if (!passage_over(e, is_payer, m->asked->at, &over)) return false;
    *before = amount;
    if (payee != m->receiver && !add_fee(amount, (wide)over.owed, m->net->divisor, before)) return false;
    return *before <= over.most;
}

static void keep(meeting *m, uint32_t u) {
    if (m->way_length == m->way_room) {
        uint32_t room = m->way_room ? m->way_room * 2 : 64;
        uint32_t *larger = realloc(m->way, room * sizeof *larger);
        if (larger == NULL) {
            m->failed = NO_MEMORY;
            return;
        }
        m->way = larger;
        m->way_room = room;
    }
    m->way[m->way_length++] = u;
}

/* Keeps the way from the sender to a user and on to the receiver. */
static void keep_way(meeting *m, uint32_t u, const label *onward) {
    m->way_length = 0;
    for (uint32_t v = u; v != m->sender; v = m->out->exact[v].parent) keep(m, v);
    keep(m, m->sender);
    for (uint32_t i = 0, j = m->way_length - 1; i < j && m->failed == FOUND; i++, j--) {
        uint32_t v = m->way[i];
        m->way[i] = m->way[j];
        m->way[j] = v;
    }
    for (; u != m->receiver; u = onward[u].parent) keep(m, onward[u].parent);
}

/* Follows the other walk from a user to the receiver, with the amounts that really move. */
static void join_for_value(meeting *m, uint32_t u, const label *onward) {
    uint64_t amount = m->out->exact[u].cost;
    for (uint32_t v = u; v != m->receiver; v = onward[v].parent) {
        if (amount <= m->best) return;
        amount = passed(m, &m->net->users[v].ends[onward[v].parent_end], true, amount, onward[v].parent);
    }
    if (amount <= m->best) return;
    m->best = amount;
    m->is_joined = true;
    keep_way(m, u, onward);
}

/* Follows the walk out from a user back to the sender, with the amounts that really have to move. */
static void join_for_fees(meeting *m, uint32_t u) {
    uint64_t amount = m->in->exact[u].cost;
    while (u != m->sender) {
        const label *here = &m->out->exact[u];
        if (!needed_before(m, &m->net->users[here->parent].ends[here->parent_end], true, amount, u, &amount)) return;
        u = here->parent;
    }
    if (amount - m->value >= m->least_fees) return;
    m->least_fees = amount - m->value;
    m->is_joined = true;
}

/* To be called wherever a label of a user that both walks know has changed. */
void join(meeting *m, uint32_t u) {
    if (m->aim == ROUGHLY) {
        if (m->out->bound[u].is_reached) join_for_value(m, u, m->out->bound);
        return;
    }
    const label *able = &m->out->exact[u], *needed = &m->in->exact[u];
    if (!able->is_reached || !needed->is_reached) return;
    if (is_apart(m, needed->cost, needed->hops, able->cost, able->hops)) return;
    if (m->aim == FOR_VALUE) join_for_value(m, u, m->in->exact);
    if (m->aim == FOR_FEES) join_for_fees(m, u);
    if (m->aim == FOR_HOPS && needed->hops + able->hops < m->best_hops) m->best_hops = needed->hops + able->hops;
}

static void look_out(meeting *m, uint32_t u, uint32_t p, const end *e) {
    const label *here = &m->out->exact[u];
    uint64_t able = passed(m, e, true, here->cost, p);
    uint32_t hops = here->hops + 1;
    label *there = &m->out->exact[p];
    if (able <= floor_of(m) || !may_pass(m, m->out, p)) return;
    if (there->is_reached && !comes_before(turned(able), hops, turned(there->cost), there->hops)) return;
    if (is_too_little(m, able, hops, p)) return;
    touch(m->out, p);
    uint32_t index = (uint32_t)(e - m->net->users[u].ends);
    *there = (label){.cost = able, .hops = hops, .parent = u, .parent_end = index, .is_reached = true};
    if (p != m->receiver) push(m, &m->out->exact_heap, turned(able), hops, p);
    join(m, p);
}

static void look_in(meeting *m, uint32_t u, uint32_t p, const end *e) {
    const label *here = &m->in->exact[u];
    uint64_t needed;
    uint32_t hops = here->hops + 1;
    label *there = &m->in->exact[p];
    if (!may_pass(m, m->in, p) || !needed_before(m, e, false, here->cost, u, &needed)) return;
    if (there->is_reached && !comes_before(needed, hops, there->cost, there->hops)) return;
    if (is_too_much(m, needed, hops, p)) return;
    touch(m->in, p);
    *there = (label){.cost = needed, .hops = hops, .parent = u, .parent_end = e->twin, .is_reached = true};
    if (p != m->sender) push(m, &m->in->exact_heap, needed, hops, p);
    join(m, p);
}

/* Looks at the ends of a user over which so much can be paid, as payer (is_payer) or payee, and at that to the other end
 * of the search. */
static inline void look_around(meeting *m, scratch *work, uint32_t u, bool is_payer, uint64_t amount,
                               void (*look)(meeting *, uint32_t, uint32_t, const end *)) {
    const user *owner = &m->net->users[u];
    const uint32_t *others = others_of(owner);
    const end *last = end_to_only(m, u, is_payer ? m->receiver : m->sender);
    uint32_t looked = 0;
    if (last != NULL) look(m, u, last->other, last);
    selected_ends some = select_ends(owner, is_payer, amount, ALL);
    for (uint32_t i = next_end(&some); i != NOBODY && m->failed == FOUND; i = next_end(&some)) {
        if (work->state[others[i]] & EXACT_SETTLED) continue;
        looked++;
        look(m, u, others[i], &owner->ends[i]);
    }
    if (m->failed == FOUND && is_spent(m->asked, &m->spent, 1 + owner->degree / 8 + looked)) m->failed = SPENT;
}

void step_out(meeting *m) {
    uint32_t u = heap_pop(&m->out->exact_heap).user;
    label *here = &m->out->exact[u];
    here->is_settled = true;
    m->out->state[u] |= EXACT_SETTLED;
    if (is_too_little(m, here->cost, here->hops, u)) return;
    look_around(m, m->out, u, true, floor_of(m) + 1, look_out);
}

static void step_in(meeting *m) {
    uint32_t u = heap_pop(&m->in->exact_heap).user;
    label *here = &m->in->exact[u];
    here->is_settled = true;
    m->in->state[u] |= EXACT_SETTLED;
    if (is_too_much(m, here->cost, here->hops, u)) return;
    look_around(m, m->in, u, false, here->cost, look_in);
}

void drop_settled(heap *h, const label *labels) {
    while (h->count && labels[h->entries[0].user].is_settled) heap_pop(h);
}

void grow_both(meeting *m) {
    heap *out = &m->out->exact_heap, *in = &m->in->exact_heap;
    while (m->failed == FOUND && (!m->is_joined || m->aim == FOR_HOPS)) {
        drop_settled(out, m->out->exact);
        drop_settled(in, m->in->exact);
        if (!out->count || !in->count) return;
        const entry *o = &out->entries[0], *i = &in->entries[0];
        if (is_apart(m, i->cost, i->hops, turned(o->cost), o->hops)) return;
        if (in->count <= out->count)
            step_in(m);
        else
            step_out(m);
    }
}

/* One of them alone, to its end. */
void go_on(meeting *m, heap *h, const label *labels, void (*step)(meeting *)) {
    while (m->failed == FOUND) {
        drop_settled(h, labels);
        if (!h->count) return;
        step(m);
    }
}

void renew(meeting *m, scratch **work) {
    if (*work != NULL) scratch_give_back(m->net, *work);
    *work = scratch_take(m->net);
    if (*work == NULL) {
        m->failed = NO_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < m->asked->avoid_count; i++) {
        touch(*work, m->asked->avoid[i]);
        (*work)->is_avoided[m->asked->avoid[i]] = true;
    }
}

void begin_out(meeting *m, uint64_t leaving) {
    renew(m, &m->out);
    if (m->failed != FOUND) return;
    m->leaving = leaving;
    touch(m->out, m->sender);
    m->out->exact[m->sender] = (label){.cost = leaving, .is_reached = true};
    push(m, &m->out->exact_heap, turned(leaving), 0, m->sender);
    if (m->in != NULL) join(m, m->sender);
}

void begin_in(meeting *m, uint64_t value) {
    renew(m, &m->in);
    if (m->failed != FOUND) return;
    m->value = value;
    touch(m->in, m->receiver);
    m->in->exact[m->receiver] = (label){.cost = value, .is_reached = true};
    push(m, &m->in->exact_heap, value, 0, m->receiver);
}

/* The most that any of a user's hops can move, as payer or payee. */
uint64_t most_at(const meeting *m, uint32_t u, bool is_payer) {
    const user *owner = &m->net->users[u];
    uint64_t most = 0;
    for (uint32_t i = 0; i < owner->degree; i++) {
        passage over;
        if (passage_over(&owner->ends[i], is_payer, m->asked->at, &over) && over.most > most) most = over.most;
    }
    return most;
}

/* The fees over the way that is known to carry the value. */
static uint64_t fees_of_way(const meeting *m) {
    uint64_t amount = m->value;
    for (uint32_t i = m->way_length - 1; i > 0; i--) {
        needed_before(m, end_between(m->net, m->way[i - 1], m->way[i]), true, amount, m->way[i], &amount);
    }
    return amount - m->value;
}

static void find_fees(meeting *m) {
    m->aim = FOR_FEES;
    if (m->in == NULL || m->value != m->best) begin_in(m, m->best);
    m->least_fees = fees_of_way(m);
    m->is_joined = true;
    for (int turn = 0; m->is_joined && m->least_fees > 0; turn++) {
        m->is_joined = false;
        if (m->failed == FOUND) begin_out(m, m->value + m->least_fees - 1);
        if (m->failed == FOUND) grow_both(m);
        if (turn == MOST_TURNS && m->is_joined) go_on(m, &m->in->exact_heap, m->in->exact, step_in);
    }
}

/* Whether there is a path with the least fees. */
static bool find_hops(meeting *m) {
    m->aim = FOR_HOPS;
    m->best_hops = UINT32_MAX;
    if (m->failed == FOUND) begin_out(m, m->value + m->least_fees);
    if (m->failed == FOUND) grow_both(m);
    if (m->failed != FOUND || m->best_hops == UINT32_MAX) return false;
    go_on(m, &m->in->exact_heap, m->in->exact, step_in);
    return true;
}

static outcome read_path(const meeting *m, answer *along) {
    uint32_t u = m->sender;
    along->path = malloc((m->in->exact[u].hops + 1) * sizeof *along->path);
    if (along->path == NULL) return NO_MEMORY;
    along->path[along->path_length++] = u;
    while (u != m->receiver) {
        const user *owner = &m->net->users[u];
        const label *here = &m->in->exact[u];
        uint32_t next = NOBODY;
        for (uint32_t i = 0; i < owner->degree; i++) {
            uint32_t p = owner->ends[i].other;
            const label *after = &m->in->exact[p];
            if (!after->is_reached || after->hops + 1 != here->hops) continue;
            if (next != NOBODY && compare_users(m->net, next, p) < 0) continue;
            uint64_t needed;
            if (needed_before(m, &owner->ends[i], true, after->cost, p, &needed) && needed == here->cost) next = p;
        }
        along->path[along->path_length++] = u = next;
    }
    along->is_proven = true;
    return FOUND;
}

outcome find_path(meeting *m, answer *along) {
    find_fees(m);
    find_hops(m);
    return m->failed != FOUND ? m->failed : read_path(m, along);
}

/* Whether there is a path without fees, as there often is for small values. */
static bool is_free(meeting *m) {
    m->least_fees = 0;
    begin_in(m, m->asked->value);
    return find_hops(m) && m->failed == FOUND;
}

uint64_t meet_most(const meeting *m) {
    uint64_t leaving = most_at(m, m->sender, true), arriving = most_at(m, m->receiver, false);
    return leaving < arriving ? leaving : arriving;
}

outcome meet_for(meeting *m, answer *along) {
    uint64_t value = m->asked->value, fees = m->asked->max_fees;
    uint64_t most = most_at(m, m->sender, true);
    if (most < value || most_at(m, m->receiver, false) < value) return NOT_FOUND;
    if (is_free(m)) return read_path(m, along);
    if (m->failed == FOUND && (fees == 0 || m->net->divisor == 0)) return NOT_FOUND;
    m->aim = FOR_VALUE;
    m->best = value - 1;
    if (m->failed == FOUND) begin_in(m, value);
    if (m->failed == FOUND) begin_out(m, fees < most - value ? value + fees : most);
    if (m->failed == FOUND) grow_both(m);
    if (m->failed != FOUND) return m->failed;
    if (!m->is_joined) return NOT_FOUND;
    m->best = value;
    return find_path(m, along);
}

void meet_end(meeting *m) {
    if (m->out != NULL) scratch_give_back(m->net, m->out);
    if (m->in != NULL) scratch_give_back(m->net, m->in);
    free(m->way);
}
