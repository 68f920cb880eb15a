#include <math.h>
void f_exp(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=exp(x[i]);}
void f_expm1(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=expm1(x[i]);}
void f_log(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=log(x[i]);}
void f_log1p(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=log1p(x[i]);}
void f_log2(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=log2(x[i]);}
void f_log10(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=log10(x[i]);}
void f_cbrt(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=cbrt(x[i]);}
void f_sinh(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=sinh(x[i]);}
void f_cosh(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=cosh(x[i]);}
void f_tanh(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=tanh(x[i]);}
void f_asinh(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=asinh(x[i]);}
void f_acosh(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=acosh(x[i]);}
void f_atanh(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=atanh(x[i]);}
void f_sin(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=sin(x[i]);}
void f_cos(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=cos(x[i]);}
void f_tan(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=tan(x[i]);}
void f_asin(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=asin(x[i]);}
void f_acos(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=acos(x[i]);}
void f_atan(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=atan(x[i]);}
void f_erf(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=erf(x[i]);}
void f_erfc(long n,double*restrict o,const double*restrict x){for(long i=0;i<n;i++)o[i]=erfc(x[i]);}
void f_pow(long n,double*restrict o,const double*restrict x,const double*restrict y){for(long i=0;i<n;i++)o[i]=pow(x[i],y[i]);}
void f_hypot(long n,double*restrict o,const double*restrict x,const double*restrict y){for(long i=0;i<n;i++)o[i]=hypot(x[i],y[i]);}
void f_atan2(long n,double*restrict o,const double*restrict x,const double*restrict y){for(long i=0;i<n;i++)o[i]=atan2(x[i],y[i]);}
