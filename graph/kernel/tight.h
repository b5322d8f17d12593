/* Trustlines that are tight, where the receiver pays: what a search for the best path must know of them. */
#ifndef TL_TIGHT_H
#define TL_TIGHT_H

#include "scratch.h"
#include "search.h"

/* By user; blank where no path within the fees allowed goes through. */
typedef struct {
    label *ahead;   /* no walk that has come to the user costs less */
    label *rest;    /* the least (fees, hops) from the user to the target */
    label *through; /* the same over one tight trustline at least */
    heap open;
    bool is_any; /* whether a trustline is tight at all */
} tight;

/* Looks at all paths whose fees come to no more than `max_fees`. NOT_FOUND if there can be none. */
outcome tight_find(const network *net, const scratch *work, const question *asked, const walk *begun, uint64_t max_fees,
                   uint64_t *spent, tight *found);

void tight_free(tight *found);

#endif
