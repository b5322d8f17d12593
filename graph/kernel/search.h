/* Searches over a network. Whoever calls them holds the network's lock for reading. */
#ifndef TL_SEARCH_H
#define TL_SEARCH_H

#include "network.h"

typedef enum { FOUND, NOT_FOUND, SPENT, NO_MEMORY } outcome;

/* What is asked. Limits that do not limit are UINT64_MAX and UINT32_MAX.
 *
 * A walk may have begun: `begun` are the users walked so far, in the order of the path, which is the path's end
 * (sender pays) or its beginning (receiver pays), one user at least. `target` is the user at the other end. */
typedef struct {
    bool receiver_pays;
    uint32_t *begun;
    uint32_t begun_count;
    uint32_t target;
    uint64_t value;
    uint64_t at;
    uint64_t max_fees;
    uint32_t max_hops;
    uint32_t *avoid; /* users that mediate nothing */
    uint32_t avoid_count;
    uint32_t *not_next; /* users that may not stand beside those begun */
    uint32_t not_next_count;
    uint64_t budget; /* how many ends of trustlines may be looked at */
    double deadline; /* CLOCK_MONOTONIC seconds, 0 for none */
} question;

/* What is answered. The path runs from the sender to the receiver and is to be freed. */
typedef struct {
    uint32_t *path;
    uint32_t path_length;
    bool is_proven; /* whether no better one exists for certain */
    uint64_t work;
} answer;

/* A walk: the amount moved on its last hop, and what the next hop has to do with. */
typedef struct {
    uint64_t moved;
    uint64_t onward;
    wide bound; /* the happiness that limits the next hop's */
    bool has_bound;
    uint32_t hops;
} walk;

/* The cheapest transfer. */
outcome cheapest(network *net, const question *asked, answer *out);

/* The largest value that the sender can pay the receiver, bearing the fees, mediators' interests not looked at; unless
 * `along` is NULL also its cheapest path, for which there must be no hop limit. */
outcome widest(network *net, uint32_t sender, const question *asked, uint64_t *value, answer *along, uint64_t *work);

/* --- shared by the searches --- */

/* One more hop, by the contract's rules; false where it would revert. */
bool walk_step(const network *net, bool receiver_pays, const walk *before, const hop *over, walk *after);

/* Walks what has begun; false where it cannot be. */
bool walk_begun(const network *net, const question *asked, walk *state);

bool is_among(const uint32_t *users, uint32_t count, uint32_t wanted);

/* Whether the budget or the time is spent after so much more work. */
bool is_spent(const question *asked, uint64_t *work, uint32_t more);

struct scratch;

/* Fees and hops of a path that goes through; UINT64_MAX and UINT32_MAX if none is known. */
typedef struct {
    uint64_t fees;
    uint32_t hops;
} known_path;

/* The search that is fast because it is narrow: no hop limit, mediators' interests not looked at.
 *
 * If the sender pays, it answers. If the receiver does, it begins from the fees of a known path, or the most that is
 * allowed; FOUND without a path says that it answers not. Then it leaves the best path it met in `known`, and in `work`
 * the least (fees, hops) from users to the target: of those settled, and no less than the first of its heap of all
 * others. */
outcome narrow(network *net, struct scratch *work, const question *asked, known_path *known, answer *out);

/* Reads off the best path from the labels of the narrow search, where the receiver pays and they tell all; FOUND without
 * a path where they do not. */
outcome read_forwards(const network *net, struct scratch *work, const question *asked, const walk *begun, known_path best,
                      uint64_t *spent, answer *out);

/* The search that takes any question. A known path narrows it; `has_bounds` where `work` is as `narrow` left it. */
outcome cheapest_of_any(network *net, struct scratch *work, const question *asked, known_path known, bool has_bounds,
                        answer *out);

#endif
