// Kernels that were compiled ahead of time: this program needs neither Hako nor LLVM where it runs.
// Beside it, a Makefile; docs/aot.md says more.
#include <stdio.h>

#include "softmax.h" // made by hako build

int main(void)
{
    float in[] = {1, 2, 3, 1, 1, 1}, out[6];
    int64_t shape[] = {2, 3};
    DLTensor x = hako_f32(in, 2, shape), y = hako_f32(out, 2, shape);
    hako_error error;
    if (softmax(&x, &y, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    for (int k = 0; k < 6; k++) printf("%.4f%c", (double)out[k], k % 3 == 2 ? '\n' : ' ');
    return 0;
}
