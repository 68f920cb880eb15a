/* One expression over all elements, into an array that is given or one that is made. */

#include <math.h>
#include <stdlib.h>

void into(const double *restrict x, const double *restrict y, double a, double k, long count,
          double *restrict out) {
    for (long i = 0; i < count; i++) out[i] = EXPRESSION;
}

double *fresh(const double *restrict x, const double *restrict y, double a, double k, long count) {
    double *out = malloc(count * sizeof *out);
    into(x, y, a, k, count, out);
    return out;
}
