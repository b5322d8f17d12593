/* The Python side of the kernel: a Network whose users are bytes keys, changed and read back; what it is asked is in
 * questions.c. */
#include "module.h"

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

int read_uint64(PyObject *value, void *result) {
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) return 0;
    *(unsigned long long *)result = number;
    return 1;
}

int read_uint32(PyObject *value, void *result) {
    unsigned long long number;
    if (!read_uint64(value, &number)) return 0;
    if (number > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a number does not fit uint32");
        return 0;
    }
    *(uint32_t *)result = (uint32_t)number;
    return 1;
}

/* Only exact bytes: what derives from them may compare and hash as it likes. */
bool is_key(PyObject *key) {
    if (PyBytes_CheckExact(key)) return true;
    PyErr_SetString(PyExc_TypeError, "a user's key is bytes");
    return false;
}

static bool are_in_order(PyObject *lower, PyObject *higher) {
    if (!is_key(lower) || !is_key(higher)) return false;
    int is_lower = PyObject_RichCompareBool(lower, higher, Py_LT);
    if (is_lower == 0) PyErr_SetString(PyExc_ValueError, "a trustline names its lower user first");
    return is_lower == 1;
}

bool is_time(unsigned long long at) {
    if (at >> 40 == 0) return true;
    PyErr_SetString(PyExc_OverflowError, "the time lies too far in the future");
    return false;
}

bool index_of(NetworkObject *self, PyObject *key, bool add, uint32_t *index) {
    if (!is_key(key)) return false;
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
    if (PyList_Append(self->keys, key) < 0) return false;
    const unsigned char *text = (const unsigned char *)PyBytes_AsString(key);
    if (!network_add_user(&self->net, text, (size_t)PyBytes_Size(key), index)) {
        Py_ssize_t count = (Py_ssize_t)self->net.user_count;
        PyList_SetSlice(self->keys, count, count + 1, NULL);
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

static PyObject *network_object_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"fee_divisor", "prevent_mediator_interests", NULL};
    uint32_t divisor;
    int prevents = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|p", names, read_uint32, &divisor, &prevents)) return NULL;
    NetworkObject *self = (NetworkObject *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    PyObject *indices = PyDict_New();
    self->keys = PyList_New(0);
    if (indices == NULL || self->keys == NULL || !network_init(&self->net, divisor, prevents)) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        Py_XDECREF(indices);
        Py_DECREF(self);
        return NULL;
    }
    self->indices = indices;
    return (PyObject *)self;
}

static void network_object_dealloc(NetworkObject *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    if (self->indices != NULL) network_free(&self->net);
    Py_XDECREF(self->indices);
    Py_XDECREF(self->keys);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(put_doc, "put(lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime)\n--\n\n"
                      "Take over the state of a trustline, as graph.trustline.Trustline states it.");

static PyObject *network_put_method(NetworkObject *self, PyObject *args) {
    PyObject *lower, *higher, *balance;
    unsigned long long given, received;
    uint32_t mtime;
    short rate_given, rate_received;
    int is_frozen;
    if (!PyArg_ParseTuple(args, "SSO!O&O&hhpO&", &lower, &higher, &PyLong_Type, &balance, read_uint64, &given,
                          read_uint64, &received, &rate_given, &rate_received, &is_frozen, read_uint32, &mtime))
        return NULL;
    end state = {.given = given, .received = received, .rate_given = rate_given, .rate_received = rate_received};
    uint32_t owner;
    state.is_frozen = is_frozen;
    state.mtime = mtime;
    if (!are_in_order(lower, higher) || !read_wide(balance, &state.size, &state.is_negative)) return NULL;
    lock_for_writing(self);
    bool is_done = index_of(self, lower, true, &owner) && index_of(self, higher, true, &state.other);
    if (is_done && !network_put(&self->net, owner, &state)) {
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
    if (!PyArg_ParseTuple(args, "SS", &lower, &higher) || !are_in_order(lower, higher)) return NULL;
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

/* --- reading back: changes are made by who holds the interpreter, so who holds it too needs no lock of the network, and
 * must not wait for it: a change that waits for a search would then wait for the interpreter ever after --- */

static PyObject *signed_number(uint64_t size, bool is_negative) {
    PyObject *magnitude = PyLong_FromUnsignedLongLong(size);
    if (magnitude == NULL || !is_negative) return magnitude;
    PyObject *number = PyNumber_Negative(magnitude);
    Py_DECREF(magnitude);
    return number;
}

PyObject *tuple_of(PyObject **items, Py_ssize_t count) {
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (items[i] == NULL) Py_CLEAR(tuple);
        if (tuple == NULL)
            Py_XDECREF(items[i]);
        else
            PyTuple_SetItem(tuple, i, items[i]);
    }
    return tuple;
}

static PyObject *side_as_tuple(const end *e) {
    PyObject *items[] = {
        signed_number(e->size, e->is_negative),
        PyLong_FromUnsignedLongLong(e->given),
        PyLong_FromUnsignedLongLong(e->received),
        PyLong_FromLong(e->rate_given),
        PyLong_FromLong(e->rate_received),
        Py_NewRef(e->is_frozen ? Py_True : Py_False),
        PyLong_FromUnsignedLongLong(e->mtime),
    };
    return tuple_of(items, sizeof items / sizeof *items);
}

/* The index of a user in `index`; 0 for one who is not known, -1 if an error was raised. */
static int known_index(NetworkObject *self, PyObject *key, uint32_t *index) {
    PyObject *known = is_key(key) ? PyDict_GetItemWithError(self->indices, key) : NULL;
    if (known == NULL) return PyErr_Occurred() ? -1 : 0;
    *index = (uint32_t)PyLong_AsUnsignedLong(known);
    return 1;
}

PyDoc_STRVAR(get_doc, "get(user, other)\n--\n\n"
                      "Return (balance, given, received, rate_given, rate_received, is_frozen, mtime) of the trustline of\n"
                      "two users as the first of them sees it, None if there is none.");

static PyObject *get_method(NetworkObject *self, PyObject *args) {
    PyObject *user_key, *other_key;
    uint32_t owner, other;
    if (!PyArg_ParseTuple(args, "SS", &user_key, &other_key)) return NULL;
    int is_owner_known = known_index(self, user_key, &owner);
    int is_other_known = is_owner_known < 0 ? -1 : known_index(self, other_key, &other);
    if (is_other_known < 0) return NULL;
    const end *e = is_owner_known && is_other_known ? end_between(&self->net, owner, other) : NULL;
    return e == NULL ? Py_NewRef(Py_None) : side_as_tuple(e);
}

PyDoc_STRVAR(around_doc, "around(user)\n--\n\n"
                         "Return a list of (other, what get(user, other) returns) for all trustlines of a user.");

/* What is told of a user's trustline, which is a copy: making objects may set off a collection, and that may run code
 * which changes the network. For the same reason no pointer into it and no count outlasts an object made. */
typedef PyObject *telling(PyObject *user, PyObject *other, const end *e, uint64_t at);

static PyObject *told_of_all(NetworkObject *self, PyObject *key, uint64_t at, telling *tell) {
    uint32_t owner;
    int is_known = known_index(self, key, &owner);
    if (is_known < 0) return NULL;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && is_known && i < self->net.users[owner].degree; i++) {
        end e = self->net.users[owner].ends[i];
        PyObject *told = tell(key, PyList_GetItem(self->keys, e.other), &e, at);
        if (told == NULL || PyList_Append(list, told) < 0) Py_CLEAR(list);
        Py_XDECREF(told);
    }
    return list;
}

static PyObject *other_and_side(PyObject *user, PyObject *other, const end *e, uint64_t at) {
    (void)user, (void)at;
    PyObject *items[] = {Py_NewRef(other), side_as_tuple(e)};
    return tuple_of(items, sizeof items / sizeof *items);
}

static PyObject *around_method(NetworkObject *self, PyObject *args) {
    PyObject *key;
    return PyArg_ParseTuple(args, "S", &key) ? told_of_all(self, key, 0, other_and_side) : NULL;
}

PyDoc_STRVAR(views_doc, "views(user, at)\n--\n\n"
                        "Return a list of (user, other, balance, given, received, rate_given, rate_received, is_frozen) of\n"
                        "all trustlines of a user, the balances with interest up to a time.");

static PyObject *view(PyObject *user, PyObject *other, const end *e, uint64_t at) {
    wide balance = hop_over(e, true, at).balance;
    PyObject *items[] = {
        Py_NewRef(user),
        Py_NewRef(other),
        signed_number((uint64_t)(balance < 0 ? -balance : balance), balance < 0),
        PyLong_FromUnsignedLongLong(e->given),
        PyLong_FromUnsignedLongLong(e->received),
        PyLong_FromLong(e->rate_given),
        PyLong_FromLong(e->rate_received),
        Py_NewRef(e->is_frozen ? Py_True : Py_False),
    };
    return tuple_of(items, sizeof items / sizeof *items);
}

static PyObject *views_method(NetworkObject *self, PyObject *args) {
    PyObject *key;
    unsigned long long at;
    if (!PyArg_ParseTuple(args, "SO&", &key, read_uint64, &at) || !is_time(at)) return NULL;
    return told_of_all(self, key, at, view);
}

PyDoc_STRVAR(sweep_doc, "sweep(at)\n--\n\n"
                        "Return a sum over all ends of trustlines that means nothing: a bare pass over the arrays, to\n"
                        "measure by.");

static PyObject *sweep_method(NetworkObject *self, PyObject *args) {
    unsigned long long at;
    uint64_t sum = 0;
    if (!PyArg_ParseTuple(args, "O&", read_uint64, &at) || !is_time(at)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    pthread_rwlock_rdlock(&self->net.lock);
    for (uint32_t u = 0; u < self->net.user_count; u++)
        for (uint32_t i = 0; i < self->net.users[u].degree; i++)
            sum += self->net.users[u].ends[i].received + self->net.users[u].ends[i].size + at;
    pthread_rwlock_unlock(&self->net.lock);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"put", (PyCFunction)network_put_method, METH_VARARGS, put_doc},
    {"drop", (PyCFunction)network_drop_method, METH_VARARGS, drop_doc},
    {"get", (PyCFunction)get_method, METH_VARARGS, get_doc},
    {"around", (PyCFunction)around_method, METH_VARARGS, around_doc},
    {"views", (PyCFunction)views_method, METH_VARARGS, views_doc},
    {"cheapest", (PyCFunction)(void (*)(void))cheapest_method, METH_VARARGS | METH_KEYWORDS, cheapest_doc},
    {"widest", (PyCFunction)(void (*)(void))widest_method, METH_VARARGS | METH_KEYWORDS, widest_doc},
    {"largest", (PyCFunction)(void (*)(void))largest_method, METH_VARARGS | METH_KEYWORDS, largest_doc},
    {"flow", (PyCFunction)(void (*)(void))flow_method, METH_VARARGS | METH_KEYWORDS, flow_doc},
    {"sweep", (PyCFunction)sweep_method, METH_VARARGS, sweep_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Network(fee_divisor, prevent_mediator_interests=False)\n--\n\nThe trustlines of a network in flat arrays."},
    {Py_tp_new, network_object_new},
    {Py_tp_dealloc, network_object_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec network_spec = {
    .name = "graph._kernel.Network",
    .basicsize = sizeof(NetworkObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "graph._kernel",
    .m_doc = PyDoc_STR("Path search over flat arrays."),
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    PyObject *m = PyModule_Create(&module);
    if (m == NULL) return NULL;
    PyObject *network_type = PyType_FromSpec(&network_spec);
    PyModule_AddIntConstant(m, "FOUND", FOUND);
    PyModule_AddIntConstant(m, "NOT_FOUND", NOT_FOUND);
    PyModule_AddIntConstant(m, "SPENT", SPENT);
    /* It refuses a type that could not be made. */
    if (PyModule_AddObjectRef(m, "Network", network_type) < 0) Py_CLEAR(m);
    Py_XDECREF(network_type);
    return m;
}
