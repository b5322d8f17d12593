#include "network.h"

#include <stdlib.h>
#include <string.h>

#include "scratch.h"

static bool grow(void **array, uint32_t *room, uint32_t needed, size_t size) {
    if (needed <= *room) return true;
    uint64_t wanted = *room ? (uint64_t)*room + *room / 2 + 1 : 2;
    if (wanted < needed) wanted = needed;
    if (wanted > MOST_USERS) return false;
    void *larger = realloc(*array, wanted * size);
    if (larger == NULL) return false;
    *array = larger;
    *room = (uint32_t)wanted;
    return true;
}

static void *memory_of(const user *u) { return u->room ? hints_of(u, false) : NULL; }

/* Makes room for one more end. */
static bool grow_ends(user *u) {
    if (u->degree < u->room) return true;
    uint64_t room = u->room < 4 ? u->room + 2 : (uint64_t)u->room + u->room / 4 + 1;
    if (room > MOST_USERS) return false;
    user larger = *u;
    larger.room = (uint32_t)room;
    size_t before = 2 * hint_room(larger.room) + (room + room % 2) * sizeof(uint32_t);
    char *memory = malloc(before + room * sizeof(end));
    if (memory == NULL) return false;
    memset(memory, 0, before);
    larger.ends = (end *)(memory + before);
    if (u->degree) {
        memcpy(hints_of(&larger, false), hints_of(u, false), u->degree);
        memcpy(hints_of(&larger, true), hints_of(u, true), u->degree);
        memcpy(others_of(&larger), others_of(u), u->degree * sizeof(uint32_t));
        memcpy(larger.ends, u->ends, u->degree * sizeof(end));
    }
    free(memory_of(u));
    *u = larger;
    return true;
}

static hint hint_for(const end *e, bool is_payer) {
    if (e->is_frozen || e->leads_nowhere) return 0;
    hint owed = e->size && e->is_negative != is_payer ? OWED : 0;
    if (e->size && (e->is_negative ? e->rate_received : e->rate_given)) return owed | HIGHEST_GRADE;
    wide capacity = hop_over(e, is_payer, 0).capacity;
    if (capacity < 0) return 0;
    return owed | (capacity > (wide)MAX_AMOUNT ? HIGHEST_GRADE : grade((uint64_t)capacity));
}

/* Notes what is read of an end before it is looked at. */
static void note_end(const user *u, uint32_t index) {
    others_of(u)[index] = u->ends[index].other;
    hints_of(u, true)[index] = hint_for(&u->ends[index], true);
    hints_of(u, false)[index] = hint_for(&u->ends[index], false);
}

/* By default readers go first, and searches that leave no pause between them would keep changes out for ever. */
static bool init_lock(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attributes;
    if (pthread_rwlockattr_init(&attributes) != 0) return false;
#ifdef __GLIBC__
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    bool is_made = pthread_rwlock_init(lock, &attributes) == 0;
    pthread_rwlockattr_destroy(&attributes);
    return is_made;
}

bool network_init(network *net, uint32_t divisor, bool prevents_mediator_interests) {
    memset(net, 0, sizeof *net);
    net->divisor = divisor;
    net->prevents_mediator_interests = prevents_mediator_interests;
    return init_lock(&net->lock) && pthread_mutex_init(&net->idle_lock, NULL) == 0;
}

void network_free(network *net) {
    for (uint32_t i = 0; i < net->user_count; i++) free(memory_of(&net->users[i]));
    free(net->users);
    scratch_free_all(net);
    pthread_mutex_destroy(&net->idle_lock);
    pthread_rwlock_destroy(&net->lock);
}

bool network_add_user(network *net, const unsigned char *key, size_t key_length, uint32_t *index) {
    if (!grow((void **)&net->users, &net->user_room, net->user_count + 1, sizeof *net->users)) return false;
    *index = net->user_count++;
    net->users[*index] = (user){.key = key, .key_length = key_length};
    return true;
}

/* Finds a trustline from the user who has fewer, and returns the end of `owner`. */
static end *find(const network *net, uint32_t owner, uint32_t other) {
    bool owner_is_smaller = net->users[owner].degree <= net->users[other].degree;
    const user *u = &net->users[owner_is_smaller ? owner : other];
    uint32_t wanted = owner_is_smaller ? other : owner;
    for (uint32_t i = 0; i < u->degree; i++) {
        if (others_of(u)[i] != wanted) continue;
        return owner_is_smaller ? &u->ends[i] : &net->users[owner].ends[u->ends[i].twin];
    }
    return NULL;
}

const end *end_between(const network *net, uint32_t owner, uint32_t other) { return find(net, owner, other); }

/* The same trustline as the other user sees it. */
static end turned(const end *e, uint32_t owner) {
    end t = *e;
    t.other = owner;
    t.given = e->received;
    t.received = e->given;
    t.rate_given = e->rate_received;
    t.rate_received = e->rate_given;
    t.is_negative = e->size && !e->is_negative;
    return t;
}

/* Notes at the other end of a user's first trustline whether it is its only one. */
static void note_degree(network *net, const user *u) {
    if (u->degree == 0) return;
    const user *other = &net->users[u->ends[0].other];
    other->ends[u->ends[0].twin].leads_nowhere = u->degree == 1;
    note_end(other, u->ends[0].twin);
}

bool network_put(network *net, uint32_t owner, const end *state) {
    user *here = &net->users[owner], *there = &net->users[state->other];
    end mine = *state, others = turned(state, owner);
    const end *known = find(net, owner, state->other);
    if (known != NULL) {
        mine.twin = known->twin;
        others.twin = (uint32_t)(known - here->ends);
        mine.leads_nowhere = known->leads_nowhere;
        others.leads_nowhere = there->ends[known->twin].leads_nowhere;
    } else {
        if (!grow_ends(here) || !grow_ends(there)) return false;
        others.twin = here->degree++;
        mine.twin = there->degree++;
    }
    here->ends[others.twin] = mine;
    there->ends[mine.twin] = others;
    note_end(here, others.twin);
    note_end(there, mine.twin);
    if (known == NULL) {
        note_degree(net, here);
        note_degree(net, there);
    }
    return true;
}

/* Takes an end out by putting the last one in its place. */
static void take_out(network *net, user *u, uint32_t index) {
    uint32_t last = --u->degree;
    hint *pays = hints_of(u, true), *is_paid = hints_of(u, false);
    u->ends[index] = u->ends[last];
    others_of(u)[index] = others_of(u)[last];
    pays[index] = pays[last];
    is_paid[index] = is_paid[last];
    pays[last] = is_paid[last] = 0;
    if (index == last) return;
    net->users[u->ends[index].other].ends[u->ends[index].twin].twin = index;
}

void network_drop(network *net, uint32_t one, uint32_t other) {
    const end *found = find(net, one, other);
    if (found == NULL) return;
    uint32_t index = (uint32_t)(found - net->users[one].ends), twin = found->twin;
    take_out(net, &net->users[one], index);
    take_out(net, &net->users[other], twin);
    note_degree(net, &net->users[one]);
    note_degree(net, &net->users[other]);
}

int compare_users(const network *net, uint32_t one, uint32_t other) {
    const user *a = &net->users[one], *b = &net->users[other];
    size_t shared = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->key, b->key, shared);
    if (order) return order;
    return (a->key_length > b->key_length) - (a->key_length < b->key_length);
}
