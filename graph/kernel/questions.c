/* What a Network is asked, read from Python's arguments, and the answers made Python's objects. Searches run without the
 * interpreter's lock, and with the network's for reading. */
#include "module.h"

#include <stdlib.h>

#include "flow.h"

/* Reads a sequence of keys into indices that are to be freed; unknown keys are left out, or refused. */
static bool read_users(NetworkObject *self, PyObject *keys, bool refuse, uint32_t **users, uint32_t *count) {
    PyObject *sequence = PySequence_Tuple(keys);
    if (sequence == NULL) return false;
    Py_ssize_t length = PyTuple_Size(sequence);
    *users = PyMem_Malloc(length ? (size_t)length * sizeof **users : 1);
    bool is_read = *users != NULL;
    if (!is_read) PyErr_NoMemory();
    for (Py_ssize_t i = 0; is_read && i < length; i++) {
        PyObject *key = PyTuple_GetItem(sequence, i);
        PyObject *known = is_key(key) ? PyDict_GetItemWithError(self->indices, key) : NULL;
        if (known != NULL) {
            (*users)[(*count)++] = (uint32_t)PyLong_AsUnsignedLong(known);
        } else if (PyErr_Occurred() || refuse) {
            if (!PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
            is_read = false;
        }
    }
    Py_DECREF(sequence);
    return is_read;
}

static bool is_sane(const question *asked) {
    if (asked->begun_count == 0) {
        PyErr_SetString(PyExc_ValueError, "a walk begins with one user at least");
        return false;
    }
    for (uint32_t i = 0; i < asked->begun_count; i++) {
        uint32_t start = asked->receiver_pays ? asked->begun_count - 1 : 0;
        if (is_among(asked->begun + i + 1, asked->begun_count - i - 1, asked->begun[i]) ||
            (i == start && asked->begun[i] == asked->target)) {
            PyErr_SetString(PyExc_ValueError, "a walk passes no user twice");
            return false;
        }
    }
    return is_time(asked->at);
}

static void free_question(question *asked) {
    PyMem_Free(asked->begun);
    PyMem_Free(asked->avoid);
    PyMem_Free(asked->not_next);
}

static bool read_question(NetworkObject *self, PyObject *args, PyObject *kwargs, question *asked) {
    static char *names[] = {"receiver_pays", "begun",    "target", "value",  "at", "max_fees", "max_hops",
                            "avoid",         "not_next", "budget", "deadline", NULL};
    PyObject *begun, *target, *avoid = NULL, *not_next = NULL;
    int receiver_pays;
    unsigned long long value, at, max_fees = UINT64_MAX, budget = UINT64_MAX;
    uint32_t max_hops = UINT32_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "pOSO&O&|$O&O&OOO&d", names, &receiver_pays, &begun, &target,
                                     read_uint64, &value, read_uint64, &at, read_uint64, &max_fees, read_uint32,
                                     &max_hops, &avoid, &not_next, read_uint64, &budget, &asked->deadline))
        return false;
    asked->receiver_pays = receiver_pays;
    asked->value = value;
    asked->at = at;
    asked->max_fees = max_fees;
    asked->max_hops = max_hops;
    asked->budget = budget;
    return index_of(self, target, false, &asked->target) &&
           read_users(self, begun, true, &asked->begun, &asked->begun_count) &&
           (avoid == NULL || read_users(self, avoid, false, &asked->avoid, &asked->avoid_count)) &&
           (not_next == NULL || read_users(self, not_next, false, &asked->not_next, &asked->not_next_count)) &&
           is_sane(asked);
}

static PyObject *key_of(NetworkObject *self, uint32_t index) { return Py_NewRef(PyList_GetItem(self->keys, index)); }

static PyObject *path_as_tuple(NetworkObject *self, const answer *found) {
    PyObject *path = PyTuple_New(found->path_length);
    for (uint32_t i = 0; path != NULL && i < found->path_length; i++) {
        PyTuple_SetItem(path, i, key_of(self, found->path[i]));
    }
    return path;
}

const char cheapest_doc[] =
             "cheapest(receiver_pays, begun, target, value, at, *, max_fees=2**64-1, max_hops=2**32-1, avoid=(),\n"
             "         not_next=(), budget=2**64-1, deadline=0.0)\n--\n\n"
             "Return (outcome, path or None, whether it is proven, work) of the cheapest transfer.\n\n"
             "`begun` are the users walked so far in the order of the path: its end if the sender pays, its beginning\n"
             "if the receiver does; `target` is the user at the other end. `deadline` is in seconds of time.monotonic().\n"
             "Raises KeyError for users it does not know, but for those to avoid.";

PyObject *cheapest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    question asked = {0};
    answer found = {0};
    outcome result = NO_MEMORY;
    PyObject *answered = NULL;
    if (read_question(self, args, kwargs, &asked)) {
        Py_BEGIN_ALLOW_THREADS
        pthread_rwlock_rdlock(&self->net.lock);
        result = cheapest(&self->net, &asked, &found);
        pthread_rwlock_unlock(&self->net.lock);
        Py_END_ALLOW_THREADS
        PyObject *path = result == FOUND ? path_as_tuple(self, &found) : Py_NewRef(Py_None);
        if (result == NO_MEMORY) PyErr_NoMemory();
        if (path != NULL && result != NO_MEMORY)
            answered = Py_BuildValue("iOOK", result, path, found.is_proven ? Py_True : Py_False, (unsigned long long)found.work);
        Py_XDECREF(path);
    }
    free(found.path);
    free_question(&asked);
    return answered;
}

const char widest_doc[] =
             "widest(sender, receiver, at, *, max_hops=2**32-1, avoid=(), budget=2**64-1, deadline=0.0)\n--\n\n"
             "Return (outcome, value, work) of the largest value the sender can pay, bearing the fees; mediators'\n"
             "interests are not looked at.";

const char largest_doc[] =
             "largest(sender, receiver, at, *, max_hops=2**32-1, avoid=(), budget=2**64-1, deadline=0.0)\n--\n\n"
             "Return (outcome, value, path or None, work) as widest() does, with the cheapest path for the value; there is\n"
             "no path within a hop limit.";

static PyObject *widest_or_largest(NetworkObject *self, PyObject *args, PyObject *kwargs, bool has_path) {
    static char *names[] = {"sender", "receiver", "at", "max_hops", "avoid", "budget", "deadline", NULL};
    question asked = {.max_fees = UINT64_MAX, .max_hops = UINT32_MAX, .budget = UINT64_MAX};
    answer along = {0};
    uint64_t value = 0, work = 0;
    uint32_t from;
    unsigned long long at, budget = UINT64_MAX;
    PyObject *sender, *receiver, *avoid = NULL, *path = NULL, *answered = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO&|$O&OO&d", names, &sender, &receiver, read_uint64, &at, read_uint32,
                                     &asked.max_hops, &avoid, read_uint64, &budget, &asked.deadline))
        return NULL;
    asked.at = at;
    asked.budget = budget;
    if (index_of(self, sender, false, &from) && index_of(self, receiver, false, &asked.target) &&
        (avoid == NULL || read_users(self, avoid, false, &asked.avoid, &asked.avoid_count))) {
        if (from == asked.target) {
            PyErr_SetString(PyExc_ValueError, "a walk passes no user twice");
        } else if (is_time(at)) {
            outcome result;
            Py_BEGIN_ALLOW_THREADS
            pthread_rwlock_rdlock(&self->net.lock);
            result = widest(&self->net, from, &asked, &value, has_path ? &along : NULL, &work);
            pthread_rwlock_unlock(&self->net.lock);
            Py_END_ALLOW_THREADS
            if (result == NO_MEMORY)
                PyErr_NoMemory();
            else if (!has_path)
                answered = Py_BuildValue("iKK", result, (unsigned long long)value, (unsigned long long)work);
            else if ((path = along.path_length ? path_as_tuple(self, &along) : Py_NewRef(Py_None)) != NULL)
                answered = Py_BuildValue("iKOK", result, (unsigned long long)value, path, (unsigned long long)work);
        }
    }
    Py_XDECREF(path);
    free(along.path);
    free_question(&asked);
    return answered;
}

PyObject *widest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    return widest_or_largest(self, args, kwargs, false);
}

PyObject *largest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    return widest_or_largest(self, args, kwargs, true);
}

/* Reads None or an amount of up to 80 bits, more than any number of parts can move. */
static int read_goal(PyObject *value, void *result) {
    flow_goal *goal = result;
    if (value == Py_None) return 1;
    PyObject *words = PyLong_FromLong(64), *high = words == NULL ? NULL : PyNumber_Rshift(value, words);
    unsigned long long upper = high == NULL ? 0 : PyLong_AsUnsignedLongLong(high);
    Py_XDECREF(words);
    Py_XDECREF(high);
    if (PyErr_Occurred()) return 0;
    if (upper >> 16) {
        PyErr_SetString(PyExc_OverflowError, "an amount does not fit 80 bits");
        return 0;
    }
    goal->amount = ((wide)upper << 64) + PyLong_AsUnsignedLongLongMask(value);
    goal->has_amount = true;
    return !PyErr_Occurred();
}

static PyObject *plan_as_tuple(NetworkObject *self, outcome result, const flow_plan *plan) {
    PyObject *moves = PyTuple_New((Py_ssize_t)plan->count);
    for (size_t i = 0; moves != NULL && i < plan->count; i++) {
        const flow_move *m = &plan->moves[i];
        PyObject *items[] = {
            key_of(self, m->payer),
            key_of(self, m->payee),
            PyLong_FromUnsignedLongLong(m->amount_high),
            PyLong_FromUnsignedLongLong(m->amount),
        };
        PyObject *move = tuple_of(items, 4);
        if (move == NULL)
            Py_CLEAR(moves);
        else
            PyTuple_SetItem(moves, (Py_ssize_t)i, move);
    }
    PyObject *answered = NULL;
    if (moves != NULL)
        answered = Py_BuildValue("iO(KK)OK", result, moves, (unsigned long long)plan->delivered_high,
                                 (unsigned long long)plan->delivered, plan->is_full ? Py_True : Py_False,
                                 (unsigned long long)plan->work);
    Py_XDECREF(moves);
    return answered;
}

const char flow_doc[] =
             "flow(sender, receiver, at, *, amount=None, is_sent=False, ignores_fees=False, narrowest=0, avoid=(),\n"
             "     budget=2**64-1, deadline=0.0)\n--\n\n"
             "Plan how as much as can be, or `amount`, arrives; with `is_sent`, leaves.\n\n"
             "What can move less than `narrowest` is left out. Returns (outcome, moves, delivered, whether nothing can be\n"
             "added for certain, work), each move being (payer, payee, high, low), `delivered` (high, low), amounts in two\n"
             "words of 64 bits. With SPENT the plan is what there was by then.";

PyObject *flow_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sender", "receiver", "at",    "amount",   "is_sent", "ignores_fees", "narrowest",
                            "avoid",  "budget",   "deadline", NULL};
    question asked = {.max_fees = UINT64_MAX, .max_hops = UINT32_MAX};
    flow_goal goal = {0};
    flow_plan plan = {0};
    uint32_t from;
    unsigned long long at, budget = UINT64_MAX, narrowest = 0;
    int is_sent = 0, ignores_fees = 0;
    PyObject *sender, *receiver, *avoid = NULL, *answered = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSO&|$O&ppO&OO&d", names, &sender, &receiver, read_uint64, &at, read_goal,
                                     &goal, &is_sent, &ignores_fees, read_uint64, &narrowest, &avoid, read_uint64,
                                     &budget, &asked.deadline))
        return NULL;
    asked.at = at;
    asked.budget = budget;
    goal.is_sent = is_sent;
    goal.ignores_fees = ignores_fees;
    goal.narrowest = narrowest;
    if (is_time(at) && index_of(self, sender, false, &from) && index_of(self, receiver, false, &asked.target) &&
        (avoid == NULL || read_users(self, avoid, false, &asked.avoid, &asked.avoid_count))) {
        if (from == asked.target) {
            PyErr_SetString(PyExc_ValueError, "nothing flows from a user to itself");
        } else {
            outcome result;
            Py_BEGIN_ALLOW_THREADS
            pthread_rwlock_rdlock(&self->net.lock);
            result = plan_flow(&self->net, from, &asked, &goal, &plan);
            pthread_rwlock_unlock(&self->net.lock);
            Py_END_ALLOW_THREADS
            if (result == NO_MEMORY)
                PyErr_NoMemory();
            else
                answered = plan_as_tuple(self, result, &plan);
        }
    }
    free(plan.moves);
    free_question(&asked);
    return answered;
}
