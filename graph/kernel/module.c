/* The Python side of the kernel: a Network whose users are bytes keys, and its searches. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "search.h"

typedef struct {
    PyObject_HEAD
    network net;
    PyObject *indices; /* key -> index */
} NetworkObject;

static bool read_wide(PyObject *value, uint64_t *size, bool *is_negative) {
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL) return false;
    int negative = PyObject_RichCompareBool(value, zero, Py_LT);
    Py_DECREF(zero);
    if (negative < 0) return false;
    PyObject *magnitude = negative ? PyNumber_Negative(value) : Py_NewRef(value);
    if (magnitude == NULL) return false;
    *size = PyLong_AsUnsignedLongLong(magnitude);
    Py_DECREF(magnitude);
    *is_negative = negative;
    return !PyErr_Occurred();
}

static bool index_of(NetworkObject *self, PyObject *key, bool add, uint32_t *index) {
    if (!PyBytes_CheckExact(key)) {
        PyErr_SetString(PyExc_TypeError, "a user's key is bytes");
        return false;
    }
    PyObject *known = PyDict_GetItemWithError(self->indices, key);
    if (known != NULL) {
        *index = (uint32_t)PyLong_AsUnsignedLong(known);
        return true;
    }
    if (PyErr_Occurred()) return false;
    if (!add) {
        PyErr_SetObject(PyExc_KeyError, key);
        return false;
    }
    /* The dictionary keeps the key alive for as long as the network points into it. */
    const unsigned char *text = (const unsigned char *)PyBytes_AS_STRING(key);
    if (!network_add_user(&self->net, text, (size_t)PyBytes_GET_SIZE(key), index)) {
        PyErr_NoMemory();
        return false;
    }
    PyObject *number = PyLong_FromUnsignedLong(*index);
    if (number == NULL) return false;
    int failed = PyDict_SetItem(self->indices, key, number);
    Py_DECREF(number);
    return failed == 0;
}

static void lock_for_writing(NetworkObject *self) {
    if (pthread_rwlock_trywrlock(&self->net.lock) == 0) return;
    /* A search that runs needs no interpreter to end, but others may. */
    Py_BEGIN_ALLOW_THREADS
    pthread_rwlock_wrlock(&self->net.lock);
    Py_END_ALLOW_THREADS
}

static int network_object_init(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fee_divisor", "prevent_mediator_interests", NULL};
    unsigned int divisor;
    int prevents = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "I|p", names, &divisor, &prevents)) return -1;
    if (self->indices != NULL) {
        PyErr_SetString(PyExc_TypeError, "a network is made once");
        return -1;
    }
    if (!network_init(&self->net, divisor, prevents)) {
        PyErr_NoMemory();
        return -1;
    }
    self->indices = PyDict_New();
    return self->indices == NULL ? -1 : 0;
}

static void network_object_dealloc(NetworkObject *self) {
    if (self->indices != NULL) network_free(&self->net);
    Py_XDECREF(self->indices);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyDoc_STRVAR(put_doc, "put(lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime)\n--\n\n"
                      "Take over the state of a trustline, as graph.trustline.Trustline states it.");

static PyObject *network_put_method(NetworkObject *self, PyObject *args) {
    PyObject *lower, *higher, *balance;
    unsigned long long given, received, mtime;
    short rate_given, rate_received;
    int is_frozen;
    if (!PyArg_ParseTuple(args, "SSO!KKhhpK", &lower, &higher, &PyLong_Type, &balance, &given, &received, &rate_given,
                          &rate_received, &is_frozen, &mtime))
        return NULL;
    line state = {.given = given, .received = received, .rate_given = rate_given, .rate_received = rate_received};
    state.is_frozen = is_frozen;
    state.mtime = (uint32_t)mtime;
    if (mtime > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "mtime does not fit uint32");
        return NULL;
    }
    if (!read_wide(balance, &state.size, &state.is_negative)) return NULL;
    lock_for_writing(self);
    bool is_done = index_of(self, lower, true, &state.lower) && index_of(self, higher, true, &state.higher);
    if (is_done && !network_put(&self->net, &state)) {
        PyErr_NoMemory();
        is_done = false;
    }
    pthread_rwlock_unlock(&self->net.lock);
    if (!is_done) return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(drop_doc, "drop(lower, higher)\n--\n\nForget the trustline of two users, if there is one.");

static PyObject *network_drop_method(NetworkObject *self, PyObject *args) {
    PyObject *lower, *higher;
    if (!PyArg_ParseTuple(args, "SS", &lower, &higher)) return NULL;
    PyObject *one = PyDict_GetItemWithError(self->indices, lower);
    PyObject *other = PyDict_GetItemWithError(self->indices, higher);
    if (PyErr_Occurred()) return NULL;
    if (one == NULL || other == NULL) Py_RETURN_NONE;
    uint32_t first = (uint32_t)PyLong_AsUnsignedLong(one), second = (uint32_t)PyLong_AsUnsignedLong(other);
    lock_for_writing(self);
    network_drop(&self->net, first, second);
    pthread_rwlock_unlock(&self->net.lock);
    Py_RETURN_NONE;
}

static bool read_avoided(NetworkObject *self, PyObject *avoid, question *asked) {
    PyObject *keys = PySequence_Fast(avoid, "avoid is a sequence of keys");
    if (keys == NULL) return false;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(keys);
    uint32_t *users = PyMem_Malloc(count ? (size_t)count * sizeof *users : 1);
    bool is_read = users != NULL;
    if (!is_read) PyErr_NoMemory();
    for (Py_ssize_t i = 0; is_read && i < count; i++) {
        PyObject *known = PyDict_GetItemWithError(self->indices, PySequence_Fast_GET_ITEM(keys, i));
        if (known != NULL)
            users[asked->avoid_count++] = (uint32_t)PyLong_AsUnsignedLong(known);
        else
            is_read = !PyErr_Occurred();
    }
    asked->avoid = users;
    Py_DECREF(keys);
    return is_read;
}

static bool read_question(NetworkObject *self, PyObject *args, PyObject *kwargs, const char *format, question *asked) {
    static char *names[] = {"sender", "receiver", "value", "at", "max_fees", "max_hops", "avoid", "budget", "deadline", NULL};
    PyObject *sender, *receiver, *avoid = NULL;
    unsigned long long value, at, max_fees = UINT64_MAX, budget = UINT64_MAX;
    unsigned int max_hops = UINT32_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, names, &sender, &receiver, &value, &at, &max_fees, &max_hops,
                                     &avoid, &budget, &asked->deadline))
        return false;
    if (at >> 40) {
        PyErr_SetString(PyExc_OverflowError, "the time lies too far in the future");
        return false;
    }
    asked->value = value;
    asked->at = at;
    asked->max_fees = max_fees;
    asked->max_hops = max_hops;
    asked->budget = budget;
    if (!index_of(self, sender, false, &asked->sender) || !index_of(self, receiver, false, &asked->receiver)) return false;
    if (asked->sender == asked->receiver) {
        PyErr_SetString(PyExc_ValueError, "sender and receiver are the same");
        return false;
    }
    return avoid == NULL || read_avoided(self, avoid, asked);
}

static PyObject *path_as_tuple(NetworkObject *self, const answer *found) {
    PyObject *path = PyTuple_New(found->path_length);
    for (uint32_t i = 0; path != NULL && i < found->path_length; i++) {
        const user *u = &self->net.users[found->path[i]];
        PyObject *key = PyBytes_FromStringAndSize((const char *)u->key, (Py_ssize_t)u->key_length);
        if (key == NULL)
            Py_CLEAR(path);
        else
            PyTuple_SET_ITEM(path, i, key);
    }
    return path;
}

PyDoc_STRVAR(cheapest_doc,
             "cheapest(sender, receiver, value, at, max_fees=..., max_hops=..., avoid=(), budget=..., deadline=0.0)\n--\n\n"
             "Return (outcome, path or None, work) of the cheapest transfer whose sender bears the fees.");

static PyObject *cheapest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    question asked = {0};
    answer found = {0};
    outcome result = NO_MEMORY;
    PyObject *answered = NULL;
    if (read_question(self, args, kwargs, "SSKK|$KIOKd", &asked)) {
        Py_BEGIN_ALLOW_THREADS
        pthread_rwlock_rdlock(&self->net.lock);
        result = cheapest_sender_pays(&self->net, &asked, &found);
        pthread_rwlock_unlock(&self->net.lock);
        Py_END_ALLOW_THREADS
        if (result == NO_MEMORY) {
            PyErr_NoMemory();
        } else if (result == FOUND) {
            PyObject *path = path_as_tuple(self, &found);
            if (path != NULL) answered = Py_BuildValue("iNK", result, path, (unsigned long long)found.work);
        } else {
            answered = Py_BuildValue("iOK", result, Py_None, (unsigned long long)found.work);
        }
    }
    free(found.path);
    PyMem_Free((void *)asked.avoid);
    return answered;
}

PyDoc_STRVAR(widest_doc,
             "widest(sender, receiver, value, at, max_fees=..., max_hops=..., avoid=(), budget=..., deadline=0.0)\n--\n\n"
             "Return (outcome, largest value, work) of what the sender can pay, bearing the fees.");

static PyObject *widest_method(NetworkObject *self, PyObject *args, PyObject *kwargs) {
    question asked = {0};
    uint64_t value = 0, work = 0;
    outcome result = NO_MEMORY;
    PyObject *answered = NULL;
    if (read_question(self, args, kwargs, "SSKK|$KIOKd", &asked)) {
        Py_BEGIN_ALLOW_THREADS
        pthread_rwlock_rdlock(&self->net.lock);
        result = widest(&self->net, &asked, &value, &work);
        pthread_rwlock_unlock(&self->net.lock);
        Py_END_ALLOW_THREADS
        if (result == NO_MEMORY)
            PyErr_NoMemory();
        else
            answered = Py_BuildValue("iKK", result, (unsigned long long)value, (unsigned long long)work);
    }
    PyMem_Free((void *)asked.avoid);
    return answered;
}

static PyMethodDef methods[] = {
    {"put", (PyCFunction)network_put_method, METH_VARARGS, put_doc},
    {"drop", (PyCFunction)network_drop_method, METH_VARARGS, drop_doc},
    {"cheapest", (PyCFunction)(void (*)(void))cheapest_method, METH_VARARGS | METH_KEYWORDS, cheapest_doc},
    {"widest", (PyCFunction)(void (*)(void))widest_method, METH_VARARGS | METH_KEYWORDS, widest_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject NetworkType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "graph._kernel.Network",
    .tp_doc = PyDoc_STR("Network(fee_divisor, prevent_mediator_interests=False)\n--\n\nThe trustlines of a network in flat arrays."),
    .tp_basicsize = sizeof(NetworkObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)network_object_init,
    .tp_dealloc = (destructor)network_object_dealloc,
    .tp_methods = methods,
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "graph._kernel",
    .m_doc = PyDoc_STR("Path search over flat arrays."),
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    if (PyType_Ready(&NetworkType) < 0) return NULL;
    PyObject *m = PyModule_Create(&module);
    if (m == NULL) return NULL;
    PyModule_AddIntConstant(m, "FOUND", FOUND);
    PyModule_AddIntConstant(m, "NOT_FOUND", NOT_FOUND);
    PyModule_AddIntConstant(m, "SPENT", SPENT);
    if (PyModule_AddObjectRef(m, "Network", (PyObject *)&NetworkType) < 0) Py_CLEAR(m);
    return m;
}
