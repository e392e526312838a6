// Arguments: matched with the kernel's parameters by name or position, then compared with what an
// instance needs. Every message names kernel, parameter and dimension, and says what was expected
// and what came.
#include "runtime/internal.h"

enum { NO_PARAM = UINT32_MAX };

static Diag *complain(DiagList *diags, DiagCode code, const hk_kernel *kernel, size_t param,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

// About a parameter, whose declaration is shown; or NO_PARAM.
static Diag *complain(DiagList *diags, DiagCode code, const hk_kernel *kernel, size_t param,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str text = str_vformat(diags->arena, format, args);
    va_end(args);
    Span span = param < kernel->param_count ? kernel->param_spans[param] : (Span){0};
    return diag_add(diags, code, span, "kernel %s: %.*s", kernel->name, STR_ARG(text));
}

static void hint_params(DiagList *diags, Diag *diag, const hk_kernel *kernel, const char *name)
{
    Buf all = {.arena = diags->arena};
    const char *near = NULL;
    size_t distance = 3;
    for (size_t i = 0; i < kernel->param_count; i++) {
        size_t d = str_distance(str_of(name), str_of(kernel->params[i].name));
        if (d < distance) {
            distance = d;
            near = kernel->params[i].name;
        }
        buf_printf(&all, "%s%s", i ? ", " : "", kernel->params[i].text);
    }
    buf_add(&all, "", 0);
    if (near)
        diag_hint(diags, diag, "did you mean '%s'?", near);
    else
        diag_hint(diags, diag, "its parameters are: %s", all.data);
}

static bool find_param(const hk_kernel *kernel, const hk_arg *arg, size_t position, size_t *index,
                       DiagList *diags)
{
    if (!arg->name && position < kernel->param_count) {
        *index = position;
        return true;
    }
    for (size_t i = 0; arg->name && i < kernel->param_count; i++) {
        if (strcmp(kernel->params[i].name, arg->name) == 0) {
            *index = i;
            return true;
        }
    }
    if (!arg->name) {
        complain(diags, DIAG_ARG_UNKNOWN, kernel, NO_PARAM,
                 "argument number %zu is surplus: there are %zu parameters", position + 1,
                 kernel->param_count);
        return false;
    }
    Diag *diag = complain(diags, DIAG_ARG_UNKNOWN, kernel, NO_PARAM, "there is no parameter '%s'",
                          arg->name);
    hint_params(diags, diag, kernel, arg->name);
    return false;
}

static void fill_slot(const hk_kernel *kernel, const hk_arg *arg, size_t position, Slot *slots,
                      DiagList *diags)
{
    size_t index;
    if (!find_param(kernel, arg, position, &index, diags)) return;
    const hk_param *param = &kernel->params[index];
    Slot *slot = &slots[index];
    if (slot->given) {
        complain(diags, DIAG_ARG_TWICE, kernel, index, "argument %s is given twice", param->name);
        return;
    }
    slot->given = true;
    bool scalar = param->kind == HK_PARAM_SCALAR;
    if (scalar != (arg->kind != HK_ARG_TENSOR)) {
        complain(diags, DIAG_ARG_KIND, kernel, index, "parameter %s is a %s, but a %s is given",
                 param->text, scalar ? "scalar" : "tensor", scalar ? "tensor" : "scalar");
        return;
    }
    slot->scalar = *arg;
    if (scalar) return;
    if (!arg->tensor) {
        slot->wanted = true;
        return;
    }
    DiagCode code = DIAG_ARG_NULL;
    char why[WHY_MOST];
    bool fits = arg->tensor->device.device_type == kDLOpenCL
                    ? slot_on_device(arg->tensor, slot, &code, why)
                    : tensor_view(arg->tensor, &slot->view, &code, why);
    if (!fits) {
        complain(diags, code, kernel, index, "argument %s %s", param->name, why);
    }
}

bool slots_fill(const hk_kernel *kernel, const hk_arg *args, size_t count, Slot *slots,
                DiagList *diags)
{
    uint32_t errors = diags->error_count;
    for (size_t i = 0; i < count; i++) fill_slot(kernel, &args[i], i, slots, diags);
    return diags->error_count == errors;
}

bool slots_have_data(const hk_kernel *kernel, const Slot *slots, DiagList *diags)
{
    uint32_t errors = diags->error_count;
    for (size_t i = 0; i < kernel->param_count; i++) {
        const TensorView *view = &slots[i].view;
        if (view->given && view->high > view->low && !view->data && !slots[i].on.buffer)
            complain(diags, DIAG_ARG_NULL, kernel, i, "argument %s has no data (NULL)",
                     kernel->params[i].name);
    }
    return diags->error_count == errors;
}

// ---- dimensions

static const hk_dim *find_dim(const Request *request, Str name)
{
    for (size_t i = 0; i < request->dim_count; i++) {
        if (str_is(name, request->dims[i].name)) return &request->dims[i];
    }
    return NULL;
}

// "2 * N + 1": how a size follows from a dimension.
static const char *affine_text(Arena *arena, const DimInfo *dim)
{
    Buf out = {.arena = arena};
    if (dim->scale != 1) buf_printf(&out, "%lld * ", (long long)dim->scale);
    buf_str(&out, dim->name);
    if (dim->offset) {
        buf_printf(&out, " %c %lld", dim->offset < 0 ? '-' : '+',
                   dim->offset < 0 ? -(long long)dim->offset : (long long)dim->offset);
    }
    return out.data;
}

static bool known_without(const Func *f, Value v, const Scalars *scalars, const int64_t *dims,
                          uint32_t d)
{
    const Inst *in = value_def(f, v);
    if (!in || in->op == OP_EXTENT) return false;
    if (in->op == OP_ARG && scalars->given[in->attr.ref]) return true;
    if (in->op == OP_ARG && !in->arg_count) return false;
    if (in->op == OP_DIM && in->attr.ref != d && dims[in->attr.ref] < 0) return false;
    for (unsigned k = 0; k < in->arg_count; k++)
        if (!known_without(f, inst_arg(f, in, k), scalars, dims, d)) return false;
    return true;
}

// The coefficients of a size that is affine in dimension d, from its values at 0 and at 1.
static bool size_coefficients(const Func *f, uint32_t d, const Scalars *scalars, int64_t *dims,
                              Arena *arena, int64_t *scale, int64_t *offset)
{
    const DimInfo *dim = &f->dims.data[d];
    const Inst *decl = inst_at(f, mem_at(f, dim->mem)->decl);
    if (!known_without(f, inst_arg(f, decl, dim->position), scalars, dims, d)) return false;
    uint64_t *values = arena_array(arena, uint64_t, f->values.count + 1);
    bool *given = arena_array(arena, bool, f->args.count + 1);
    memcpy(given, scalars->given, f->args.count * sizeof *given);
    int64_t size[2];
    for (int64_t x = 0; x < 2; x++) {
        dims[d] = x;
        for (uint32_t missing; !prologue_eval(f, dims, scalars->bits, given, values, &missing);)
            given[missing] = true; // the size does not need it
        size[x] = mem_size(f, dim->mem, dim->position, values);
    }
    dims[d] = -1;
    *offset = size[0];
    return !__builtin_sub_overflow(size[1], size[0], scale);
}

// Binds dimension d from the tensor that decides it.
static bool bind_from_tensor(const hk_exec *exec, uint32_t d, const TensorView *view,
                             const Scalars *scalars, int64_t *dims, DiagList *diags)
{
    const Func *f = exec->tile;
    const DimInfo *dim = &f->dims.data[d];
    const MemInfo *mem = mem_at(f, dim->mem);
    if (view->rank != mem->rank) return true; // slots_check says so
    int64_t extent = view->shape[dim->position], scale = dim->scale, offset = dim->offset;
    if (!scale && !size_coefficients(f, d, scalars, dims, diags->arena, &scale, &offset))
        return true; // not known yet
    if (dim_solve(extent, scale, offset, &dims[d])) return true;
    uint32_t slot = exec->slot_of_mem[dim->mem.i];
    const hk_param *param = &exec->kernel->params[slot];
    bool written = !dim->scale && param->pack < 0 && dim->position < param->dim_count;
    complain(diags, DIAG_ARG_SHAPE, exec->kernel, slot,
             "dimension %u of argument %.*s is %lld, which is not %s for any %.*s", dim->position,
             STR_ARG(mem->name), (long long)extent,
             written ? param->dims[dim->position] : affine_text(diags->arena, dim),
             STR_ARG(dim->name));
    dims[d] = -1;
    return false;
}

static void check_dim_name(const hk_exec *exec, const char *name, DiagList *diags)
{
    const Func *f = exec->tile;
    Buf all = {.arena = diags->arena};
    buf_add(&all, "", 0);
    for (uint32_t d = 0; d < f->dims.count; d++) {
        if (str_is(f->dims.data[d].name, name)) return;
        buf_printf(&all, "%s%.*s", d ? ", " : "", STR_ARG(f->dims.data[d].name));
    }
    Diag *diag = complain(diags, DIAG_DIM_UNKNOWN, exec->kernel, NO_PARAM,
                          "there is no dimension '%s'", name);
    if (all.length) diag_hint(diags, diag, "its dimensions are: %s", all.data);
}

// Indices are computed from products of sizes, which must not wrap. Only views with stride 0 get
// there.
static void check_products(const hk_exec *exec, const int64_t *dims, DiagList *diags)
{
    int64_t first = 0, second = 0;
    for (uint32_t d = 0; d < exec->tile->dims.count; d++) {
        int64_t low = dims[d] < first ? dims[d] : first;
        first = dims[d] < first ? first : dims[d];
        second = low > second ? low : second;
    }
    int64_t product;
    if (!__builtin_mul_overflow(first, second, &product) && product < (int64_t)1 << 62) return;
    complain(diags, DIAG_ARG_TOO_LARGE, exec->kernel, NO_PARAM,
             "the product of two dimensions, %lld and %lld, overflows", (long long)first,
             (long long)second);
}

bool dims_bind(const hk_exec *exec, const Slot *slots, const Request *request,
               const Scalars *scalars, bool all, int64_t *dims, DiagList *diags)
{
    const Func *f = exec->tile;
    uint32_t errors = diags->error_count;
    for (size_t k = 0; k < request->dim_count; k++)
        check_dim_name(exec, request->dims[k].name, diags);
    for (size_t k = 0; k < request->free_dim_count; k++)
        check_dim_name(exec, request->free_dims[k], diags);
    for (uint32_t d = 0; d < f->dims.count; d++) {
        const DimInfo *dim = &f->dims.data[d];
        dims[d] = -1;
        uint32_t slot = exec->slot_of_mem[dim->mem.i];
        const TensorView *view = slot < exec->kernel->param_count ? &slots[slot].view : NULL;
        bool from_tensor = view && view->given;
        if (from_tensor && !bind_from_tensor(exec, d, view, scalars, dims, diags)) continue;
        const hk_dim *asked = find_dim(request, dim->name);
        if (asked && dims[d] >= 0 && asked->value != dims[d]) {
            complain(diags, DIAG_ARG_SHAPE, exec->kernel, slot,
                     "dimension %.*s is %lld by argument %.*s, but %lld is asked for",
                     STR_ARG(dim->name), (long long)dims[d], STR_ARG(mem_at(f, dim->mem)->name),
                     (long long)asked->value);
        } else if (asked && asked->value < 0) {
            complain(diags, DIAG_ARG_SHAPE, exec->kernel, slot,
                     "dimension %.*s is %lld; it cannot be negative", STR_ARG(dim->name),
                     (long long)asked->value);
        } else if (asked) {
            dims[d] = asked->value;
        } else if (dims[d] < 0 && all && (!from_tensor || !dim->scale)) {
            Diag *diag = complain(diags, DIAG_DIM_UNKNOWN, exec->kernel, slot,
                                  "the size %.*s is not known", STR_ARG(dim->name));
            diag_hint(diags, diag, "it is a dimension of %.*s: give %s",
                      STR_ARG(mem_at(f, dim->mem)->name),
                      from_tensor ? "the scalar arguments in its size" : "that argument");
        }
    }
    if (diags->error_count == errors) check_products(exec, dims, diags);
    return diags->error_count == errors;
}

// ---- scalars

static bool scalar_bits(const hk_exec *exec, uint32_t a, const hk_arg *arg, uint64_t *bits,
                        DiagList *diags)
{
    const ArgInfo *info = &exec->tile->args.data[a];
    uint32_t slot = exec->slot_of_arg[a];
    bool whole = arg->kind == HK_ARG_INT;
    const char *name = str_copy(diags->arena, info->name).data;
    if (dtype_is_float(info->dtype)) {
        *bits = scalar_from_double(info->dtype, whole ? (double)arg->integer : arg->number);
        return true;
    }
    int64_t x = arg->integer;
    if (!whole) {
        if (!(arg->number >= -0x1p62 && arg->number <= 0x1p62) ||
            arg->number != (double)(int64_t)arg->number) {
            complain(diags, DIAG_ARG_VALUE, exec->kernel, slot,
                     "argument %s is %g, but the parameter is %s", name, arg->number,
                     dtype_info[info->dtype].name);
            return false;
        }
        x = (int64_t)arg->number;
    }
    bool fits = info->dtype == DTYPE_I64 ||
                (info->dtype == DTYPE_BOOL ? x == 0 || x == 1 : x == (int32_t)x);
    if (!fits) {
        complain(diags, DIAG_ARG_VALUE, exec->kernel, slot,
                 "argument %s is %lld, which %s cannot hold", name, (long long)x,
                 dtype_info[info->dtype].name);
        return false;
    }
    *bits = scalar_from_int(info->dtype, x);
    return true;
}

bool scalars_bind(const hk_exec *exec, const Slot *slots, Scalars *scalars, DiagList *diags)
{
    const Func *f = exec->tile;
    uint32_t errors = diags->error_count;
    for (uint32_t a = 0; a < f->args.count; a++) {
        uint32_t slot = exec->slot_of_arg[a];
        scalars->given[a] = slot < exec->kernel->param_count && slots[slot].given;
        if (scalars->given[a]) scalar_bits(exec, a, &slots[slot].scalar, &scalars->bits[a], diags);
    }
    return diags->error_count == errors;
}

// ---- an instance's parameters

const char *shape_text(Arena *arena, uint32_t rank, const int64_t *shape)
{
    char out[SHAPE_MOST];
    shape_format(out, rank, shape);
    return str_copy(arena, str_of(out)).data;
}

int64_t mem_size(const Func *f, Mem mem, uint32_t position, const uint64_t *values)
{
    const Inst *decl = inst_at(f, mem_at(f, mem)->decl);
    return (int64_t)values[inst_arg(f, decl, position).i];
}

int64_t mem_bytes(const Func *f, Mem mem, const uint64_t *values)
{
    const MemInfo *info = mem_at(f, mem);
    int64_t shape[RANK_MAX], bytes;
    for (uint32_t p = 0; p < info->rank; p++) shape[p] = mem_size(f, mem, p, values);
    return compact_bytes(info->dtype, info->rank, shape, &bytes) ? bytes : -1;
}

// The first size that is negative, else all of them.
static void complain_of_sizes(const hk_exec *exec, Mem m, const uint64_t *values, DiagList *diags)
{
    const MemInfo *mem = mem_at(exec->tile, m);
    uint32_t slot = exec->slot_of_mem[m.i];
    const hk_param *param = &exec->kernel->params[slot];
    for (uint32_t p = 0; p < mem->rank; p++) {
        int64_t size = mem_size(exec->tile, m, p, values);
        const char *written = param->pack < 0 && p < param->dim_count ? param->dims[p] : NULL;
        if (size >= 0) continue;
        complain(diags, DIAG_ARG_TOO_LARGE, exec->kernel, slot,
                 "dimension %u of %.*s would have the size %lld%s%s%s", p, STR_ARG(mem->name),
                 (long long)size, written ? " (" : "", written ? written : "", written ? ")" : "");
        return;
    }
    complain(diags, DIAG_ARG_TOO_LARGE, exec->kernel, slot,
             "the product of the sizes of %.*s overflows", STR_ARG(mem->name));
}

static void check_sizes(const hk_exec *exec, Mem m, const TensorView *view, const uint64_t *values,
                        DiagList *diags)
{
    const MemInfo *mem = mem_at(exec->tile, m);
    uint32_t slot = exec->slot_of_mem[m.i];
    const hk_param *param = &exec->kernel->params[slot];
    for (uint32_t p = 0; p < mem->rank; p++) {
        int64_t want = mem_size(exec->tile, m, p, values);
        if (view->shape[p] == want) continue;
        const char *written = param->pack < 0 && p < param->dim_count ? param->dims[p] : NULL;
        complain(diags, DIAG_ARG_SHAPE, exec->kernel, slot,
                 "dimension %u of argument %s is %lld; expected %lld%s%s%s", p, param->name,
                 (long long)view->shape[p], (long long)want, written ? " (" : "",
                 written ? written : "", written ? ")" : "");
    }
}

static void check_slot(const hk_exec *exec, Mem m, const TensorView *view, const uint64_t *values,
                       DiagList *diags)
{
    const MemInfo *mem = mem_at(exec->tile, m);
    uint32_t slot = exec->slot_of_mem[m.i];
    const hk_param *param = &exec->kernel->params[slot];
    if (!view->given) return;
    if (view->dtype != mem->dtype) {
        complain(diags, DIAG_ARG_DTYPE, exec->kernel, slot,
                 "argument %s has dtype %s; expected %s (%s)", param->name,
                 dtype_info[view->dtype].name, dtype_info[mem->dtype].name, param->text);
    } else if (view->rank != mem->rank) {
        complain(diags, DIAG_ARG_RANK, exec->kernel, slot,
                 "argument %s has %u dimensions; expected %u (%s)", param->name, view->rank,
                 mem->rank, param->text);
    } else if (values) {
        check_sizes(exec, m, view, values, diags);
    }
    if (mem->kind != MEM_IN && view_self_overlaps(view)) {
        complain(diags, DIAG_ARG_STRIDE, exec->kernel, slot,
                 "elements of the output %s overlap each other (its strides are %s)", param->name,
                 shape_text(diags->arena, view->rank, view->strides));
    }
}

static bool slots_overlap(const Slot *a, const Slot *b)
{
    if (!a->on.given && !b->on.given) return views_overlap(&a->view, &b->view);
    if (!a->on.root || a->on.root != b->on.root) return false;
    TensorView x = a->view, y = b->view; // of a buffer, as if it were anywhere in memory
    x.data = (char *)((uintptr_t)1 << 40) + a->on.root_offset;
    y.data = (char *)((uintptr_t)1 << 40) + b->on.root_offset;
    return views_overlap(&x, &y);
}

static void check_overlaps(const hk_exec *exec, const Slot *slots, DiagList *diags)
{
    const hk_kernel *kernel = exec->kernel;
    for (size_t i = 0; i < kernel->param_count; i++) {
        if (kernel->params[i].kind != HK_PARAM_OUT && kernel->params[i].kind != HK_PARAM_INOUT)
            continue;
        for (size_t j = 0; j < kernel->param_count; j++) {
            bool writes =
                kernel->params[j].kind == HK_PARAM_OUT || kernel->params[j].kind == HK_PARAM_INOUT;
            if (i == j || (writes && j > i) || !slots[i].view.given || !slots[j].view.given)
                continue;
            if (!slots_overlap(&slots[i], &slots[j])) continue;
            Diag *diag = complain(diags, DIAG_ARG_OVERLAP, kernel, i,
                                  "output %s overlaps argument %s in memory",
                                  kernel->params[i].name, kernel->params[j].name);
            diag_hint(diags, diag, "a kernel that works in place declares an `inout` parameter");
        }
    }
}

bool slots_check(const hk_exec *exec, const Slot *slots, const uint64_t *values, DiagList *diags)
{
    uint32_t errors = diags->error_count;
    const Func *f = exec->tile;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        uint32_t slot = exec->slot_of_mem[m];
        if (slot >= exec->kernel->param_count) continue;
        check_slot(exec, (Mem){m}, &slots[slot].view, values, diags);
        if (values && mem_bytes(f, (Mem){m}, values) < 0)
            complain_of_sizes(exec, (Mem){m}, values, diags);
    }
    check_overlaps(exec, slots, diags);
    return diags->error_count == errors;
}

bool slots_complete(const hk_exec *exec, const Slot *slots, DiagList *diags)
{
    const hk_kernel *kernel = exec->kernel;
    uint32_t errors = diags->error_count;
    const Func *f = exec->tile;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        uint32_t slot = exec->slot_of_mem[m];
        if (slot >= kernel->param_count || slots[slot].view.given) continue;
        Diag *diag = complain(diags, DIAG_ARG_MISSING, kernel, slot, "argument %s is missing",
                              kernel->params[slot].name);
        diag_hint(diags, diag, "its parameter is %s", kernel->params[slot].text);
    }
    for (size_t i = 0; i < kernel->param_count; i++) {
        bool used = false;
        for (uint32_t a = 0; a < f->args.count; a++) used |= exec->slot_of_arg[a] == i;
        for (uint32_t m = 1; m < f->mems.count; m++) used |= exec->slot_of_mem[m] == i;
        if (used || !slots[i].given) continue;
        Diag *diag = complain(diags, DIAG_ARG_UNKNOWN, kernel, i, "argument %s is surplus here",
                              kernel->params[i].name);
        diag_hint(diags, diag, "the exec was specialised without it");
    }
    return diags->error_count == errors;
}
