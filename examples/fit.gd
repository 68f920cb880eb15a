; fit.gd — data and a formula with unknowns: how fast an enzyme works (Treloar 1974, in R as Puromycin).
(data c [0.02 0.02 0.06 0.06 0.11 0.11 0.22 0.22 0.56 0.56 1.1 1.1])      ; concentration, ppm
(data rate [76 47 97 107 123 139 159 152 191 201 207 200])               ; counts a minute, squared
(params (v 100) (k 1))
(define (michaelis c) (/ (* v c) (+ k c)))

(define r (fit rate (michaelis c)))
r
; => fit by Levenberg–Marquardt: converged
;     rate = (/ (* 212.684 c) (+ 0.0641213 c))
;             estimate  ± standard error
;     v    212.6837431            6.9472
;     k  0.06412128168         0.0082809
;     residual standard deviation 10.9337, R² 0.961261, 10 degrees of freedom
;     relative gradient zero to rounding, condition 2.74
;     converged: a strict minimum: the gradient is zero to rounding, the curvature positive; 0.084 s

; R's nls gives v 212.7 ± 6.947 and k 0.06412 ± 0.008281. How far may they be off?
(confidence r :level 0.95)
; =>     estimate  95 % from         to
;   v    212.684    197.302    229.289
;   k  0.0641213  0.0469203  0.0861569

; What to expect elsewhere: the value, its standard error, and the band for a new measurement.
(predict r :c [0.01 0.1 2])
; => c        rate  ± standard error  95 % from       to
;   0.01   28.694           2.56079    3.67305   53.715
;   0.1   129.589           4.28017    103.428  155.751
;   2     206.077             6.122    178.156  233.997

; One measurement read wrongly: 107 as 170. Least squares follows it, a robust loss hardly.
(data misread [76 47 97 170 123 139 159 152 191 201 207 200])
(get (fit misread (michaelis c)) :k)  ; => 0.046390808650610696
(get (fit misread (michaelis c) :loss cauchy) :k)  ; => 0.06874971525942482

; Known errors of measurement: then these set the standard errors, and the residuals are checked by them.
(fit rate (michaelis c) :sigma (+ 2 (* 0.05 rate)))
; => fit by Levenberg–Marquardt: converged
;     rate = (/ (* 207.619 c) (+ 0.0589894 c))
;             estimate  ± standard error
;     v    207.6193405             6.527
;     k  0.05898938245         0.0053894
;     root of the reduced chi square 1.59433, R² 0.951695, 10 degrees of freedom
;     relative gradient zero to rounding, condition 2.97
;     converged: a strict minimum: the gradient is zero to rounding, the curvature positive; 0.006 s

; A formula with one parameter too many. No fitter can tell v from w; this one says so.
(params (w 1))
(get (fit rate (/ (* v w c) (+ k c))) :status)  ; => "stalled"

; (save "fit.gd") would write the columns, the parameters at their estimates, and the fit.
