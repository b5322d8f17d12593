/* The most that can flow between two users, planned. Whoever calls it holds the network's lock for reading. */
#ifndef TL_FLOW_H
#define TL_FLOW_H

#include "search.h"

/* How far a plan is to go, and over what. What is left out may be a hop or a part of it. */
typedef struct {
    wide amount; /* what is to arrive, or (is_sent) to leave; as much as can be without has_amount */
    bool has_amount, is_sent;
    bool ignores_fees;
    uint64_t narrowest; /* what can move less is left out */
} flow_goal;

typedef struct {
    uint32_t payer, payee;
    uint64_t amount, amount_high; /* what leaves the payer, rounded up; 128 bits */
} flow_move;

/* The moves are to be freed. */
typedef struct {
    flow_move *moves;
    size_t count;
    uint64_t delivered, delivered_high; /* what arrives, rounded down; 128 bits */
    bool is_full;                       /* whether nothing could be added for certain */
    uint64_t work;
} flow_plan;

/* Of `asked` the receiver (`target`), the time, whom to avoid, budget and deadline count. Plans that were stopped are
 * answered too, with SPENT. */
outcome plan_flow(const network *net, uint32_t sender, const question *asked, const flow_goal *goal, flow_plan *out);

#endif
