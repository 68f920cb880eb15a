; logistic.gd — how likely are a space shuttle's O-rings to suffer in the cold?
; orings.csv: the 23 flights before Challenger's last, temperature in °F at launch, damage 1 or 0
; (Report of the Presidential Commission, 1986; Dalal, Fowlkes and Hoadley, 1989), as in R's package vcd.
(data "orings.csv")
(params slope intercept)
(define warmth (/ (- temperature 70) 10))      ; around 0 and of size 1: one rate suits both
(define logit (+ (* slope warmth) intercept))
(define loss (bce logit damaged))

(d loss intercept)
; => (mean (- (sigmoid (+ (* slope (/ (- temperature 70) 10)) intercept)) damaged))
(train loss :lr 2 :tol 1e-6)
; => train by gd: 145 steps, loss 0.6931471805599453 → 0.44163462366404677
;                from                   to     gradient
;     slope         0   -2.321599468487532  9.84714e-07
;     intercept     0  -1.2084829291850299  2.64659e-07
;     converged: the gradient is zero within the tolerance, at a minimum; 0.034 s

; As published: 15.0429 - 0.2322 per degree.
(val [(- intercept (* 7 slope)) (/ slope 10)])  ; => [15.042713350227695 -0.23215994684875318]

; Damage at 81, 70 and 53 °F, and at the 31 °F of the last launch.
(val (sigmoid logit) :temperature [81 70 53 31])
; => [0.022704135560951563 0.22996958922064525 0.9392455243894166 0.9996087431590155]
