// The functions that callers of a library see, and its tables, as LLVM IR: each function puts its
// arguments into two arrays and calls the runtime.
#include "ir/frame.h"
#include "runtime/build.h"

static const char *scalar_type(DType t)
{
    if (t == DTYPE_F32) return "float";
    if (t == DTYPE_F64) return "double";
    return t == DTYPE_BOOL ? "i8" : t == DTYPE_I32 ? "i32" : "i64";
}

DType scalar_dtype(const Function *function, uint32_t param)
{
    const hk_exec *exec = function->instances[function->instance_count - 1].codes.data[0].exec;
    for (uint32_t a = 0; a < exec->tile->args.count; a++)
        if (exec->slot_of_arg[a] == param) return exec->tile->args.data[a].dtype;
    return DTYPE_I64; // nothing reads it
}

static void put_tables(Buf *out, const Function *function)
{
    const char *symbol = function->symbol;
    buf_printf(out, "@\"%s.tables\" = internal constant [%zu x i8] c\"", symbol,
               function->tables.length);
    for (size_t k = 0; k < function->tables.length; k++)
        buf_printf(out, "\\%02X", (unsigned char)function->tables.data[k]);
    buf_printf(out, "\", align 8\n@\"%s.code\" = internal constant [%u x ptr] [", symbol,
               function->code.count);
    for (uint32_t k = 0; k < function->code.count; k++)
        buf_printf(out, "%sptr @\"%s\"", k ? ", " : "", function->code.data[k]);
    buf_printf(out, "]\n");
    for (uint32_t k = 0; k < function->code.count; k++) {
        bool phase = strstr(function->code.data[k], "_phase") != NULL;
        buf_printf(out, "declare void @\"%s\"(ptr, %s)\n", function->code.data[k],
                   phase ? "i64, i64, ptr" : "ptr");
    }
}

// The bits of a scalar: integers sign-extended, f32 in the low word.
static void put_scalar(Buf *out, uint32_t k, DType t)
{
    if (t == DTYPE_F32)
        buf_printf(out, "  %%w%u = bitcast float %%p%u to i32\n  %%s%u = zext i32 %%w%u to i64\n",
                   k, k, k, k);
    else if (t == DTYPE_F64)
        buf_printf(out, "  %%s%u = bitcast double %%p%u to i64\n", k, k);
    else if (t == DTYPE_BOOL)
        buf_printf(out, "  %%w%u = icmp ne i8 %%p%u, 0\n  %%s%u = zext i1 %%w%u to i64\n", k, k, k,
                   k);
    else if (t == DTYPE_I32)
        buf_printf(out, "  %%s%u = sext i32 %%p%u to i64\n", k, k);
    else
        buf_printf(out, "  %%s%u = add i64 %%p%u, 0\n", k, k);
    buf_printf(out,
               "  %%a%u = getelementptr i64, ptr %%scalars, i64 %u\n"
               "  store i64 %%s%u, ptr %%a%u\n",
               k, k, k, k);
}

static void put_tensor(Buf *out, uint32_t k)
{
    buf_printf(out,
               "  %%a%u = getelementptr ptr, ptr %%tensors, i64 %u\n"
               "  store ptr %%p%u, ptr %%a%u\n",
               k, k, k, k);
}

static void put_function(Buf *out, const hk_build *build, const Function *function)
{
    const hk_kernel *kernel = function->kernel;
    uint32_t count = (uint32_t)kernel->param_count;
    const char *symbol = function->symbol, *extended = build->sign_extends ? "signext " : "";
    put_tables(out, function);
    buf_printf(out, "define %si32 @\"%s\"(", extended, symbol);
    for (uint32_t k = 0; k < count; k++) {
        bool scalar = kernel->params[k].kind == HK_PARAM_SCALAR;
        buf_printf(out, "%s %%p%u, ", scalar ? scalar_type(scalar_dtype(function, k)) : "ptr", k);
    }
    buf_printf(out,
               "ptr %%error) nounwind {\n"
               "  %%tensors = alloca [%u x ptr], align 8\n"
               "  %%scalars = alloca [%u x i64], align 8\n",
               count + 1, count + 1);
    for (uint32_t k = 0; k < count; k++) {
        if (kernel->params[k].kind == HK_PARAM_SCALAR)
            put_scalar(out, k, scalar_dtype(function, k));
        else
            put_tensor(out, k);
    }
    buf_printf(out,
               "  %%status = call %si32 @" HAKO_RT "run(ptr @\"%s.tables\", ptr @\"%s.code\", "
               "ptr %%tensors, ptr %%scalars, ptr %%error)\n"
               "  ret i32 %%status\n}\n",
               extended, symbol, symbol);
}

Str library_text(hk_build *build)
{
    Buf out = {.arena = &build->arena};
    const char *extended = build->sign_extends ? "signext " : "";
    buf_printf(&out, "declare %si32 @" HAKO_RT "run(ptr, ptr, ptr, ptr, ptr)\n", extended);
    buf_printf(&out, "declare void @" HAKO_RT "setup(i32 %s, ptr, ptr)\n", extended);
    buf_printf(&out,
               "define void @%s_setup(i32 %%threads, ptr %%parallel_for, ptr %%self) nounwind {\n"
               "  call void @" HAKO_RT "setup(i32 %s%%threads, ptr %%parallel_for, ptr %%self)\n"
               "  ret void\n}\n",
               build->name, extended);
    for (uint32_t f = 0; f < build->function_count; f++)
        put_function(&out, build, &build->functions[f]);
    return buf_view(&out);
}
