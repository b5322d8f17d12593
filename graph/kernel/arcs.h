/* What a plan of a flow has to do with at a trustline: what flows over it, and the arcs that are left, by kind. */
#ifndef TL_ARCS_H
#define TL_ARCS_H

#include <stdlib.h>

#include "flow.h"
#include "heap.h"

enum { AHEAD, BACK };              /* the walk from the sender, and the one from the receiver */
enum { FREE, LOSSY, UNDONE = 2 }; /* kinds of arcs; UNDONE is added to that of the arc which is undone */

/* What flows over a user's end of a trustline, in pieces. */
typedef struct {
    wide used[2]; /* by kind: what leaves this user */
    wide undo[2]; /* by kind: what arrives here from the other user, and could be given back */
} record;

typedef struct {
    record *records; /* by end, NULL while nothing flows through the user */
    int32_t potential;
    uint32_t reached[2]; /* by walk: the number of the search that reached it last, and how: */
    int32_t distance[2];
    uint32_t next[2]; /* the user from whom the walk came, */
    uint32_t end[2];  /* the payer's end of the trustline between, */
    uint8_t kind[2];  /* and the arc over it */
    size_t ends;      /* where in `ends` of the search its ends are, from 1 on; 0 before they are sorted */
    bool is_avoided;
} node;

typedef struct {
    uint32_t payer, end;
    uint8_t kind;
} arc;

typedef struct {
    uint32_t *users; /* or numbers of ends */
    size_t head, count, room;
} list;

typedef struct {
    const network *net;
    const question *asked;
    const flow_goal *goal;
    uint32_t sender, receiver, divisor;
    int shift; /* of units to pieces */
    wide empty, delivered, sent;
    node *nodes;
    uint32_t number; /* of the search that is under way */
    list flowing, found[2], ends;
    heap open[2];
    arc *way;
    size_t way_length, way_room;
    int32_t shortest; /* the length of the shortest way known in the search that is under way */
    uint64_t spent;
    outcome failed; /* FOUND while nothing has */
} search;

static inline int cost_of(int kind) { return kind == LOSSY ? 1 : kind == LOSSY + UNDONE ? -1 : 0; }

static inline wide passed(const search *s, wide amount, int cost) {
    if (cost > 0) return amount * (s->divisor - 1) / s->divisor;
    return cost == 0 ? amount : amount * s->divisor / (s->divisor - 1);
}

static inline bool append(search *s, list *l, uint32_t u) {
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 256;
        uint32_t *larger = realloc(l->users, room * sizeof u);
        if (larger == NULL) {
            s->failed = NO_MEMORY;
            return false;
        }
        l->users = larger;
        l->room = room;
    }
    l->users[l->count++] = u;
    return true;
}

static inline record *records_of(search *s, uint32_t u) {
    node *n = &s->nodes[u];
    if (n->records != NULL || !append(s, &s->flowing, u)) return n->records;
    n->records = calloc(s->net->users[u].degree, sizeof *n->records);
    if (n->records == NULL) {
        s->flowing.count--;
        s->failed = NO_MEMORY;
    }
    return n->records;
}

/* What is left of each kind of arc over a payer's end; `over` is the hop as the payer sees it. */
static inline void read_left(const search *s, uint32_t payer, uint32_t index, uint32_t payee, const hop *over, wide left[4]) {
    const record *r = s->nodes[payer].records == NULL ? NULL : &s->nodes[payer].records[index];
    wide room = 0, unlossy = 0;
    left[FREE] = left[LOSSY] = left[FREE + UNDONE] = left[LOSSY + UNDONE] = 0;
    if (!over->is_frozen && over->capacity > 0 && over->capacity >= (wide)s->goal->narrowest) {
        room = over->capacity;
        unlossy = over->balance <= 0 ? 0 : over->balance < room ? over->balance : room;
        if (s->divisor == 0 || payee == s->receiver) unlossy = room;
        /* A narrow part is given up, be it that what passes free counts as lossy: the plan delivers no less. */
        if (unlossy < (wide)s->goal->narrowest)
            unlossy = 0;
        else if (room - unlossy < (wide)s->goal->narrowest)
            room = unlossy;
    }
    left[FREE] = unlossy << s->shift;
    if (s->divisor != 1) left[LOSSY] = (room - unlossy) << s->shift;
    if (r == NULL) return;
    for (int kind = FREE; kind <= LOSSY; kind++) {
        left[kind] -= r->used[kind];
        left[kind + UNDONE] = r->undo[kind];
    }
}

/* The cheapest arc on which more than `floor` is left, -1 if there is none. */
static inline int cheapest_arc(const wide left[4], wide floor) {
    static const int order[] = {LOSSY + UNDONE, FREE, FREE + UNDONE, LOSSY};
    for (int i = 0; i < 4; i++)
        if (left[order[i]] > floor) return order[i];
    return -1;
}

static inline bool may_pass(const search *s, const end *e) {
    if (e->other == s->sender || e->other == s->receiver) return true;
    return !e->leads_nowhere && !s->nodes[e->other].is_avoided;
}

/* The arc over end `i` of a user, to its other user (ahead) or from it (back), and by how much it lengthens a way; -1
 * if there is none. If only tight arcs are wanted, which do not lengthen it, the others count as none. */
static inline int arc_over(const search *s, int side, uint32_t u, uint32_t i, wide floor, bool is_tight, int32_t *longer) {
    const end *e = &s->net->users[u].ends[i];
    uint32_t payer = side == AHEAD ? u : e->other, payee = side == AHEAD ? e->other : u;
    wide left[4];
    if (payee == s->sender || payer == s->receiver || !may_pass(s, e)) return -1;
    int32_t step = s->nodes[payer].potential - s->nodes[payee].potential;
    if (is_tight && (step > 1 || step < -1)) return -1;
    hop over = hop_over(e, side == AHEAD, s->asked->at);
    read_left(s, payer, side == AHEAD ? i : e->twin, payee, &over, left);
    int kind = cheapest_arc(left, floor);
    if (kind < 0 || (is_tight && cost_of(kind) + step != 0)) return -1;
    *longer = cost_of(kind) + step;
    return kind;
}

#endif
