/* The most that can flow from one user to another, planned; what and why is in graph/flow.py, the reference.
 *
 * Here the ways that lose least are found by two walks that meet, one from the sender and one from the receiver. What
 * flows is kept for the users through whom anything does, all else is read off the trustlines; so a plan costs what
 * lies around the two users, not what the network holds. */
#include <string.h>

#include "arcs.h"

#define FINENESS 20      /* a unit is divided into 2 to the power of so many pieces where there are fees */
#define NEGLIGIBLE 1024  /* so many pieces may be left of what counts as full: what rounding leaves behind */

/* Ways that can move less than this part of the widest hop are not used at first: wide ways make for few ways. */
static const double NARROWING[] = {0.8, 0.65, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.125, 0.1, 0.08, 0.06, 0.04, 0.02, 0.01, 0.004, 0};

static void reach(search *s, int side, uint32_t u, int32_t distance, uint32_t next, uint32_t end, int kind) {
    node *n = &s->nodes[u];
    if (n->reached[side] != s->number) append(s, &s->found[side], u);
    n->reached[side] = s->number;
    n->distance[side] = distance;
    n->next[side] = next;
    n->end[side] = end;
    n->kind[side] = (uint8_t)kind;
}

typedef struct {
    const user *other;
    uint32_t index;
} sortable;

static int compare_keys(const void *one, const void *other) {
    const user *a = ((const sortable *)one)->other, *b = ((const sortable *)other)->other;
    size_t shared = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->key, b->key, shared);
    return order ? order : (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

/* Notes which end of a user comes how many-th by the other's key. */
static void sort_ends(search *s, uint32_t u) {
    const user *owner = &s->net->users[u];
    sortable *sorted = malloc(owner->degree * sizeof *sorted);
    if (sorted == NULL) {
        s->failed = NO_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < owner->degree; i++) sorted[i] = (sortable){&s->net->users[owner->ends[i].other], i};
    qsort(sorted, owner->degree, sizeof *sorted, compare_keys);
    s->nodes[u].ends = s->ends.count + 1;
    for (uint32_t i = 0; i < owner->degree && append(s, &s->ends, sorted[i].index); i++) continue;
    free(sorted);
}

/* Returns where in `ends` those of a user begin, by the key of the other, so that a plan is the same whatever the
 * order in which trustlines came. */
static size_t look_at(search *s, uint32_t u) {
    uint32_t degree = s->net->users[u].degree;
    if (is_spent(s->asked, &s->spent, degree)) s->failed = SPENT;
    if (s->nodes[u].ends == 0 && degree && s->failed == FOUND) sort_ends(s, u);
    return s->nodes[u].ends - 1;
}

static void begin(search *s) {
    s->number++;
    s->shortest = INT32_MAX;
    for (int side = AHEAD; side <= BACK; side++) {
        s->found[side].head = s->found[side].count = 0;
        s->open[side].count = 0;
        reach(s, side, side == AHEAD ? s->sender : s->receiver, 0, NOBODY, 0, 0);
    }
}

static void offer(search *s, int side, uint32_t u) {
    if (!heap_push(&s->open[side], (entry){(uint64_t)s->nodes[u].distance[side], 0, u})) s->failed = NO_MEMORY;
}

/* Goes on from a user to all around it whom that brings nearer. */
static void go_on(search *s, int side, uint32_t u) {
    int32_t distance = s->nodes[u].distance[side];
    size_t ends = look_at(s, u), degree = s->net->users[u].degree;
    for (size_t i = ends; i < ends + degree && s->failed == FOUND; i++) {
        uint32_t index = s->ends.users[i], p = s->net->users[u].ends[index].other;
        node *there = &s->nodes[p];
        int32_t longer = 0;
        if (there->reached[side] == s->number && there->distance[side] <= distance) continue;
        int kind = arc_over(s, side, u, index, s->empty, false, &longer);
        if (kind < 0 || (there->reached[side] == s->number && there->distance[side] <= distance + longer)) continue;
        reach(s, side, p, distance + longer, u, 0, kind);
        offer(s, side, p);
        if (there->reached[!side] != s->number) continue;
        int32_t whole = there->distance[AHEAD] + there->distance[BACK];
        if (whole < s->shortest) s->shortest = whole;
    }
}

/* The distance of the nearest user from whom a walk has not gone on yet, INT32_MAX if there is none. */
static int32_t nearest(search *s, int side) {
    heap *open = &s->open[side];
    while (open->count && (int32_t)open->entries[0].cost > s->nodes[open->entries[0].user].distance[side])
        heap_pop(open);
    return open->count ? (int32_t)open->entries[0].cost : INT32_MAX;
}

/* Moves the potentials so that the arcs of the ways that lose least become tight; false without a way.
 *
 * Both walks stop where their distances add up to that of the shortest way. What is farther from the sender than the
 * walk ahead went keeps its potential, unless it is near the receiver. */
static bool measure(search *s) {
    begin(s);
    offer(s, AHEAD, s->sender);
    offer(s, BACK, s->receiver);
    int64_t ahead = 0, back = 0;
    while (s->failed == FOUND) {
        ahead = nearest(s, AHEAD);
        back = nearest(s, BACK);
        if (ahead == INT32_MAX || back == INT32_MAX || ahead + back >= s->shortest) break;
        int side = s->open[AHEAD].count <= s->open[BACK].count ? AHEAD : BACK;
        go_on(s, side, heap_pop(&s->open[side]).user);
    }
    if (s->failed != FOUND || s->shortest == INT32_MAX) return false;
    int32_t farthest = ahead < s->shortest ? (int32_t)ahead : s->shortest;
    int32_t rest = s->shortest - farthest;
    for (size_t i = 0; i < s->found[AHEAD].count; i++) {
        node *n = &s->nodes[s->found[AHEAD].users[i]];
        if (n->distance[AHEAD] < farthest) n->potential += n->distance[AHEAD] - farthest;
    }
    for (size_t i = 0; i < s->found[BACK].count; i++) {
        node *n = &s->nodes[s->found[BACK].users[i]];
        if (n->distance[BACK] < rest) n->potential += rest - n->distance[BACK];
    }
    return true;
}

static void append_arc(search *s, arc a) {
    if (s->way_length == s->way_room) {
        size_t room = s->way_room ? s->way_room * 2 : 64;
        arc *larger = realloc(s->way, room * sizeof a);
        if (larger == NULL) {
            s->failed = NO_MEMORY;
            return;
        }
        s->way = larger;
        s->way_room = room;
    }
    s->way[s->way_length++] = a;
}

/* Puts together the way from the sender over a user whom both walks have reached. */
static void join(search *s, uint32_t middle) {
    s->way_length = 0;
    for (uint32_t u = middle; u != s->sender; u = s->nodes[u].next[AHEAD])
        append_arc(s, (arc){s->nodes[u].next[AHEAD], s->nodes[u].end[AHEAD], s->nodes[u].kind[AHEAD]});
    for (size_t i = 0; i < s->way_length / 2; i++) {
        arc first = s->way[i];
        s->way[i] = s->way[s->way_length - 1 - i];
        s->way[s->way_length - 1 - i] = first;
    }
    for (uint32_t u = middle; u != s->receiver; u = s->nodes[u].next[BACK])
        append_arc(s, (arc){u, s->nodes[u].end[BACK], s->nodes[u].kind[BACK]});
}

/* Finds a way of the fewest tight arcs that have more left than `floor`. */
static bool find_way(search *s, wide floor) {
    begin(s);
    while (s->failed == FOUND) {
        size_t waiting[2];
        for (int side = AHEAD; side <= BACK; side++) waiting[side] = s->found[side].count - s->found[side].head;
        if (!waiting[AHEAD] || !waiting[BACK]) return false;
        int side = waiting[AHEAD] <= waiting[BACK] ? AHEAD : BACK;
        uint32_t u = s->found[side].users[s->found[side].head++];
        size_t ends = look_at(s, u), degree = s->net->users[u].degree;
        for (size_t i = ends; i < ends + degree && s->failed == FOUND; i++) {
            uint32_t index = s->ends.users[i];
            const end *e = &s->net->users[u].ends[index];
            int32_t longer;
            if (s->nodes[e->other].reached[side] == s->number) continue;
            int kind = arc_over(s, side, u, index, floor, true, &longer);
            if (kind < 0) continue;
            reach(s, side, e->other, 0, u, side == AHEAD ? index : e->twin, kind);
            if (s->failed != FOUND || s->nodes[e->other].reached[!side] != s->number) continue;
            join(s, e->other);
            return s->failed == FOUND;
        }
    }
    return false;
}

static bool is_met(const search *s) {
    wide wanted = s->goal->amount << s->shift;
    return s->goal->has_amount && (s->goal->is_sent ? s->sent : s->delivered) + s->empty >= wanted;
}

static wide left_on(const search *s, const arc *a) {
    const end *e = &s->net->users[a->payer].ends[a->end];
    hop over = hop_over(e, true, s->asked->at);
    wide left[4];
    read_left(s, a->payer, a->end, e->other, &over, left);
    return left[a->kind];
}

static void move(search *s, const arc *a, wide leaving, wide arriving) {
    const end *e = &s->net->users[a->payer].ends[a->end];
    record *here = records_of(s, a->payer), *there = records_of(s, e->other);
    if (here == NULL || there == NULL) return;
    if (a->kind < UNDONE) {
        here[a->end].used[a->kind] += leaving;
        there[e->twin].undo[a->kind] += arriving;
    } else {
        here[a->end].undo[a->kind - UNDONE] -= leaving;
        there[e->twin].used[a->kind - UNDONE] -= arriving;
    }
}

/* Sends as much over the way as it can take and the goal wants; false if that is nothing. */
static bool send_over(search *s) {
    bool is_limited = s->goal->has_amount && !s->goal->is_sent;
    wide wanted = s->goal->amount << s->shift, amount = wanted - s->delivered;
    for (size_t i = s->way_length; i-- > 0;) {
        wide left = left_on(s, &s->way[i]);
        if (is_limited) amount = passed(s, amount, -cost_of(s->way[i].kind));
        if (!is_limited || left < amount) amount = left;
        is_limited = true;
    }
    if (s->goal->has_amount && s->goal->is_sent && wanted - s->sent < amount) amount = wanted - s->sent;
    if (amount <= 0) return false;
    s->sent += amount;
    for (size_t i = 0; i < s->way_length && s->failed == FOUND; i++) {
        wide arriving = passed(s, amount, cost_of(s->way[i].kind));
        move(s, &s->way[i], amount, arriving);
        amount = arriving;
    }
    s->delivered += amount;
    return s->failed == FOUND;
}

/* The most that any hop of the sender, and any of the receiver, can move, in pieces. */
static wide widest_hop(const search *s) {
    wide most[2] = {0, 0};
    for (int side = AHEAD; side <= BACK; side++) {
        const user *owner = &s->net->users[side == AHEAD ? s->sender : s->receiver];
        for (uint32_t i = 0; i < owner->degree; i++) {
            hop over = hop_over(&owner->ends[i], side == AHEAD, s->asked->at);
            if (!over.is_frozen && over.capacity > most[side]) most[side] = over.capacity;
        }
    }
    return (most[AHEAD] < most[BACK] ? most[AHEAD] : most[BACK]) << s->shift;
}

/* Plans until the goal is met or nothing more can be added; returns whether the latter is certain. */
static bool grow(search *s) {
    wide widest = widest_hop(s);
    for (;;) {
        if (is_met(s)) return false;
        if (!measure(s)) return s->failed == FOUND;
        for (size_t i = 0; i < sizeof NARROWING / sizeof *NARROWING; i++) {
            wide floor = (wide)((double)widest * NARROWING[i]);
            if (floor < s->empty) floor = s->empty;
            while (!is_met(s) && find_way(s, floor))
                if (!send_over(s)) return false;
            if (s->failed != FOUND) return false;
        }
    }
}

static uint64_t words(wide amount, uint64_t *high) {
    *high = (uint64_t)(amount >> 64);
    return (uint64_t)amount;
}

/* Rounds up what leaves each user to whole units. */
static void write_plan(search *s, flow_plan *out) {
    wide whole = ((wide)1 << s->shift) - 1;
    size_t room = 0;
    out->delivered = words((s->delivered + s->empty) >> s->shift, &out->delivered_high);
    for (size_t i = 0; i < s->flowing.count; i++) room += s->net->users[s->flowing.users[i]].degree;
    out->moves = malloc((room ? room : 1) * sizeof *out->moves);
    if (out->moves == NULL) s->failed = NO_MEMORY;
    for (size_t i = 0; i < s->flowing.count && out->moves != NULL; i++) {
        uint32_t u = s->flowing.users[i];
        for (uint32_t j = 0; j < s->net->users[u].degree; j++) {
            const record *r = &s->nodes[u].records[j];
            wide used = r->used[FREE] + r->used[LOSSY];
            if (used <= s->empty) continue;
            flow_move *m = &out->moves[out->count++];
            *m = (flow_move){.payer = u, .payee = s->net->users[u].ends[j].other};
            m->amount = words((used + whole) >> s->shift, &m->amount_high);
        }
    }
}

static void release(search *s) {
    for (size_t i = 0; i < s->flowing.count; i++) free(s->nodes[s->flowing.users[i]].records);
    free(s->nodes);
    free(s->flowing.users);
    free(s->ends.users);
    free(s->way);
    for (int side = AHEAD; side <= BACK; side++) {
        free(s->found[side].users);
        free(s->open[side].entries);
    }
}

outcome plan_flow(const network *net, uint32_t sender, const question *asked, const flow_goal *goal, flow_plan *out) {
    *out = (flow_plan){0};
    search s = {.net = net, .asked = asked, .goal = goal, .sender = sender, .receiver = asked->target};
    /* A divisor of 1 leaves nothing of what adds to a debt, fee or not. */
    s.divisor = goal->ignores_fees && net->divisor != 1 ? 0 : net->divisor;
    s.shift = s.divisor ? FINENESS : 0;
    s.empty = s.divisor ? NEGLIGIBLE : 0;
    s.nodes = calloc(net->user_count, sizeof *s.nodes);
    if (s.nodes == NULL) return NO_MEMORY;
    for (uint32_t i = 0; i < asked->avoid_count; i++) s.nodes[asked->avoid[i]].is_avoided = true;
    out->is_full = grow(&s);
    if (s.failed != NO_MEMORY) write_plan(&s, out);
    out->work = s.spent;
    release(&s);
    return s.failed;
}
